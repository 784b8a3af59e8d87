"""The promise of generators that they can be fed block by block."""

from __future__ import annotations

import torch

from gansemble.contract import DEGRADED, GeneratorContract
from gansemble.inference.loading import fold
from gansemble.inference.streaming import bounds, enhancement_stream, vocoder_stream
from gansemble.live.reading import TRIED, Reading, engine_of, tried
from gansemble.parts.build import Waveform
from gansemble.recipe.task import NO_SIGNALS
from gansemble.testing.subject import Subject, demand

#: Longest context that overlapping blocks are tried with, in frames and in samples.
LONGEST = {False: 1000, True: 5000}


def streams_as_the_whole(subject: Subject) -> None:
    """If it reads a signal and its ``context_frames`` are bounded, its stream equals the whole signal within 1e-5.

    A stream goes layer by layer, or by overlapping blocks where an operation is not known for that. Weights that begin at zero
    are filled for it, since a new network may do nothing.
    """
    reading = _reading(subject)
    if reading is None:
        return
    engine, reason = engine_of(reading, 2 * reading.alignment, 16 * reading.alignment)
    if reason and reading.context > LONGEST[DEGRADED in reading.rows]:
        return
    frames = reading.alignment * 40 + (5 if reading.alignment > 1 else 0)
    signal = tried(reading.rows, subject.stated(GeneratorContract).codes, frames)
    with torch.no_grad():
        whole = reading.make(signal)
    pieces = [engine.push(piece) for piece in signal.split(3 * reading.alignment - 1, 1)]
    made = torch.cat([*pieces, engine.finish()], 1)
    demand(made.shape == whole.shape, f"as a stream it makes {list(made.shape)}, of the whole {list(whole.shape)}")
    error = float((made - whole).abs().max()) / max(1.0, float(whole.abs().max()))
    how = f"of overlapping blocks ({reason})" if reason else "layer by layer"
    demand(
        error <= 1e-5,
        f"as a stream {how} it differs by {error:.2g} of its largest sample from the whole; say a larger context_frames, or an "
        "alignment that blocks must begin at",
    )


def _reading(subject: Subject) -> Reading | None:
    """What the part is fed with; None if it cannot be a stream."""
    contract = subject.stated(GeneratorContract)
    names = sorted(set(contract.reads or ()) - NO_SIGNALS)
    network = fold(subject.make()).eval().requires_grad_(False)
    context, alignment = bounds(network)
    sizes = {name: subject.spec.mels if name == "mel" else contract.channels.get(name) for name in names}
    sizes |= {DEGRADED: 1} if DEGRADED in sizes else {}
    if not names or context is None or not subject.waveform or None in sizes.values():
        return None
    rows = {name: int(size or 0) for name, size in sizes.items()}
    drawn = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.dim() > 1 and not parameter.any():
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=drawn)
    label = 0 if "label" in (contract.reads or ()) else None
    if DEGRADED in rows:
        make, hop = enhancement_stream(network, Waveform(), alignment, label).make, 1
    else:
        make = vocoder_stream(network, Waveform(), alignment, rows, label).make
        hop = contract.upsampling or subject.spec.hop
    start = tried(rows, contract.codes, TRIED * alignment)
    return Reading(make, rows, start, 1, hop, context, alignment)


GENERATOR = (streams_as_the_whole,)
