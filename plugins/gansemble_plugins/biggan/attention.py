"""The non-local block of SA-GAN: every place looks at every other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble_plugins.biggan.layers import Style
from gansemble_plugins.biggan.spectral import in_full_precision


class NonLocal(nn.Module):
    """x + gamma * o(softmax(theta(x)^T phi(x)) g(x)), where phi and g are pooled to a quarter of the places.

    theta and phi have an eighth of the channels, g a half, each at least one; all are 1x1 convolutions without bias.
    gamma begins at zero, where the block changes nothing.

    Args:
        channels: C.
        style: of the convolutions.

    Shape: [B, C, H, W] -> [B, C, H, W]; H and W even.
    """

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.theta = style.conv(channels, narrow, 1, bias=False)
        self.phi = style.conv(channels, narrow, 1, bias=False)
        self.g = style.conv(channels, half, 1, bias=False)
        self.o = style.conv(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        """``twice``: keeps all weights in memory, so that gradients can be differentiated again."""
        query = self.theta(x).flatten(2).transpose(1, 2)  # [B, H W, C/8]
        key = F.max_pool2d(self.phi(x), 2).flatten(2).transpose(1, 2)  # [B, H W / 4, C/8]
        value = F.max_pool2d(self.g(x), 2).flatten(2).transpose(1, 2)  # [B, H W / 4, C/2]
        seen = (attend_in_memory if twice else attend)(query, key, value)
        seen = seen.transpose(1, 2).unflatten(2, x.shape[2:])  # [B, C/2, H, W]
        return x + self.gamma * self.o(seen)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(query key^T) value by torch's fused kernels, which never hold all weights.

    Those kernels take queries, keys and values of one width, each vector's numbers side by side; of others torch makes
    all weights without a word. The narrow vectors are filled up with zeros, which add nothing to a product.
    """
    missing = value.shape[2] - query.shape[2]
    query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    query, key, value = (x.contiguous().unsqueeze(1) for x in (query, key, value))  # one head
    return F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)


def attend_in_memory(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same in plain steps in float32 at least; the fused kernels' gradients have no derivative."""
    with in_full_precision(query):
        wide = torch.promote_types(query.dtype, torch.float32)
        weights = torch.softmax(query.to(wide) @ key.to(wide).transpose(1, 2), 2)
        return (weights @ value.to(wide)).to(value.dtype)
