"""Stage 4 of vocoding: waveforms of the held-out clips' own mel spectrograms (copy-synthesis)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from gansemble.audio.features import log_mel
from gansemble.evaluation.generated import Generated, Work
from gansemble.evaluation.index import GeneratedClip
from gansemble.inference.streaming import vocoder_stream

#: Frames made at a time, at least.
SHORTEST = 16


def clips(work: Work) -> Iterator[Generated]:
    """Each held-out clip made again from its mel spectrogram; whole frames only."""
    spec, trained = work.recipe.audio, work.trained
    packed = work.references()
    core = max(SHORTEST, int(work.recipe.synthesis.chunk_seconds * spec.sample_rate / spec.hop))
    stream = vocoder_stream(trained.generator, trained.representation, core)
    for number in range(work.count(packed)):
        entry = packed.entries[number]
        usable = entry.frames // spec.hop * spec.hop
        mel = log_mel(torch.from_numpy(packed.read(number, 0, usable))[None].to(trained.device), spec)[0]
        begun = time.monotonic()
        made = stream.whole(mel)
        took = time.monotonic() - begun
        facts = GeneratedClip(entry.id, usable / spec.sample_rate, took, 0, clip=entry.id, sha256=entry.sha256)
        yield Generated(facts, made[0].numpy())
