"""The cost of noise injection as a share of a V1 SpecDiff training step."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.timing import alternate, line
from benchmarks.training_step import DEVICE
from gansemble.interfaces import Batch
from gansemble.parts.build import build
from gansemble.parts.optimisers import optimisers
from gansemble.random import Draws
from gansemble.recipe import check
from gansemble.training.step import NetworkOptimiser, TrainingStep

RECIPE = Path(__file__).resolve().parent.parent / "egs/ljspeech/specdiff/conf/v1.yaml"


def run(size: int | None = None, rounds: int = 3) -> list[str]:
    """One row."""
    size = size or (16 if DEVICE.type == "cuda" else 2)
    recipe = check.load(RECIPE)
    parts = build(recipe, DEVICE)
    chosen = optimisers(recipe, parts)
    sides = [NetworkOptimiser(parts.generator, parts.generator, chosen["generator"], recipe.plan),
             NetworkOptimiser(parts.discriminators, parts.discriminators, chosen["discriminators"], recipe.plan)]  # fmt: skip
    training_step = TrainingStep(parts, *sides, recipe.plan, DEVICE)
    audio = (torch.randn(size, 1, 8192) * 0.1).to(DEVICE)

    def batch() -> Batch:
        return Batch(audio, ("noise",) * size, Draws.plain(0, size, DEVICE))

    def inject() -> None:
        parts.injector(audio, audio, parts.condition_builder.prepare(batch()))

    seconds = alternate({"step": lambda: training_step(0, [batch()]), "injection": inject}, rounds)
    share = 100 * seconds["injection"] / seconds["step"]
    note = f"of a V1 SpecDiff step, mel included; {seconds['injection'] * 1e3:.1f} ms; batch {size}; at most 1"
    return [line("spectral noise injection", share, "%", note)]
