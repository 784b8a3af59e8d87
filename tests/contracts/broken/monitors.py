"""Monitors with one mistake each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gansemble.interfaces import Alarm, Step


class Sound:
    """The ratio of the levels' deviations; an alarm when it has been low three times in a row after a high one."""

    every = 10

    def __init__(self) -> None:
        self.low, self.was_high = 0, False

    def item_values(self, step: Step) -> dict[str, Tensor]:
        sides = {"real": step.real, "fake": step.fake}
        return {name: x.detach().square().flatten(1).mean(1).sqrt() for name, x in sides.items()}

    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        sound = torch.stack([torch.isfinite(each) for each in values.values()]).all(0)
        if int(sound.sum()) < 2:
            return {}
        return {"spread": float(values["fake"][sound].std() / values["real"][sound].std().clamp(min=1e-8))}

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        spread = values.get("spread", 0.0)
        self.was_high = self.was_high or spread > 0.3
        self.low = self.low + 1 if self.was_high and spread < 0.1 else 0
        return Alarm(f"levels spread {spread:.3g} times as far", steps - 3 * self.every) if self.low == 3 else None

    def state_dict(self) -> dict[str, Any]:
        return {"low": self.low, "was_high": self.was_high}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.low, self.was_high = state["low"], state["was_high"]


class LooksNever(Sound):
    """Never looks."""

    every = 0


class MeasuresTheBatch(Sound):
    """Gives one number of the whole batch."""

    def item_values(self, step: Step) -> dict[str, Tensor]:
        return {"real": step.real.std().detach(), "fake": step.fake.std().detach()}


class KeepsTheGraph(Sound):
    """Gives values that hold on to the graph."""

    def item_values(self, step: Step) -> dict[str, Tensor]:
        return {"real": step.real.flatten(1).std(1), "fake": step.fake.flatten(1).std(1)}


class RelativeToTheBatch(Sound):
    """Measures items by what the others are."""

    def item_values(self, step: Step) -> dict[str, Tensor]:
        found = super().item_values(step)
        return {name: value / value.mean() for name, value in found.items()}


class CentresInPlace(Sound):
    """Writes into the step."""

    def item_values(self, step: Step) -> dict[str, Tensor]:
        step.real.sub_(step.real.mean())
        return super().item_values(step)


class LeavesEval(Sound):
    """Puts the generator into eval mode and leaves it there."""

    def item_values(self, step: Step) -> dict[str, Tensor]:
        step.generator.eval()
        return super().item_values(step)


class LooksAtAFew(Sound):
    """Draws whom it looks at by itself."""

    def item_values(self, step: Step) -> dict[str, Tensor]:
        return {name: value + 0.01 * torch.rand(len(value)) for name, value in super().item_values(step).items()}


class DividesByNought(Sound):
    """Divides by the spread of silence."""

    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        return {"spread": float(values["fake"].std() / values["real"].std())}


class GivesTensors(Sound):
    """Gives tensors for numbers."""

    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, Any]:
        return {"spread": values["fake"].std()}


class ComparesWithTheFirst(Sound):
    """Minds the order of items."""

    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        return {**super().summarise(values), "first": float((values["fake"] - values["fake"][0]).nan_to_num().mean())}


class AlarmsAtOnce(Sound):
    """Raises an alarm before anything was well."""

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        return Alarm("nothing is well", 0)


class SaysTrue(Sound):
    """Says true for an alarm."""

    def judge(self, steps: int, values: Mapping[str, float]) -> Any:
        return super().judge(steps, values) is not None or None


class OnsetAhead(Sound):
    """Names an onset that is yet to come."""

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        alarm = super().judge(steps, values)
        return Alarm(alarm.reason, steps + self.every) if alarm else None


class NeedsItsNumber(Sound):
    """Fails where its number could not be computed."""

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        return super().judge(steps, {"spread": values["spread"]})


class ForgetsItsCount(Sound):
    """Leaves a count out of its state."""

    def state_dict(self) -> dict[str, Any]:
        return {"low": 0, "was_high": self.was_high}


class HalfAState(Sound):
    """Has a state that nobody can load."""

    load_state_dict = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        if name == "load_state_dict":
            raise AttributeError(name)
        return super().__getattribute__(name)


class WindowOnCpu(Sound):
    """Makes a tensor on the CPU."""

    def item_values(self, step: Step) -> dict[str, Tensor]:
        window = torch.hann_window(step.fake.shape[-1])
        sides = {"real": step.real, "fake": step.fake}
        return {name: (window * x.detach()).square().flatten(1).mean(1).sqrt() for name, x in sides.items()}


class FitsAndForgets(Sound):
    """Fits items without saying whether it has."""

    def fit_items(self, items: Any) -> None:
        self.mean = torch.cat([x.flatten(1).mean(1) for x, _ in items]).mean()


#: (the broken part, the check that must catch it, what its message must say).
