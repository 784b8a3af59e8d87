"""Perturbations in a recipe: their order and chance are part of what is trained, and recorded signals exclude most."""

from __future__ import annotations

from pathlib import Path

import pytest

from gansemble.recipe import check
from gansemble.recipe.compose import compose
from gansemble.recipe.document import RecipeError, parse
from gansemble.recipe.fill import dump, fill, flatten
from gansemble.recipe.schema import Recipe
from gansemble.stages import Ledger, Project
from gansemble.stages.project import content_mark
from gansemble.stages.stage import BY_NAME
from gansemble.training.saving import blocking_differences

CONF = """\
audio: {sample_rate: 22050}
corpus: {use: folder}
generator: {use: hifigan}
losses: {mel: {use: mel_l1}}
validation: {metrics: []}
optimisers: {generator: {use: adamw}}
"""
TWO = "perturbations: {a: {use: random_gain, probability: 0.5}, b: {use: speed}}\n"
TURNED = "perturbations: {b: {use: speed}, a: {use: random_gain, probability: 0.5}}\n"
PAIRS = """\
audio: {sample_rate: 22050}
corpus: {use: pairs}
generator: {use: inception_unet}
losses: {time: {use: waveform_l2}}
validation: {metrics: []}
optimisers: {generator: {use: adamw}}
"""


def load(folder: Path, text: str, *sets: str) -> Recipe:
    (folder / "r.yaml").write_text(text)
    return check.load(folder / "r.yaml", sets)


def leaves(folder: Path, text: str, *sets: str) -> dict[str, object]:
    return flatten(fill(load(folder, text, *sets)))


def test_a_filled_recipe_reads_back_in_its_order(tmp_path):
    filled = fill(load(tmp_path, CONF + TURNED))
    assert filled["perturbations"] == {
        "b": {"use": "speed", "probability": 1.0, "factors": [0.9, 1.1]},
        "a": {"use": "random_gain", "probability": 0.5, "gain": [-6.0, 6.0]},
    }
    back = fill(load(tmp_path, dump(filled)))
    assert back == filled and list(back["perturbations"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("then", "now", "keys"),
    [
        ("", "", []),
        ("perturbations: {}\n", "", []),
        (TWO, TWO, []),
        (TWO, TURNED, ["perturbations"]),
        (TWO, TWO.replace("0.5", "0.6"), ["perturbations.a.probability"]),
        ("", "perturbations: {a: {use: random_polarity}}\n", ["perturbations.a.use", "perturbations.a.probability"]),
    ],
)
def test_a_resumed_run_is_held_to_its_perturbations_and_their_order(tmp_path, then, now, keys):
    """As the checkpoint's recipe is read: from YAML."""
    before = flatten(parse(dump(fill(load(tmp_path, CONF + then))), "then").value)
    assert [key for key, *_ in blocking_differences(before, leaves(tmp_path, CONF + now))] == keys


def test_only_perturbations_that_there_are_have_an_order():
    """In a recipe that was composed and not filled in, null stands for one that was taken out."""
    two = flatten({"perturbations": {"b": {"use": "x"}, "no": None, "a": {"use": "y"}}, "losses": {"d": {}, "c": {}}})
    assert two["perturbations"] == ["b", "a"] and "losses" not in two
    assert "perturbations" not in flatten({"perturbations": {"b": {"use": "x"}, "no": None}})


def test_a_checkpoint_from_before_there_were_perturbations_goes_on(tmp_path):
    now = leaves(tmp_path, CONF)
    assert blocking_differences({key: value for key, value in now.items() if key != "perturbations"}, now) == []


def test_the_training_stage_reads_them_and_packed_data_do_not(tmp_path):
    def keys(stage: str, text: str) -> dict[str, object]:
        (tmp_path / "r.yaml").write_text(CONF + text)
        ledger = Ledger(Project.of(tmp_path / "r.yaml", (), tmp_path / "exp", tmp_path / "data", tmp_path / "dump"))
        return ledger.keys(BY_NAME[stage])

    assert keys("train", TWO) != keys("train", "") == keys("train", "perturbations: {}\n")
    assert keys("train", TWO) != keys("train", TURNED)
    assert all(keys(stage, TWO) == keys(stage, "") for stage in ("fetch", "prepare", "statistics", "synthesise"))
    marks = set()
    for text in ("", TWO, TURNED):
        (tmp_path / "r.yaml").write_text(CONF + text)
        marks.add(content_mark(compose(tmp_path / "r.yaml").value, tmp_path / "data", tmp_path))
    assert len(marks) == 1


@pytest.mark.parametrize("value", ["-0.1", "1.01", ".nan", "true", "often", "null"])
def test_a_probability_is_a_number_from_0_to_1(tmp_path, value):
    with pytest.raises(
        RecipeError, match=r"perturbations\.b\.probability: expected a number from 0, never, to 1, always"
    ):
        load(tmp_path, CONF + TWO, f"perturbations.b.probability={value}")


def test_an_included_recipe_comes_first_and_null_takes_out(tmp_path):
    (tmp_path / "base.yaml").write_text(CONF + TWO)
    recipe = load(tmp_path, "include: [base.yaml]\nperturbations: {c: {use: random_polarity}, a: null}\n")
    assert list(recipe.many["perturbations"]) == ["b", "c"]
    assert recipe.many["perturbations"]["c"].probability == 1


def test_a_degraded_recording_of_the_corpus_excludes_what_would_part_it_from_its_clip(tmp_path):
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, PAIRS + "perturbations: {tape: {use: speed}, level: {use: random_gain}}\n")
    (problem,) = caught.value.problems
    assert problem.path == ("perturbations", "tape", "use")
    assert "perturbations.tape (speed) changes the training crops, but the signal 'degraded' is in files" in str(
        problem
    )
    assert "corpus (pairs) gives degraded" in str(problem)
    assert "fix: --set perturbations.tape=null" in str(problem)


@pytest.mark.parametrize("kept", ["data: {signals: {mel: mels}, normalise: null}", "corpus: {use: teacher_forced}"])
def test_any_other_signal_that_is_read_from_files_excludes_all(tmp_path, kept):
    """Also those that would leave a pair a pair: a spectrogram that was saved does not get louder."""
    text = "\n".join(line for line in CONF.splitlines() if not line.startswith(kept.partition(":")[0] + ":"))
    text += f"\n{kept}\nperturbations: {{level: {{use: random_gain}}}}\n"
    with pytest.raises(
        RecipeError, match="the signal 'mel' is in files that go with each clip as it was recorded"
    ) as caught:
        load(tmp_path, text, "data.normalise=null")
    (problem,) = caught.value.problems
    assert problem.path == ("perturbations", "level", "use") and "perturbations.level=null" in problem.fix


def test_files_that_nobody_reads_exclude_nothing(tmp_path):
    load(tmp_path, CONF + "data: {embeddings: {voice: voices}}\nperturbations: {level: {use: random_gain}}\n")


def test_a_degradation_goes_with_all_of_them(tmp_path):
    text = PAIRS.replace("{use: pairs}", "{use: folder}") + "degradation: {use: low_pass}\n"
    load(tmp_path, text + "perturbations: {tape: {use: speed}, hiss: {use: additive_noise}}\n")


def test_no_perturbation_may_take_a_probability_of_its_own(tmp_path):
    from gansemble.errors import PluginError
    from gansemble.plugins.registry import Entry

    entry = Entry("perturbation", "mine", f"{__name__}:Chancy", "", "mine")
    with pytest.raises(PluginError, match="parameter 'probability' is reserved by the recipe"):
        entry.load()
    assert Entry("noise_injector", "mine", f"{__name__}:ChancyInjector", "", "mine").load() is ChancyInjector


class Chancy:
    margin = 0

    def __init__(self, *, probability: float = 1.0) -> None: ...

    def __call__(self, audio, rng): ...


class ChancyInjector:
    def __init__(self, *, probability: float = 1.0) -> None: ...

    def __call__(self, real, fake, batch): ...
