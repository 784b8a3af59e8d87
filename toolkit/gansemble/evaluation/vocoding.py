"""The synthesise stage of vocoding: waveforms from the conditioning signals of held-out clips (copy synthesis)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

from gansemble.data.given import GivenSignals
from gansemble.evaluation.generated import Generated, Work
from gansemble.evaluation.index import GeneratedClip
from gansemble.inference.streaming import stack, vocoder_stream
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.recipe.construct import construct

#: Smallest number of frames in a chunk.
SHORTEST = 16


def clips(work: Work) -> Iterator[Generated]:
    """Generates each held-out clip again from its own mel spectrogram, or that of its file, and what else the generator
    reads, by the trained generator and by every baseline of the recipe.

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

    systems = {"": trained.generator}
    systems |= {
        name: construct(part, work.recipe).to(trained.device).eval()
        for name, part in work.recipe.many["baselines"].items()
    }

    def one(number: int) -> list[Generated]:
        """One clip by every system: all of them, or none."""
        entry = packed.entries[number]
        usable = entry.frames // spec.hop * spec.hop
        audio = torch.from_numpy(packed.read(number, 0, usable))[None, None].to(trained.device)
        signals = {name: signal[0] for name, signal in conditions.computed(audio).items()}
        signals |= {
            name: x.to(trained.device) for name, x in given.of(packed, number, 0, usable).items() if name in reads
        }
        channels = {name: len(signal) for name, signal in signals.items()}
        stacked, label = stack(signals), labels(entry)

        def whole(network: nn.Module) -> torch.Tensor:
            return vocoder_stream(network, trained.representation, core, channels, label).whole(stacked)

        made = []
        for name, network in systems.items():
            make = partial(whole, network)
            begun = time.monotonic()
            audio = make()
            took = time.monotonic() - begun
            facts = GeneratedClip(entry.id, usable / spec.sample_rate, took, 0, clip=entry.id, sha256=entry.sha256)
            made.append(Generated(facts, audio[0].numpy(), name, make))
        return made

    for number in range(work.count(packed)):
        yield from work.attempt(packed.entries[number].id, partial(one, number)) or ()
