"""The key ``prior`` of a generator: what it reads in place of the log-mel spectrogram that it is given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import nn

from gansemble.audio.features import log_amplitude_of_mel
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Condition


@dataclass(frozen=True)
class PseudoInverse:
    """A forward pre-hook: the signal "mel" [B, M, L] becomes the log-amplitude spectrum [B, F, L] that it implies.

    Args:
        spec: of the mel spectrogram.
    """

    spec: AudioSpec

    def __call__(self, network: nn.Module, inputs: tuple[Condition, ...]) -> tuple[Condition, ...]:
        """The network's inputs with another condition in the first place; the one that was given is left alone."""
        condition, *others = inputs
        signals = {**condition.signals, "mel": log_amplitude_of_mel(condition.signal("mel"), self.spec)}
        return (dataclasses.replace(condition, signals=signals), *others)


def reads_prior(network: nn.Module, spec: AudioSpec) -> nn.Module:
    """Lets a generator read the log-amplitude spectrum in place of the mel spectrogram, wherever it is called.

    A hook and no module around it, so that its parameters keep their names, and its abilities stay its own. As each frame
    is changed by itself, its context is what it was.

    Args:
        network: built for n_fft / 2 + 1 channels.
        spec: of the mel spectrograms that it is given.

    Returns:
        The same network.
    """
    network.register_forward_pre_hook(PseudoInverse(spec))
    return network
