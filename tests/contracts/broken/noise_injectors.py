"""Noise injectors with one mistake each."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.interfaces import Batch, Step, Turn


class Sound:
    """White noise on real and fake whose level follows the discriminators' mean score."""

    adapt_every = 4
    statistic_turn: Turn = "discriminator"
    statistic_window = "interval"

    def __init__(self) -> None:
        self.level = 0.05

    def noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        """Noise for a signal [B, ...]."""
        return self.level * batch.draws.normal(stream, *like.shape[1:])

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return real + self.noise(real, batch, "real"), fake + self.noise(fake, batch, "fake")

    def statistic(self, step: Step) -> Tensor:
        """The mean score of each real item [B]."""
        (output,) = step.real_output["one"]
        return output.score.mean(1)

    def adapt(self, value: float) -> None:
        """Louder while real scores are high."""
        self.level *= 1.1 if value > 0.5 else 0.9

    def state_dict(self) -> dict[str, Any]:
        return {"level": self.level}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.level = state["level"]


class DrawsByItself(Sound):
    """Draws from torch's own generator: a resumed run sees other noise."""

    def noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        return self.level * torch.randn_like(like)


class SeedsByItself(Sound):
    """Draws from a generator of its own with a fixed seed: the same noise for every batch."""

    def noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        return self.level * torch.randn(like.shape, generator=torch.Generator().manual_seed(0))


class SharesNoise(Sound):
    """Gives the first item's noise to all: two processes have two first items."""

    def noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        return super().noise(like, batch, stream)[:1]


class AddsInPlace(Sound):
    """Adds the noise to the clean signals, which the losses read."""

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        real += self.noise(real, batch, "real")
        return real, fake + self.noise(fake, batch, "fake")


class StopsGradients(Sound):
    """Does all of it without gradients, as if the noise alone were meant: the generator learns nothing."""

    @torch.no_grad()
    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return super().__call__(real, fake, batch)


class DividesByLevel(Sound):
    """Scales each item to the noise's level and back, by a root mean square that silence has none of."""

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        seen = []
        for name, x in (("real", real), ("fake", fake)):
            level = x.square().mean((1, 2), keepdim=True).sqrt()
            seen.append((x / level + self.noise(x, batch, name)) * level)
        return seen[0], seen[1]


class ForgetsItsLevel(Sound):
    """Saves nothing of the level it adapted."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class OneNumberForAll(Sound):
    """Its statistic is the batch's mean: unequal batches of two processes would weigh the same."""

    def statistic(self, step: Step) -> Tensor:
        return super().statistic(step).mean()


class FiltersInHalf(Sound):
    """Filters the noise by a convolution, which autocast rounds to bfloat16."""

    def noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        return F.conv1d(super().noise(like, batch, stream), torch.hann_window(9)[None, None], padding=4)


class CropsTheTail(Sound):
    """Filters without padding and gives eight samples less."""

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        seen = super().__call__(real, fake, batch)
        kernel = torch.hann_window(9)[None, None] / 4
        return F.conv1d(seen[0], kernel), F.conv1d(seen[1], kernel)


class NeverStarts(Sound):
    """Rounds its level to whole sample values of full scale: there is no noise."""

    def __init__(self) -> None:
        super().__init__()
        self.level = round(self.level)


class AdaptsInNoTurn(Sound):
    """Misspells the turn its statistic is taken in: it would never adapt."""

    statistic_turn = "discriminators"  # type: ignore[assignment]


class LearnsItsLevel(nn.Module):
    """Its level is a parameter, which no optimiser holds."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(0.05))

    def forward(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        white = [batch.draws.normal(name, *real.shape[1:]) for name in ("real", "fake")]
        return real + self.level * white[0], fake + self.level * white[1]


class FakeOnly(Sound):
    """Forgets the real signals: noise is what the discriminators learn to find."""

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return real, fake + self.noise(fake, batch, "fake")


class DrawsInNumpy(Sound):
    """Draws from numpy's generator."""

    def noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        return self.level * torch.from_numpy(np.random.standard_normal(tuple(like.shape))).float()


class AdaptsByChance(Sound):
    """Draws how far it adapts from numpy's generator: each process has another level."""

    def adapt(self, value: float) -> None:
        self.level *= np.random.uniform(1, 1.2)


class NeverAdapts:
    """Follows the scores, but has no state to save: the toolkit takes it for one that does not adapt."""

    adapt_every = 4
    statistic_turn: Turn = "discriminator"
    statistic_window = "interval"

    def __init__(self) -> None:
        self.level = 0.05

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        white = [batch.draws.normal(name, *real.shape[1:]) for name in ("real", "fake")]
        return real + self.level * white[0], fake + self.level * white[1]

    def statistic(self, step: Step) -> Tensor:
        return step.seen_real.square().mean((1, 2))

    def adapt(self, value: float) -> None:
        self.level *= 1.1


class OtherWindow(Sound):
    """Misspells the window of its statistic: it would follow the interval."""

    statistic_window = "latest"


class ClampsInPlace(Sound):
    """Limits the clean signals to full scale where they lie, which the losses read."""

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return super().__call__(real.clamp_(-1, 1), fake.clamp_(-1, 1), batch)


class ShapesOnCpu(Sound):
    """Makes its envelope on the CPU, wherever the signals are: no GPU runs it."""

    def noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        return super().noise(like, batch, stream) * torch.linspace(0, 1, like.shape[-1])


class LateOnFakes(Sound):
    """Begins at step 1,000, on fake items alone."""

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return real, fake + self.noise(fake, batch, "fake") if batch.step >= 1000 else fake


class LateByItself(Sound):
    """Begins at step 1,000, and draws from torch's own generator from then on."""

    def noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        return self.level * torch.randn_like(like) if batch.step >= 1000 else torch.zeros_like(like)


class GrowsInPlace(Sound):
    """Begins without noise, adapts, and adds what it has by then to the clean signals."""

    def __init__(self) -> None:
        self.level = 0.0

    def adapt(self, value: float) -> None:
        self.level += 0.001

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        if not self.level:
            return real, fake
        return real.add_(self.noise(real, batch, "real")), fake + self.noise(fake, batch, "fake")
