"""Generators with loud random weights in float64, where a stream and the whole differ by rounding alone."""

from __future__ import annotations

import pytest
import torch

from gansemble.inference.loading import fold
from gansemble.interfaces import Condition
from gansemble.live.layered import layered
from gansemble.plugins import loading
from gansemble.testing.subject import Subject


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [(1,), (7, 2, 30)])
@pytest.mark.parametrize("name", ["hifigan", "vocos", "bigvgan", "istftnet", "inception_unet"])
def test_a_stream_differs_from_the_whole_by_rounding_alone(name, pieces):
    entry = next(e for e in loading.registry().entries() if e.kind == "generator" and e.name == name)
    network, drawn = Subject(entry).make(), torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if parameter.dim() > 1:  # just below the variance under which layers keep the level of their input
            parameter.data = torch.randn(parameter.shape, generator=drawn) * (1.9 / parameter[0].numel()) ** 0.5
    network = fold(network).eval().requires_grad_(False).double()
    rows, key = (1, "degraded") if name == "inception_unet" else (80, "mel")

    def make(x):
        return network(Condition(signals={key: x[None]}))[0]

    unit = getattr(network, "alignment", 1)
    signal = torch.randn(rows, 40 * unit, generator=drawn).double() - (5 if key == "mel" else 0)
    live, whole = layered(make, signal[:, : 12 * unit]), make(signal)
    last = 40 * unit + -(-live.delay // (live.hop * unit)) * unit
    padded = torch.cat([signal, signal.new_zeros(rows, last - signal.shape[1])], 1)
    states, position, made = [state.double() for state in live.states()], 0, []
    while position < last:
        piece = padded[:, position : position + pieces[len(made) % len(pieces)] * unit]
        after = position + piece.shape[1]
        sound, states = live(piece, position, None if after < signal.shape[1] else signal.shape[1], states)
        made.append(sound)
        position = after
    joined = torch.cat(made, 1)[:, live.delay : live.delay + whole.shape[1]]
    assert float((joined - whole).abs().max()) < 1e-11 * max(1.0, float(whole.abs().max()))
