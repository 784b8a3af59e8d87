"""One HiFi-GAN V1 training step, ours against the same step in the published order.

The published order computes the discriminators' weight gradients in the generator's turn and then throws them away, and
keeps a graph for the discriminators' forward on real audio. Ours freezes them. The generator's gradients must be equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import alternate, line
from gansemble.interfaces import Batch
from gansemble.parts.build import Parts, build
from gansemble.parts.optimisers import optimisers
from gansemble.random import Draws
from gansemble.recipe import check
from gansemble.training.step import NetworkOptimiser, TrainingStep

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "egs/ljspeech/hifigan/conf/v1.yaml"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Published:
    """A step in the published order, on the same parts."""

    def __init__(self, parts: Parts, chosen: dict[str, torch.optim.Optimizer]) -> None:
        self.parts, self.chosen = parts, chosen

    def __call__(self, batch: Batch, learn: bool = True) -> None:
        """Generates, trains the discriminators, then the generator through trainable discriminators."""
        parts = self.parts
        parts.condition_builder.prepare(batch)
        condition, _ = parts.condition_builder(batch, "discriminator")
        fake = parts.generator(condition)
        self.chosen["discriminators"].zero_grad()
        real_outputs, fake_outputs = self._judge(batch.audio, fake.detach(), condition)
        pairs = [(r, f) for name in fake_outputs for r, f in zip(real_outputs[name], fake_outputs[name], strict=True)]
        torch.stack([parts.objective.discriminator(r.score, f.score) for r, f in pairs]).sum().backward()
        if learn:
            self.chosen["discriminators"].step()
        self.chosen["generator"].zero_grad()
        real_outputs, fake_outputs = self._judge(batch.audio, fake, condition)
        total = 45 * self._mel(batch.audio, fake)
        for name in fake_outputs:
            for r, f in zip(real_outputs[name], fake_outputs[name], strict=True):
                total = total + parts.objective.generator(f.score)
                # Kept in the graph of the real side too, as published; its gradient is thrown away at the next step.
                total = total + 2 * sum((a - b).abs().mean() for a, b in zip(r.features, f.features, strict=True))
        total.backward()
        if learn:
            self.chosen["generator"].step()

    def _judge(self, real: torch.Tensor, fake: torch.Tensor, condition: Any) -> tuple[Any, Any]:
        """Two passes, as published."""
        (real_outputs,) = self.parts.discriminators((real, condition))
        (fake_outputs,) = self.parts.discriminators((fake, condition))
        return real_outputs, fake_outputs

    def _mel(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        from gansemble.audio.features import log_mel

        spec = self.parts.condition_builder.spec.full_band()
        return (log_mel(real, spec) - log_mel(fake, spec)).abs().mean()


def made(precision: str) -> tuple[Parts, dict[str, Any], TrainingStep, Any]:
    """The recipe's parts, its two optimisers by side, its step in a precision, and the recipe."""
    recipe = check.load(RECIPE, (f"plan.precision={precision}",))
    parts = build(recipe, DEVICE)
    made = optimisers(recipe, parts)
    chosen = {side: made[side][side] for side in made}
    sides = {
        "generator": NetworkOptimiser(parts.generator, parts.generator, made["generator"], recipe.plan),
        "discriminators": NetworkOptimiser(
            parts.discriminators, parts.discriminators, made["discriminators"], recipe.plan
        ),
    }
    return parts, chosen, TrainingStep(parts, sides["generator"], sides["discriminators"], recipe.plan, DEVICE), recipe


def noise(size: int, seed: int = 0) -> Batch:
    """A batch of quiet noise [size, 1, 8192]."""
    audio = torch.randn(size, 1, 8192, generator=torch.Generator().manual_seed(seed)) * 0.1
    return Batch(audio.to(DEVICE), ("noise",) * size, Draws.plain(seed, size, DEVICE))


def gradients_differ(size: int = 1) -> float:
    """The largest relative difference of the generator's gradients between the two orders, on equal weights."""
    found = []
    for published in (False, True):
        parts, chosen, training_step, _ = made("no")
        parts.discriminators.eval()  # spectral norm would otherwise move its vectors between forwards
        for optimiser in chosen.values():
            optimiser.step = lambda *_, **__: None  # type: ignore[method-assign]
        if published:
            Published(parts, chosen)(noise(size), learn=False)
        else:
            training_step.generator.learn = lambda measure: None  # type: ignore[method-assign, assignment]
            training_step(0, [noise(size)])
        found.append([p.grad.clone() for p in parts.generator.parameters() if p.grad is not None])
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-30)) for a, b in zip(*found, strict=True))


def run(size: int | None = None, rounds: int = 3) -> list[str]:
    """Rows: times and ratios, in float32 and with bf16 autocast."""
    size = size or (16 if DEVICE.type == "cuda" else 2)
    parts, chosen, training_step, _ = made("no")
    stepper_b = made("bf16")[2]
    published = Published(parts, chosen)
    seconds = alternate(
        {"published": lambda: published(noise(size)), "float32": lambda: training_step(0, [noise(size)]), "bf16": lambda: stepper_b(0, [noise(size)])},
        rounds,
    )  # fmt: skip
    where = f"batch {size} x 8192 on {DEVICE.type}"
    return [
        line("V1 step, published order", seconds["published"], "s", where),
        line(
            "V1 step, ours, float32",
            seconds["float32"] / seconds["published"],
            "x",
            "of the published order's time; at most 0.70",
        ),
        line(
            "V1 step, ours, bf16 autocast",
            seconds["bf16"] / seconds["published"],
            "x",
            "of the published order's time in float32; at most 0.45",
        ),
        line("generator gradients, largest relative difference", gradients_differ(), "", "float32"),
    ]
