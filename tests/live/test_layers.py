"""Single layers as a stream, with blocks of any length, against the whole signal, in float64."""

from __future__ import annotations

import functools
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansemble.audio.features import istft, overlap_add, reflect
from gansemble.live.flow import Clock, Flow, NotLayered
from gansemble.live.layered import layered
from gansemble.live.steps import Delay

ROWS = 3


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def seeded(make):
    torch.manual_seed(1)
    return make().double().requires_grad_(False)


def streamed(live, signal, pieces):
    """What a stream makes of a signal [R, L] that is pushed in such pieces, in units, again and again."""
    length, unit = signal.shape[1], live.unit
    end = -(-length // unit) * unit
    last = -(-(length * live.hop + live.delay) // (live.hop * unit)) * unit
    padded = torch.cat([signal, signal.new_zeros(ROWS, last - length)], 1)
    states, position, made = [state.double() for state in live.states()], 0, []
    while position < last:
        size = min(pieces[len(made) % len(pieces)] * unit, last - position)
        known = None if position + size < end else end
        sound, states = live(padded[:, position : position + size], position, known, states)
        made.append(sound)
        position += size
    return torch.cat(made, 1)[:, live.delay : live.delay + length * live.hop]


def conv(*args, **options):
    return seeded(lambda: nn.Conv1d(*args, **options))


def convolution(**options):
    layer, last = conv(ROWS, 4, **options), conv(4, 1, 1)
    return lambda x: last(F.leaky_relu(layer(x[None])))[0]


def transposed(first=None, **options):
    layer = seeded(lambda: nn.ConvTranspose1d(ROWS, 2, **options))
    after = conv(2, 1, 5, padding=2)
    return lambda x: after(torch.tanh(layer(x[None] if first is None else first(x[None]))))[0]


def causal():
    layer = conv(ROWS, 1, 5)
    return lambda x: layer(F.pad(x[None], (4, 0)))[0]


def padded_too_much():
    layer = conv(ROWS, 1, 3, padding=4)
    return lambda x: layer(x[None])[0, :, : x.shape[1]]


def depthwise():
    layer = conv(ROWS, ROWS, 7, padding=3, groups=ROWS)
    return lambda x: layer(x[None]).sum(1)


def branches():
    """Two branches of different reach, joined by a sum and along the channels."""
    one, two = conv(ROWS, ROWS, 9, padding=4), conv(ROWS, ROWS, 3, dilation=2, padding=2)
    out = conv(3 * ROWS, 1, 3, padding=1)

    def network(x):
        a, b = one(x[None]), two(x[None])
        return out(torch.cat([a + b, x[None], b.sin()], 1))[0]

    return network


def shuffled():
    """Samples into channels and back around a convolution, with a way around it, as in a U-Net."""
    first, inner = conv(ROWS, 2, 3, padding=1), conv(8, 8, 5, padding=2)

    def network(x):
        h = first(x[None])
        low = inner(h.reshape(1, 2, -1, 4).transpose(2, 3).reshape(1, 8, -1))
        return (h + low.reshape(1, 2, 4, -1).transpose(2, 3).reshape(1, 2, -1)).sum(1)

    return network


def per_frame():
    """Layer norm, a perceptron and channels' means and softmax: nothing that sees another frame."""
    norm, wide, back = (
        seeded(make) for make in (lambda: nn.LayerNorm(ROWS), lambda: nn.Linear(ROWS, 7), lambda: nn.Linear(7, 1))
    )

    def network(x):
        y = back(F.gelu(wide(norm(x[None].transpose(1, 2))))).transpose(1, 2)
        return (y * x[None].softmax(1)).mean(1)

    return network


def repeated_ends():
    layer = conv(ROWS, 1, 6)

    def network(x):
        y = x[None].sin()
        return layer(torch.cat([y[..., :1].expand(-1, -1, 2), y, y[..., -1:].expand(-1, -1, 3)], -1))[0]

    return network


def mirrored():
    layer = conv(ROWS, 1, 8)
    return lambda x: layer(reflect(x[None], 4, 3))[0]


def frames_overlapped():
    """Frames of 10 samples every 4, multiplied by a window, added up and divided by the window's sum."""
    head, window = conv(ROWS, 10, 3, padding=1), torch.hann_window(10, dtype=torch.float64)
    return lambda x: overlap_add(head(x[None]), 4, window, x.shape[1] * 4, 3)


def spectra_inverted():
    head = conv(ROWS, 18, 3, padding=1)

    def network(x):
        size, phase = head(x[None]).chunk(2, 1)
        return istft(torch.polar(size.exp(), phase), 16, 4, 16)

    return network


def cropped():
    layer = conv(ROWS, 1, 5, padding=4)
    return lambda x: layer(F.pad(x[None], (3, 1), value=0.5))[0][:, 2 : x.shape[1] + 2]


NETWORKS = {
    "convolution": lambda: convolution(kernel_size=7, padding=3),
    "dilated": lambda: convolution(kernel_size=5, dilation=3, padding=6),
    "causal": causal,
    "padded_too_much": padded_too_much,
    "strided_and_back": lambda: transposed(
        conv(ROWS, ROWS, 4, stride=2, padding=1), kernel_size=4, stride=2, padding=1
    ),
    "kernel_below_stride": lambda: transposed(conv(ROWS, ROWS, 2, stride=3), kernel_size=3, stride=3),
    "upsampled": lambda: transposed(kernel_size=16, stride=8, padding=4),
    "upsampled_beyond_its_kernel": lambda: transposed(kernel_size=2, stride=3, output_padding=1),
    "depthwise": depthwise,
    "branches": branches,
    "shuffled": shuffled,
    "per_frame": per_frame,
    "repeated_ends": repeated_ends,
    "mirrored": mirrored,
    "frames_overlapped": frames_overlapped,
    "spectra_inverted": spectra_inverted,
    "cropped": cropped,
    "every_second_doubled": lambda: lambda x: F.interpolate(x[None, :, ::2], scale_factor=2).sum(1),
}


@functools.cache
def both(name):
    """(a network, its stream)."""
    network = NETWORKS[name]()
    return network, layered(network, drawn(ROWS, 24))


@pytest.mark.parametrize("length", [1, 2, 12, 67])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_stream_of_blocks_is_the_whole(name, length):
    network, live = both(name)
    signal = drawn(ROWS, max(length * live.unit, 6 if name == "mirrored" else 1))  # a mirror needs more than it mirrors
    whole = network(signal)
    for pieces in ((1,), (3, 1, 7), (200,)):
        made = streamed(live, signal, pieces)
        assert made.shape == whole.shape
        assert float((made - whole).abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("name", "delay"),
    [("convolution", 3), ("dilated", 6), ("causal", 0), ("per_frame", 0), ("branches", 5), ("upsampled", 6)],
)
def test_the_delay_is_what_the_layers_need_and_no_more(name, delay):
    """Of kernels 7 and 9 half a kernel less one; of a dilated one times the dilation; the upsampling's 4 and the 2 behind it."""
    assert both(name)[1].delay == delay


def test_states_have_one_size_whatever_comes_at_a_time():
    live = both("branches")[1]
    begun = [tuple(state.shape) for state in live.states()]
    states = [state.double() for state in live.states()]
    for position, size in ((0, 1), (1, 2), (3, 30)):
        _, states = live(drawn(ROWS, size), position, None, states)
        assert [tuple(state.shape) for state in states] == begun


@pytest.mark.parametrize("pieces", [(1,), (5, 2, 1), (11, 1), (100, 3)])
def test_a_long_delay_is_a_ring_that_gives_what_one_that_moves_along_gives(pieces):
    """Pieces shorter and longer than the ring, which begins anew within a piece."""
    flow = Flow(1, Fraction(1), Fraction(0), 2)
    signal = drawn(ROWS, 150)
    made = []
    for ring in (False, True):
        step, state, position, parts = Delay(0, flow, 7, ring), drawn(ROWS, 7) * 0, 0, []
        while position < 150:
            piece = signal[:, position : position + pieces[len(parts) % len(pieces)]]
            part, state = step.run([piece], state, Clock(piece.shape[1], position, None))
            parts.append(part.clone())
            position += piece.shape[1]
        made.append(torch.cat(parts, 1))
    assert torch.equal(made[0], torch.cat([signal[:, :7] * 0, signal[:, :-7]], 1))
    assert torch.equal(made[0], made[1])


def attention(x):
    return (torch.softmax(x.T @ x, 1) @ x.T).T


REFUSED = {
    "mean": (lambda x: x - x.mean(1, keepdim=True), "mean works along time"),
    "cumsum": (lambda x: x.cumsum(1), "cumsum works along time"),
    "flip": (lambda x: x.flip(1), "flip turns time round"),
    "attention": (attention, "compares all times"),
    "max": (lambda x: x / x.abs().max(), "works along time|no rule for the operation max"),
    "fft": (lambda x: torch.fft.irfft(torch.fft.rfft(x), n=x.shape[1]), "_fft_r2c works along time"),
    "decides": (lambda x: x if bool((x > 0).all()) else -x, "decides by the numbers"),
    "length": (lambda x: x / x.shape[1], "arguments that depend on the length"),
    "ramp": (lambda x: x * torch.arange(x.shape[1]), "constants that change along time"),
    "branch": (lambda x: x if x.shape[1] > 20 else x * 2 + 1, "operations are others for another length"),
    "fails": (lambda x: x.view(5, 5), "fails on a signal"),
    "joined": (lambda x: torch.cat([x, x], 1), "one after the other"),
    "one_value": (lambda x: x + x[:, :1], "single elements of the beginning"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_depends_on_the_whole_signal_is_no_stream_and_its_operation_is_named(name):
    network, words = REFUSED[name]
    with pytest.raises(NotLayered, match=words):
        layered(network, drawn(ROWS, 24))
