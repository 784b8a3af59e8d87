"""What is checked before a run takes its first step and before it saves: each border from both sides."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.contract import GeneratorContract, TermContract
from gansemble.data.labels import Labels
from gansemble.errors import CheckpointError, DataError, TrainingError
from gansemble.recipe.sections import Phase, Plan
from gansemble.training import demands


def processes(keys: list[str] | None = None, world: int = 1, other: bool = False, first: bool = True) -> Any:
    """Of which another one has ``keys`` and the flag ``other``."""
    return SimpleNamespace(
        gather=lambda own: [*own, *(keys or [])], world=world, any=lambda flag: flag or other, first_here=first
    )


def test_all_processes_must_read_the_same_data(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demands.trained_on, "key", lambda identity: f"key of {identity}")
    manifest: Any = SimpleNamespace(identity="mine")
    for keys in ([], ["key of mine"], ["key of mine"] * 3):
        demands.one_data(processes(keys), Path("dump"), manifest)
    with pytest.raises(TrainingError, match="dump: "):
        demands.one_data(processes(["key of mine", "another"]), Path("dump"), manifest)


# labels ------------------------------------------------------------------


def recipe_of(reads: frozenset[str] | None, *parts: tuple[str, Any]) -> Any:
    found = [
        SimpleNamespace(path=("networks", name), use=f"used {name}", contract=contract) for name, contract in parts
    ]
    return SimpleNamespace(
        generator_contract=SimpleNamespace(reads=reads),
        single={"generator": SimpleNamespace(use="acgan")},
        parts=lambda: found,
        supplied=lambda: "supplied",
    )


def clips_of(*labels: Any) -> Any:
    entries = [
        SimpleNamespace(
            id=f"clip{number}", labels={"z": 1, "a": 2} if label is None else {"label": label, "pitch": label}
        )
        for number, label in enumerate(labels)
    ]
    return SimpleNamespace(entries=entries)


@pytest.fixture
def demand(monkeypatch: pytest.MonkeyPatch) -> Any:
    def contract_of(part: Any, supplied: str) -> Any:
        assert supplied == "supplied"
        return part.contract

    monkeypatch.setattr(demands, "contract_of", contract_of)
    return demands.labels


LABEL = frozenset({"label", "latent"})


@pytest.mark.parametrize("reads", [None, frozenset(), frozenset({"latent"})])
def test_a_generator_that_reads_no_label_is_trained_with_any(demand: Any, reads: frozenset[str] | None):
    demand(recipe_of(reads, ("g", GeneratorContract(classes=1))), clips_of(None, 5), Labels())


def test_every_clip_needs_the_label_that_is_read(demand: Any):
    with pytest.raises(TrainingError) as caught:
        demand(recipe_of(LABEL), clips_of(0, None, 1, None), Labels())
    message = str(caught.value)
    assert "2 of 4" in message and "no label" in message and "clip1" in message and "a, z" in message
    with pytest.raises(TrainingError, match="no pitch"):
        demand(recipe_of(LABEL), clips_of(None), Labels(lowest=20))
    with pytest.raises(TrainingError, match=r"no speaker.*labels: label, pitch"):
        demand(recipe_of(LABEL), clips_of(1), Labels(key="speaker"))
    bare: Any = SimpleNamespace(entries=[SimpleNamespace(id="bare", labels={})])
    with pytest.raises(TrainingError, match="labels: none"):
        demand(recipe_of(LABEL), bare, Labels())


@pytest.mark.parametrize("contract", [GeneratorContract, TermContract])
def test_networks_and_terms_are_built_for_as_many_classes_as_there_are(demand: Any, contract: Any):
    """Indices count from 0: 2 is the third class. The largest decides, wherever it is."""
    for classes in (3, 4, None):
        demand(recipe_of(LABEL, ("one", contract(classes=classes))), clips_of(0, 2, 1), Labels())
    for built, labels in ((2, (0, 2, 1)), (1, (2, 0)), (0, (0,))):
        with pytest.raises(TrainingError) as caught:
            parts = ("fits", contract(classes=9)), ("short", contract(classes=built))
            demand(recipe_of(LABEL, *parts), clips_of(*labels), Labels())
        message = str(caught.value)
        assert "networks.short (used short)" in message and f"built for {built} classes" in message
        assert f"networks.short.classes={max(labels) + 1}" in message


def test_a_part_of_another_kind_has_no_classes(demand: Any):
    demand(recipe_of(LABEL, ("other", SimpleNamespace(classes=1))), clips_of(0, 5), Labels())


def test_pitches_are_checked_elsewhere(demand: Any):
    demand(recipe_of(LABEL, ("g", GeneratorContract(classes=1))), clips_of(20, 80), Labels(lowest=10))


def test_the_parameter_that_states_the_classes_is_named(demand: Any):
    contract = GeneratorContract(classes=1, because={"classes": "speakers"})
    with pytest.raises(TrainingError, match=r"networks\.g\.speakers=2"):
        demand(recipe_of(LABEL, ("g", contract)), clips_of(0, 1), Labels())


@pytest.mark.parametrize(("count", "told"), [(3, True), (20, True), (21, False)])
def test_up_to_twenty_names_of_classes_are_listed(demand: Any, count: int, told: bool):
    """All of those there are, though not all of them are trained on."""
    names = tuple(f"name{number:02d}" for number in range(count))
    with pytest.raises(TrainingError) as caught:
        demand(recipe_of(LABEL, ("g", GeneratorContract(classes=1))), clips_of("name00", "name01"), Labels(names=names))
    assert (", ".join(names) in str(caught.value)) == told == ("name02" in str(caught.value))
    assert f"networks.g.classes={count}" in str(caught.value)


@pytest.mark.parametrize(
    ("known", "now", "fits"),
    [
        (["a", "b"], ("a", "b"), True),
        (["a", "b"], ("a", "b", "c"), True),
        (["a", "b"], ("a", "c"), False),
        (["a", "b"], ("a", "aa", "b"), False),
        (["a", "b"], ("a",), False),
        (["a", "b"], None, False),
        ([], ("a",), True),
        (None, ("a",), True),
        (None, None, True),
    ],
)
def test_classes_learnt_are_the_first_of_those_now(known: list[str] | None, now: tuple[str, ...] | None, fits: bool):
    manifest = {} if known is None else {"classes": known}
    saved: Any = SimpleNamespace(manifest=manifest, folder=Path("exp/step-1"))
    for reads in (None, frozenset({"mel"})):
        demands.same_classes(recipe_of(reads), saved, now)
    if fits:
        demands.same_classes(recipe_of(LABEL), saved, now)
        return
    with pytest.raises(CheckpointError) as caught:
        demands.same_classes(recipe_of(LABEL), saved, now)
    assert "exp/step-1" in str(caught.value) and "a, b" in str(caught.value)
    assert ("without names" in str(caught.value)) == (now is None)


# batches -----------------------------------------------------------------


def test_every_batch_size_of_the_plan_must_be_shared_evenly():
    phases = (Phase(1, 12), Phase(1))
    demands.batches(Plan(batch_size=8, accumulate=2, phases=phases), 1, 2)
    for plan, world in (
        (Plan(batch_size=10, accumulate=2, phases=phases), 2),
        (Plan(batch_size=8, accumulate=2, phases=(Phase(1, 10),)), 2),
        (Plan(batch_size=8, accumulate=3), 1),
        (Plan(batch_size=8, accumulate=1), 3),
    ):
        with pytest.raises(TrainingError, match="multiple"):
            demands.batches(plan, 100, world)


def test_an_epoch_holds_a_whole_batch_where_others_are_dropped():
    plan = Plan(batch_size=8, drop_last=True)
    demands.batches(plan, 8, 1)
    with pytest.raises(TrainingError, match="drop_last"):
        demands.batches(plan, 7, 1)
    demands.batches(Plan(batch_size=8), 7, 1)


# verification ------------------------------------------------------------


class Thread:
    """A verification that runs for so many looks at it."""

    made: list[Thread] = []
    looks, found = 0, None

    def __init__(self, folder: Path, manifest: Any, splits: Any) -> None:
        self.given, self.left, self.error = (folder, manifest, splits), type(self).looks, type(self).found
        self.made.append(self)

    @property
    def running(self) -> bool:
        self.left -= 1
        return self.left >= 0


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stub, and a clock that goes on while the toolkit sleeps: ``slept`` has how long [s]."""
    monkeypatch.setattr(Thread, "made", [])
    monkeypatch.setattr(Thread, "looks", 0)
    monkeypatch.setattr(Thread, "found", None)
    slept: list[float] = []
    monkeypatch.setattr(demands, "Background", Thread)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) < 1000, "it waits without end"

    monkeypatch.setattr(demands.time, "sleep", sleep)
    monkeypatch.setattr(demands.time, "monotonic", lambda: 100 + sum(slept))
    Thread.slept = slept  # type: ignore[attr-defined]
    return Thread


def verification(of: Any, said: list[str] | None = None) -> demands.DataVerification:
    manifest: Any = "manifest"
    return demands.DataVerification(of, Path("dump"), manifest, {"train"}, (said if said is not None else []).append)


def test_data_are_verified_once_and_by_the_first_process_of_a_machine(thread: Any):
    first, other = verification(processes()), verification(processes(first=False))
    for _ in range(2):
        first.start()
        other.start()
    (made,) = thread.made
    assert made.given == (Path("dump"), "manifest", {"train"})
    first.wait()
    first.start()
    assert len(thread.made) == 1
    other.wait()
    assert len(thread.made) == 1


def test_a_save_waits_for_the_verification_and_starts_it_if_need_be(thread: Any):
    thread.looks = 7
    said: list[str] = []
    verified = verification(processes(), said)
    verified.wait()
    assert thread.slept == [0.1] * 7 and said == []
    verified.wait()
    assert len(thread.slept) == 7 and len(thread.made) == 1


def test_processes_do_not_ask_each_other_again_once_all_is_sound(thread: Any):
    asked: list[bool] = []
    of = processes()
    of.any = lambda flag: asked.append(flag) or flag
    verified = verification(of)
    verified.wait()
    before = len(asked)
    verified.wait()
    assert len(asked) == before > 0


@pytest.mark.parametrize(("looks", "lines"), [(99, 0), (105, 1), (300, 1)])
def test_a_user_who_waits_for_more_than_ten_seconds_is_told_once(thread: Any, looks: int, lines: int):
    thread.looks = looks
    said: list[str] = []
    verification(processes(), said).wait()
    assert len(said) == lines and len(thread.slept) == looks


def test_exactly_ten_seconds_are_no_reason_to_speak(thread: Any, monkeypatch: pytest.MonkeyPatch):
    thread.looks = 1
    for seconds, lines in ((10.0, 0), (10.5, 1)):
        said: list[str] = []
        clock = iter([0.0, seconds])
        monkeypatch.setattr(demands.time, "monotonic", lambda clock=clock: next(clock))
        verification(processes(), said).wait()
        assert len(said) == lines


def test_altered_data_stop_every_process(thread: Any):
    thread.found = DataError("altered")
    with pytest.raises(DataError, match="altered") as caught:
        verification(processes()).wait()
    assert caught.value is thread.found
    thread.found = None
    elsewhere = processes(other=False, world=2)
    answers = iter([False, True])
    elsewhere.any = lambda flag: next(answers)
    with pytest.raises(DataError, match="another process"):
        verification(elsewhere).wait()


def test_a_failed_verification_is_not_sound_the_next_time(thread: Any):
    thread.found = DataError("altered")
    verified = verification(processes())
    for _ in range(2):
        with pytest.raises(DataError):
            verified.wait()


def test_steps_end_at_once_where_there_is_one_process_only(thread: Any):
    """Others would wait for it; they learn of it together at the next save."""
    thread.found = DataError("altered")
    verified, shared = verification(processes()), verification(processes(world=2))
    verified.check()
    shared.check()
    verified.start()
    shared.start()
    with pytest.raises(DataError, match="altered"):
        verified.check()
    shared.check()
    thread.found = None
    sound = verification(processes())
    sound.start()
    sound.check()
