"""Losses and weights that are not finite: who is to blame, what is kept, how the run goes on."""

from __future__ import annotations

import json

import pytest
import torch

from gansemble.data.packed import Packed
from gansemble.errors import TrainingError
from gansemble.training.checkpoint import Store
from gansemble.training.schedule import TrainingSchedule
from gansemble_plugins.basics.losses import MelL1

CALL, Scaler = MelL1.__call__, torch.amp.GradScaler
SETS = ("validation.every=1000", "plan.log_every=1")


class Steep(torch.autograd.Function):
    """Zero, with a gradient of its own."""

    @staticmethod
    def forward(ctx, x, slope):
        ctx.shape, ctx.slope = x.shape, slope
        return x.new_zeros(())

    @staticmethod
    def backward(ctx, gradient):
        return gradient * torch.full(ctx.shape, ctx.slope), None


def all_finite(saved, tools) -> bool:
    leaves = tools.contents(saved.folder).values()
    return all(bool(torch.isfinite(leaf).all()) for leaf in leaves if isinstance(leaf, torch.Tensor))


@pytest.fixture
def poisoned(workshop, monkeypatch) -> tuple[str, ...]:
    """The loss is NaN for one crop, which is first used in step 7; returns that step's clips."""
    recipe, packed = workshop.load(), Packed(workshop.dump, "train")
    items = TrainingSchedule(recipe.plan, len(packed)).items(6 * 4, 4)

    def call(self, step, turn):
        value = CALL(self, step, turn)
        return value * float("nan") if items[2] in step.batch.draws.items else value

    monkeypatch.setattr(MelL1, "__call__", call)
    return tuple(packed.entries[clip].id for _, clip in items)


def test_a_loss_that_is_nan_stops_the_run(workshop, poisoned, tools, tmp_path):
    """The message names step, clips and the checkpoint, which is finite; none is written after it."""
    with pytest.raises(TrainingError, match="step 7: the loss is NaN or Inf") as caught:
        workshop.train(tmp_path, *SETS)
    assert f"clips in this batch: {', '.join(poisoned)}" in str(caught.value)
    assert "the checkpoint of step 4 is sound" in str(caught.value)
    store = Store(tmp_path / "checkpoints")
    assert [saved.step for saved in store.sound()] == [4] and all_finite(store.newest(), tools)
    assert not (tmp_path / ".lock").exists()


@pytest.mark.slow
def test_nan_before_any_checkpoint_says_that_there_is_none(workshop, poisoned, tmp_path):
    """Rolling back is no way out there either."""
    for policy in ("stop", "rollback"):
        with pytest.raises(TrainingError, match="no checkpoint had been written yet"):
            workshop.train(tmp_path, *SETS, "plan.save_every=100", f"plan.on_nan={policy}")


@pytest.mark.slow
def test_rollback_goes_on_with_other_data(workshop, poisoned, tools, tmp_path, caplog):
    """From the checkpoint, past the batch that was bad; each step has one row; the run resumes exactly afterwards."""
    sets = (*SETS, "plan.on_nan=rollback")
    trainer = workshop.train(tmp_path / "one", *sets)
    assert (trainer.counters.step, trainer.counters.rollbacks, trainer.counters.origin) == (12, 1, (4, 4 * 7))
    assert poisoned[2] in caplog.text
    last = trainer.components.store.newest()
    assert last.step == 12 and all_finite(last, tools)
    for count in (5, 2, 2):
        workshop.train(tmp_path / "other", *sets, stop_after=count)
    other = workshop.train(tmp_path / "other", *sets).components.store.newest()
    assert other.step == 12
    rows = (tmp_path / "one" / "logs" / "train.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == list(range(1, 13))


def test_a_second_rollback_goes_behind_the_clips_of_both(workshop, monkeypatch, tmp_path):
    """Step 7 fails twice: its clips, and those that took their place. The third life begins behind all that was tried."""
    tried = []

    def call(self, step, turn):
        value = CALL(self, step, turn)
        if step.index == 6:
            tried.append(tuple(step.batch.draws.items))
            return value * (float("nan") if len(tried) <= 2 else 1.0)
        return value

    monkeypatch.setattr(MelL1, "__call__", call)
    sets = (*SETS, "plan.on_nan=rollback", "plan.accumulate=1", "plan.steps=8", "noise_injector=null")
    counters = workshop.train(tmp_path, *sets).counters
    # Step 5 begins at the stream's clip 4 x 7 in the second life, so the failed step 7 ends at 4 x 7 + 3 x 4.
    assert (counters.step, counters.rollbacks, counters.origin) == (8, 2, (4, 4 * 7 + 3 * 4))
    first, second, third = tried
    assert not set(first) & set(second) and not (set(first) | set(second)) & set(third)


def test_loss_that_stays_nan_stops_after_some_rollbacks(workshop, monkeypatch, tmp_path):
    """Three times back is enough to know that the data is not to blame."""
    seen = []

    def call(self, step, turn):
        seen.append(step.index)
        return CALL(self, step, turn) * (float("nan") if step.index >= 5 else 1.0)

    monkeypatch.setattr(MelL1, "__call__", call)
    with pytest.raises(TrainingError, match="step 6: the loss is NaN"):
        workshop.train(tmp_path, *SETS, "plan.on_nan=rollback", "plan.accumulate=1")
    assert seen.count(5) == 4 and 6 not in seen


def test_weights_that_are_not_finite_are_never_saved(workshop, monkeypatch, tools, tmp_path):
    """A finite loss may have a NaN gradient, which spoils the weights a save at the same step would keep."""

    def call(self, step, turn):
        value = CALL(self, step, turn)
        return value + (step.fake.sum() * 0).abs().sqrt() if step.index == 7 else value

    monkeypatch.setattr(MelL1, "__call__", call)
    with pytest.raises(TrainingError, match="the checkpoint of step 4 is sound"):
        workshop.train(tmp_path, "validation.every=1000", "plan.log_every=1000")
    assert all(all_finite(saved, tools) for saved in Store(tmp_path / "checkpoints").sound())


@pytest.mark.parametrize("broken", [True, False])
def test_scaled_gradients_that_are_never_finite_stop_the_run(workshop, monkeypatch, tmp_path, broken):
    """A scaler leaves such steps out, so neither losses nor weights tell; a scaler that finds its scale goes on."""

    def call(self, step, turn):
        value = CALL(self, step, turn)
        # An infinite gradient of a finite loss. The control's fits once the scale has fallen: float32 overflows at 3e38.
        slope = float("inf") if broken else 1e35
        return value + (Steep.apply(step.fake, slope) if turn == "generator" else 0.0)

    monkeypatch.setattr(MelL1, "__call__", call)
    monkeypatch.setattr(torch.amp, "GradScaler", lambda enabled: Scaler("cpu", init_scale=65536.0, backoff_factor=0.01))
    sets = (*SETS, "plan.steps=8", "plan.save_every=2")
    if broken:
        said = r"step 6: the generator gradients .* checkpoint of step 4 .* plan.precision: bf16"
        with pytest.raises(TrainingError, match=said):
            workshop.train(tmp_path, *sets)
    else:
        assert workshop.train(tmp_path, *sets).counters.step == 8
    row = json.loads((tmp_path / "logs" / "train.jsonl").read_text().splitlines()[-1])
    if not broken:
        assert 1e-4 < row["loss_scale/generator"] < 65536
        return
    assert row["loss_scale/generator"] < 1e-4 < row["loss_scale/discriminators"]
    assert {saved.step for saved in Store(tmp_path / "checkpoints").sound()} == {2, 4}
