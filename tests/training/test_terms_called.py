"""How terms are called: what of the networks can learn then, in which precision, and which numbers are logged."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from gansemble.interfaces import Step, Turn
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry
from gansemble.recipe import check
from gansemble.scoring.curves import read_curves
from gansemble.training.components import Components
from gansemble.training.trainer import Trainer


class Probe:
    """Judges the fakes again and notes under which circumstances."""

    turns: ClassVar[frozenset[Turn]] = frozenset({"generator", "discriminator"})
    seen: ClassVar[dict[str, dict[str, object]]] = {}

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        (found,) = step.discriminators((step.seen_fake.detach().requires_grad_(), step.fake_condition))
        (again,) = step.discriminators((step.seen_fake.detach(), step.fake_condition))
        score = found["mpd"][0].score
        self.seen[turn] = {
            "subs": len(found["mpd"]),
            "learn": {weight.requires_grad for weight in step.discriminators.parameters()},
            "graph": (score.requires_grad, again["mpd"][0].score.requires_grad),
            "autocast": torch.is_autocast_enabled("cpu"),
            "dtypes": (score.dtype, step.fake_output["mpd"][0].score.dtype),
            "step": (step.index, step.batch.step),
        }
        return score.float().square().mean() if turn == "discriminator" else step.fake.square().mean()

    def monitors(self) -> dict[str, float]:
        """Of a part without a state."""
        return {"seven": 7.0}


@pytest.fixture
def seen(workshop, tmp_path: Path):
    registry = Plugins().registry
    registry.add(Entry("regulariser", "probe", f"{__name__}:Probe", "", "here"))
    sets = ["regularisers.probe={use: probe}", "plan.steps=2", "plan.precision=bf16", "plan.accumulate=1"]
    recipe = check.load(workshop.recipe, [*sets, "plan.log_every=1"], registry)
    Probe.seen.clear()
    Trainer(Components.build(recipe, tmp_path, workshop.dump)).run()
    return Probe.seen


def test_a_term_may_call_the_discriminators_and_is_outside_autocast(seen) -> None:
    """What is said on the regularisers' page."""
    for turn, learns in (("discriminator", True), ("generator", False)):
        found = seen[turn]
        assert found["subs"] == 2 and found["step"] == (1, 1)
        assert found["learn"] == {learns}, "the discriminators are frozen in the generator's turn alone"
        assert found["graph"] == (True, learns), "a gradient reaches what they are shown in both turns"
        assert not found["autocast"] and found["dtypes"] == (torch.float32, torch.bfloat16)


def test_numbers_of_a_part_without_a_state_are_logged(seen, tmp_path: Path) -> None:
    """As those of any other."""
    assert [row["regularisers.probe/seven"] for row in read_curves(tmp_path / "logs" / "train.jsonl")] == [7.0, 7.0]


class Leaks:
    """Judges fakes with the graph that leads to the generator, in the discriminators' turn."""

    turns: ClassVar[frozenset[Turn]] = frozenset({"discriminator"})

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        (found,) = step.discriminators((step.seen_fake, step.fake_condition))
        return found["mpd"][0].score.square().mean()


def test_a_term_that_uses_up_the_generators_graph_stops_the_run(workshop, tmp_path: Path) -> None:
    """Why the kit refuses one."""
    registry = Plugins().registry
    registry.add(Entry("regulariser", "leaks", f"{__name__}:Leaks", "", "here"))
    sets = ["regularisers.leaks={use: leaks}", "plan.steps=2", "plan.accumulate=1", "noise_injector=null"]
    recipe = check.load(workshop.recipe, sets, registry)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        Trainer(Components.build(recipe, tmp_path, workshop.dump)).run()
