"""The synthesise stage of enhancement: held-out clips are degraded, then restored by the generator and by baselines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

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
    """One clip under one degradation.

    Args:
        id: of the degraded clip: that of the real clip, with ``@`` and the degradation's name where there are several.
        clip: id of the real clip.
        condition: name of the test degradation; empty where the recipe has none and the training's is used.
        audio: the degraded samples, float32 [T].
    """

    id: str
    clip: str
    condition: str
    audio: np.ndarray


def degraded_clips(recipe: Recipe, packed: Packed, count: int) -> Iterator[tuple[str, Callable[[], DegradedClip]]]:
    """Degrades the first ``count`` clips by every test degradation of the recipe, or by the training's if it has none.

    The random numbers are keyed on the seed and the clip, so that they are the same in every run.

    Yields:
        (id, function that makes it) of each degraded clip.
    """
    chosen: Mapping[str, Degrader | None] = {
        name: degrader(recipe, part) for name, part in recipe.many["test_degradations"].items()
    } or {"": degrader(recipe)}

    def make(identity: str, index: int, name: str, each: Degrader) -> DegradedClip:
        entry = packed.entries[index]
        return DegradedClip(identity, entry.id, name, each.crop(packed, index, 0, entry.frames, 0))

    for index in range(count):
        for name, each in chosen.items():
            assert each is not None
            own = packed.entries[index].id
            identity = f"{own}@{name}" if name else own
            yield identity, partial(make, identity, index, name, each)


def clips(work: Work) -> Iterator[Generated]:
    """Restores each degraded clip by the trained generator and by every baseline of the recipe.

    Shape:
        - audio of each clip: [1, T], T samples, as long as the degraded clip
    """
    recipe, spec = work.recipe, work.recipe.audio
    packed = work.references()
    # Samples in a chunk: here a frame of the generator's input is one sample.
    core = int(recipe.synthesis.chunk_seconds * spec.sample_rate)
    systems = {"": work.trained.generator}
    systems |= {name: construct(part, recipe).eval() for name, part in recipe.many["baselines"].items()}
    by_id, labels = {entry.id: entry for entry in packed.entries}, work.trained.labels

    def whole(network: nn.Module, item: DegradedClip) -> torch.Tensor:
        stream = enhancement_stream(network, work.trained.representation, core, labels(by_id[item.clip]))
        return stream.whole(torch.from_numpy(item.audio)[None])

    def restored(degrade: Callable[[], DegradedClip]) -> list[Generated]:
        """One clip by every system: all of them, or none."""
        item, made = degrade(), []
        for name, network in systems.items():
            make = partial(whole, network, item)
            begun = time.monotonic()
            audio = make()
            took = time.monotonic() - begun
            seconds = len(item.audio) / spec.sample_rate
            facts = GeneratedClip(item.id, seconds, took, 0, item.clip, by_id[item.clip].sha256, item.condition)
            made.append(Generated(facts, audio.numpy(), name, make))
        return made

    for identity, make in degraded_clips(recipe, packed, work.count(packed)):
        yield from work.attempt(identity, partial(restored, make)) or ()
