"""Vocos' generator (section 3): no upsampling layers; the inverse STFT makes the samples."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gansemble.audio.features import istft
from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, CountOrZero, Layers, Positive, Width
from gansemble.parts.causal import CausalConv1d
from gansemble_plugins.vocos.phases import agreeing_phases, centre_turn


class ConvNeXtBlock(nn.Module):
    """Depth-wise convolution, LayerNorm, two-layer perceptron, layer scale, residual; [B, C, L] -> [B, C, L]."""

    def __init__(self, dim: int, hidden: int, kernel: int, scale: float, causal: bool) -> None:
        super().__init__()
        self.depthwise = _conv(dim, dim, kernel, causal, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.expand = nn.Linear(dim, hidden)
        self.contract_back = nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).transpose(1, 2))  # [B, L, C]
        y = self.scale * self.contract_back(nn.functional.gelu(self.expand(y)))
        return x + y.transpose(1, 2)


class Vocos(nn.Module):
    """Predicts magnitude and phase of a complex spectrogram whose frames are the mel's frames, and inverts it.

    Args:
        dim: width of the trunk.
        hidden: width of the blocks' perceptrons.
        blocks: how many.
        kernel: of the depth-wise convolutions [frames].
        largest: magnitudes are clipped here.
        amplitude: ``predicted``: the logarithm of the magnitude is the head's; ``corrected``: it is the log-amplitude
            spectrum that the network reads plus the head's, so that the network predicts a correction of it, none at
            first, and the phase (as in FreeV, Lv et al. 2024, arXiv 2406.08196). It reads one with the generator's key
            ``prior: pseudo_inverse``.
        phase_from: where in a frame its phases are counted from. At ``frame_centre`` a head of zeros makes a pulse in the
            middle of each frame, where the window is widest, and not at its ends, where it is zero; the published network
            counts from the start.
        causal: pad convolutions on the left alone, so that only the overlap of the inverse STFT's frames looks ahead; published
            are convolutions that look to both sides. The parameters are the same.
        griffin_lim: rounds of the fast Griffin-Lim algorithm after the head, which hold the magnitudes and make the phases
            of overlapping frames agree. They learn nothing, and gradients take their turn of each phase for a constant.

    Shape: signal "mel" [B, mels, L] -> [B, 1, L * hop] ("same" padding: no sample more or less).

    Raises:
        ValueError: if the amplitude is to be corrected and what is read has other channels than n_fft / 2 + 1.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        dim: Channels = 512,
        hidden: Channels = 1536,
        blocks: Layers = 8,
        kernel: Width = 7,
        largest: Positive = 100.0,
        amplitude: Literal["predicted", "corrected"] = "predicted",
        phase_from: Literal["frame_start", "frame_centre"] = "frame_start",
        griffin_lim: CountOrZero = 0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        _demand_spectrum(amplitude, audio)
        self.corrects, self.centred = amplitude == "corrected", phase_from == "frame_centre"
        self.griffin_lim, self.causal = griffin_lim, causal
        self.audio, self.largest, self.kernel = audio, largest, kernel
        self.embed = _conv(audio.mels, dim, 7, causal)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, hidden, kernel, 1 / blocks, causal) for _ in range(blocks))
        self.final_norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, audio.n_fft + 2)
        self.apply(_initialise)
        if self.corrects:
            nn.init.zeros_(
                self.head.weight
            )  # a correction begins with none; a random one is heard (PESQ 2.75 for 2.97)

    def forward(self, condition: Condition) -> Tensor:
        given = condition.signal("mel")
        x = self.norm(self.embed(given).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        x = self.head(self.final_norm(x.transpose(1, 2))).transpose(1, 2)  # [B, n_fft + 2, L]
        with torch.autocast(x.device.type, enabled=False):
            log_magnitude, phase = (x if x.dtype == torch.float64 else x.float()).chunk(2, dim=1)
            if self.corrects:
                log_magnitude = log_magnitude + given
            # Clamped before exp: e^100 is infinite in float32, and the gradient of a clamped infinity is NaN.
            magnitude = log_magnitude.clamp_max(math.log(self.largest)).exp()
            if self.centred:
                phase = phase + centre_turn(self.audio.n_fft, phase.device)
            if self.griffin_lim:  # a turn that is a constant to gradients, so that those of the head's phases stay
                phase = phase + (agreeing_phases(magnitude, phase, self.audio, self.griffin_lim) - phase).detach()
            spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
            return istft(spectrum, self.audio.n_fft, self.audio.hop, self.audio.window).unsqueeze(1)

    @property
    def context_frames(self) -> int:
        """One-sided receptive field [frames], with the frames that overlap in the inverse STFT."""
        overlapping = -(-self.audio.n_fft // self.audio.hop)
        sides = 2 if self.causal else 1  # a causal network's is all before the sample, but for the overlap
        reach = 3 + len(self.blocks) * (self.kernel // 2)
        return reach * sides + (1 + self.griffin_lim) * overlapping

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a mel spectrogram; makes a hop of samples of each frame, whatever the hop."""
        if parameters["kernel"] % 2 == 0:
            raise ValueError(f"kernel must be odd to keep the number of frames, got {parameters['kernel']}")
        _demand_spectrum(parameters["amplitude"], parameters["audio"])
        if parameters["causal"] and parameters["griffin_lim"]:
            raise ValueError(
                f"causal: true needs griffin_lim: 0, as each of its {parameters['griffin_lim']} rounds looks ahead; leave one out"
            )
        return GeneratorContract(reads=frozenset({"mel"}), domain="waveform", shape=(1, None))


def _conv(read: int, made: int, kernel: int, causal: bool, groups: int = 1) -> nn.Module:
    """A length-keeping convolution."""
    if causal:
        return CausalConv1d(read, made, kernel, groups=groups)
    return nn.Conv1d(read, made, kernel, padding=kernel // 2, groups=groups)


def _demand_spectrum(amplitude: str, audio: AudioSpec) -> None:
    bins = audio.n_fft // 2 + 1
    if amplitude == "corrected" and audio.mels != bins:
        raise ValueError(
            f"amplitude: corrected adds to the amplitude spectrum that the generator reads, which has {bins} channels, and it "
            f"reads {audio.mels} mel bands; set generator.prior=pseudo_inverse, or amplitude: predicted"
        )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
