"""Stage 4 for generators that restore recordings: each held-out clip under each test degradation, by the generator and
by the recipe's baselines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gansemble import restoration, synthesis
from gansemble.audio import files
from gansemble.data.degraded import Degrader
from gansemble.data.segments import Packed
from gansemble.errors import GansembleError
from gansemble.evaluation.index import write
from gansemble.evaluation.page import BASELINES
from gansemble.evaluation.references import references
from gansemble.recipe.check import Recipe
from gansemble.stages import Project


@dataclass(frozen=True)
class Item:
    """One clip under one degradation."""

    id: str
    clip: str
    condition: str
    audio: np.ndarray


def items(recipe: Recipe, packed: Packed, count: int) -> Iterator[Item]:
    """Every clip under every test degradation, or under the training one; each drawn from the clip's own numbers."""
    from gansemble.training.build import degrader

    chosen: Mapping[str, Degrader | None] = {
        name: degrader(recipe, part) for name, part in recipe.many["test_degradations"].items()
    } or {"": degrader(recipe)}
    for index in range(count):
        entry = packed.entries[index]
        for name, each in chosen.items():
            assert each is not None
            audio = each.crop(packed, index, 0, entry.frames, 0)
            yield Item(f"{entry.id}@{name}" if name else entry.id, entry.id, name, audio)


def synthesise(project: Project, recipe: Recipe, say: Callable[[str], None]) -> Path:
    """Writes ``samples/<split>/<id>.wav``, the baselines' in ``baselines/<name>`` below, and ``samples/index.json``."""
    from gansemble.training.build import construct

    settings, spec = recipe.synthesis, recipe.audio
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = synthesis.load(project.exp, settings.checkpoint, device, say)
    if loaded.spec.digest() != spec.digest():
        shown = "\n  ".join(loaded.spec.differences(spec))
        raise GansembleError(f"the checkpoint's audio specification is not the recipe's:\n  {shown}")
    packed = references(project, loaded.history, settings.split, say)
    count = len(packed) if settings.clips is None else min(settings.clips, len(packed))
    folder = project.exp / "samples" / settings.split
    systems: dict[str, nn.Module] = {"": loaded.generator}
    systems |= {name: construct(part, recipe).eval() for name, part in recipe.many["baselines"].items()}
    core = int(settings.chunk_seconds * spec.sample_rate)
    decoder = synthesis.representation(loaded)
    hashes = {entry.id: entry.sha256 for entry in packed.entries}
    rows: list[dict[str, Any]] = []
    made_files: list[Path] = []
    for item in items(recipe, packed, count):
        for name, network in systems.items():
            begun = time.monotonic()
            made = restoration.restore(network, torch.from_numpy(item.audio)[None], core, decoder)
            took = time.monotonic() - begun
            target = (folder / BASELINES / name if name else folder) / f"{item.id}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            clipped = files.write(target, made.numpy(), spec.sample_rate, settings.format)
            made_files.append(target)
            if not name:
                seconds = len(item.audio) / spec.sample_rate
                rows.append({"id": item.id, "clip": item.clip, "condition": item.condition, "seconds": seconds})
                rows[-1] |= {"took": took, "clipped": clipped, "sha256": hashes[item.clip]}
    seconds, took = sum(row["seconds"] for row in rows), sum(row["took"] for row in rows)
    say(
        f"{len(rows)} clips, {seconds:.1f} s of audio in {took:.1f} s: {seconds / took:.1f} x real time on {device} "
        f"(step {loaded.step}); beside it {', '.join(recipe.many['baselines']) or 'no baseline'}"
    )
    facts: dict[str, Any] = {
        "split": settings.split,
        "step": loaded.step,
        "checkpoint": loaded.source.name,
        "device": device,
    }
    facts |= {"threads": torch.get_num_threads(), "real_time_factor": took / seconds}
    facts |= {"trained_on": list(loaded.history)}
    facts |= {"conditions": sorted({row["condition"] for row in rows}), "baselines": list(recipe.many["baselines"])}
    return write(project.exp, facts | {"clips": rows}, made_files)
