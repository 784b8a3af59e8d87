"""One critic step of WaveGAN's SC09 recipe, ours against plain PyTorch; and clips made from latent vectors.

The plain port has the same layers with TensorFlow's padding, phase shuffle, gradient penalty and Adam, written out with
nothing of the toolkit. It draws for the whole batch at once; ours draws for each item, so that a run is resumed exactly.
Given equal weights and numbers, losses and gradients must be equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.timing import alternate, line
from gansemble.interfaces import Batch, Condition
from gansemble.parts.build import Parts, build
from gansemble.parts.optimisers import optimisers
from gansemble.random import Draws
from gansemble.recipe import check
from gansemble.training.step import NetworkOptimiser, TrainingStep

RECIPE = Path(__file__).resolve().parent.parent / "egs/sc09/wavegan/conf/v1.yaml"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RATE, LENGTH, LATENT = 16000, 16384, 100
#: Made in one go where clips are timed: one alone is over too soon.
BATCHES = 8


class PlainGenerator(nn.Module):
    """z [B, 100] -> [B, 1, 16384]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        widths = [16 * dim, 8 * dim, 4 * dim, 2 * dim, dim, 1]
        self.project = nn.Linear(LATENT, 16 * widths[0])
        # Padding and the sample cut off below take away 10 and 11 samples, as TensorFlow does.
        self.layers = nn.ModuleList(nn.ConvTranspose1d(a, b, 25, 4, padding=10) for a, b in pairwise(widths))

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.project(z)).view(len(z), 16, -1).transpose(1, 2)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x)[..., :-1])
        return torch.tanh(self.layers[-1](x)[..., :-1])


class PlainCritic(nn.Module):
    """x [B, 1, 16384] -> score [B, 1], with phase shuffle of 2 behind the first four layers."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        widths = [1, dim, 2 * dim, 4 * dim, 8 * dim, 16 * dim]
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 25, 4) for a, b in pairwise(widths))
        self.output = nn.Linear(16 * widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(F.pad(x, (10, 11))), 0.2)
            if index < 4:
                x = shuffled(x)
        return self.output(x.transpose(1, 2).flatten(1))


def shuffled(x: Tensor) -> Tensor:
    """x [B, C, T] moved by a number of samples from -2 to 2, the same for all."""
    phase = int(torch.randint(-2, 3, ()))
    before, behind = max(phase, 0), max(-phase, 0)
    return F.pad(x, (before, behind), mode="reflect")[..., behind : behind + x.shape[-1]]


class Plain:
    """The plain port and its critic's turn."""

    def __init__(self, dim: int) -> None:
        self.generator, self.critic = PlainGenerator(dim).to(DEVICE), PlainCritic(dim).to(DEVICE)
        self.optimiser = torch.optim.Adam(self.critic.parameters(), lr=1e-4, betas=(0.5, 0.9))

    def __call__(self, real: Tensor) -> None:
        """One step, with a new z."""
        self.optimiser.zero_grad()
        z = torch.rand(len(real), LATENT, device=DEVICE) * 2 - 1
        self.loss(real, z, torch.rand(len(real), 1, 1, device=DEVICE)).backward()
        self.optimiser.step()

    def loss(self, real: Tensor, z: Tensor, share: Tensor) -> Tensor:
        """mean D(G(z)) - mean D(x) + 10 mean (‖∇D‖ - 1)² between them."""
        with torch.no_grad():
            fake = self.generator(z)
        score_real, score_fake = self.critic(real), self.critic(fake)
        between = (real + share * (fake - real)).requires_grad_()
        (gradient,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        norm = (gradient.square().flatten(1).sum(1) + 1e-12).sqrt()
        return score_fake.mean() - score_real.mean() + 10 * (norm - 1).square().mean()


def _ours(dim: int, precision: str = "no") -> tuple[Parts, TrainingStep, TrainingStep]:
    """The recipe's parts, a stepper, and a stepper of the same parts without the gradient penalty."""
    sizes = (f"generator.dim={dim}", f"discriminators.critic.dim={dim}")
    recipe = check.load(RECIPE, (*sizes, f"plan.precision={precision}"))
    parts = build(recipe, DEVICE)
    chosen = optimisers(recipe, parts)
    makes = NetworkOptimiser(parts.generator, parts.generator, chosen["generator"], recipe.plan)
    judges = NetworkOptimiser(parts.discriminators, parts.discriminators, chosen["discriminators"], recipe.plan)
    whole, without = (
        TrainingStep(each, makes, judges, recipe.plan, DEVICE) for each in (parts, replace(parts, terms=[]))
    )
    return parts, whole, without


def _batch(audio: Tensor) -> Batch:
    return Batch(audio, ("noise",) * len(audio), Draws.plain(0, len(audio), DEVICE))


def _noise(size: int) -> Tensor:
    return (torch.randn(size, 1, LENGTH, generator=torch.Generator().manual_seed(0)) * 0.1).to(DEVICE)


def same_work(dim: int = 16, size: int = 4) -> tuple[int, float, float]:
    """(parameters of either, relative difference of the critic's loss, largest relative one of its gradients).

    On equal weights, latent vectors, places between real and fake, and shifts; without TF32, which rounds each way's
    sums apart.

    Raises:
        RuntimeError: if a layer has other weights in one than in the other.
    """
    parts, training_step, _ = _ours(dim)
    plain, batch = Plain(dim), _batch(_noise(size))
    parameters = _copied(parts.generator, plain.generator) + _copied(parts.discriminators, plain.critic)
    training_step.discriminators.learn = lambda measure: None  # type: ignore[method-assign]
    z = batch.draws.uniform("latent/discriminator", LATENT) * 2 - 1
    share = batch.draws.uniform("gradient_penalty").view(-1, 1, 1)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        torch.manual_seed(3)
        ours = training_step(0, [batch])["discriminator/total"]
        torch.manual_seed(3)
        theirs = plain.loss(batch.audio, z, share)
        theirs.backward()
    gradients = [
        [parameter.grad for parameter in critic.parameters() if parameter.grad is not None]
        for critic in (plain.critic, parts.discriminators)
    ]
    return parameters, _apart(theirs.detach(), ours), max(_apart(a, b) for a, b in zip(*gradients, strict=True))


@torch.no_grad()
def _copied(source: nn.Module, target: nn.Module) -> int:
    """Gives ``target`` the weights of ``source``, layer by layer; how many there are."""
    ours, theirs = list(source.parameters()), list(target.parameters())
    if [each.shape for each in ours] != [each.shape for each in theirs]:
        raise RuntimeError(f"the plain port must have our weights {[*map(tuple, (p.shape for p in ours))]}")
    for mine, given in zip(theirs, ours, strict=True):
        mine.copy_(given)
    return sum(each.numel() for each in theirs)


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp_min(1e-30))


def run(size: int | None = None, dim: int | None = None, rounds: int = 11) -> list[str]:
    """Rows: times and ratios of a critic's turn, the penalty's share, clips per second, and that the work is the same."""
    size = size or (64 if DEVICE.type == "cuda" else 8)
    dim = dim or (64 if DEVICE.type == "cuda" else 16)
    torch.manual_seed(0)
    plain, audio = Plain(dim), _noise(size)
    parts, training_step, without = _ours(dim)
    stepper_b = _ours(dim, "bf16")[1]
    # cudnn's fastest kernels for both, as the trainer asks for.
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        seconds = alternate(
            {"plain": lambda: plain(audio), "ours": lambda: training_step(0, [_batch(audio)]),
             "bf16": lambda: stepper_b(0, [_batch(audio)]), "without": lambda: without(0, [_batch(audio)])},
            rounds,
        )  # fmt: skip
        clips = _generation(plain, parts, size, rounds)
    parameters, loss, gradients = same_work()
    share = 100 * (1 - seconds["without"] / seconds["ours"])
    made = {name: BATCHES * size / value for name, value in clips.items()}
    where = f"d {dim}, batch {size} x {LENGTH} on {DEVICE.type}"
    ours, theirs = (f"{made[name] * LENGTH / RATE:.4g} s of audio a second" for name in ("ours", "plain"))
    return [
        line("WaveGAN critic step, plain PyTorch", seconds["plain"], "s", where),
        line("WaveGAN critic step, ours", seconds["ours"] / seconds["plain"], "x", "of plain; at most 1.05"),
        line(
            "WaveGAN critic step, ours, bf16 autocast", seconds["bf16"] / seconds["plain"], "x", "of plain in float32"
        ),
        line("gradient penalty, share of our critic step", share, "%", "1 - the step without it / the step"),
        line("clips made, plain PyTorch", made["plain"], "/s", f"{theirs}; batch {size}"),
        line("clips made, ours", made["ours"], "/s", f"{ours}; {made['ours'] / made['plain']:.3f} x plain's"),
        line("critic loss, relative difference", loss, "", "float32, equal weights and numbers; at most 1e-5"),
        line("critic gradients, largest relative difference", gradients, "", f"{parameters:,} weights in both at d 16"),
    ]


@torch.no_grad()
def _generation(plain: Plain, parts: Parts, size: int, rounds: int) -> dict[str, float]:
    """Seconds for batches of clips from latent vectors that are there."""
    z = torch.rand(size, LATENT, device=DEVICE) * 2 - 1
    told = Condition(latent=z)
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: [plain.generator(z) for _ in range(BATCHES)],
        "ours": lambda: [parts.generator(told) for _ in range(BATCHES)],
    }
    return alternate(ways, rounds)
