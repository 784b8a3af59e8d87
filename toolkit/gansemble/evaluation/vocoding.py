"""The synthesise stage of vocoding: waveforms from the conditioning signals of held-out clips (copy synthesis)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch

from gansemble.data.given import GivenSignals
from gansemble.evaluation.generated import Generated, Work
from gansemble.evaluation.index import GeneratedClip
from gansemble.inference.streaming import stack, vocoder_stream
from gansemble.parts.conditioning import ConditionBuilder

#: Smallest number of frames in a chunk.
SHORTEST = 16


def clips(work: Work) -> Iterator[Generated]:
    """Generates each held-out clip again from its own mel spectrogram, or that of its file, and what else the generator
    reads.

    A clip is cut to a whole number of frames first. The time of a clip is that of the generator, without the
    computation of what it reads.

    Shape:
        - audio of each clip: [L * hop], L frames of ``hop`` samples
    """
    spec, trained = work.recipe.audio, work.trained
    packed = work.references()
    # Frames of the generator's input in a chunk: seconds * frames per second, where frames per second = rate / hop.
    core = max(SHORTEST, int(work.recipe.synthesis.chunk_seconds * spec.sample_rate / spec.hop))
    conditions, labels = ConditionBuilder(work.recipe), trained.labels
    given, reads = GivenSignals.of_recipe(work.recipe), set(conditions.signals)

    def one(number: int) -> Generated:
        entry = packed.entries[number]
        usable = entry.frames // spec.hop * spec.hop
        audio = torch.from_numpy(packed.read(number, 0, usable))[None, None].to(trained.device)
        signals = {name: signal[0] for name, signal in conditions.computed(audio).items()}
        signals |= {
            name: x.to(trained.device) for name, x in given.of(packed, number, 0, usable).items() if name in reads
        }
        channels = {name: len(signal) for name, signal in signals.items()}
        stacked, label = stack(signals), labels(entry)

        def make() -> torch.Tensor:
            return vocoder_stream(trained.generator, trained.representation, core, channels, label).whole(stacked)

        begun = time.monotonic()
        made = make()
        took = time.monotonic() - begun
        facts = GeneratedClip(entry.id, usable / spec.sample_rate, took, 0, clip=entry.id, sha256=entry.sha256)
        return Generated(facts, made[0].numpy(), again=make)

    for number in range(work.count(packed)):
        found = work.attempt(packed.entries[number].id, partial(one, number))
        if found is not None:
            yield found
