"""How single operations of a network work on a stream; what is not listed works element by element, or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, fx

from gansemble.live import kernels
from gansemble.live.flow import NotLayered
from gansemble.live.plan import Ends, Planner, bound, dtype_of, with_axis
from gansemble.live.steps import Continue, OverlapAdd, Pad, Window
from gansemble.live.trace import Line

Rule = Callable[[Planner, Line], None]

#: Operations that work element by element and do not say so, and those that only reorder dimensions.
ALIKE = (
    *("_to_copy", "clone", "alias", "detach", "lift_fresh", "complex", "polar", "real", "imag", "view_as_real"),
    *("view_as_complex", "_conj", "_conj_physical", "resolve_conj", "_prelu_kernel", "prelu", "getitem"),
    *("transpose", "permute", "t", "unsqueeze", "stack", "embedding", "angle"),
)
#: Operations along other dimensions than time, and the argument that says along which.
ALONG = {
    **dict.fromkeys(
        ("split", "split_with_sizes", "chunk", "unbind", "select", "index_select", "gather", "squeeze"), "dim"
    ),
    **dict.fromkeys(("_softmax", "_log_softmax", "mean", "sum", "amax", "amin", "var", "std", "prod"), "dim"),
    **dict.fromkeys(("logsumexp", "linalg_vector_norm", "glu", "cumsum", "_fft_c2r", "_fft_r2c", "_fft_c2c"), "dim"),
    **dict.fromkeys(("sort", "max", "min", "argmax", "argmin"), "dim"),
    "roll": "dims",
}


def _along(planner: Planner, line: Line) -> None:
    arguments = bound(line.nodes[0])
    of = next(value for value in arguments.values() if isinstance(value, fx.Node))
    _, flow, shape = planner.source(line, of)
    name = ALONG.get(line.name, "dim")
    said = arguments.get(name, arguments.get("dim"))
    dims = list(said) if isinstance(said, list | tuple) else [said]
    if said is None or not dims or flow.axis in [_axis(dim, shape) for dim in dims]:
        raise NotLayered(f"{line.name} works along time")
    planner.apply(line)


def _axis(dim: object, shape: Sequence[int]) -> int:
    return int(cast("int", dim)) % len(shape)


def _layer_norm(planner: Planner, line: Line) -> None:
    arguments = bound(line.nodes[0])
    _, flow, shape = planner.source(line, arguments["input"])
    if flow.axis >= len(shape) - len(cast("list[int]", arguments["normalized_shape"])):
        raise NotLayered("layer norm works along time")
    planner.apply(line)


def _batch_norm(planner: Planner, line: Line) -> None:
    arguments = bound(line.nodes[0])
    _, flow, _ = planner.source(line, arguments["input"])
    if arguments.get("training") or flow.axis == 1:
        raise NotLayered("batch norm measures the signal")
    planner.apply(line)


def _product(planner: Planner, line: Line) -> None:
    """Products of matrices [..., M, K] and [..., K, N]; K is not time."""
    arguments = bound(line.nodes[0])
    first = arguments.get("mat1", arguments.get("batch1", arguments["self"]))
    second = arguments.get("mat2", arguments.get("batch2"))
    moving = 0
    for one, wanted in ((first, -2), (second, -1)):
        if isinstance(one, fx.Node) and one in planner.numbers:
            _, flow, shape = planner.source(line, one)
            moving += 1
            if flow.axis != len(shape) + wanted:
                raise NotLayered(f"{line.name} adds up over time")
    if moving > 1:
        raise NotLayered(f"{line.name} compares all times with all others")
    planner.apply(line)


def _view(planner: Planner, line: Line) -> None:
    """Another shape of the same elements; time may be split from, or joined with, the dimension behind it."""
    arguments = bound(line.nodes[0])
    number, flow, before = planner.source(line, arguments["self"])
    shapes = planner.lines[number].shapes
    assert shapes is not None and line.shapes is not None
    made = planner.flow_of(line, 0)
    after = line.shapes[0]
    lengths = [(one[flow.axis], other[made.axis]) for one, other in zip(shapes, line.shapes, strict=True)]
    inner = math.prod(before[flow.axis + 1 :]), math.prod(after[made.axis + 1 :])
    if math.prod(before[: flow.axis]) != math.prod(after[: made.axis]):
        raise NotLayered(f"{line.name} joins time with the dimension in front of it")
    up = math.gcd(inner[0], inner[1])
    up, down = inner[0] // up, inner[1] // up  # `up` elements of `down`
    if any(one * up != other * down for one, other in lengths):
        raise NotLayered(f"{line.name} changes time in a way that is not known")
    planner.apply(line, {"size": list(with_axis(after, made.axis, -1))}, (up, down))


def _expand(planner: Planner, line: Line) -> None:
    node = line.nodes[0]
    of = bound(node)["self"]
    number = planner.numbers[cast("fx.Node", of)]
    if number in planner.ends:
        ends = planner.ends[number]
        assert line.shapes is not None
        size = line.shapes[0][ends.axis]
        whole = planner.lines[ends.source].shapes
        assert whole is not None
        same = len(line.shapes[0]) == len(whole[0])
        if not same or with_axis(line.shapes[0], ends.axis, 1) != with_axis(whole[0], ends.axis, 1):
            raise NotLayered("expand computes with single elements of the beginning or the end")
        _give_ends(planner, line, Ends(ends.source, ends.axis, ends.places * (size // len(ends.places))))
        return
    assert line.shapes is not None
    made = planner.flow_of(line, 0)
    planner.apply(line, {"size": list(with_axis(line.shapes[0], made.axis, -1))})


def _repeat(planner: Planner, line: Line) -> None:
    made = planner.flow_of(line, 0)
    if cast("list[int]", bound(line.nodes[0])["repeats"])[made.axis] != 1:
        raise NotLayered("repeat repeats the signal")
    planner.apply(line)


def _give_ends(planner: Planner, line: Line, ends: Ends) -> None:
    number = planner.number()
    planner.numbers[line.nodes[0]], planner.lines[number], planner.ends[number] = number, line, ends


def _flip(planner: Planner, line: Line) -> None:
    arguments = bound(line.nodes[0])
    of = cast("fx.Node", arguments["self"])
    ends = planner.ends.get(planner.numbers[of])
    dims = cast("list[int]", arguments["dims"])
    if ends is not None:
        whole = planner.lines[ends.source].shapes
        assert whole is not None
        if [_axis(dim, whole[0]) for dim in dims] != [ends.axis]:
            raise NotLayered("flip computes with single elements of the beginning or the end")
        _give_ends(planner, line, Ends(ends.source, ends.axis, ends.places[::-1]))
        return
    _, flow, shape = planner.source(line, of)
    if flow.axis in [_axis(dim, shape) for dim in dims]:
        raise NotLayered("flip turns time round")
    planner.apply(line)


def _slice(planner: Planner, line: Line) -> None:
    """Along time: elements of the beginning or the end, or all but some of them."""
    arguments = [bound(node) for node in line.nodes]
    number, flow, shape = planner.source(line, arguments[0]["self"])
    if _axis(arguments[0]["dim"], shape) != flow.axis:
        planner.apply(line)
        return
    shapes = planner.lines[number].shapes
    assert shapes is not None and line.shapes is not None
    counts = [one[flow.axis] for one in shapes]
    begins = [
        slice(*(cast("int | None", each[name]) for name in ("start", "end", "step"))).indices(count)
        for each, count in zip(arguments, counts, strict=True)
    ]
    step, made = begins[0][2], [one[flow.axis] for one in line.shapes]
    if made[0] == made[1]:  # so many elements, whatever the length
        places = [range(*each) for each in begins]
        behind = [tuple(place - count for place in each) for each, count in zip(places, counts, strict=True)]
        if places[0] == places[1]:
            _give_ends(planner, line, Ends(number, flow.axis, tuple(places[0])))
        elif behind[0] == behind[1]:
            _give_ends(planner, line, Ends(number, flow.axis, behind[0]))
        else:
            raise NotLayered("slice takes elements from places that depend on the length of the signal")
        return
    if begins[0][0] != begins[1][0]:
        raise NotLayered("slice begins at a place that depends on the length of the signal")
    every = (*[slice(None)] * flow.axis, slice(None, None, step))
    _window(planner, line, number, 1, step, -begins[0][0], lambda x, exact: x[every])


def _window(
    planner: Planner, line: Line, number: int, width: int, stride: int, padding: int, call: kernels.Kernel
) -> None:
    """Adds the step whose element n is made of the ``width`` elements from n * stride - padding on."""
    flow, shapes = planner.flows[number], planner.lines[number].shapes
    assert shapes is not None
    # The last element that is needed must have come: see the module about flows for positions.
    delay = max(0, -(-(flow.delay + width - padding - stride) // stride))
    earlier = stride * delay + padding - flow.delay
    made = planner.flow_of(line, delay)
    if made.rate * stride != flow.rate:
        raise NotLayered(f"{line.name} changes the rate in a way that is not known")
    kept = max(0, earlier)
    step = Window(number, flow, made, width, stride, kept, max(0, -earlier), call)
    planner.step(planner.give(line, made), step, with_axis(shapes[0], flow.axis, kept), dtype_of(planner.lines[number]))


def _convolution(planner: Planner, line: Line) -> None:
    arguments = bound(line.nodes[0])
    number, flow, _ = planner.source(line, arguments["input"])
    weight, bias = planner.fixed(arguments["weight"]), planner.fixed(arguments["bias"])
    assert weight is not None
    dims = weight.dim() - 2
    stride, padding, dilation, more = (
        _each(arguments[name], dims) for name in ("stride", "padding", "dilation", "output_padding")
    )
    groups = cast("int", arguments["groups"])
    place = flow.axis - 2
    if place < 0:
        raise NotLayered("a convolution works along other dimensions and mixes times")
    width = (weight.shape[flow.axis] - 1) * dilation[place] + 1
    ours = [0 if dim == place else size for dim, size in enumerate(padding)]
    if arguments["transposed"]:
        more = [0 if dim == place else size for dim, size in enumerate(more)]
        spread = kernels.transposed(weight, stride, ours, dilation, more, groups)
        shift = None if bias is None else bias.view(-1, *[1] * dims)
        _overlap_add(planner, line, number, width, stride[place], padding[place], spread, shift)
        return
    number, zeros = planner.padded.get(number, (number, 0))
    call = kernels.convolution(weight, bias, stride, ours, dilation, groups)
    _window(planner, line, number, width, stride[place], padding[place] + zeros, call)


def _each(sizes: object, dims: int) -> list[int]:
    found = list(cast("list[int]", sizes))
    return found * dims if len(found) == 1 else found


def _overlap_add(
    planner: Planner,
    line: Line,
    number: int,
    width: int,
    stride: int,
    padding: int,
    call: kernels.Kernel,
    bias: Tensor | None,
) -> None:
    """Adds the step that spreads element n over the outputs from n * stride - padding on, ``width`` of them."""
    flow = planner.flows[number]
    made = planner.flow_of(line, flow.delay * stride + padding)
    if made.rate != flow.rate * stride or line.shapes is None:
        raise NotLayered(f"{line.name} changes the rate in a way that is not known")
    kept, lacking = max(0, width - stride), max(0, stride - width)
    step = OverlapAdd(number, flow, made, stride, kept, lacking, call, bias)
    planner.step(planner.give(line, made), step, with_axis(line.shapes[0], made.axis, kept), dtype_of(line))


def _fold(planner: Planner, line: Line) -> None:
    """Adds up overlapping frames [B, C * K, L], as behind an inverse Fourier transform."""
    arguments = bound(line.nodes[0])
    number, flow, _ = planner.source(line, arguments["self"])
    kernel, dilation, padding, stride = (
        cast("list[int]", arguments[name]) for name in ("kernel_size", "dilation", "padding", "stride")
    )
    if flow.axis != 2 or kernel[0] != 1 or padding[0] or dilation != [1, 1]:
        raise NotLayered("col2im adds up frames in a way that is not known")

    def call(x: Tensor, exact: bool) -> Tensor:
        total = (x.shape[2] - 1) * stride[1] + kernel[1]
        return torch.ops.aten.col2im(x, [1, total], kernel, dilation, [0, 0], stride)

    _overlap_add(planner, line, number, kernel[1], stride[1], padding[1], call, None)


def _pad(planner: Planner, line: Line) -> None:
    arguments = bound(line.nodes[0])
    number, flow, shape = planner.source(line, arguments["self"])
    pads = cast("list[int]", arguments["pad"])
    place = 2 * (len(shape) - 1 - flow.axis)
    along = pads[place : place + 2] or [0, 0]
    if not any(along):
        planner.apply(line)
        return
    if any(pads[:place]) or any(pads[place + 2 :]):
        raise NotLayered("constant_pad_nd pads time and other dimensions at once")
    users = line.nodes[0].users
    value = float(cast("float", arguments["value"]))
    if not value and min(along) >= 0 and all(_is_plain_convolution(user) for user in users):
        planner.padded[planner.give(line, planner.flow_of(line, 0))] = (number, along[0])
        return
    delay = max(0, flow.delay - along[0])
    kept, made = delay + along[0] - flow.delay, planner.flow_of(line, delay)
    step = Pad(number, flow, flow.later(flow.delay + kept), value, kept)
    planner.step(planner.give(line, made), step, with_axis(shape, flow.axis, kept), dtype_of(planner.lines[number]))


def _is_plain_convolution(node: fx.Node) -> bool:
    """Whether an operation is a convolution, none transposed: outside of the signal its input is zero anyway."""
    return node.target is torch.ops.aten.convolution.default and not bound(node)["transposed"]


def _cat(planner: Planner, line: Line) -> None:
    """Along time: a flow between copies of elements of its own beginning and end."""
    arguments = bound(line.nodes[0])
    nodes = cast("list[fx.Node]", arguments["tensors"])
    numbers = [planner.numbers.get(node) for node in nodes]
    flows = [number for number in numbers if number in planner.flows]
    copies = [number for number in numbers if number in planner.ends]
    if not copies:
        _, flow, shape = planner.source(line, next(node for node in nodes if node in planner.numbers))
        if _axis(arguments["dim"], shape) == flow.axis:
            raise NotLayered("cat joins signals one after the other")
        planner.apply(line)
        return
    if len(flows) != 1 or len(flows) + len(copies) != len(nodes):
        raise NotLayered("cat joins signals one after the other")
    source = flows[0]
    assert source is not None
    place = numbers.index(source)
    parts = [planner.ends[number] for number in numbers if number is not None and number in planner.ends]
    if any(part.source != source for part in parts):
        raise NotLayered("cat continues a signal with elements of another one")
    before = tuple(position for part in parts[:place] for position in part.places)
    after = tuple(position for part in parts[place:] for position in part.places)
    if any(position < 0 for position in before) or any(position >= 0 for position in after):
        raise NotLayered("cat continues a signal with elements of its other end")
    _continue(planner, line, source, before, after)


def _continue(planner: Planner, line: Line, source: int, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    flow, shapes = planner.flows[source], planner.lines[source].shapes
    assert shapes is not None
    front = len(before)
    delay = max(0, flow.delay - front, *(flow.delay + copied - place for place, copied in enumerate(before)))
    # How far behind the flow's own elements those lie that its end is continued with.
    reach = max([0, *(place - copied for place, copied in enumerate(after))])
    kept = delay + front - flow.delay + reach
    made = planner.flow_of(line, delay)
    step = Continue(source, flow, made, before, after, kept)
    planner.step(planner.give(line, made), step, with_axis(shapes[0], flow.axis, kept), dtype_of(planner.lines[source]))


def _nearest(planner: Planner, line: Line) -> None:
    number, flow, shape = planner.source(line, bound(line.nodes[0])["self"])
    made = planner.flow_of(line, 0)
    times = made.rate / flow.rate
    if times.denominator != 1 or made.extra != flow.extra * times or len(shape) != 3:
        raise NotLayered(f"{line.name} repeats elements unevenly")
    width = times.numerator
    _overlap_add(planner, line, number, width, width, 0, lambda x, exact: x.repeat_interleave(width, 2), None)


RULES: dict[str, Rule] = {
    **dict.fromkeys(ALIKE, Planner.apply),
    **dict.fromkeys(ALONG, _along),
    **dict.fromkeys(("mm", "bmm", "addmm", "baddbmm"), _product),
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "_reshape_alias"), _view),
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), _batch_norm),
    "native_layer_norm": _layer_norm,
    "expand": _expand,
    "repeat": _repeat,
    "flip": _flip,
    "slice": _slice,
    "convolution": _convolution,
    "col2im": _fold,
    "constant_pad_nd": _pad,
    "cat": _cat,
    "upsample_nearest1d": _nearest,
}
