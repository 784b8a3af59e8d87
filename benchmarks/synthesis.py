"""Synthesis on this machine: real-time factors, weight norm folded against kept, chunks against the whole."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.timing import alternate, line
from gansemble.inference.loading import fold
from gansemble.inference.streaming import vocoder_stream
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform, generator
from gansemble.recipe import check

EGS = Path(__file__).resolve().parent.parent / "egs/ljspeech"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.no_grad()
def run(seconds_of_audio: float = 3.0) -> list[str]:
    """Rows for V1, V2, V3 and the small Vocos."""
    rows = []
    frames = int(seconds_of_audio * 22050 / 256)
    mel = torch.randn(80, frames, device=DEVICE) - 5
    for name in ("hifigan/conf/v1", "hifigan/conf/v2", "hifigan/conf/v3", "specdiff/conf/small"):
        recipe = check.load(EGS / f"{name}.yaml")
        kept, folded = generator(recipe).eval().to(DEVICE), fold(generator(recipe)).eval().to(DEVICE)
        ways = {
            "kept": lambda network=kept: network(Condition(signals={"mel": mel[None]})),
            "folded": lambda network=folded: network(Condition(signals={"mel": mel[None]})),
            "chunks": lambda network=folded: vocoder_stream(network, Waveform(), 86, {"mel": 80}).whole(mel),
        }
        taken = alternate(ways, rounds=3)
        note = f"folded {taken['folded'] / taken['kept']:.2f} x the time of kept; one-second chunks {taken['chunks'] / taken['folded']:.2f} x"
        rows.append(line(f"synthesis, {name}, real-time factor", taken["folded"] / seconds_of_audio, "", note))
    return rows
