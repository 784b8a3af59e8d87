"""Convolutions of short blocks, without padding: as products of matrices, which need no other layout of the weights at each call.

torch's own convolutions bring the weights into another order each time, which is nothing beside a whole signal and more than
the rest beside a few frames, and have no fast way for dilations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

#: Outputs up to which a convolution is a product of matrices; for longer ones torch's own is as fast.
SHORT = 4096

#: Outputs up to which the weights are the right factor, [T', W] times [W, O]: a few rows are twice to thrice as fast so.
FEW = 16

#: An operation on what comes now; the second argument is whether it is for an exported graph.
Kernel = Callable[[Tensor, bool], Tensor]


def convolution(
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Kernel:
    """The convolution [1, I, T] -> [1, O, T'] of these weights [O, I / groups, K]; of more dimensions by torch's own."""

    def plain(x: Tensor) -> Tensor:
        return torch.ops.aten.convolution(x, weight, bias, stride, padding, dilation, False, [0] * len(stride), groups)

    if weight.dim() != 3 or groups != 1 or weight.is_complex():
        return lambda x, exact: plain(x)
    made, read, width = weight.shape
    matrix = weight.permute(2, 1, 0).reshape(width * read, made).contiguous()
    turned, column = matrix.t(), None if bias is None else bias[:, None]
    step, apart = stride[0], dilation[0]

    def short(x: Tensor, exact: bool) -> Tensor:
        count = (x.shape[2] - (width - 1) * apart - 1) // step + 1
        if exact or count > SHORT or x.shape[0] != 1 or (apart == 1 and count >= 64):
            return plain(x)
        along, across = x.stride(2), x.stride(1)
        if count <= FEW:
            windows = x.as_strided((count, width, read), (step * along, apart * along, across), x.storage_offset())
            few = windows.reshape(count, width * read)
            return (torch.mm(few, matrix) if bias is None else torch.addmm(bias, few, matrix)).t()[None]
        windows = x.as_strided((width, read, count), (apart * along, across, step * along), x.storage_offset())
        columns = windows.reshape(width * read, count)
        return (torch.mm(turned, columns) if column is None else torch.addmm(column, turned, columns))[None]

    return short


def transposed(
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    more: Sequence[int],
    groups: int,
) -> Kernel:
    """The transposed convolution [1, I, T] -> [1, O, T'] of these weights [I, O / groups, K], without bias."""

    def plain(x: Tensor) -> Tensor:
        return torch.ops.aten.convolution(x, weight, None, stride, padding, dilation, True, more, groups)

    if weight.dim() != 3 or groups != 1 or weight.is_complex():
        return lambda x, exact: plain(x)
    read, made, width = weight.shape
    matrix = weight.reshape(read, made * width)
    reach = (width - 1) * dilation[0] + 1

    def short(x: Tensor, exact: bool) -> Tensor:
        if exact or x.shape[2] > SHORT or x.shape[0] != 1:
            return plain(x)
        total = (x.shape[2] - 1) * stride[0] + reach
        few = x.shape[2] <= FEW
        spread = (torch.mm(x[0].t(), matrix).t() if few else torch.mm(matrix.t(), x[0]))[None]
        return torch.ops.aten.col2im(spread, [1, total], [1, width], [1, dilation[0]], [0, 0], [1, stride[0]])[:, :, 0]

    return short
