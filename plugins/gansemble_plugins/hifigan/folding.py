"""Strided and grouped convolutions over time as convolutions without stride, with several samples in one column.

Processors multiply matrices. A convolution with few channels in each group, or with a stride, gives them small or scattered ones:
on CPUs those of the multi-scale discriminator run at a third of the speed of dense ones. Folded, r samples of each channel become r
channels of one column, and the same sums are taken by fewer and larger products: of 41 taps over 32 channels with stride 2, eleven
taps over 128 channels without stride. Some of the folded kernel's weights are zeros, 4 to 7 % here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def folded_conv1d(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, groups: int, fold: int
) -> Tensor:
    """The values of ``torch.nn.functional.conv1d`` without dilation, up to rounding, computed on columns of ``fold`` samples.

    With K taps w, stride s and padding a, the convolution is y[t] = sum_k w[k] x[s t - a + k]. Sample r n + p of x is row p of column
    n, output (r / s) n + m is row m of column n, and the tap that leads from row p of column n + j - P to row m of column n is
    k = r (j - P) + p - s m + a, where P = ceil(a / r); where there is no such tap the folded kernel is zero.

    Args:
        x: [B, C, T].
        weight: [O, C / groups, K].
        bias: [O], or None.
        stride, padding, groups: as for ``conv1d``.
        fold: samples in a column, a multiple of ``stride``.

    Returns:
        [B, O, (T + 2 padding - K) // stride + 1].
    """
    batch, channels, length = x.shape
    outs, _, taps = weight.shape
    rows = fold // stride
    before = -(-padding // fold)
    kernel = _folded_kernel(weight, stride, before * fold - padding, fold)
    wanted = (length + 2 * padding - taps) // stride + 1
    columns = max(-(-length // fold), -(-wanted // rows) + kernel.shape[2] - 1 - 2 * before)
    x = F.pad(x, (0, columns * fold - length)) if columns * fold > length else x
    x = x.reshape(batch, channels, columns, fold).transpose(2, 3).reshape(batch, channels * fold, columns)
    repeated = None if bias is None else bias.repeat_interleave(rows)
    y = F.conv1d(x, kernel, repeated, padding=before, groups=groups)
    if rows > 1:
        y = y.view(batch, outs, rows, -1).transpose(2, 3).reshape(batch, outs, -1)
    return y[..., :wanted]


def _folded_kernel(weight: Tensor, stride: int, shift: int, fold: int) -> Tensor:
    """[O, I, K] -> [O * fold / stride, I * fold, J]: for each output row, the kernel moved on by its place and cut into columns."""
    outs, ins, taps = weight.shape
    rows = fold // stride
    columns = -(-(taps + stride * (rows - 1) + shift) // fold)
    moved = [
        F.pad(weight, (left := shift + stride * row, columns * fold - taps - left)).view(outs, ins, columns, fold)
        for row in range(rows)
    ]
    return torch.stack(moved, 1).transpose(3, 4).reshape(outs * rows, ins * fold, columns)
