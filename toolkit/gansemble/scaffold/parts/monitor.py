"""A monitor: what is watched while training, and when it has collapsed."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gansemble.interfaces import Alarm, Step


class AcmeMonitor:
    """How widely the levels of the fakes in a batch differ; an alarm when they have stayed nearly equal.

    The measure is the standard deviation of the fakes' levels, divided by that of the real clips' levels. A collapsed
    generator makes one clip over and over, always of the same level. An untrained one does so as well, so nothing is
    judged before the ratio has reached ``healthy`` once.

    Args:
        every: steps between two measurements.
        healthy: ratio at which fakes count as different from each other.
        patience: number of measurements in a row below a tenth of ``healthy`` that make an alarm.

    Shape:
        - step.real, step.fake: [B, ...], B clips
        - values: [N], one level for each of the N clips of all processes
    """

    def __init__(self, *, every: int = 100, healthy: float = 0.5, patience: int = 5) -> None:
        if healthy <= 0 or patience < 1:
            raise ValueError(f"healthy must be above 0 and patience at least 1, got {healthy:g} and {patience}")
        self.every, self.healthy, self.patience = every, healthy, patience
        self.low, self.healthy_until, self.was_healthy = 0, 0, False

    def item_values(self, step: Step) -> dict[str, Tensor]:
        """Root-mean-square levels [B]: numbers for each clip, so that those of all processes can be joined."""
        sides = {"real": step.real, "fake": step.fake}
        return {name: x.detach().float().square().flatten(1).mean(1).sqrt() for name, x in sides.items()}

    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Numbers for the whole batch, by name, which are logged; what cannot be computed is left out."""
        real, fake = values["real"], values["fake"]
        sound = torch.isfinite(real) & torch.isfinite(fake)
        if int(sound.sum()) < 2:
            return {}
        return {"level_spread": float(fake[sound].std() / real[sound].std().clamp(min=1e-8))}

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        """An alarm at the ``patience``-th low measurement in a row; None otherwise."""
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
        """What the monitor remembers, so that a resumed run is judged like an uninterrupted one."""
        return {"low": self.low, "healthy_until": self.healthy_until, "was_healthy": self.was_healthy}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self.low, self.healthy_until = int(state["low"]), int(state["healthy_until"])
        self.was_healthy = bool(state["was_healthy"])
