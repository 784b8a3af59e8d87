"""A validation in which the run is asked to stop is given up, and made when the run goes on: the result is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from elastic_ground import Ground, curves, differing

from gansemble.errors import Interrupted
from gansemble.training.checkpoint import Store


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 3, 6])
def test_a_run_asked_to_stop_within_a_validation_ends_as_an_undisturbed_one(ground: Ground, short: Path, step: int):
    exp = ground.exp("stopped")
    run = ground.trainer(exp)
    validator, scores = run.components.validator, []

    def scored(*given: Any) -> Any:
        if run.counters.step == step:
            run.stop.ask("stopped")
            scores.append(step)
        return as_ever(*given)

    as_ever = validator._scores
    validator._scores = scored  # type: ignore[method-assign]
    said = f"stopped after step {step} of 6; the state is saved" if step else "stopped before the first step"
    with pytest.raises(Interrupted, match=said):
        run.run()
    assert len(scores) == 1, "the second clip is not scored any more"
    saved = Store(exp / "checkpoints").newest()
    assert (saved.step if saved else 0) == step
    assert saved is None or saved.state("state")["counters"]["validated"] < step
    assert ground.trainer(exp).run() == 6
    assert differing(exp, short) == [] and curves(exp) == curves(short)


@pytest.mark.slow
def test_random_states_are_those_of_before_a_validation_that_was_given_up(ground: Ground):
    """A metric or a generator may draw from them."""
    import torch

    run = ground.trainer(ground.exp("drawn"))

    def scored(*given: Any) -> Any:
        torch.rand(3)
        run.stop.ask("stopped")
        return {"mel_distance": 1.0}

    run.components.validator._scores = scored  # type: ignore[method-assign]
    before = torch.get_rng_state()
    assert not run._validate() and torch.equal(torch.get_rng_state(), before) and run.counters.validated == -1
