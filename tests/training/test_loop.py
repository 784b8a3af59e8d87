"""The loop on a stub of a run: when it reports, validates, saves, goes back and stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.errors import Interrupted, TrainingError
from gansemble.recipe.sections import Phase, Plan
from gansemble.stages.how_far import Note
from gansemble.training import trainer as module
from gansemble.training.saving import Counters
from gansemble.training.signals import StopRequest
from gansemble.training.trainer import Trainer


class Run:
    """Notes what a trainer asks of it, in order."""

    def __init__(self, plan: Plan, every: int, stop_after: int | None, best: float | None) -> None:
        self.plan, self.done, self.device = plan, [], "device"
        self.options = SimpleNamespace(stop_after=stop_after, again="go on so")
        self.validator = SimpleNamespace(
            best="score", higher_is_better=True, local=self._local, inputs={}, imitates=True
        )
        self.best, self.generator, self.ema = best, "averaged", None
        self.recipe = SimpleNamespace(validation=SimpleNamespace(every=every, keep=2), many={"optimisers": {}})
        self.networks: dict[str, Any] = {}
        self.parts = SimpleNamespace(generator="learning", growable=lambda: [])
        self.adaptation = SimpleNamespace(end_step=lambda: self.done.append("adapt"))
        self.clips = range(20)

    def _local(self, generator: str, device: str, asked: Callable[[], bool]) -> tuple[list[Any], dict[str, Any]]:
        assert (generator, device) == ("averaged", "device")
        return [(0, {} if self.best is None else {"score": self.best})], {"clip": ("real", "made")}

    def step(self, index: int, window: Any, observers: Any, measure: bool) -> dict[str, int]:
        self.done.append(("step", index, measure))
        return {"index": index}


@pytest.fixture
def trainer_of(monkeypatch: pytest.MonkeyPatch):
    """``trainer_of(plan, …)``: a trainer of that run, and what it does."""

    def make(
        plan: Plan, every: int = 100, stop_after: int | None = None, best: float | None = 1.0, asked: int | None = None
    ) -> tuple[Trainer, list[Any]]:
        run = Run(plan, every, stop_after, best)
        note = run.done.append
        made = Trainer.__new__(Trainer)
        made.components, made.recipe, made.plan = run, run.recipe, plan  # type: ignore[assignment]
        made.counters, made.observers, made.lock = Counters(), ("observers",), None  # type: ignore[assignment]
        made.how_far, made._newest = Note(), -1
        made.rates = SimpleNamespace(factor=lambda name, step, epoch: (name, step, epoch))  # type: ignore[assignment]
        made.processes = SimpleNamespace(any=lambda flag: flag, gather=lambda rows: rows)  # type: ignore[assignment]
        made.stop = SimpleNamespace(asked=False, why="stopped", ask=lambda why: None)  # type: ignore[assignment]
        made.verification = SimpleNamespace(  # type: ignore[assignment]
            start=lambda: note("verify"), check=lambda: note("check"), wait=lambda: note("wait")
        )
        made.watchdog = SimpleNamespace(  # type: ignore[assignment]
            end_step=lambda done, names, logs: note(("ended", done, names, logs["index"])) or {"n": done},
            set_back=lambda counters, schedule, must_know: note(("look", must_know)),
            keep_healthy=lambda counters: note("healthy"),
        )
        made.saver = SimpleNamespace(  # type: ignore[assignment]
            save=lambda counters, last_chance: note(("save", counters.step, last_chance)),
            note_work=lambda saved: None,
        )
        made.reporter = SimpleNamespace(  # type: ignore[assignment]
            speed=SimpleNamespace(step=lambda waited: note(("waited", waited))),
            advance=lambda done: (
                (asked is not None and setattr(made.stop, "asked", done == asked)) or note(("advance", done))
            ),
            begin_step=lambda reports: note(("begin", reports)),
            looked=lambda done, numbers: note(("looked", done, numbers)),
            report=lambda done, epoch, logs: note(("report", done, epoch)),
            validated=lambda done, outcome: note(("validated", done, outcome.means, outcome.audio)),
            say=lambda line: note(("said", line)),
            open_curves=lambda done: note(("curves", done)),
        )

        def batches(components: Any, schedule: Any, first: int, stop: int, asked: Any) -> Iterator[list[Any]]:
            assert components is run and schedule.plan is plan and not asked()
            note(("stream", first, stop))
            try:
                for index in range(first, stop):
                    yield [SimpleNamespace(ids=(f"a{index}",)), SimpleNamespace(ids=(f"b{index}",))]
            finally:
                note("closed")

        monkeypatch.setattr(module, "batches", batches)
        return made, run.done

    return make


def of(done: list[Any], *kinds: str) -> list[Any]:
    return [each for each in done if (each if isinstance(each, str) else each[0]) in kinds]


def test_a_run_validates_first_and_saves_and_validates_at_intervals_and_at_the_end(trainer_of: Any):
    made, done = trainer_of(Plan(steps=11, batch_size=4, save_every=4), 5)
    made._loop()
    assert [each[1] for each in of(done, "validated")] == [0, 5, 10, 11]
    assert of(done, "save") == [
        ("save", 4, False),
        ("save", 5, False),
        ("save", 8, False),
        ("save", 10, False),
        ("save", 11, True),
    ]
    assert [each[1] for each in of(done, "look")] == [step in (4, 5, 8, 10, 11) for step in range(1, 12)]
    assert [each[1] for each in of(done, "step")] == list(range(11)) and of(done, "stream") == [("stream", 0, 11)]
    assert [each[1] for each in of(done, "advance")] == list(range(1, 12))
    assert done.count("verify") == done.count("check") == done.count("adapt") == 11 and done[-1] == "closed"
    place = done.index(("save", 5, False))
    assert done[place - 3][0] == "validated" and done[place - 2 : place] == ["wait", "healthy"]


@pytest.mark.parametrize(("validated", "step", "begins"), [(-1, 0, True), (0, 0, False), (-1, 2, False)])
def test_a_run_that_goes_on_is_not_validated_first(trainer_of: Any, validated: int, step: int, begins: bool):
    made, done = trainer_of(Plan(steps=4))
    made.counters = Counters(step=step, validated=validated)
    made._loop()
    assert [each[1] for each in of(done, "validated")] == [0, 4][0 if begins else 1 :]
    assert made.counters.validated == 4 and of(done, "stream") == [("stream", step, 4)]


@pytest.mark.parametrize(
    ("begin", "after", "ends", "interrupted"),
    [(0, 3, 3, True), (2, 3, 5, True), (0, 6, 6, False), (4, 9, 6, False), (0, 0, 0, False)],
)
def test_a_run_may_stop_after_some_steps_of_a_call(
    trainer_of: Any, begin: int, after: int, ends: int, interrupted: bool
):
    made, done = trainer_of(Plan(steps=6, save_every=100), stop_after=after)
    made.counters = Counters(step=begin, validated=0)
    if interrupted:
        with pytest.raises(Interrupted, match=f"after step {ends} of 6.*go on so"):
            made._loop()
    else:
        made._loop()
    assert made.counters.step == ends
    assert of(done, "save") == ([("save", ends, True)] if ends else [])
    assert of(done, "look") == [("look", step == ends) for step in range(begin + 1, ends + 1)]


@pytest.mark.parametrize("asked", [1, 4])
def test_a_run_that_is_asked_to_stop_saves_first(trainer_of: Any, asked: int):
    made, done = trainer_of(Plan(steps=4, save_every=100), asked=asked)
    made.counters.validated = 0
    if asked < 4:
        with pytest.raises(Interrupted, match="after step 1 of 4"):
            made._loop()
    else:
        made._loop()
    assert of(done, "save") == [("save", asked, True)]


def test_after_going_back_the_steps_are_done_again_without_a_save_of_the_bad_one(trainer_of: Any):
    made, done = trainer_of(Plan(steps=6, batch_size=4, save_every=2), 4)
    made.counters.validated = 0
    back = [Counters(step=2, origin=(2, 99), validated=0)]

    def set_back(counters: Counters, schedule: Any, must_know: bool) -> Counters | None:
        return back.pop() if counters.step == 4 and back else None

    made.watchdog.set_back = set_back
    made._loop()
    assert [each[1] for each in of(done, "step")] == [0, 1, 2, 3, 2, 3, 4, 5]
    assert of(done, "stream") == [("stream", 0, 6), ("stream", 2, 6)] and of(done, "curves") == [("curves", 2)]
    assert [each[1] for each in of(done, "save")] == [2, 4, 6] and [each[1] for each in of(done, "validated")] == [4, 6]
    assert made._schedule().origin == (2, 99)
    assert done.index("closed") < done.index(("stream", 2, 6)) and done.count("closed") == 2


def test_the_first_step_and_every_so_many_are_reported(trainer_of: Any):
    """Gradients are measured for those alone. 20 clips in batches of 8: the third step crosses into the next epoch."""
    made, done = trainer_of(Plan(steps=7, batch_size=8, log_every=3, save_every=100))
    made._loop()
    assert [each[1] for each in of(done, "begin")] == [step in (1, 3, 6) for step in range(1, 8)]
    assert [each[2] for each in of(done, "step")] == [step in (1, 3, 6) for step in range(1, 8)]
    assert of(done, "report") == [("report", 1, 0), ("report", 3, 0), ("report", 6, 2)]
    assert of(done, "ended")[2] == ("ended", 3, ["a2", "b2"], 2) and of(done, "looked")[2] == ("looked", 3, {"n": 3})


def test_waiting_for_data_is_measured(trainer_of: Any, monkeypatch: pytest.MonkeyPatch):
    made, done = trainer_of(Plan(steps=2))
    clock = iter([10.0, 10.5, 20.0, 23.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    made._loop()
    assert of(done, "waited") == [("waited", 0.5), ("waited", 3.0)]


@pytest.mark.parametrize(("every", "updates"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), (3, [3])])
def test_the_average_moves_with_the_generator(trainer_of: Any, every: int, updates: list[int]):
    made, _ = trainer_of(Plan(steps=5, generator_every=every))
    seen = []
    made.components.ema = SimpleNamespace(update=lambda network, done: seen.append((network, done)))
    made._loop()
    assert seen == [("learning", done) for done in updates]


def test_rates_follow_the_step_and_optimisers_are_freshened_where_a_phase_says_so(trainer_of: Any):
    phases = (Phase(2, 10, (0.0, 1.0)), Phase(3, 10, fresh_optimisers=True))
    made, _ = trainer_of(Plan(steps=5, phases=phases))
    rates, grown = [], []
    optimisers = {name: SimpleNamespace(state={"a": 1}) for name in ("generator", "ups")}
    network = SimpleNamespace(optimisers=optimisers, set_rate=lambda name, factor: rates.append((name, factor)))
    frozen = SimpleNamespace(optimisers={})
    made.components.networks = {"generator": network, "discriminators": frozen}
    made.components.parts.growable = lambda: [SimpleNamespace(set_progress=grown.append)]
    step, states = made.components.step, []

    def noting(*given: Any, **more: Any) -> Any:
        states.append({name: dict(each.state) for name, each in optimisers.items()})
        for each in optimisers.values():
            each.state["a"] = 1
        return step(*given, **more)

    made.components.step = noting
    made._loop()
    places = [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)]
    assert rates == [(name, (name, *place)) for place in places for name in optimisers] and grown == [0.0, 0.5]
    assert states == [{"generator": state, "ups": state} for state in ({"a": 1}, {"a": 1}, {}, {"a": 1}, {"a": 1})]


@pytest.mark.parametrize(("best", "ranked", "said"), [(2.5, True, 0), (None, False, 0), (float("nan"), False, 1)])
def test_checkpoints_are_ranked_by_a_score_that_is_a_number(
    trainer_of: Any, best: float | None, ranked: bool, said: int
):
    """That of the untrained network is none's."""
    made, done = trainer_of(Plan(steps=2), 1, best=best)
    made._loop()
    assert made.counters.best == ({"step-00000001": 2.5, "step-00000002": 2.5} if ranked else {})
    assert len(of(done, "said")) == 3 * said
    means = {} if best is None else {"score": pytest.approx(best, nan_ok=True)}
    assert of(done, "validated")[0] == ("validated", 0, means, {"clip": ("real", "made")})


def test_networks_that_have_not_grown_are_not_ranked(trainer_of: Any):
    made, _ = trainer_of(Plan(steps=9, phases=(Phase(3, None, (0.0, 1.0)), Phase(9, None, (1.0, 1.0)))), 1)
    made.counters.step = 0
    made.recipe.validation.keep = 99
    made._loop()
    assert sorted(made.counters.best) == [f"step-{step:08d}" for step in range(4, 10)]


@pytest.mark.parametrize("steps", [1, 5000])
def test_a_run_that_lost_its_folder_saves_elsewhere_and_stops_at_its_next_report(
    trainer_of: Any, tmp_path: Path, steps: int
):
    made, done = trainer_of(Plan(steps=steps, log_every=3, save_every=1000))
    made.lock = SimpleNamespace(path=tmp_path / ".lock", kept=lambda: False)
    made.exp, made.stop = tmp_path, StopRequest()
    with pytest.raises(TrainingError, match="another run"):
        made._loop()
    assert of(done, "save") == [("save", min(steps, 3), True)]
    assert made.saver.store.folder.parent.parent == made.exp / "previous"


# beginning and end --------------------------------------------------------


@pytest.fixture
def begun(trainer_of: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """``begun(main, saved, …)``: a trainer before its first step, and what it does."""

    def make(
        main: bool, saved: Any = None, fails: BaseException | None = None, taught: dict[str, Any] | None = None
    ) -> tuple[Trainer, list[Any]]:
        made, done = trainer_of(Plan(steps=9))
        note, exp = done.append, tmp_path / "deep" / "exp"
        made.exp, made.processes = (
            exp,
            SimpleNamespace(  # type: ignore[assignment]
                main=main, wait=lambda: note("all wait"), end=lambda: note("end")
            ),
        )
        run: Any = made.components
        told = {"mel": {"pack": "s"}, "codes": {"pack": "t"}}
        clips = [SimpleNamespace(pack="a", signals={}), SimpleNamespace(pack="a", signals=told)]
        run.clips = SimpleNamespace(manifest="manifest", folder="dump", entries=clips)
        run.validator.packed = SimpleNamespace(entries=[SimpleNamespace(pack="b", signals={})])
        run.teacher = SimpleNamespace(keep=lambda exp: note(("teacher", exp, exp.is_dir()))) if taught else None
        made.recipe.files = lambda: {"losses.x": "hash"}
        run.options.allow_change, run.options.force_unlock = "allowed", "forced"
        made.saver = SimpleNamespace(  # type: ignore[assignment]
            newest=lambda: saved,
            note_work=lambda saved: None,
            taught=taught,
            check_same=lambda *given: note(("same", *given)) or "changes",
            restore=lambda found: Counters(step=found.step),
            note_data=lambda *given: note(("data", *given)),
        )
        for owner, name in (
            (module.demands, "one_data"),
            (module.demands, "one_content"),
            (module.demands, "steps_left"),
            (module.trained_on, "note"),
            (module.watching, "cut"),
        ):
            monkeypatch.setattr(owner, name, lambda *given, name=name: note((name, *given)))
        made.reporter.open = lambda *given: note(("open", *given))  # type: ignore[method-assign]
        made.reporter.close = lambda error: note(("close", error))  # type: ignore[method-assign]

        class Held:
            def __init__(self, *given: Any) -> None:
                self.given = given

            def __enter__(self) -> None:
                note(("enter", *self.given))

            def __exit__(self, *error: object) -> None:
                note("exit")

        made.stop = Held("stop")  # type: ignore[assignment]
        monkeypatch.setattr(module, "FolderLock", Held)
        monkeypatch.setattr(module, "Reading", Held)
        hooks = SimpleNamespace(
            start=lambda run: note(("hook", run)),
            end=lambda run, error: note(("hook", run, error)),
        )
        monkeypatch.setattr(module, "RunHooks", lambda plugins: hooks)

        def loop() -> None:
            note("loop")
            made.counters.step += 2
            if fails is not None:
                raise fails

        monkeypatch.setattr(made, "_loop", loop)
        return made, done

    return make


@pytest.mark.parametrize("main", [True, False])
def test_a_run_begins_with_its_checks_and_ends_with_its_observers(begun: Any, main: bool):
    made, done = begun(main)
    assert made.run(lambda: done.append("begun")) == 2
    exp = made.exp
    writes = [("note", exp, "manifest"), ("cut", exp, 0)] if main else []
    assert done == [
        ("enter", "stop"),
        *([("enter", exp, "forced"), ("enter", "dump", {"a", "b", "s", "t"})] if main else []),
        ("one_data", made.processes, "dump", "manifest"),
        ("one_content", made.processes, {"losses.x": "hash"}),
        ("data", None, "manifest"),
        "all wait",
        *writes,
        ("open", 0, False),
        "begun",
        *([("hook", made)] if main else []),
        "loop",
        *([("hook", made, None)] if main else []),
        ("close", None),
        "end",
        *["exit"] * (3 if main else 1),
    ]
    assert exp.is_dir() == main


@pytest.mark.parametrize("main", [True, False])
def test_a_run_keeps_its_teacher_whose_files_are_those_of_all_processes(begun: Any, main: bool):
    made, done = begun(main, taught={"files": {"teacher": "weights"}})
    made.run()
    assert of(done, "one_content") == [
        ("one_content", made.processes, {"losses.x": "hash", "teacher": "weights"}),
    ]
    assert of(done, "teacher") == ([("teacher", made.exp, True)] if main else [])


def test_a_run_that_goes_on_is_checked_against_its_checkpoint(begun: Any):
    saved = SimpleNamespace(step=4)
    made, done = begun(True, saved)
    made.exp.mkdir(parents=True)
    assert made.run() == 6
    exp = made.exp
    assert of(done, "same", "steps_left", "data", "cut", "open") == [
        ("same", saved, exp, "manifest", "allowed"),
        ("steps_left", exp, 9, 4, "changes"),
        ("data", saved, "manifest"),
        ("cut", exp, 4),
        ("open", 4, True),
    ]


def test_what_ends_a_run_is_told_and_raised(begun: Any):
    error = KeyboardInterrupt()
    made, done = begun(True, None, error)
    with pytest.raises(KeyboardInterrupt):
        made.run()
    assert done[-6:] == [("hook", made, error), ("close", error), "end", "exit", "exit", "exit"]
