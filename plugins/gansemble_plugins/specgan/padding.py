"""5 x 5 convolutions at stride 2 with TensorFlow's ``same`` padding: one row and column before, two behind."""

import torch.nn.functional as F
from torch import Tensor, nn

KERNEL, STRIDE = 5, 2


class HalvingConvolution(nn.Conv2d):
    """Halves both axes; [B, C, H, W] -> [B, C', H / 2, W / 2]."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, KERNEL, STRIDE)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (1, 2, 1, 2)))


class DoublingConvolution(nn.ConvTranspose2d):
    """The transpose of :class:`HalvingConvolution`, which doubles both axes; [B, C, H, W] -> [B, C', 2 H, 2 W]."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, KERNEL, STRIDE, padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x)[..., : 2 * x.shape[-2], : 2 * x.shape[-1]]


def initialise(module: nn.Module) -> None:
    """Glorot's uniform law, with zeros as biases: TensorFlow's default, with which the released code trains."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def narrow_end(frames: int, bins: int, layers: int) -> tuple[int, int]:
    """(frames, bins) behind so many halvings.

    Raises:
        ValueError: if they cannot be halved so often.
    """
    factor = 2 ** max(0, layers)
    if layers < 1 or min(frames, bins) < factor or frames % factor or bins % factor:
        raise ValueError(f"frames and bins must be multiples of 2^layers = {factor}, got {frames} x {bins}")
    return frames // factor, bins // factor
