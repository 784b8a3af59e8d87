"""A noise injector: what the discriminators see of real and fake."""

import torch
from torch import Tensor

from gansemble.interfaces import Batch


class AcmeNoiseInjector:
    """Adds the same Gaussian noise to real and fake, at a level below that of the real signal.

    Args:
        snr_db: signal-to-noise ratio of the real signal [dB].

    Shape:
        - real, fake: [B, ...], B clips
        - output: both with noise, of the same shapes
    """

    def __init__(self, *, snr_db: float = 40.0) -> None:
        self.factor = 10 ** (-snr_db / 20)  # of amplitudes

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        # Autocast off: noise of a hundredth does not survive bfloat16.
        with torch.autocast(real.device.type, enabled=False):
            # Root mean square of each clip, [B, 1, ...].
            level = real.float().square().flatten(1).mean(1).sqrt().view(-1, *[1] * (real.dim() - 1))
            # Drawn from the batch: equal for any number of processes, and after a resume.
            noise = batch.draws.normal("acme", *real.shape[1:]) * level * self.factor
            return real.float() + noise, fake.float() + noise
