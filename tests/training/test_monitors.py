"""What the loop itself watches: the discriminators' balance, losses and weights that are not finite, speed and memory."""

from __future__ import annotations

import math
import resource
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gansemble.training import monitors


def scores(*values: list[float]) -> SimpleNamespace:
    """A sub-discriminator's output: [B, N] scores of B items."""
    return SimpleNamespace(score=torch.tensor(values))


def test_the_balance_is_of_items_and_averaged_over_sub_discriminators():
    """An item's score is its mean over positions; equal scores are no win."""
    first = (None, scores([0.0, 4.0], [1.0, 1.0]), scores([1.0, 1.0], [1.0, 1.0]))
    second = (None, scores([3.0], [2.0]), scores([1.0], [1.0]))
    found = monitors.balance(SimpleNamespace(pairs=lambda: [first, second]))
    assert {name: float(value) for name, value in found.items()} == {
        "discriminator/win_rate": 0.75,
        "discriminator/gap": 1.0,
    }
    assert monitors.balance(SimpleNamespace(pairs=lambda: [])) == {}


def test_an_items_score_is_its_mean_over_positions():
    """Of three items with two positions each, one wins."""
    real, fake = scores([0.0, 1.0], [0.0, 1.0], [9.0, 1.0]), scores([1.0, 1.0], [1.0, 2.0], [0.0, 0.0])
    found = monitors.balance(SimpleNamespace(pairs=lambda: [(None, real, fake)]))
    assert float(found["discriminator/win_rate"]) == pytest.approx(1 / 3)
    assert float(found["discriminator/gap"]) == pytest.approx((-0.5 - 1.0 + 5.0) / 3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_step_with_a_loss_that_is_not_finite_is_named(bad):
    """Totals and the generator's gradient count; single losses do not, as they are part of a total."""
    finite = monitors.Finite()
    assert finite.first_bad() is None

    def note(step: int, **logs: float) -> None:
        named = {name.replace("__", "/"): torch.tensor(value) for name, value in logs.items()}
        finite.note(step, (f"clip{step}",), named)

    note(1, generator__total=1.0, generator__losses=bad)
    note(2, other=bad)
    assert finite.first_bad() is None and finite.last == (2, ("clip2",))
    for name in ("generator__total", "discriminator__total", "gradient_norm__generator"):
        note(3, generator__total=1.0)
        note(4, **{"generator__total": 1.0, name: bad})
        note(5, generator__total=bad)
        assert finite.first_bad() == (4, ("clip4",))
        assert finite.first_bad() is None, "what was told is not told again"


def test_weights_that_are_not_finite_are_of_the_last_step():
    finite, networks = monitors.Finite(), [nn.Linear(2, 1), nn.Linear(1, 1)]
    finite.note(7, ("a", "b"), {"generator/total": torch.tensor(1.0)})
    assert finite.bad_weights(networks) is None
    networks[1].bias.data.fill_(float("inf"))
    assert finite.bad_weights(networks) == (7, ("a", "b"))


def test_before_any_step_there_is_none_to_blame():
    finite, network = monitors.Finite(), nn.Linear(1, 1)
    network.weight.data.fill_(float("nan"))
    assert finite.bad_weights([network]) == (0, ())


def test_speed_is_that_since_the_last_report(monkeypatch):
    now = 100.0
    monkeypatch.setattr(monitors.time, "monotonic", lambda: now)
    speed = monitors.Speed()
    for waited in (0.25, 0.0, 0.75):
        speed.step(waited)
    now = 104.0
    assert speed.report() == {"speed/steps_per_second": 0.75, "speed/data_wait": 0.25}
    speed.step(1.0)
    now = 106.0
    assert speed.report() == {"speed/steps_per_second": 0.5, "speed/data_wait": 0.5}
    assert speed.report() == {"speed/steps_per_second": 0.0, "speed/data_wait": 0.0}, "in no time"
    speed.step(0.0)
    assert speed.report()["speed/steps_per_second"] == pytest.approx(1e9), "a nanosecond is the least"


def test_memory_is_told_in_gigabytes():
    (found,) = monitors.memory(torch.device("cpu")).items()
    taken = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert found == ("memory/peak_gb", pytest.approx(taken / 1e9, rel=0.01))


def test_memory_is_what_torch_took_of_a_gpu_or_the_system_of_the_cpu(monkeypatch):
    """Linux counts in kibibytes."""
    gpu = torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3_500_000_000 if device == gpu else 0)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=2_000_000))
    assert monitors.memory(gpu) == {"memory/peak_gb": 3.5}
    assert monitors.memory(torch.device("cpu")) == {"memory/peak_gb": 2.048}


def test_fifty_reports_in_a_row_are_many():
    watch = monitors.Collapse()
    told = [watch.note({"discriminator/win_rate": 1.0}) is not None for _ in range(60)]
    assert told.index(True) == 49 and sum(told) == 1


def test_discriminators_that_win_every_item_for_long_are_told_once():
    watch = monitors.Collapse(patience=3)

    def told(*rates: float) -> list[bool]:
        return [watch.note({"discriminator/win_rate": rate}) is not None for rate in rates]

    assert told(1.0, 1.0, 0.999, 1.0, 1.0) == [False] * 5
    assert watch.note({"generator/total": 1.0}) is None
    assert "every item of the last 3 reports" in str(watch.note({"discriminator/win_rate": 1.0}))
    assert told(1.0, 1.0) == [False, False]


@pytest.mark.parametrize(
    ("last", "stalled", "nonfinite"),
    [
        (None, "learnt; no checkpoint yet. Set", "; no checkpoint had been written yet. Look"),
        (0, "learnt; the checkpoint of step 0 is from", "; the checkpoint of step 0 is sound. Look"),
    ],
)
def test_an_error_says_what_is_left(last, stalled, nonfinite):
    said = str(monitors.stalled(9, ("generator", "discriminators"), last))
    assert said.startswith("step 9: the generator and discriminators gradients") and stalled in said
    said = str(monitors.nonfinite(9, ("a", "b"), last))
    assert said.startswith("step 9: the loss is NaN or Inf; clips in this batch: a, b;") and nonfinite in said


def test_the_terms_that_are_not_finite_are_named():
    finite, one, nan = monitors.Finite(), torch.tensor(1.0), torch.tensor(math.nan)
    finite.note(1, ("a",), {"generator/losses.mel": one, "generator/total": one})
    finite.note(2, ("b",), {"generator/losses.mel": nan, "generator/losses.other": one, "generator/total": nan})
    finite.note(3, ("c",), {"generator/losses.other": nan, "generator/total": nan})
    assert finite.first_bad() == (2, ("b",)) and finite.terms == ("generator/losses.mel",)
    said = str(monitors.nonfinite(2, ("b",), None, finite.terms))
    assert "clips in this batch: b; NaN or Inf are generator/losses.mel; no checkpoint had been written yet." in said


def test_a_term_that_is_not_counted_may_be_what_it_is():
    finite, one = monitors.Finite(), torch.tensor(1.0)
    finite.note(1, ("a",), {"generator/total": one, "gradient_norm/discriminators": torch.tensor(math.inf)})
    assert finite.first_bad() is None and finite.terms == ()
