"""A monitor: what is watched while training, and when it has collapsed."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gansemble.interfaces import Alarm, Step


class AcmeMonitor:
    """Standard deviation of the items' levels, of fakes over that of real ones; an alarm when it stays near zero.

    A collapsed generator makes one item over and over, all of one level. An untrained one does as well, so nothing is
    judged before the ratio has been ``healthy`` once.

    Args:
        every: steps between looks.
        healthy: ratio at which fakes count as different from each other.
        patience: looks in a row below a tenth of that which make an alarm.
    """

    def __init__(self, *, every: int = 100, healthy: float = 0.5, patience: int = 5) -> None:
        if healthy <= 0 or patience < 1:
            raise ValueError(f"healthy must be above 0 and patience at least 1, got {healthy:g} and {patience}")
        self.every, self.healthy, self.patience = every, healthy, patience
        self.low, self.healthy_until, self.was_healthy = 0, 0, False

    def item_values(self, step: Step) -> dict[str, Tensor]:
        """Root mean squares [B]: numbers of each item, so that those of all processes can be joined."""
        sides = {"real": step.real, "fake": step.fake}
        return {name: x.detach().float().square().flatten(1).mean(1).sqrt() for name, x in sides.items()}

    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Numbers of the whole batch, by name: they are logged. What cannot be computed is left out."""
        real, fake = values["real"], values["fake"]
        sound = torch.isfinite(real) & torch.isfinite(fake)
        if int(sound.sum()) < 2:
            return {}
        return {"level_spread": float(fake[sound].std() / real[sound].std().clamp(min=1e-8))}

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        """An alarm at the ``patience``-th low look in a row."""
        spread = values.get("level_spread", 0.0)
        self.was_healthy = self.was_healthy or spread >= self.healthy
        if not self.was_healthy or spread >= 0.1 * self.healthy:
            self.low, self.healthy_until = 0, steps
            return None
        self.low += 1
        if self.low != self.patience:
            return None
        return Alarm(f"levels of fakes spread {spread:.3g} times as far as those of real items", self.healthy_until)

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, so that a resumed run is judged as an uninterrupted one."""
        return {"low": self.low, "healthy_until": self.healthy_until, "was_healthy": self.was_healthy}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.low, self.healthy_until = int(state["low"]), int(state["healthy_until"])
        self.was_healthy = bool(state["was_healthy"])
