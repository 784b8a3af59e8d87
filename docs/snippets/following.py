"""Noise that follows a statistic of training: Adaptive, Stateful and Monitored."""

from collections.abc import Mapping

from torch import Tensor

from gansemble.interfaces import Batch, Step, Turn, confidence


class Following:
    """White noise that grows while the discriminators are sure of real items, and fades while they are not.

    Args:
        target: share of real items taken for real, from -1 to 1, at which the level stays.
        speed: change of the level by an update.
    """

    adapt_every = 4
    statistic_turn: Turn = "discriminator"
    statistic_window = "interval"

    def __init__(self, *, target: float = 0.6, speed: float = 1e-3) -> None:
        self.target, self.speed, self.level = target, speed, 0.0

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        noise = [self.level * batch.draws.normal(name, *real.shape[1:]) for name in ("real", "fake")]
        return real + noise[0], fake + noise[1]

    def statistic(self, step: Step) -> Tensor:
        """+1 for each real item that is taken for real, -1 for the others [B]."""
        return confidence(step.real_output, 0.0)

    def adapt(self, value: float) -> None:
        """Takes the mean over four steps and all processes."""
        self.level = max(0.0, self.level + (self.speed if value > self.target else -self.speed))

    def state_dict(self) -> dict[str, object]:
        return {"level": self.level}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.level = state["level"]

    def monitors(self) -> dict[str, float]:
        """Curve ``noise_injector/level``."""
        return {"level": self.level}
