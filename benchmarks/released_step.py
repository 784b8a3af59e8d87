"""One HiFi-GAN V1 training step, ours against the released code's, in turn in one run: times, share of peak, gradients.

The released code is read from the folder that the environment variable GANSEMBLE_HIFIGAN names, a checkout of
https://github.com/jik876/hifi-gan; nothing of it is here. Its step is that of its ``train.py``: its networks and losses in its
order, with our mel spectrogram, as its own needs an older torch and librosa.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import line, times
from benchmarks.training_step import DEVICE, made, noise
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.parts.build import Parts
from gansemble.parts.weight_norm import load_into

FOLDER = "GANSEMBLE_HIFIGAN"
#: Dense peaks by a part of a GPU's name [FLOP/s], of float32 (without TF32) and of bf16, from its maker's data sheets.
PEAKS = {"H200": (67e12, 989e12), "H100": (67e12, 989e12), "A100": (19.5e12, 312e12), "L4": (30.3e12, 121e12)}


class Released:
    """The released networks with their optimisers, and a step of them."""

    def __init__(self, folder: Path) -> None:
        self.models = models(folder)
        config = SimpleNamespace(**json.loads((folder / "config_v1.json").read_text()))
        self.generator = self.models.Generator(config).to(DEVICE)
        self.judges = nn.ModuleList([self.models.MultiPeriodDiscriminator(), self.models.MultiScaleDiscriminator()]).to(
            DEVICE
        )
        rates = {"lr": config.learning_rate, "betas": (config.adam_b1, config.adam_b2)}
        self.for_generator = torch.optim.AdamW(self.generator.parameters(), **rates)
        self.for_judges = torch.optim.AdamW(self.judges.parameters(), **rates)
        self.spec = AudioSpec()

    def __call__(self, real: Tensor, learn: bool = True) -> None:
        """A step of ``train.py`` on audio [B, 1, T]; without ``learn`` the gradients stay and no weight changes."""
        mel = log_mel(real[:, 0], self.spec)
        fake = self.generator(mel)
        self.for_judges.zero_grad()
        total: Any = 0
        for judge in self.judges:
            real_scores, fake_scores, _, _ = judge(real, fake.detach())
            total = total + self.models.discriminator_loss(real_scores, fake_scores)[0]
        total.backward()
        if learn:
            self.for_judges.step()
        self.judged = [parameter.grad.clone() for parameter in self.judges.parameters()] if not learn else []
        self.for_generator.zero_grad()
        total = 45 * self._mel_distance(real, fake)
        for judge in self.judges:
            _, fake_scores, real_maps, fake_maps = judge(real, fake)
            total = total + self.models.generator_loss(fake_scores)[0]
            total = total + self.models.feature_loss(real_maps, fake_maps)
        total.backward()
        if learn:
            self.for_generator.step()

    def _mel_distance(self, real: Tensor, fake: Tensor) -> Tensor:
        full = self.spec.full_band()
        return (log_mel(real[:, 0], full) - log_mel(fake[:, 0], full)).abs().mean()


def models(folder: Path) -> ModuleType:
    """The released ``models.py``, which imports its neighbours by bare names, and the plots in one of them from matplotlib."""
    sys.path.insert(0, str(folder))
    warnings.filterwarnings("ignore", message=".*weight_norm.* is deprecated", category=FutureWarning)
    try:
        return importlib.import_module("models")
    finally:
        sys.path.remove(str(folder))


def _gradients(released: Released, size: int) -> list[str]:
    """Rows: the difference of all gradients of a side in L2, relative to the released code's, and of the worst parameter.

    Both have the released networks' weights, and judge in evaluation mode, as spectral norm's vectors would otherwise move;
    before, these are refined by 15 passes, since at their random start the first scale's gradients reach 1e21.
    """
    with torch.no_grad():
        for _ in range(15):
            released.judges[1](torch.zeros(1, 1, 64, device=DEVICE), torch.zeros(1, 1, 64, device=DEVICE))
    parts, _, step, _ = made("no")
    load_into(parts.generator, released.generator.state_dict(), "the released generator")
    for name, judge in zip(("mpd", "msd"), released.judges, strict=True):
        load_into(parts.discriminators.parts[name], judge.state_dict(), f"the released {name}")
    parts.discriminators.eval()
    released.judges.eval()
    kept: dict[str, list[Tensor]] = {}

    def keep(side: str, network: nn.Module) -> Callable[[bool], None]:
        def learn(measure: bool) -> None:
            kept[side] = [p.grad.clone() for p in network.parameters() if p.grad is not None]

        return learn

    step.generator.learn = keep("generator", parts.generator)  # type: ignore[method-assign, assignment]
    step.discriminators.learn = keep("discriminators", parts.discriminators)  # type: ignore[method-assign, assignment]
    batch = noise(size)
    step(0, [batch])
    released(batch.audio, learn=False)
    released.judges.train()
    theirs = {
        "generator": _by_name(released.generator, [p.grad for p in released.generator.parameters()], parts.generator),
        "discriminators": _judges_by_name(released, parts),
    }
    rows = []
    for side, expected in theirs.items():
        pairs = list(zip(kept[side], expected, strict=True))
        whole = sum(float((a - b).square().sum()) for a, b in pairs) / sum(float(b.square().sum()) for _, b in pairs)
        worst, numbers = max((float((a - b).abs().max() / b.abs().max().clamp_min(1e-30)), b.numel()) for a, b in pairs)
        note = f"relative, float32, equal weights; of a parameter at most {worst:.1e} of its largest (of {numbers} numbers)"
        rows.append(line(f"gradients' difference in L2, {side}", math.sqrt(whole), "", note))
    return rows


def _by_name(network: nn.Module, gradients: list[Any], ours: nn.Module) -> list[Tensor]:
    """Their gradients in the order of our parameters: loaded in place of the weights, by which the names are translated."""
    state = dict(network.state_dict())
    for (name, _), gradient in zip(network.named_parameters(), gradients, strict=True):
        state[name] = gradient
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    load_into(ours, state, "the released gradients")
    found = [parameter.detach().clone() for parameter in ours.parameters()]
    ours.load_state_dict(before)
    return found


def _judges_by_name(released: Released, parts: Parts) -> list[Tensor]:
    found, first = [], 0
    for name, judge in zip(("mpd", "msd"), released.judges, strict=True):
        count = len(list(judge.parameters()))
        found += _by_name(judge, released.judged[first : first + count], parts.discriminators.parts[name])
        first += count
    return found


def flops(released: Released, size: int) -> int:
    """Floating-point operations of the convolutions of a released step on ``size`` items.

    torch's counter is asked for forward passes alone, as it counts too many in the backward pass of grouped convolutions. A
    backward pass takes twice the forward one's; the released step has three such passes' worth of the generator, and twelve of
    the discriminators: two turns, each forward and backward on real items and on fakes.
    """
    real = torch.zeros(1, 1, 8192, device=DEVICE)
    found = []
    for network, given in (
        (released.generator, (log_mel(real[:, 0], released.spec),)),
        *((judge, (real, real)) for judge in released.judges),
    ):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(*given)
        found.append(counter.get_total_flops())
    return size * (3 * found[0] + 12 * sum(found[1:]) // 2)


def peak(dtype: torch.dtype) -> tuple[float, str]:
    """What this device computes at most [FLOP/s], and how that is known: a GPU's data sheet, or a matrix product measured here."""
    if DEVICE.type == "cuda":
        name = torch.cuda.get_device_name(DEVICE)
        for part, (single, half) in PEAKS.items():
            if part in name:
                return (half if dtype == torch.bfloat16 else single), f"the {part}'s data sheet"
    side = 2048
    a, b = torch.randn(2, side, side, device=DEVICE, dtype=dtype)
    best = min(times({"product": lambda: a @ b}, rounds=5)["product"].wall)
    return 2 * side**3 / best, f"a product of two {side} x {side} matrices"


def run(size: int | None = None, rounds: int = 5) -> list[str]:
    """Rows: times and ratios by the wall clock and in processor time, shares of peak, gradients."""
    folder = os.environ.get(FOLDER)
    if not folder or not (Path(folder) / "models.py").is_file():
        return [f"left out: {FOLDER} names no checkout of https://github.com/jik876/hifi-gan"]
    size = size or (16 if DEVICE.type == "cuda" else 2)
    torch.manual_seed(0)
    released = Released(Path(folder))
    gradients = _gradients(released, 1)
    steps = {precision: made(precision)[2] for precision in ("no", "bf16")}
    batch = noise(size)
    ways = {
        "released": lambda: released(batch.audio),
        "float32": lambda: steps["no"](0, [batch]),
        "bf16": lambda: steps["bf16"](0, [batch]),
    }
    taken = times(ways, rounds)
    operations = flops(released, size)
    where = f"batch {size} x 8192 on {DEVICE.type}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    rows = [line("V1 step, released code", taken["released"].median, "s", f"{where}; {operations / 1e9:.0f} GFLOP")]
    for name, asked, dtype in (("float32", 0.60, torch.float32), ("bf16", 0.33, torch.bfloat16)):
        ratio, low, high = taken[name].ratio(taken["released"])
        note = f"of the released time (rounds {low:.2f} to {high:.2f}); asked: at most {asked:.2f}"
        rows.append(line(f"V1 step, ours, {name}", ratio, "x", note))
        if DEVICE.type == "cpu":
            ratio, low, high = taken[name].ratio(taken["released"], processor=True)
            rows.append(line(f"V1 step, ours, {name}, processor time", ratio, "x", f"rounds {low:.2f} to {high:.2f}"))
        most, known = peak(dtype)
        share = operations / taken[name].median / most
        rows.append(line(f"V1 step, ours, {name}, share of peak", share, "", f"the released step's work, of {most / 1e9:.0f} GFLOP/s by {known}"))  # fmt: skip
    return rows + gradients
