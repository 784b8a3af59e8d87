"""A teacher: another experiment's generator, frozen, asked once for each micro-batch, kept in the run's folder."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gansemble.errors import CheckpointError, TrainingError
from gansemble.files import sha256
from gansemble.interfaces import Condition
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble.stages.locks import FolderLock, holder
from gansemble.training import profiling
from gansemble.training.checkpoint import Store, verify
from gansemble.training.teacher import Teacher
from gansemble.training.teaching import Teaching

SPECTRA = Path(__file__).parents[2] / "egs" / "sc09" / "specgan" / "conf" / "mini.yaml"
SHORT = ("plan.steps=4", "plan.save_every=2", "validation.every=1000", "plan.accumulate=1", "generator.dim=8")
LOSS = "losses.taught={use: distillation, weight: 10}"


@pytest.fixture(scope="module")
def source(workshop, tmp_path_factory):
    """A finished run of four steps, of a wider generator than the pupils here."""
    exp = tmp_path_factory.mktemp("source")
    workshop.train(exp, "plan.steps=4", "plan.save_every=2", "plan.accumulate=1", "validation.every=2")
    return exp


@pytest.fixture
def lent(source, tmp_path):
    """A copy of it that a test may spoil."""
    return shutil.copytree(source, tmp_path / "lent")


def taught(exp, *sets):
    return (*SHORT, f"teacher.exp={exp}", LOSS, *sets)


def newest(exp):
    return Store(exp / "checkpoints").newest()


def test_the_moving_average_teaches_frozen_and_in_eval_mode(workshop, source, tmp_path):
    run = workshop.trainer(tmp_path, *taught(source))
    network = run.components.teacher.network
    average = newest(source).network("ema")
    assert all(torch.equal(value, average[name]) for name, value in network.state_dict().items())
    assert not network.training and not any(each.requires_grad for each in network.parameters())
    run.run()
    assert all(torch.equal(value, average[name]) for name, value in network.state_dict().items())
    assert not network.training and all(each.grad is None for each in network.parameters())


def test_without_an_average_the_generator_teaches(workshop, tmp_path):
    workshop.train(tmp_path / "source", *SHORT, "plan.ema=null", "plan.steps=1")
    run = workshop.trainer(tmp_path / "exp", *taught(tmp_path / "source"))
    theirs = newest(tmp_path / "source").network("generator")
    assert all(torch.equal(value, theirs[name]) for name, value in run.components.teacher.network.state_dict().items())


def test_the_best_checkpoint_may_teach(workshop, source, tmp_path):
    (best, *_) = newest(source).manifest["best"]
    run = workshop.trainer(tmp_path, *taught(source, "teacher.checkpoint=best"))
    assert run.components.teacher.note["checkpoint"] == best


def test_all_terms_of_a_step_share_one_output_and_none_is_computed_in_vain(workshop, source, tmp_path):
    second = "losses.again={use: distillation, of: waveform, weight: {0: 1, 2: 1, 3: 0}}"
    run = workshop.trainer(tmp_path, *taught(source, second, "losses.taught.weight={0: 1, 2: 1, 3: 0}"))
    calls, steps = [], []
    run.components.teacher.network.register_forward_hook(lambda module, given, made: calls.append(made.detach()))
    run.observers = (*run.observers, lambda step, turn: steps.append((step, turn)))
    run.run()
    assert len(calls) == 3, "once in each of the steps 0, 1, 2, and not in step 3, where both weights are 0"
    step, turn = steps[-1]
    assert turn == "generator" and step.index == 3
    made = step.teacher()
    assert made is step.teacher() and made.dtype == torch.float32 and not made.requires_grad
    with torch.no_grad():
        assert torch.equal(made, run.components.teacher.network(step.fake_condition))


def test_the_losses_are_the_distances_between_fake_and_teacher(workshop, source, tmp_path):
    from gansemble.audio.features import log_mel

    second = "losses.again={use: distillation, of: waveform}"
    run = workshop.trainer(tmp_path, *taught(source, second, "plan.steps=1", "plan.generator_every=1"))
    terms = {each.name: each.term for each in run.components.parts.terms}
    steps = []
    run.observers = (lambda step, turn: steps.append(step),)
    run.run()
    step = steps[-1]
    assert torch.equal(terms["losses.again"](step, "generator"), (step.teacher() - step.fake).abs().mean())
    spec = run.recipe.audio.full_band()
    theirs, ours = (log_mel(x[:, 0].detach(), spec) for x in (step.teacher(), step.fake))
    assert torch.allclose(terms["losses.taught"](step, "generator"), (theirs - ours).abs().mean())


def test_resuming_is_exact_even_when_the_source_is_gone(workshop, tools, source, lent, tmp_path):
    straight = workshop.train(tmp_path / "straight", *taught(lent))
    assert straight.components.teacher.saved.folder.is_relative_to(lent)
    workshop.train(tmp_path / "parted", *taught(lent), stop_after=1)
    shutil.rmtree(lent)
    parted = workshop.train(tmp_path / "parted", *taught(lent))
    assert parted.components.teacher.saved.folder == tmp_path / "parted" / "teacher"
    ours, theirs = (newest(tmp_path / name) for name in ("parted", "straight"))
    assert tools.differences(tools.contents(ours.folder), tools.contents(theirs.folder)) == []
    assert ours.manifest["teacher"] == theirs.manifest["teacher"]
    alone = workshop.train(tmp_path / "alone", *SHORT).components.store.folders()[-1]
    assert "generator/embed.weight" in tools.differences(tools.contents(alone), tools.contents(theirs.folder))


def test_a_teacher_that_nobody_asks_changes_no_bit(workshop, tools, source, tmp_path):
    """Though its weights were drawn, in vain, while the run was built."""
    sets = (*SHORT, "plan.steps=2", tools.drawing)
    plain, with_one = (
        workshop.train(tmp_path / name, *sets, *more).components.store.folders()[-1]
        for name, more in (("plain", ()), ("with_one", (f"teacher.exp={source}",)))
    )
    assert tools.differences(tools.contents(plain), tools.contents(with_one)) == []


def test_the_run_keeps_recipe_weights_and_manifest_and_its_checkpoints_the_digests_alone(workshop, source, tmp_path):
    workshop.train(tmp_path, *taught(source, "plan.steps=2"))
    folder, saved = newest(source).folder, newest(tmp_path)
    kept = verify(tmp_path / "teacher")
    names = {"recipe.yaml", "ema.safetensors"}
    assert {path.name for path in kept.folder.iterdir()} == names | {"manifest.json"}
    note = saved.manifest["teacher"]
    assert note == {"exp": str(source), "choice": "last", "checkpoint": folder.name, "files": note["files"]}
    assert (
        note["files"] == {name: sha256(folder / name) for name in names} == {n: sha256(kept.folder / n) for n in names}
    )
    assert kept.step == 4 and kept.manifest["audio"] == saved.manifest["audio"]
    theirs = sum(value.numel() for value in newest(source).network("ema").values())
    ours = sum(value.numel() for value in saved.network("generator").values())
    assert theirs > ours
    assert sorted(saved.manifest["files"]) == sorted(newest(source).manifest["files"]), "and no file of the teacher's"


@pytest.mark.parametrize("spoil", ["alter", "remove"])
def test_a_copy_that_is_damaged_is_made_again_from_an_unchanged_source(workshop, tools, lent, tmp_path, spoil, caplog):
    straight = workshop.train(tmp_path / "straight", *taught(lent, "plan.steps=2")).components.store.folders()[-1]
    workshop.train(tmp_path / "parted", *taught(lent, "plan.steps=2"), stop_after=1)
    weights = tmp_path / "parted" / "teacher" / "ema.safetensors"
    if spoil == "alter":
        save_file({name: value + 1 for name, value in load_file(weights).items()}, weights)
    else:
        shutil.rmtree(weights.parent)
    workshop.train(tmp_path / "parted", *taught(lent, "plan.steps=2"))
    assert tools.differences(tools.contents(newest(tmp_path / "parted").folder), tools.contents(straight)) == []
    assert verify(weights.parent).has("ema.safetensors")
    assert ("it was altered; the teacher is read from" in caplog.text) == (spoil == "alter")


def test_another_teacher_is_a_changed_recipe(workshop, source, lent, tmp_path):
    """Refused with both, unless it is allowed: then it takes the other's place."""
    exp = tmp_path / "exp"
    workshop.train(exp, *taught(lent), stop_after=1)
    before = newest(exp).manifest["teacher"]["files"]["ema.safetensors"]
    shutil.rmtree(exp / "teacher")
    workshop.train(lent, "plan.steps=5", "plan.accumulate=1", "validation.every=2", "plan.save_every=2")
    after = sha256(newest(lent).folder / "ema.safetensors")
    said = (
        rf"teacher: {lent} at step-00000004 .*ema.safetensors {before[:12]}.* -> {lent} at step-00000005 .*{after[:12]}"
    )
    with pytest.raises(CheckpointError, match=said):
        workshop.train(exp, *taught(lent))
    assert not (exp / "teacher").exists(), "a run that is refused changes nothing"
    with pytest.raises(CheckpointError, match=rf"teacher.exp: {lent} -> {source}\n"):
        workshop.train(exp, *taught(source))
    workshop.train(exp, *taught(lent), allow_change=True, stop_after=1)
    assert newest(exp).manifest["teacher"]["files"]["ema.safetensors"] == after
    assert sha256(exp / "teacher" / "ema.safetensors") == after
    workshop.train(exp, *taught(lent), stop_after=1)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (("teacher.exp=/gone",), "teacher.exp: /gone: expected an experiment with checkpoints, found none"),
        (("teacher.exp={exp}",), "is this run's own folder; a teacher is another, finished run"),
        (
            ("audio.mels=21",),
            r"made with another audio specification:\n  audio.mels: 20 -> 21\nuse that one, or another",
        ),
    ],
)
def test_what_cannot_teach_is_refused_before_anything_is_made(workshop, source, tmp_path, sets, message):
    exp = tmp_path / "exp"
    with pytest.raises(CheckpointError, match=message):
        workshop.trainer(exp, *taught(source), *(change.format(exp=exp) for change in sets))
    assert not exp.exists()


def changed(folder, **facts):
    """Sets facts of the newest checkpoint's manifest."""
    path = newest(folder).folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_a_teacher_of_other_conditions_or_classes_is_refused(workshop, lent, tmp_path):
    """Its recipe is replaced by one whose generator reads something else: what it reads decides before its weights do."""
    from gansemble.training import teacher

    recipe = workshop.load(*taught(lent))
    saved = newest(lent)

    class Other:
        def __init__(self, **contract):
            import dataclasses

            from gansemble.contract import GeneratorContract

            ours = recipe.generator_contract
            fields = {field.name: getattr(ours, field.name) for field in dataclasses.fields(GeneratorContract)}
            self.generator_contract = GeneratorContract(**(fields | contract))
            self.single, self.many = recipe.single, recipe.many

    def refusal(one, other, names=None, at=saved):
        with pytest.raises(CheckpointError) as caught:
            teacher._demand_fits(one, other, at, names)
        return str(caught.value)

    class Ours(Other):
        audio = recipe.audio

    said = refusal(Ours(), Other(reads=frozenset({"mel", "f0"})))
    assert "reads f0, mel, this recipe's mel, so that f0 is not there" in said
    latent = frozenset({"latent"})
    said = refusal(Ours(reads=latent, latent=8), Other(reads=latent, latent=16))
    assert "reads 16 latent numbers (uniform), this recipe's 8 (uniform)" in said
    label = frozenset({"label"})
    assert "built for 10 classes, this recipe's data have 3" in refusal(
        Ours(reads=label), Other(reads=label, classes=10), ["a", "b", "c"]
    )
    assert "built for pitches (24, 84), this recipe's for (24, 60)" in refusal(
        Ours(reads=label, pitches=(24, 60)), Other(reads=label, pitches=(24, 84))
    )
    changed(lent, classes=["a", "b"])
    said = refusal(Ours(reads=label), Other(reads=label), ["a", "c"], newest(lent))
    assert "it learnt the classes a, b, in this order; those of the packed data are a, c" in said
    teacher._demand_fits(Ours(reads=label), Other(reads=label), newest(lent), ["a", "b"])
    teacher._demand_fits(Ours(reads=label | {"mel"}), Other(), newest(lent), ["a", "c"])  # it reads no label
    spectra = Other()
    spectra.single = check.load(SPECTRA).single
    said = refusal(Ours(), spectra)
    assert "its representation is {'use': '" in said and said.endswith(
        "this recipe's none; use the same, or another teacher"
    )
    plain = Other()
    plain.single = workshop.load("representation={use: waveform}").single
    teacher._demand_fits(Ours(), plain, saved, None)
    one, other = (workshop.load(f"features.pitch={{use: f0, fmin: {low}}}").many for low in (65.0, 80.0))
    pitched = {"reads": frozenset({"mel", "pitch"})}
    ours, theirs = Ours(**pitched), Other(**pitched)
    ours.many, theirs.many = one, other
    assert "its features.pitch is {'use': 'f0'" in refusal(ours, theirs)
    theirs.many = one
    teacher._demand_fits(ours, theirs, saved, None)


def test_a_teacher_of_other_statistics_is_refused(workshop, source):
    """What a representation makes of other statistics has another scale."""

    class Levelled:
        def __init__(self, level):
            self.level = torch.tensor(level)

        def state_dict(self):
            return {"of": [self.level, 3]}

        def load_state_dict(self, state):
            raise AssertionError

    class At:
        folder = source

        def has_state(self, name):
            return True

        def parts(self):
            return {"representation": Levelled(0.5).state_dict()}

    note = {"exp": "x", "choice": "last", "checkpoint": "y", "files": {}}
    made = Teacher(torch.nn.Identity(), At(), note, workshop.load())
    made.demand_statistics(Levelled(0.5))
    made.demand_statistics(object())
    with pytest.raises(CheckpointError, match="its representation was fitted to other data"):
        made.demand_statistics(Levelled(0.25))


def test_a_teacher_that_is_being_trained_is_refused(workshop, lent, tmp_path):
    """What it is at this moment it is at no other; a lock that a dead process left is none."""
    with (
        FolderLock(lent),
        pytest.raises(CheckpointError, match=r"lent: run \d+ on .* is training it; wait until it has ended, or give a"),
    ):
        workshop.trainer(tmp_path / "exp", *taught(lent))
    assert holder(lent) is None
    (lent / ".lock").mkdir()
    (lent / ".lock" / "owner.json").write_text(json.dumps(FolderLock(lent).owner | {"pid": 2**22 + 5}))
    assert holder(lent) is None
    workshop.trainer(tmp_path / "exp", *taught(lent))


def test_a_run_that_goes_on_does_not_mind_that_its_teacher_is_trained_further(workshop, lent, tmp_path):
    workshop.train(tmp_path / "exp", *taught(lent), stop_after=1)
    with FolderLock(lent):
        workshop.train(tmp_path / "exp", *taught(lent), stop_after=1)
    assert newest(tmp_path / "exp").step == 2


def test_begun_again_by_force_the_run_takes_its_teacher_with_it(workshop, lent, tmp_path):
    exp, sets = tmp_path / "exp", taught(lent, "plan.steps=1")
    assert workshop.stage("train", exp, *sets).exit_code == 0
    before = sha256(exp / "teacher" / "ema.safetensors")
    workshop.train(lent, "plan.steps=5", "plan.accumulate=1", "validation.every=2", "plan.save_every=2")
    again = workshop.stage("train", exp, *sets, options=("--force",))
    assert again.exit_code == 0, again.output
    (previous,) = (exp / "previous").iterdir()
    assert sha256(previous / "teacher" / "ema.safetensors") == before
    assert newest(exp).manifest["teacher"]["checkpoint"] == "step-00000005"
    shutil.rmtree(lent)
    for options, more in ((("--force",), ()), ((), ("losses.taught.weight=3",))):
        refused = workshop.stage("train", exp, *sets, *more, options=options)
        assert isinstance(refused.exception, CheckpointError) and "found none" in str(refused.exception)
        assert list((exp / "previous").iterdir()) == [previous], "nothing is set aside for a run that cannot begin"


@pytest.mark.parametrize("how", ["force", "changed"])
def test_a_run_that_is_begun_again_begins_with_the_networks_of_its_source(workshop, source, tmp_path, how):
    """Not with random ones, as the checkpoints of the run before were still there when it was built."""
    sets = ("plan.steps=1", "plan.save_every=1", f"init.exp={source}", "plan.accumulate=1", "validation.every=1000")
    assert workshop.stage("train", tmp_path, *sets).exit_code == 0
    options, more = (("--force",), ()) if how == "force" else ((), ("losses.mel.weight=44",))
    again = workshop.stage("train", tmp_path, *sets, *more, options=options)
    assert again.exit_code == 0, again.output
    (previous,) = (tmp_path / "previous").iterdir()
    assert newest(tmp_path).manifest["init"] == Store(previous / "checkpoints").newest().manifest["init"]
    if how == "force":
        ours, theirs = (Store(f / "checkpoints").newest().network("generator") for f in (tmp_path, previous))
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_micro_batches_equal_one_batch_and_precision_is_the_networks(workshop, tools, source, tmp_path, precision):
    for count, name in ((1, "one"), (2, "two")):
        sets = taught(source, "plan.steps=2", f"plan.precision={precision}", f"plan.accumulate={count}")
        workshop.train(tmp_path / name, *sets)
    ours, theirs = (newest(tmp_path / name).network("generator") for name in ("one", "two"))
    assert tools.distance(ours, theirs) < (1e-5 if precision == "no" else 1e-2)
    assert all(torch.isfinite(value).all() for value in ours.values())


@pytest.mark.processes
def test_two_processes_learn_what_one_does(workshop, tools, source, tmp_path):
    sets = taught(source, "plan.batch_size=8", "plan.steps=3", "plan.accumulate=2")
    (tmp_path / "ranks").mkdir()
    workshop.finish(tmp_path / "two", *sets, processes=2, driver=tmp_path / "ranks")
    first, second = (load_file(tmp_path / "ranks" / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert tools.differences(first, second) == []
    workshop.train(tmp_path / "one", *sets)
    for name in ("generator", "discriminators", "ema"):
        two, one = (newest(tmp_path / each).network(name) for each in ("two", "one"))
        assert tools.distance(two, one) < 1e-5, name
    assert verify(tmp_path / "two" / "teacher").manifest["teacher"] == newest(tmp_path / "one").manifest["teacher"]


def test_a_teacher_is_given_what_it_reads_and_held_to_the_shape_of_the_fakes():
    told = Condition(torch.ones(2, 3), torch.tensor([0, 1]), {"mel": torch.ones(2, 4, 5), "f0": torch.ones(2, 1, 5)})
    given = []
    network = torch.nn.Module()
    network.forward = lambda condition: given.append(condition) or torch.zeros(2, 1, 8, dtype=torch.bfloat16)
    output = Teaching(network, {"mel"}).lazily(told, torch.zeros(2, 1, 8), nullcontext)
    assert given == [] and output().dtype == torch.float32 and output() is output() and len(given) == 1
    assert given[0].latent is None and given[0].label is None and list(given[0].signals) == ["mel"]
    Teaching(network, {"latent", "label"}).lazily(told, torch.zeros(2, 1, 8), nullcontext)()
    assert given[1].latent is told.latent and given[1].label is told.label and not given[1].signals
    with pytest.raises(TrainingError, match=r"makes items \[1, 8\] where this recipe's generator makes \[1, 9\]"):
        Teaching(network, {"mel"}).lazily(told, torch.zeros(2, 1, 9), nullcontext)()


def test_the_check_demands_a_teacher_where_one_is_read_and_a_reader_where_there_is_one(workshop, source):
    with pytest.raises(
        RecipeError, match=r"losses.taught \(distillation\) needs teacher, but this recipe has none, such as"
    ):
        workshop.load(LOSS)
    recipe = workshop.load(f"teacher.exp={source}")
    assert [n.message for n in recipe.notes] == [
        f"the teacher {source} has nothing to do: no term of this recipe needs it"
    ]
    assert workshop.load(f"teacher.exp={source}", LOSS).notes == []
    (gone,) = workshop.load("teacher.exp=exp/wide", LOSS).notes
    assert "no trained experiment is at /" in gone.message and "only a run that goes on does without" in gone.message
    feature = "features.teacher={use: energy}"
    with pytest.raises(RecipeError, match="'teacher' is the name of what the toolkit supplies itself"):
        workshop.load(feature, LOSS)
    with pytest.raises(RecipeError, match="networks of this recipe grow"):
        workshop.load("teacher.exp=exp/wide", LOSS, "plan.phases=[{steps: 12, progress: [0, 2]}]")


def test_a_recipe_with_a_teacher_is_measured_without_it(workshop):
    """`describe` needs no experiment that may be elsewhere."""
    recipe = workshop.load("teacher.exp=exp/wide", LOSS)
    assert profiling.memory(recipe, profiling.parts_of(recipe)).total > 0


def test_a_recipe_from_before_there_were_teachers_goes_on(workshop, tmp_path):
    workshop.train(tmp_path, *SHORT, stop_after=1)
    path = newest(tmp_path).folder / "recipe.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("teacher:")]
    assert len(lines) == len(path.read_text().splitlines()) - 1
    path.write_text("\n".join(lines))
    facts = json.loads((path.parent / "manifest.json").read_text())
    facts["files"]["recipe.yaml"] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    (path.parent / "manifest.json").write_text(json.dumps(facts))
    workshop.train(tmp_path, *SHORT, stop_after=1)
    assert newest(tmp_path).step == 2
