"""A recipe's faults are found before anything is built, all at once, each with its place and what was expected."""

from pathlib import Path

import pytest
import torch

from gansemble.contract import Contract, GeneratorContract
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry
from gansemble.recipe import check, fill
from gansemble.recipe.document import RecipeError, parse
from gansemble.recipe.sections import LearningRate, Phase
from gansemble.recipe.weights import Schedule

SHIPPED = sorted((Path(__file__).parents[2] / "egs").glob("*/*/conf/*.yaml"))


def faults(path, *overrides) -> list[str]:
    """Every problem as printed, in order; none for a sound recipe."""
    try:
        check.load(path, overrides)
    except RecipeError as error:
        return [str(problem) for problem in error.problems]
    return []


def first_line(path, *overrides) -> str:
    found = faults(path, *overrides)
    assert len(found) == 1, found
    return found[0].splitlines()[0]


def spoilt(write, base, old: str, new: str):
    """The sound recipe with one piece of text replaced."""
    text = base.read_text()
    assert old in text
    return write(base=text.replace(old, new))


GOLDEN = {
    "unknown part": (
        "use: hifigan",
        "use: hifgan",
        "base.yaml:3:18: generator.use: no generator named 'hifgan'; did you mean 'hifigan'?\n"
        "    3 | generator: {use: hifgan}\n"
        "      |                  ^^^^^^",
    ),
    "part of another kind": (
        "objective: {use: lsgan}",
        "objective: {use: vocos}",
        "base.yaml:6:18: objective.use: no objective named 'vocos'; "
        "known: hinge, lsgan, nonsaturating, relativistic, wgan ('vocos' is a generator)\n"
        "    6 | objective: {use: vocos}\n"
        "      |                  ^^^^^",
    ),
    "misspelt key": (
        "{use: multi_period}",
        "{use: multi_period, peroids: [2]}",
        "base.yaml:5:28: discriminators.mpd.peroids: multi_period takes no such parameter; did you mean 'periods'?\n"
        "    5 |   mpd: {use: multi_period, peroids: [2]}\n"
        "      |                            ^^^^^^^",
    ),
    "key unlike any": (
        "{use: mel_l1, weight: 45}",
        "{use: mel_l1, zzz: 45}",
        "base.yaml:8:22: losses.mel.zzz: mel_l1 takes no such parameter\n"
        "      (parameters: full_band, weight)\n"
        "    8 |   mel: {use: mel_l1, zzz: 45}\n"
        "      |                      ^^^",
    ),
    "misspelt section": (
        "objective:",
        "objectiv:",
        "base.yaml:6:1: objectiv: a recipe has no such section; did you mean 'objective'?\n"
        "    6 | objectiv: {use: lsgan}\n"
        "      | ^^^^^^^^",
    ),
    "wrong type": (
        "steps: 10",
        "steps: ten",
        "base.yaml:10:15: plan.steps: expected int, got text 'ten'\n"
        "      (steps: int from 1 to 10^12 = 1000000 of gansemble.recipe.sections:Plan)\n"
        "   10 | plan: {steps: ten}\n"
        "      |               ^^^",
    ),
    "list element": (
        "{use: multi_period}",
        "{use: multi_period, periods: [2, 3, five]}",
        "base.yaml:5:44: discriminators.mpd.periods[2]: expected int, got text 'five'\n"
        "      (periods: tuple[int from 1 to 65536, ...] of 1 to 1000 items = (2, 3, 5, 7, 11) of gansemble_plugins.hifigan.discriminators:MultiPeriod)\n"
        "    5 |   mpd: {use: multi_period, periods: [2, 3, five]}\n"
        "      |                                            ^^^^",
    ),
    "bool for a number": (
        "steps: 10",
        "steps: true",
        "base.yaml:10:15: plan.steps: expected int, got bool true\n"
        "      (steps: int from 1 to 10^12 = 1000000 of gansemble.recipe.sections:Plan)\n"
        "   10 | plan: {steps: true}\n"
        "      |               ^^^^",
    ),
    "no such choice": (
        "steps: 10",
        "precision: fp8",
        "base.yaml:10:19: plan.precision: expected 'no' or 'bf16' or 'fp16', got text 'fp8'\n"
        "      (precision: 'no' or 'bf16' or 'fp16' = 'no' of gansemble.recipe.sections:Plan)\n"
        "   10 | plan: {precision: fp8}\n"
        "      |                   ^^^",
    ),
    "a part without use": (
        "generator: {use: hifigan}",
        "generator: hifigan",
        "base.yaml:3:12: generator: expected {use: NAME, …}, got 'hifigan'\n"
        "    3 | generator: hifigan\n"
        "      |            ^^^^^^^",
    ),
    "segment": (
        "steps: 10",
        "segment: 8000",
        "base.yaml:10:17: plan.segment: must be a multiple of audio.hop 256, got 8000; the nearest is 7936\n"
        "   10 | plan: {segment: 8000}\n"
        "      |                 ^^^^\n"
        "  audio.hop is 256 (its default)\n"
        "  fix: --set plan.segment=7936",
    ),
    "upsampling": (
        "{use: hifigan}",
        "{use: hifigan, upsample_rates: [8, 8, 2, 4], upsample_kernels: [16, 16, 4, 8]}",
        "base.yaml:3:43: generator.upsample_rates: hifigan makes 512 samples of each frame, but audio.hop is 256; "
        "change the upsampling so that its product is 256, or audio.hop to 512\n"
        "    3 | generator: {use: hifigan, upsample_rates: [8, 8, 2, 4], upsample_kernels: [16, 16, 4, 8]}\n"
        "      |                                           ^^^^^^^^^^^^\n"
        "  audio.hop is 256 (its default)\n"
        "  fix: --set audio.hop=512",
    ),
    "Nyquist": (
        "{sample_rate: 22050}",
        "{sample_rate: 16000, fmax: 8001}",
        "base.yaml:1:35: audio.fmax: must be at most half the sample rate (8000 Hz), got 8001 Hz; "
        "use a lower fmax, or null for half the sample rate (8000 Hz)\n"
        "    1 | audio: {sample_rate: 16000, fmax: 8001}\n"
        "      |                                   ^^^^",
    ),
    "best": (
        "steps: 10}",
        "steps: 10}\nvalidation: {best: pesq}",
        "base.yaml:11:20: validation.best: must be one of validation.metrics ['mel_distance'], got 'pesq'\n"
        "   11 | validation: {best: pesq}\n"
        "      |                    ^^^^\n"
        "  fix: --set validation.best=mel_distance",
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_message_is_exact_to_the_caret(write, base, case):
    old, new, expected = GOLDEN[case]
    found = faults(spoilt(write, base, old, new))
    if case == "misspelt section":  # and so the discriminators lack their objective
        assert len(found) == 2
        found = [text for text in found if "section" in text]
    assert found == [expected]


def test_the_base_recipe_is_sound(base):
    assert faults(base) == []


def test_several_problems_come_at_once_in_the_order_of_lines(write, base):
    text = base.read_text().replace("use: hifigan", "use: nope").replace("weight: 45", "weight: x")
    found = faults(write(base=text.replace("steps: 10", "steps: 1.5, sede: 3")))
    assert [line.partition(" ")[0] for line in found] == [
        "base.yaml:3:18:",
        "base.yaml:8:30:",
        "base.yaml:10:15:",
        "base.yaml:10:20:",
    ]


def test_several_contracts_are_reported_at_once(base):
    found = faults(base, "audio.hop=300", "plan.batch_size=7", "plan.accumulate=2", "validation.best=x")
    assert len(found) == 4


NUMBERS_THAT_ARE_BOOLS = {
    "losses.mel.weight": "true",
    "losses.mel.weight={0}": "{0: true}",
    "discriminators.mpd.periods": "[2, true]",
    "optimisers.generator.betas": "[true, 0.9]",
    "generator.dilations": "[[1, 3], [1, true], [1, 3]]",
    "plan.ema": "true",
    "audio.hop": "true",
    "optimisers.generator.warmup": "true",
}


@pytest.mark.parametrize("key", NUMBERS_THAT_ARE_BOOLS)
def test_a_bool_is_not_a_number_at_any_depth(base, key):
    assert faults(base, f"{key.partition('=')[0]}={NUMBERS_THAT_ARE_BOOLS[key]}")


def test_a_bool_is_not_a_number_in_a_tuple_of_tuples(base):
    part = "{use: multi_resolution, resolutions: [[true, 120, 600]]}"
    assert faults(base, f"discriminators.mrd={part}")


@pytest.mark.parametrize("section", ["plan", "data", "validation", "audio", "losses", "metrics", "optimisers"])
@pytest.mark.parametrize("wrong", ["[]", "false", "0", "text"])
def test_a_section_that_is_no_mapping_is_refused(base, section, wrong):
    assert any(f"{section}: " in text for text in faults(base, f"{section}={wrong}"))


def test_an_empty_section_is_all_defaults(base, write):
    assert faults(write(base=base.read_text() + "data:\nvalidation:\nregularisers:\n")) == []


@pytest.mark.parametrize("wrong", ["[1]", "{a: b}", "true"])
def test_a_name_must_be_text(base, wrong):
    assert "name: expected" in first_line(base, f"name={wrong}")


def test_whole_numbers_do_for_floats_and_lists_for_tuples(base):
    recipe = check.load(base, ["losses.mel.weight=45", "optimisers.generator.betas=[0, 0.9]", "audio.fmin=20"])
    assert recipe.many["optimisers"]["generator"].arguments["betas"] == (0.0, 0.9)
    assert type(recipe.audio.fmin) is float


def test_one_text_is_not_a_list_of_texts(base):
    assert "corpus.extensions: expected" in first_line(base, "corpus.extensions=wav")
    assert faults(base, "corpus.extensions=[wav]") == []


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("losses.mel.wieght", "weight"),
        ("optimisers.generator.decya", "decay"),
        ("optimisers.generator.warmpu", "warmup"),
        ("plan.batchsize", "batch_size"),
        ("audio.sample_rat", "sample_rate"),
    ],
)
def test_near_misses_include_the_keys_the_recipe_reads_itself(base, key, meant):
    assert f"did you mean '{meant}'?" in first_line(base, f"{key}=0.5")


def test_the_optimisers_own_first_argument_is_no_key(base):
    assert "parameters: parameters" not in faults(base, "optimisers.generator.zzz=1")[0]


def test_the_audio_specification_of_a_part_comes_from_the_recipe(base):
    assert "is supplied from the recipe's audio section" in first_line(base, "generator.audio=3")


@pytest.mark.parametrize("section", ["generator", "corpus"])
def test_a_missing_section_is_asked_for(base, section):
    assert f"a recipe needs a {section}, such as {section}: {{use: …}}" in first_line(base, f"{section}=null")


CONTRACTS = {
    "plan.batch_size=0": "plan.batch_size: must be from 1 to 1000000, got 0",
    "plan.steps=0": "plan.steps: must be from 1 to 10^12, got 0",
    "plan.accumulate=3": "plan.accumulate: must divide batch_size 16, got 3",
    "plan.ema=1": "plan.ema: must be above 0 and below 1, got 1",
    "plan.clip=-1": "plan.clip: must be from 1e-12 to 1000000, got -1",
    "validation.metrics=[mel_distance, mel_distanec]": "no metric 'mel_distanec' in the metrics section; "
    "did you mean 'mel_distance'? (it has: mel_distance)",
    "objective=null": "discriminators: a recipe with discriminators needs an objective, such as objective: {use: hinge}",
    "optimisers.discriminators=null": "optimisers: a recipe needs optimisers.discriminators, such as "
    "discriminators: {use: adam, lr: 2e-4}",
    "optimisers.generators={use: adamw}": "optimisers.generators: generator and discriminators take the rest of their "
    "side; an optimiser of another name must say what it takes, such as parameters: [discriminators.mpd], got 'generators'; "
    "did you mean 'generator'?",
    "metrics.pesq={use: pesq, resample: false}": "metrics.pesq.resample: metrics.pesq (pesq) works at 16000 Hz, but audio.sample_rate is 22050",
    "metrics.pesq={use: pesq, resample: false, mode: nb}": "metrics.pesq.resample: metrics.pesq (pesq) works at 8000 or 16000 Hz, but audio.sample_rate is 22050",
    "losses.s={use: multi_scale_mel, windows: [16384], mels: [80]}": "plan.segment: losses.s (multi_scale_mel) "
    "needs at least 16384 samples, got 8192",
    "generator.upsample_rates=[8, 8, 4]": "generator: upsample_rates and upsample_kernels must be of one length, got 3 and 4",
}


@pytest.mark.parametrize("override", CONTRACTS)
def test_contract(base, override):
    assert CONTRACTS[override] in first_line(base, override)


NUMBERS_OUT_OF_RANGE = [
    "validation.every=0",
    "validation.clips=0",
    "plan.workers=-1",
    "plan.discriminators_from=-1",
    "plan.steps=-5",
    "synthesis.chunk_seconds=0",
    "evaluation.confidence=2",
    "data.normalise=-1",
    "optimisers.generator.warmup=-1",
    "audio.mels=0",
    "audio.window=2048",
    "audio.fmin=9000",
]


@pytest.mark.parametrize("override", NUMBERS_OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused_at_its_key(base, override):
    assert f"{override.partition('=')[0]}: must " in first_line(base, override)


#: Keys and what is said of a number just out of range, that number, and the one beside it that is in range.
EDGES = [
    *((f"plan.{name}", "from 1 to 10^12", 0, 1) for name in ("steps", "generator_every", "log_every", "save_every")),
    *((f"plan.{name}", "from 1 to 1000000", 0, 1) for name in ("batch_size", "accumulate", "keep")),
    ("plan.batch_size", "from 1 to 1000000", 1_000_001, 1_000_000),
    ("plan.segment", "from 1 to 2^31", 0, 1),
    ("plan.segment", "from 1 to 2^31", 2**31 + 1, 2**31),
    ("plan.workers", "from 0 to 1024", -1, 0),
    *((f"plan.{name}", "from 0 to 10^12", -1, 0) for name in ("discriminators_from", "ema_from")),
    ("validation.every", "from 1 to 10^12", 0, 1),
    *((key, "from 1 to 1000000", 0, 1) for key in ("validation.clips", "synthesis.clips")),
    *((f"{key}", "from 0.0001 to 1000000", 0, 0.001) for key in ("validation.seconds", "evaluation.seconds")),
    ("synthesis.chunk_seconds", "from 0.0001 to 1000000", 0, 0.001),
    ("data.normalise", "from 0.001 to 1", 0, 0.001),
    ("evaluation.bootstrap", "from 0 to 100000", 10**9, 10**5),
    ("evaluation.confidence", "above 0 and below 1", 0, 0.001),
    ("evaluation.confidence", "above 0 and below 1", 1, 0.999),
    *((f"optimisers.{side}.decay", "from 1e-06 to 1", -1, 0.5) for side in ("generator", "discriminators")),
    *((f"optimisers.{side}.decay_every", "from 1 to 10^12", 0, 1) for side in ("generator", "discriminators")),
    *((f"optimisers.{side}.warmup", "from 0 to 10^12", -1, 0) for side in ("generator", "discriminators")),
    ("plan.ema", "above 0 and below 1", 0, 0.001),
    ("plan.ema", "above 0 and below 1", 1, 0.999),
    ("plan.clip", "from 1e-12 to 1000000", 0, 0.001),
]


@pytest.mark.parametrize(("key", "wanted", "out", "within"), EDGES)
def test_a_range_ends_where_it_says(base, key, wanted, out, within):
    said = f"{key}: must be {wanted}, got "
    assert f"{said}{out}\n" in "\n".join(faults(base, f"{key}={out}")) + "\n"
    assert said not in "\n".join(faults(base, f"{key}={within}"))


def test_what_is_compared_with_a_wrong_number_is_not_called_wrong(base):
    (found,) = faults(base, "audio.sample_rate=-1")
    assert "audio.sample_rate: must be from 1 to 1000000, got -1" in found


def test_pesq_resamples_unless_told_otherwise(base):
    assert faults(base, "metrics.pesq={use: pesq}") == []


def test_feature_matching_needs_feature_maps(base):
    overrides = ["discriminators=null", "optimisers.discriminators=null", "losses.f={use: feature_matching}"]
    found = faults(base, *overrides)
    assert len(found) == 2
    assert (
        "losses.f.use: losses.f (feature_matching) needs features, but no discriminator of this recipe returns feature maps"
        in found[0]
    )
    assert "losses.f.use: losses.f (feature_matching) needs outputs, but this recipe has no discriminator" in found[1]
    assert faults(base, "losses.f={use: feature_matching}") == []


class Mute(torch.nn.Module):
    """A generator that reads nothing."""

    def __init__(self, *, latent: int = 3) -> None:
        super().__init__()

    def forward(self, condition: object) -> torch.Tensor:
        return torch.zeros(1)


class Dreamer(Mute):
    """A generator of clips of its own."""

    @staticmethod
    def contract(parameters: dict) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"latent"}), latent=parameters["latent"])


class MisDeclared(Mute):
    """A generator with the contract of any part, in which nothing can be said of what it reads."""

    @staticmethod
    def contract(parameters: dict) -> Contract:
        return Contract()


def test_the_contract_of_another_kind_is_refused(base):
    registry = Plugins().registry
    registry.add(Entry("generator", "mute", f"{__name__}:MisDeclared", "", "here"))
    with pytest.raises(RecipeError) as caught:
        check.load(base, ["generator={use: mute}"], registry)
    (problem,) = caught.value.problems
    assert "generator: its contract returns Contract, but a generator has a GeneratorContract" in str(problem)


@pytest.mark.slow
def test_shaped_noise_needs_clips_that_imitate_others(base):
    """The mel spectrogram it goes by is that of the clip that is imitated."""
    registry = Plugins().registry
    registry.add(Entry("generator", "mute", f"{__name__}:Dreamer", "", "here"))
    with pytest.raises(RecipeError) as caught:
        check.load(base, ["generator={use: mute}", "noise_injector={use: spectral_diffusion}"], registry)
    wanted = "noise_injector.use: noise_injector (spectral_diffusion) needs mel, but the generator of this recipe makes clips of its own"
    assert sum(wanted in str(problem) for problem in caught.value.problems) == 1


def test_nothing_to_learn_from_is_refused(base):
    wanted = "generator: nothing would teach the generator: add discriminators or losses"
    assert wanted in first_line(base, "discriminators=null", "losses=null")


def test_losses_alone_need_no_discriminator_objective_or_second_optimiser(base):
    gone = ("discriminators", "objective", "optimisers.discriminators")
    assert faults(base, *(f"{key}=null" for key in gone)) == []


def test_a_published_rate_needs_leave_to_be_resampled(base):
    lj = ["corpus.use=ljspeech", "audio.sample_rate=24000"]
    wanted = "corpus (ljspeech) is published at 22050 Hz, got 24000; set data.rate: resample to resample it"
    assert wanted in first_line(base, *lj)
    assert faults(base, *lj, "data.rate=resample") == []


def test_phases_are_read_and_must_add_up(base):
    recipe = check.load(base, ["plan.phases=[{steps: 4}, {steps: 6, batch_size: 8, fresh_optimisers: true}]"])
    assert recipe.plan.phases == (Phase(4), Phase(6, 8, None, True))
    wanted = "plan.phases: the phases' steps add up to 9, plan.steps is 10; make them equal"
    assert wanted in first_line(base, "plan.phases=[{steps: 4}, {steps: 5}]")


def test_a_phase_has_a_step_and_a_clip_at_least(base):
    wanted = "plan.phases[1].{}: must be from 1 to {}, got 0"
    assert wanted.format("steps", "10^12") in first_line(base, "plan.phases=[{steps: 10}, {steps: 0}]")
    assert wanted.format("batch_size", "1000000") in first_line(
        base, "plan.phases=[{steps: 9}, {steps: 1, batch_size: 0}]"
    )
    assert faults(base, "plan.phases=[{steps: 9}, {steps: 1, batch_size: 1}]") == []


def test_micro_batches_divide_the_batch_of_every_phase(base):
    wanted = "plan.accumulate: must divide every phase's batch_size, got 4 and phase 2's 6"
    assert wanted in first_line(base, "plan.accumulate=4", "plan.phases=[{steps: 4}, {steps: 6, batch_size: 6}]")
    assert faults(base, "plan.accumulate=4", "plan.phases=[{steps: 4}, {steps: 6, batch_size: 8}]") == []


@pytest.mark.parametrize(("batch_size", "accumulate", "mend"), [(16, 7, 8), (16, 5, 4), (7, 5, 7), (2, 9, 2)])
def test_the_nearest_number_of_micro_batches_is_proposed(base, batch_size, accumulate, mend):
    (found,) = faults(base, f"plan.batch_size={batch_size}", f"plan.accumulate={accumulate}")
    assert f"must divide batch_size {batch_size}, got {accumulate}\n" in found
    assert found.endswith(f"fix: --set plan.accumulate={mend}")


def test_a_misspelt_key_of_a_phase_is_marked(base):
    assert "plan.phases[1].stesp: " in "\n".join(faults(base, "plan.phases=[{steps: 4}, {stesp: 6}]"))


def test_a_schedule_is_linear_between_its_points_and_constant_outside():
    schedule = Schedule.of({200: 5, 100: 45})
    assert [schedule.at(step) for step in (0, 100, 150, 200, 999)] == [45, 45, 25, 5, 5]
    assert schedule.plain() == {100: 45.0, 200: 5.0} and Schedule.of(3).plain() == 3.0


def test_a_weight_is_one_unless_given(base):
    recipe = check.load(base, ["discriminators.mpd.weight={0: 0, 10: 2}"])
    assert recipe.many["discriminators"]["mpd"].weight.at(5) == 1.0
    assert recipe.single["objective"].weight == Schedule.of(1.0)
    assert recipe.many["losses"]["mel"].weight == Schedule.of(45)


@pytest.mark.parametrize("weight", ["[1]", "{}", "{a: 1}", "{0: x}", "heavy", "null"])
def test_a_weight_that_is_no_number_and_no_schedule_is_refused(base, weight):
    wanted = "losses.mel.weight: expected a number or a schedule such as {0: 45, 200000: 5}"
    assert wanted in first_line(base, f"losses.mel.weight={weight}")


def test_learning_rates_decay_warm_up_and_end_at_zero():
    rate = LearningRate(decay=0.5, warmup=4, cosine=True)
    assert LearningRate().factor(7, 3, 10) == 1.0
    assert LearningRate(decay=0.5).factor(0, 3, 10) == 0.125
    assert [LearningRate(warmup=4).factor(step, 0, 10) for step in (0, 3, 9)] == [0.25, 1.0, 1.0]
    assert rate.factor(10, 1, 10) == pytest.approx(0.0)


def test_a_filled_recipe_reads_back_and_fills_equal(base, write):
    overrides = ["losses.mel.weight={0: 45, 100: 1e-5}", "noise_injector={use: spectral_diffusion}", "name='1e-4'"]
    once = fill.fill(check.load(base, overrides))
    again = fill.fill(check.load(write(again=fill.dump(once))))
    assert again == once


@pytest.mark.parametrize(
    "text", ["1e-4", "1e5", "yes", "017", "2024-01-01", "null", "~", "", "a: b", "# x", "${a.b}", "1:30"]
)
def test_dumped_text_reads_back_as_text(text):
    assert parse(fill.dump({"a": text}), "r.yaml").value == {"a": text}


@pytest.mark.parametrize("number", [1e-5, 1e300, -0.0, 0.1 + 0.2, float("inf"), 2.0, 3])
def test_dumped_numbers_read_back_exactly(number):
    value = parse(fill.dump({"a": number}), "r.yaml").value["a"]
    assert (value, type(value)) == (number, type(number))


def test_differences_name_changed_added_and_removed_leaves():
    old, new = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [1], "e": None}
    assert fill.differences(old, new) == [("a.b", 1, 3), ("e", "(absent)", None), ("a.c", 2, "(absent)")]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: "/".join(path.parts[-3:]))
def test_every_shipped_recipe_checks_and_its_filled_form_is_the_same_recipe(path, write):
    once = fill.fill(check.load(path))
    assert fill.fill(check.load(write(filled=fill.dump(once)))) == once


def test_there_are_shipped_recipes():
    assert len(SHIPPED) >= 10
