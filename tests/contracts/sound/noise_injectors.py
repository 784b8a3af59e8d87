"""Injectors that begin without noise, follow the step, or follow several statistics."""

from typing import Any

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Batch, Step, Turn


class Adaptive:
    """Noise on some items, with a probability that begins at zero and follows the real scores' signs in small steps."""

    adapt_every = 4
    statistic_turn: Turn = "discriminator"
    statistic_window = "interval"
    step = 2e-5

    def __init__(self) -> None:
        self.p = 0.0

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.seen(real, batch, "real"), self.seen(fake, batch, "fake")

    def seen(self, x: Tensor, batch: Batch, stream: str) -> Tensor:
        chosen = batch.draws.uniform(f"{stream}/which", 1) < self.p
        noise = 0.05 * batch.draws.normal(stream, *x.shape[1:])
        return torch.where(chosen.view(-1, *[1] * (x.dim() - 1)), x + noise, x)

    def statistic(self, step: Step) -> Tensor:
        (output,) = step.real_output["one"]
        return torch.sign(output.score.mean(1))

    def adapt(self, value: float) -> None:
        self.p = min(1.0, max(0.0, self.p + (self.step if value > 0.6 else -self.step)))

    def state_dict(self) -> dict[str, Any]:
        return {"p": self.p}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.p = state["p"]


class TwoStatistics(Adaptive):
    """The same by the means of two numbers of each item, up where they fall."""

    step = 0.01

    def statistic(self, step: Step) -> Tensor:
        (output,) = step.real_output["one"]
        return torch.stack([output.score.mean(1), output.score.amax(1)], 1)

    def adapt(self, value: tuple[float, ...]) -> None:  # type: ignore[override]
        mean, most = value
        self.p = min(1.0, max(0.0, self.p + (self.step if mean + most < 0 else -self.step)))


class Annealed:
    """White noise that fades out over 10,000 steps."""

    def level(self, step: int) -> float:
        return 0.1 * max(0.0, 1 - step / 10_000)

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        level, shape = self.level(batch.step), real.shape[1:]
        if not level:
            return real, fake
        return (
            real + level * batch.draws.normal("real", *shape),
            fake + level * batch.draws.normal("fake", *shape),
        )


class BeginsLate(Annealed):
    """White noise that fades in from step 2,000 on."""

    def level(self, step: int) -> float:
        return 0.1 * min(1.0, max(0.0, (step - 2000) / 10_000))


class FollowsTheMel(Annealed):
    """Noise as loud as the clip's mel spectrogram and a feature say."""

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        loud = batch.signals["mel"].exp().mean((1, 2)) + batch.signals["loudness"].mean((1, 2))
        level = 0.05 * loud.view(-1, 1, 1)
        noise = [level * batch.draws.normal(name, *real.shape[1:]) for name in ("real", "fake")]
        return real + noise[0], fake + noise[1]

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        return TermContract(needs=frozenset({"mel", "loudness"}))
