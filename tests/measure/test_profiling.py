"""What is measured of a recipe, on stubs whose costs are known: exact bytes, seconds and steps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansemble.contract import DEGRADED
from gansemble.interfaces import Condition
from gansemble.recipe.sections import Plan
from gansemble.recipe.task import Task
from gansemble.training import profiling

CPU = torch.device("cpu")


def recipe_of(gives: set[str] | None = None, task: Task = Task.VOCODING, **plan: Any) -> Any:
    """At 1000 Hz with a hop of 10; ``gives`` is what its corpus gives. No signals are in files."""
    return SimpleNamespace(
        audio=SimpleNamespace(sample_rate=1000, hop=10, n_fft=25, mels=4),
        channels=lambda: {"mel": 4, "codes": 3, "level": None},
        given=frozenset,
        asked=lambda: frozenset({"mel", "codes", "level", "other"}),
        plan=Plan(**{"segment": 70, **plan}),
        single={} if gives is None else {"corpus": gives},
        supplied=lambda: "supplied",
        task=task,
    )


@pytest.fixture(autouse=True)
def contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    def contract_of(part: Any, supplied: str) -> Any:
        assert supplied == "supplied"
        return SimpleNamespace(gives=frozenset(part))

    monkeypatch.setattr(profiling.recipe_contract, "contract_of", contract_of)


# batches -----------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "samples"), [(None, 70), (0.001, 10), (0.02, 20), (0.026, 30), (1.0, 1000)])
def test_a_batch_is_of_noise_a_tenth_as_loud_as_full_scale(seconds: float | None, samples: int):
    made = profiling.batch_of(recipe_of(), 3, seconds)
    expected = 0.1 * torch.randn(3, 1, samples, generator=torch.Generator().manual_seed(0))
    assert torch.equal(made.audio, expected)
    assert made.ids == ("noise-0", "noise-1", "noise-2") and made.draws.items == [(0, 0), (0, 1), (0, 2)]
    assert made.draws.seed == 0 and made.label is None and made.signals == {} == made.given


@pytest.mark.parametrize(
    ("given", "channels"),
    [
        ({"mel"}, {"mel": 4}),
        ({"codes", "level", "unread"}, {"codes": 3, "level": 1}),
        ({"other", "mel"}, {"other": 1, "mel": 4}),
    ],
)
def test_signals_of_files_have_the_channels_that_the_generator_reads(given: set[str], channels: dict[str, int]):
    """Those that some part reads, a frame for each hop; one whose channels are not known has one."""
    recipe = recipe_of()
    recipe.given = lambda: frozenset(given)
    for seconds, frames in ((None, 7), (0.02, 2)):
        made = profiling.batch_of(recipe, 3, seconds)
        assert {name: tuple(x.shape) for name, x in made.given.items()} == {
            name: (3, count, frames) for name, count in channels.items()
        }
        assert not any(x.any() for x in made.given.values()) and made.signals == {}
    recipe.channels = lambda: {"mel": 9}
    assert profiling.batch_of(recipe, 1).given.get("mel", torch.zeros(1, 9)).shape[1] == 9


def test_all_of_a_batch_is_put_on_the_device_that_is_timed():
    recipe = recipe_of({"labels"}, Task.ENHANCEMENT)
    recipe.given = lambda: frozenset({"mel"})
    placed = profiling._placed(profiling.batch_of(recipe, 2), torch.device("meta"))
    held = (placed.audio, placed.label, *placed.signals.values(), *placed.given.values())
    assert [x.device.type for x in held] == ["meta"] * 4  # type: ignore[union-attr]
    assert (placed.ids, placed.draws.items) == (("noise-0", "noise-1"), [(0, 0), (0, 1)])
    assert placed.draws.device == torch.device("meta") and {*placed.signals, *placed.given} == {DEGRADED, "mel"}


@pytest.mark.parametrize(
    ("gives", "labelled"), [(None, False), (set(), False), ({"text"}, False), ({"labels"}, True), ({"pitch"}, True)]
)
def test_items_have_labels_where_the_corpus_gives_any(gives: set[str] | None, labelled: bool):
    label = profiling.batch_of(recipe_of(gives), 2).label
    assert (label is not None) == labelled
    assert label is None or (label.tolist() == [0, 0] and label.dtype == torch.int64)


def test_degraded_recordings_are_half_as_loud():
    made = profiling.batch_of(recipe_of(task=Task.ENHANCEMENT), 2)
    assert set(made.signals) == {DEGRADED} and torch.equal(made.signals[DEGRADED], made.audio / 2)


def test_parts_are_built_on_the_cpu_unless_told_and_frozen_as_the_recipe_says(monkeypatch: pytest.MonkeyPatch):
    frozen: list[Any] = []
    monkeypatch.setattr(profiling, "build", lambda recipe, device: (recipe, device))
    monkeypatch.setattr(profiling, "freeze", lambda *given: frozen.append(given))
    recipe = recipe_of()
    assert profiling.parts_of(recipe) == (recipe, CPU)
    assert profiling.parts_of(recipe, torch.device("meta")) == (recipe, torch.device("meta"))
    assert frozen == [(recipe, (recipe, CPU)), (recipe, (recipe, torch.device("meta")))]


# delay and speed of a generator ------------------------------------------


def test_the_delay_is_of_frames_or_of_samples():
    """(3 + 1) hops of 10 and half of what the window of 25 has besides its hop; or 3 samples and a chunk of 8."""
    generator: Any = SimpleNamespace(context_frames=3, alignment=8)
    assert profiling.delay(recipe_of(), generator) == (4 * 10 + 7) / 1000
    assert profiling.delay(recipe_of(task=Task.ENHANCEMENT), generator) == 11 / 1000
    assert profiling.delay(recipe_of(task=Task.ENHANCEMENT), SimpleNamespace(context_frames=None)) is None  # type: ignore[arg-type]


class Clock:
    """Goes on when something is computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(profiling.time, "perf_counter", lambda: self.now)


@pytest.mark.parametrize(
    ("task", "given", "seconds"),
    [(Task.VOCODING, (), 1.0), (Task.VOCODING, (0.5,), 0.5), (Task.GENERATION, (0.5,), 0.07)],
)
def test_the_real_time_factor_is_of_the_faster_of_two_runs_after_one(
    monkeypatch: pytest.MonkeyPatch, task: Task, given: tuple[float, ...], seconds: float
):
    """The generator and the decoder count, a generator of its own clips makes a segment."""
    clock, seen = Clock(monkeypatch), []
    durations = iter([1.0, 8.0, 4.0, 0.0])

    class Generator(nn.Module):
        def forward(self, condition: Condition) -> Tensor:
            seen.append((condition, self.training, torch.is_grad_enabled()))
            clock.now += next(durations)
            return torch.zeros(1)

    class Conditions:
        def prepare(self, batch: Any) -> Any:
            seen.append(tuple(batch.audio.shape))
            return batch

        def __call__(self, batch: Any, turn: str) -> tuple[str, str]:
            return "real", f"fake of {turn}"

    def decode(made: Tensor) -> None:
        clock.now += 0.5

    generator = Generator()
    parts: Any = SimpleNamespace(
        generator=generator, condition_builder=Conditions(), representation=SimpleNamespace(decode=decode)
    )
    assert profiling.real_time_factor(recipe_of(task=task), parts, *given) == pytest.approx(4.5 / seconds)
    assert seen == [(1, 1, round(1000 * seconds)), *[("fake of validation", False, False)] * 3]
    assert generator.training


# training steps ----------------------------------------------------------


class Weights(nn.Module):
    """Three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))


def parts_of_two() -> Any:
    return SimpleNamespace(generator=Weights(), discriminators=Weights())


class Step:
    """Keeps 400 bytes of an item until it ends, and ``momentary`` numbers of four bytes for a moment before."""

    def __init__(self, parts: Any) -> None:
        self.parts, self.seen, self.momentary = parts, [], 0
        side = SimpleNamespace(optimisers={})
        self.generator, self.discriminators = side, side

    def __call__(self, index: int, window: list[Any]) -> None:
        self.seen.append((index, [tuple(batch.audio.shape) for batch in window]))
        count = sum(len(batch.audio) for batch in window)
        momentary = torch.ones(self.momentary, requires_grad=True).sin()
        del momentary
        source = torch.ones(100 * count, requires_grad=True)
        kept = source.sin(), source.cos(), self.parts.generator.weight * self.parts.discriminators.weight
        del kept


@pytest.fixture
def stepping(monkeypatch: pytest.MonkeyPatch) -> Step:
    made = Step(parts_of_two())
    monkeypatch.setattr(profiling, "_training_step", lambda recipe, parts, device: made)
    return made


@pytest.mark.parametrize(
    ("plan", "first"),
    [
        ({}, 0),
        ({"generator_every": 5}, 4),
        ({"discriminators_from": 7}, 7),
        ({"generator_every": 5, "discriminators_from": 4}, 4),
        ({"generator_every": 5, "discriminators_from": 5}, 9),
        ({"generator_every": 5, "discriminators_from": 9}, 9),
        ({"generator_every": 2, "discriminators_from": 3}, 3),
    ],
)
def test_the_steps_that_are_measured_are_the_first_in_which_both_sides_learn(
    stepping: Step, plan: dict[str, int], first: int
):
    profiling.speed(recipe_of(batch_size=2, **plan), stepping.parts, CPU, 1)
    profiling.memory(recipe_of(batch_size=2, **plan), stepping.parts)
    assert [index for index, _ in stepping.seen] == [first] * 4


@pytest.mark.parametrize(
    ("batch", "accumulate", "share"), [(8, 1, 8), (8, 2, 4), (9, 2, 4), (8, 4, 2), (2, 4, 1), (3, 3, 1)]
)
def test_steps_are_timed_on_whole_windows(stepping: Step, batch: int, accumulate: int, share: int):
    found = profiling.speed(recipe_of(batch_size=batch, accumulate=accumulate), stepping.parts, CPU)
    assert stepping.seen == [(0, [(share, 1, 70)] * accumulate)] * 4, "three after one to warm up"
    assert (found.device, found.threads, found.peak) == ("cpu", torch.get_num_threads(), None)


def test_a_gpu_is_waited_for_and_its_peak_is_told(stepping: Step, monkeypatch: pytest.MonkeyPatch):
    clock, done = Clock(monkeypatch), []
    gpu = torch.device("cuda", 1)
    monkeypatch.setattr(profiling, "_placed", lambda batch, device: batch)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: done.append(("reset", device)))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 77 if device == gpu else 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"name of {device}")

    def synchronize(device: torch.device) -> None:
        done.append(("wait", device))
        clock.now += 2.0 + len(done)

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    found = profiling.speed(recipe_of(batch_size=2), stepping.parts, gpu, 2)
    assert done == [("reset", gpu), *[("wait", gpu)] * 3]
    assert (found.seconds, found.device, found.peak) == (5.0, "name of cuda:1", 77)


@pytest.mark.parametrize(
    ("plan", "momentary", "kept"),
    [
        ({"batch_size": 20}, 0, 20 * 400),
        ({"batch_size": 20}, 1000, 4000),
        ({"batch_size": 20}, 150, 600 + 200 * 19),
        ({"batch_size": 40, "accumulate": 2}, 0, 2 * 20 * 400),
        ({"batch_size": 41, "accumulate": 2}, 0, 2 * 20 * 400),
        ({"batch_size": 80, "accumulate": 4}, 0, 2 * 20 * 400),
        ({"batch_size": 1, "accumulate": 4}, 0, 2 * 400),
        ({"batch_size": 20, "precision": "bf16"}, 0, 10 * 400),
    ],
)
def test_activations_are_what_one_and_two_items_keep_extrapolated(
    stepping: Step, plan: dict[str, Any], momentary: int, kept: int
):
    """At most two micro-batches are ever held; weights are not counted, nor a storage twice, nor what is released."""
    stepping.momentary = momentary
    assert profiling.memory(recipe_of(**plan), stepping.parts).activations == kept
    assert [[shape[0] for shape in shapes] for _, shapes in stepping.seen] == [
        [size] * min(2, plan.get("accumulate", 1)) for size in (1, 2)
    ]


def test_weights_gradients_and_state_are_counted_by_their_bytes(stepping: Step):
    parts = stepping.parts
    held = {"exp_avg": torch.zeros(3), "half": torch.zeros(5, dtype=torch.float16), "step": 3}
    several = {"generator": held, "ups": {"exp_avg": torch.zeros(7)}}
    stepping.generator = SimpleNamespace(
        optimisers={name: SimpleNamespace(state={parts.generator.weight: state}) for name, state in several.items()}
    )
    critic = SimpleNamespace(state={parts.discriminators.weight: {"exp_avg": torch.zeros(11)}})
    stepping.discriminators = SimpleNamespace(optimisers={"discriminators": critic})
    found = profiling.memory(recipe_of(batch_size=2), parts)
    assert (found.weights, found.gradients, found.optimisers) == (6 * 4, 6 * 4, 3 * 4 + 5 * 2 + 7 * 4 + 11 * 4)
    parts.discriminators.requires_grad_(False)
    assert profiling.memory(recipe_of(batch_size=2), parts).gradients == 3 * 4
    parts.discriminators.requires_grad_(True)
    assert profiling.memory(recipe_of(batch_size=2, ema=0.9), parts).weights == 9 * 4
    assert profiling.Memory(1, 20, 300, 4000).total == 4321


def test_the_step_that_is_measured_is_not_run_in_lower_precision(stepping: Step):
    profiling.memory(recipe_of(batch_size=2, precision="bf16"), stepping.parts)
    with stepping.autocast():  # type: ignore[attr-defined]
        assert not torch.is_autocast_enabled("cpu")
