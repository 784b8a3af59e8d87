"""What only a GPU shows: the CPU's numbers within rounding, autocast, exact resume, and everything on its device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Batch
from gansemble.parts.build import build
from gansemble.parts.optimisers import optimisers
from gansemble.random import Draws
from gansemble.recipe import check
from gansemble.training.step import NetworkOptimiser, TrainingStep

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

ROOT = Path(__file__).resolve().parents[2]
RECIPES = (
    "egs/ljspeech/specdiff/conf/mini.yaml",
    "egs/fsdd/wavegan/conf/mini.yaml",
    "egs/fsdd/specgan/conf/mini.yaml",
    "egs/nsynth/gansynth/conf/mini.yaml",
    "egs/folder/superres/conf/mini.yaml",
)


def gradients(recipe: Path, device: torch.device, *sets: str) -> dict[str, torch.Tensor]:
    """The gradients of both sides after one step of a recipe on noise, on the CPU."""
    loaded = check.load(recipe, sets)
    parts = build(loaded, torch.device("cpu"))  # weights are drawn by the CPU's generator on any machine
    for part in (parts.generator, parts.discriminators):
        part.to(device).eval()  # dropout and random shifts would draw from each device's own generator
    for name in ("representation", "injector"):
        part = getattr(parts, name)
        if isinstance(part, torch.nn.Module):
            part.to(device)
    audio = torch.randn(4, 1, loaded.plan.segment, generator=torch.Generator().manual_seed(0)) * 0.1
    if getattr(parts.representation, "fitted", True) is False:
        parts.representation.fit(iter([audio]))
    label = torch.arange(4) % 2
    batch = Batch(audio.to(device), tuple("abcd"), Draws.plain(0, 4, device), label=label.to(device))
    batch.signals["degraded"] = audio.to(device) * 0.5
    chosen = optimisers(loaded, parts)
    sides = {
        name: NetworkOptimiser(part, part, chosen[name], loaded.plan)
        for name, part in (("generator", parts.generator), ("discriminators", parts.discriminators))
    }
    for side in sides.values():
        side.learn = lambda measure: None  # type: ignore[method-assign]
    TrainingStep(parts, sides["generator"], sides["discriminators"], loaded.plan, device)(0, [batch])
    named = {**dict(parts.generator.named_parameters()), **dict(parts.discriminators.named_parameters())}
    return {name: p.grad.detach().cpu() for name, p in named.items() if p.grad is not None}


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_has_the_cpus_gradients(name):
    """Within a thousandth of the largest of each tensor, with TF32 off."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    sets = ("plan.generator_every=1",)
    here, there = (gradients(ROOT / name, torch.device(kind), *sets) for kind in ("cpu", "cuda"))
    assert here.keys() == there.keys() and here
    far = {
        key: float((here[key] - there[key]).abs().max() / here[key].abs().max().clamp_min(1e-6))
        for key in here
        if here[key].abs().max() > 1e-7
    }
    assert max(far.values()) < 1e-2, sorted(far.items(), key=lambda item: -item[1])[:5]


def test_mel_spectrograms_are_the_cpus():
    """TF32 would be off by a thousandth."""
    torch.set_float32_matmul_precision("high")
    audio, spec = torch.randn(2, 1, 22050, generator=torch.Generator().manual_seed(0)) * 0.1, AudioSpec()
    assert torch.allclose(log_mel(audio.cuda(), spec).cpu(), log_mel(audio, spec), atol=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_training_under_autocast_learns(workshop, tmp_path, precision):
    """Finite losses, a mel loss that falls, and weights that moved."""
    import json

    trainer = workshop.train(tmp_path, f"plan.precision={precision}", "plan.steps=60", "plan.log_every=1")
    rows = [json.loads(line) for line in (tmp_path / "logs" / "train.jsonl").read_text().splitlines()]
    losses = [row["generator/losses.mel"] for row in rows]
    assert trainer.counters.step == 60 and all(value == value for value in losses)
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_stopped_and_resumed_equals_straight(workshop, tools, tmp_path, monkeypatch):
    """With deterministic algorithms: bit for bit, as on the CPU."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    sets = ("plan.deterministic=true",)
    try:
        straight = workshop.train(tmp_path / "straight", *sets).components.store.folders()[-1]
        workshop.train(tmp_path / "stopped", *sets, stop_after=5)
        resumed = workshop.train(tmp_path / "stopped", *sets).components.store.folders()[-1]
    finally:
        torch.use_deterministic_algorithms(False)
    assert tools.differences(tools.contents(resumed), tools.contents(straight)) == []


def test_memory_is_measured(workshop, tmp_path):
    """The log says how much the GPU held."""
    import json

    workshop.train(tmp_path, "plan.log_every=1", "plan.steps=4")
    row = json.loads((tmp_path / "logs" / "train.jsonl").read_text().splitlines()[-1])
    assert 0 < row["memory/peak_gb"] < 80
