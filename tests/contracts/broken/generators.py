"""Generators with one mistake each."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract, TermContract
from gansemble.interfaces import Condition

WIDTH = 8  # channels between two convolutions


class Sound(nn.Module):
    """Two convolutions over frames, the second to a hop of samples for each: [B, mels, L] -> [B, 1, L * hop]."""

    context_frames = 2

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__()
        self.body = nn.Conv1d(audio.mels, WIDTH, 3, padding=1)
        self.head = nn.Conv1d(WIDTH, audio.hop, 3, padding=1)

    def hidden(self, signal: Tensor) -> Tensor:
        """[B, mels, L] -> [B, WIDTH, L]."""
        return F.leaky_relu(self.body(signal / 5), 0.1)

    def forward(self, condition: Condition) -> Tensor:
        return self.samples(self.hidden(condition.signal("mel")))

    def samples(self, hidden: Tensor) -> Tensor:
        """[B, WIDTH, L] -> [B, 1, L * hop]."""
        return torch.tanh(self.head(hidden)).transpose(1, 2).flatten(1)[:, None]

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"mel"}), domain="waveform", shape=(1, None))


class BatchNormed(Sound):
    """Normalises over the batch: each process keeps running statistics of its own clips."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.norm = nn.BatchNorm1d(WIDTH)

    def hidden(self, signal: Tensor) -> Tensor:
        return self.norm(super().hidden(signal))


class DecidesByItsValues(Sound):
    """Amplifies what is quiet, by a condition on numbers, which no graph has."""

    def hidden(self, signal: Tensor) -> Tensor:
        hidden = super().hidden(signal)
        return hidden * 2 if hidden.abs().max() < 1 else hidden


class SaysItCannotBeExported(Sound):
    """Declares what is not so."""

    cannot_be_exported = "nobody has tried"


class MainProcessOnly(Sound):
    """Uses a branch on the main process only: the others wait for its gradients, or it for theirs."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.residual = nn.Conv1d(WIDTH, WIDTH, 1)

    def hidden(self, signal: Tensor) -> Tensor:
        x = super().hidden(signal)
        main = not distributed.is_initialized() or distributed.get_rank() == 0
        return x + self.residual(x) if main else x


class LeftoverHead(Sound):
    """Keeps the head of an earlier version, which forward no longer calls."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.old_head = nn.Conv1d(WIDTH, 1, 1)


class PlainList(Sound):
    """Keeps its layers in a list of Python's, where no optimiser and no checkpoint finds them."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.layers = [self.body, self.head]
        del self.body, self.head

    def forward(self, condition: Condition) -> Tensor:
        hidden = F.leaky_relu(self.layers[0](condition.signal("mel") / 5), 0.1)
        return torch.tanh(self.layers[1](hidden)).transpose(1, 2).flatten(1)[:, None]


class ShortSighted(Sound):
    """Counts one of its two convolutions only."""

    context_frames = 1


class HalvesFrames(Sound):
    """Halves the frames and doubles them again: an odd number becomes even."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.down = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose1d(WIDTH, WIDTH, 4, stride=2, padding=1)

    def hidden(self, signal: Tensor) -> Tensor:
        return self.up(self.down(super().hidden(signal)))


class AlwaysDropping(Sound):
    """Calls the functional dropout without ``self.training``, so that it drops at synthesis too."""

    def hidden(self, signal: Tensor) -> Tensor:
        return F.dropout(super().hidden(signal), 0.1)


class NormalisesInPlace(Sound):
    """Scales the spectrogram where it lies; the mel loss reads it later."""

    def hidden(self, signal: Tensor) -> Tensor:
        return super().hidden(signal.add_(5.0))


class FixedProjection(Sound):
    """Random features in a plain attribute, which no checkpoint holds."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.projection = torch.randn(WIDTH, WIDTH)

    def hidden(self, signal: Tensor) -> Tensor:
        return torch.einsum("ij,bjl->bil", self.projection, super().hidden(signal))


class NumpyWeights(Sound):
    """Draws its initial weights from numpy, which the plan's seed may not reach."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        drawn = np.random.normal(0, 0.1, tuple(self.head.weight.shape))
        self.head.weight.data = torch.from_numpy(drawn).float()


class Standardises(Sound):
    """Divides by the spectrogram's standard deviation, which is zero for silence."""

    context_frames = None

    def hidden(self, signal: Tensor) -> Tensor:
        mean, deviation = signal.mean((1, 2), keepdim=True), signal.std((1, 2), keepdim=True)
        return super().hidden((signal - mean) / deviation)


class HalfSpectrum(Sound):
    """Builds a complex spectrum of whatever autocast gives, and there are no complex numbers of bfloat16."""

    def samples(self, hidden: Tensor) -> Tensor:
        made = self.head(hidden)
        frames = torch.fft.irfft(torch.complex(made[:, ::2], made[:, 1::2]), n=made.shape[1], dim=1)
        return frames.transpose(1, 2).flatten(1)[:, None]


class NoChannel(Sound):
    """Gives [B, T], as many published generators do."""

    def samples(self, hidden: Tensor) -> Tensor:
        return super().samples(hidden)[:, 0]


class DoublePrecision(Sound):
    """Multiplies with a numpy window, which is float64."""

    def samples(self, hidden: Tensor) -> Tensor:
        made = super().samples(hidden)
        return made * torch.from_numpy(np.ones(made.shape[-1]))


class SwitchesMode(Sound):
    """Puts a layer into eval and leaves it there."""

    def hidden(self, signal: Tensor) -> Tensor:
        self.body.eval()
        return super().hidden(signal)


class Positional(Sound):
    """Takes its audio specification by position, where another parameter may stand one day."""

    def __init__(self, audio: AudioSpec) -> None:
        super().__init__(audio=audio)


class SilentOnItsTask(Sound):
    """Its contract does not say what it reads: a recipe of it could be of any task."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(domain="waveform", shape=(1, None))


class OfAnotherKind(Sound):
    """Its contract was copied from a loss."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:  # type: ignore[override]
        return TermContract(domain="waveform", shape=(1, None))


class MisnamedReason(Sound):
    """Its contract points at a parameter that was renamed."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"mel"}), shape=(1, None), because={"reads": "condition"})


class CachedRamp(Sound):
    """Makes its ramp for the first length it meets and keeps it for all."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.ramp: Tensor | None = None

    def hidden(self, signal: Tensor) -> Tensor:
        x = super().hidden(signal)
        if self.ramp is None:
            self.ramp = torch.linspace(0.9, 1, x.shape[-1])
        return x * self.ramp


class OldWeightNorm(Sound):
    """Uses torch's former weight norm, whose weights cannot be copied before the first call."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        nn.utils.weight_norm(self.head)


class CentresTheBatch(Sound):
    """Takes one mean of the whole batch away: a clip sounds otherwise in other company."""

    context_frames = None

    def hidden(self, signal: Tensor) -> Tensor:
        return super().hidden(signal - signal.mean())


class SeedsItself(Sound):
    """Seeds torch itself, a line from a training script: all seeds of a recipe are one."""

    def __init__(self, *, audio: AudioSpec) -> None:
        torch.manual_seed(1234)
        super().__init__(audio=audio)


class SeedsEachCall(Sound):
    """Seeds torch at each call to have the same noise each time: so has all that draws after it."""

    def hidden(self, signal: Tensor) -> Tensor:
        torch.manual_seed(0)
        return super().hidden(signal + 0.01 * torch.randn_like(signal[:1]))


class ConstantOnCpu(Sound):
    """Makes a constant on the CPU at each call: no GPU runs it."""

    def hidden(self, signal: Tensor) -> Tensor:
        return super().hidden(signal) * torch.linspace(0.9, 1, 8)[:, None]


class Undocumented(Sound):
    """Has a parameter and does not say what it is."""

    def __init__(self, *, audio: AudioSpec, gain: float = 1.0) -> None:
        super().__init__(audio=audio)
        self.gain = gain


class Shortsighted(nn.Module):
    """Restores with a convolution that reaches further than it says."""

    context_frames = 2

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, 1, 31, padding=15)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"degraded"}), domain="waveform")

    def forward(self, condition: Condition) -> Tensor:
        return condition.signal("degraded") + self.layer(condition.signal("degraded"))


class ByPairs(nn.Module):
    """Restores pairs of samples, and does not say that chunks must begin at a pair."""

    context_frames = 15

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, 1, 2, stride=2)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"degraded"}), domain="waveform")

    def forward(self, condition: Condition) -> Tensor:
        length = condition.signal("degraded").shape[-1]
        coarse = self.layer(torch.nn.functional.pad(condition.signal("degraded"), (0, length % 2)))
        return condition.signal("degraded") + coarse.repeat_interleave(2, -1)[..., :length]


class SmoothsFurther(nn.Module):
    """Averages more samples than it says, by an operation that no stream is known for."""

    learns, context_frames = False, 2

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"degraded"}), domain="waveform")

    def forward(self, condition: Condition) -> Tensor:
        return torch.nn.functional.avg_pool1d(condition.signal("degraded"), 9, 1, 4)


class LearnsAfterAll(nn.Module):
    """Says that it has nothing to learn."""

    learns = False

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, condition: Condition) -> Tensor:
        return condition.signal("mel") * self.gain


class Growing(Sound):
    """Blends its second convolution in, and does not say where that ends."""

    share = 1.0

    def set_progress(self, progress: float) -> None:
        self.share = min(1.0, progress)

    def hidden(self, signal: Tensor) -> Tensor:
        return self.share * super().hidden(signal)


class GrownEarlier(Growing):
    """Says that it is grown before it is."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"mel"}), domain="waveform", shape=(1, None), grows_to=0.5)


class NeverGrows(Sound):
    """Says that it grows."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"mel"}), domain="waveform", shape=(1, None), grows_to=2)
