"""Long signals in pieces, by generators whose context is exact: a frame less of it would be heard.

Published networks state a little more context than they use, which hides what lacks at a piece's ends.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gansemble.inference.streaming import ChunkedStream, enhancement_stream, vocoder_stream
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform

CONTEXT, HOP, BANDS = 3, 4, 2


class Exact(nn.Module):
    """Each output sample depends on all frames up to ``CONTEXT`` away, on the outermost as much as on its own.

    Args:
        says: the ``context_frames`` that it declares.
        hop: output samples of a frame.
        bands: of what it reads.
    """

    alignment = 1

    def __init__(self, says: int, hop: int, bands: int, signal: str = "mel") -> None:
        super().__init__()
        self.signal = signal
        self.context_frames = says
        self.reach = nn.Conv1d(bands, hop, 2 * CONTEXT + 1, padding=CONTEXT, bias=False)
        nn.init.ones_(self.reach.weight)

    def forward(self, condition: Condition) -> Tensor:
        made = self.reach(condition.signal(self.signal))  # [B, hop, L]
        return made.transpose(1, 2).flatten(1)[:, None]


def from_mel(says: int, mel: Tensor, size: int) -> dict[str, Tensor]:
    """What is made of a spectrogram in chunks, and of a stream of blocks, of so many frames."""
    network = Exact(says, HOP, BANDS).eval()
    stream = vocoder_stream(network, Waveform(), size, {"mel": BANDS})
    with torch.no_grad():
        return {
            "whole": network(Condition(signals={"mel": mel[None]}))[0],
            "chunks": stream.whole(mel),
            "blocks": torch.cat(list(stream.pieces(iter(mel.split(size, 1)))), 1),
        }


def from_audio(says: int, audio: Tensor, size: int) -> dict[str, Tensor]:
    """What is made of a recording that comes in blocks of another size than its cores have."""
    network = Exact(says, 1, 1, "degraded").eval()
    with torch.no_grad():
        return {
            "whole": network(Condition(signals={"degraded": audio[None]}))[0],
            "stream": torch.cat(list(enhancement_stream(network, Waveform(), size).pieces(iter(audio.split(5, 1)))), 1),
        }


@pytest.mark.parametrize("size", [1, 2, 7, 8, 16])
@pytest.mark.parametrize("make, bands", [(from_mel, BANDS), (from_audio, 1)])
def test_pieces_joined_are_the_whole_with_its_context_and_not_with_a_frame_less(make, bands, size):
    signal = torch.randn(bands, 41, generator=torch.Generator().manual_seed(0))
    exact, short = make(CONTEXT, signal, size), make(CONTEXT - 1, signal, size)
    for way, made in exact.items():
        torch.testing.assert_close(made, exact["whole"], atol=1e-6, rtol=0, msg=way)
        assert way == "whole" or float((short[way] - exact["whole"]).abs().max()) > 0.1, "the test would see it"


@pytest.mark.parametrize(
    ("core", "alignment", "made"), [(5, 1, 5), (1, 1, 1), (0, 1, 1), (5, 3, 6), (4, 3, 3), (1, 3, 3), (0, 3, 3)]
)
def test_a_chunk_is_a_whole_number_of_alignments(core, alignment, made):
    """The nearest one, and one at least."""
    assert ChunkedStream(lambda signal: signal, core, 3, alignment).core == made


def test_any_core_and_context_do_where_nothing_is_aligned():
    stream = ChunkedStream(lambda signal: signal, 5, 3)
    assert (stream.core, stream.context) == (5, 3)
    with pytest.raises(ValueError, match="must be a multiple of alignment 2, got 3"):
        ChunkedStream(lambda signal: signal, 5, 3, 2)
