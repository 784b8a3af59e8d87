"""Stage 4 of enhancement: each held-out clip under each test degradation, restored by the generator and by the
recipe's baselines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from gansemble.data.degraded import Degrader
from gansemble.data.packed import Packed
from gansemble.evaluation.generated import Generated, Work
from gansemble.evaluation.index import GeneratedClip
from gansemble.inference.streaming import enhancement_stream
from gansemble.parts.build import degrader
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe


@dataclass(frozen=True)
class DegradedClip:
    """One clip under one degradation: float32 [T]."""

    id: str
    clip: str
    condition: str
    audio: np.ndarray


def degraded_clips(recipe: Recipe, packed: Packed, count: int) -> Iterator[DegradedClip]:
    """Every clip under every test degradation, or under the training one; each drawn from the clip's own numbers."""
    chosen: Mapping[str, Degrader | None] = {
        name: degrader(recipe, part) for name, part in recipe.many["test_degradations"].items()
    } or {"": degrader(recipe)}
    for index in range(count):
        entry = packed.entries[index]
        for name, each in chosen.items():
            assert each is not None
            audio = each.crop(packed, index, 0, entry.frames, 0)
            yield DegradedClip(f"{entry.id}@{name}" if name else entry.id, entry.id, name, audio)


def clips(work: Work) -> Iterator[Generated]:
    """Each degraded clip restored by the generator, and by every baseline."""
    recipe, spec = work.recipe, work.recipe.audio
    packed = work.references()
    core = int(recipe.synthesis.chunk_seconds * spec.sample_rate)
    systems = {"": work.trained.generator}
    systems |= {name: construct(part, recipe).eval() for name, part in recipe.many["baselines"].items()}
    streams = {
        name: enhancement_stream(network, work.trained.representation, core) for name, network in systems.items()
    }
    hashes = {entry.id: entry.sha256 for entry in packed.entries}
    for item in degraded_clips(recipe, packed, work.count(packed)):
        for name, stream in streams.items():
            begun = time.monotonic()
            made = stream.whole(torch.from_numpy(item.audio)[None])
            took = time.monotonic() - begun
            seconds = len(item.audio) / spec.sample_rate
            facts = GeneratedClip(item.id, seconds, took, 0, item.clip, hashes[item.clip], item.condition)
            yield Generated(facts, made.numpy(), name)
