"""Losses with one mistake each."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.interfaces import Step, Turn
from gansemble.parts.frozen import Frozen


class Sound:
    """mean |ln |X| - ln |G|| of short-time spectra of [B, 1, T], the power floored."""

    turns: ClassVar[frozenset[str]] = frozenset({"generator"})
    n_fft, floor = 256, 1e-6

    def spectrum(self, audio: Tensor) -> Tensor:
        """Magnitudes [B, n_fft / 2 + 1, L]."""
        with torch.autocast(audio.device.type, enabled=False):
            window = torch.hann_window(self.n_fft, device=audio.device)
            made = torch.stft(audio[:, 0].float(), self.n_fft, self.n_fft // 4, window=window, return_complex=True)
            return (made.real.square() + made.imag.square() + self.floor).sqrt()

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return (self.spectrum(step.real).log() - self.spectrum(step.fake).log()).abs().mean()


class Sums(Sound):
    """Sums over samples and items: twice the batch is twice the loss."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return (step.real - step.fake).abs().sum()


class NormOverTheBatch(Sound):
    """Spectral convergence with one norm over all items: the loudest clip decides."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        real, fake = self.spectrum(step.real), self.spectrum(step.fake)
        return (real - fake).norm() / real.norm()


class RootMeanSquare(Sound):
    """A root mean square, whose slope is infinite for a perfect fake."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return (step.real - step.fake).square().mean((1, 2)).sqrt().mean()


class LogOfSilence(Sound):
    """The logarithm of magnitudes without a floor."""

    floor = 0.0


class DetachedFake(Sound):
    """Detaches the fake, as the discriminators' side does: nothing is learnt."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return (self.spectrum(step.real).log() - self.spectrum(step.fake.detach()).log()).abs().mean()


class OneValueAnItem(Sound):
    """Leaves the mean over items to somebody else: [B]."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return (step.real - step.fake).abs().mean((1, 2))


class PlainNumber(Sound):
    """Returns what it would log."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return super().__call__(step, turn).item()


class CropsByItself(Sound):
    """Compares a piece drawn from torch's own generator."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        start = int(torch.randint(step.real.shape[-1] - 1024, ()))
        piece = slice(start, start + 1024)
        return (step.real[..., piece] - step.fake[..., piece]).abs().mean()


class CentresInPlace(Sound):
    """Takes the mean away from the real signal where it lies."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        step.real.sub_(step.real.mean(-1, keepdim=True))
        return super().__call__(step, turn)


class CosineInHalf(Sound):
    """One less the cosine between loudnesses by a product, which autocast rounds to bfloat16: 1 - 0.98 has no digits."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        loudness = (torch.log1p(1000 * self.spectrum(x)).flatten(1) for x in (step.real, step.fake))
        real, fake = (F.normalize(x, dim=1) for x in loudness)
        return (1 - torch.bmm(real[:, None], fake[:, :, None])).mean()


class LearnsItsWeight(Sound, nn.Module):
    """Weighs itself by a parameter (Kendall et al. 2018) that no optimiser holds."""

    def __init__(self) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(()))

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return super().__call__(step, turn) * torch.exp(-self.log_variance) + self.log_variance


class RunningScale(Sound, nn.Module):
    """Divides by a running mean of itself in a plain attribute: after a resume the loss jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = 1.0

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        value = super().__call__(step, turn)
        self.scale = 0.9 * self.scale + 0.1 * float(value)
        return value / self.scale


class LogSpectrumInHalf(Sound):
    """Its transform is a product with cosines, which autocast rounds to bfloat16: the gradient is mostly rounding."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        frames = torch.stack([step.real, step.fake]).unflatten(-1, (-1, self.n_fft))
        time = torch.arange(self.n_fft) / self.n_fft
        basis = torch.cos(2 * torch.pi * time[:, None] * torch.arange(self.n_fft // 2))
        real, fake = (frames @ basis).float().square().add(1e-9).log()
        return (real - fake).abs().mean()


class CurvatureInHalf(Sound):
    """Compares second differences by a convolution, which autocast rounds to bfloat16."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        kernel = torch.tensor([[[1.0, -2.0, 1.0]]])
        return (F.conv1d(step.real, kernel) - F.conv1d(step.fake, kernel)).float().abs().mean()


class UnaskedOutput(Sound):
    """Matches features and does not say needs_real_output: in the generator's turn there is none."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        total = torch.zeros(())
        for _, real, fake in step.pairs():
            for target, made in zip(real.features, fake.features, strict=True):
                total = total + (target.detach() - made).abs().mean()
        return total


class ClampsInPlace(Sound):
    """Limits the fake to full scale where it lies: all after it see another fake."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        step.fake.clamp_(-1, 1)
        return super().__call__(step, turn)


class WindowOnCpu(Sound):
    """Makes its window on the CPU, wherever the audio is: no GPU runs it."""

    def spectrum(self, audio: Tensor) -> Tensor:
        window = torch.hann_window(self.n_fft)
        made = torch.stft(audio[:, 0], self.n_fft, self.n_fft // 4, window=window, return_complex=True)
        return (made.real.square() + made.imag.square() + self.floor).sqrt()


class FrozenFeatures(nn.Module):
    """Sound: compares features of a network that never learns and is in no checkpoint."""

    turns: ClassVar[frozenset[str]] = frozenset({"generator"})

    def __init__(self) -> None:
        super().__init__()
        net = nn.Conv1d(1, 8, 16, bias=False)
        nn.init.constant_(net.weight, 0.1)
        self.net = self.held(net.requires_grad_(False))

    def held(self, net: nn.Module) -> nn.Module:
        return Frozen(net)

    def forward(self, step: Step, turn: Turn) -> Tensor:
        with torch.autocast(step.fake.device.type, enabled=False):
            real, fake = (self.net(x.float()).square() for x in (step.real, step.fake))
            return (real - fake).abs().mean()


class SavesItsNetwork(FrozenFeatures):
    """Keeps a network that never learns as any other module, so that every checkpoint holds it."""

    def held(self, net: nn.Module) -> nn.Module:
        return net


class SavesWhatItHolds:
    """Is no module, and gives the weights of its network as a state of its own."""

    turns: ClassVar[frozenset[str]] = frozenset({"generator"})

    def __init__(self) -> None:
        self.inner = SavesItsNetwork()

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.inner(step, turn)

    def state_dict(self) -> dict[str, object]:
        return {"network": [self.inner.state_dict()]}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.inner.load_state_dict(state["network"][0])  # type: ignore[index]


class AsksNobody(Sound):
    """Compares with a teacher and does not say that it needs one: most recipes have none."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return (step.teacher() - step.fake).abs().mean()  # type: ignore[misc]
