"""Stages 4 and 5: copy-synthesis of the held-out clips, and their scores file by file."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gansemble.audio import files
from gansemble.data.segments import Packed
from gansemble.data.workers import end_with_parent
from gansemble.errors import GansembleError
from gansemble.evaluation import index, naming, own
from gansemble.evaluation.page import BASELINES
from gansemble.evaluation.references import demand_same, references
from gansemble.evaluation.statistics import summarise
from gansemble.files import write_atomically
from gansemble.recipe import check
from gansemble.recipe.check import Recipe
from gansemble.stages import Project


def synthesise(project: Project, say: Callable[[str], None]) -> Path:
    """Writes ``samples/<split>/<id>.wav`` and ``samples/index.json`` with the real-time factor."""
    import torch

    from gansemble import synthesis
    from gansemble.audio.features import log_mel
    from gansemble.restoration import restores
    from gansemble.training.build import Conditioner

    recipe = check.load(project.recipe, project.overrides)
    settings = recipe.synthesis
    if not Conditioner(recipe).paired:
        return own.synthesise(project, recipe, say)
    if restores(recipe):
        from gansemble.evaluation import restored

        return restored.synthesise(project, recipe, say)
    loaded = synthesis.load(project.exp, settings.checkpoint, "cuda" if torch.cuda.is_available() else "cpu", say)
    if loaded.spec.digest() != recipe.audio.digest():
        raise GansembleError(
            "the checkpoint's audio specification is not the recipe's:\n  "
            + "\n  ".join(loaded.spec.differences(recipe.audio))
        )
    packed = references(project, loaded.history, settings.split, say)
    count = len(packed) if settings.clips is None else min(settings.clips, len(packed))
    folder = project.exp / "samples" / settings.split
    rows: list[dict[str, Any]] = []
    chunk = max(16, int(settings.chunk_seconds * recipe.audio.sample_rate / recipe.audio.hop))
    device = next(loaded.generator.parameters()).device
    for number in range(count):
        entry = packed.entries[number]
        usable = entry.frames // recipe.audio.hop * recipe.audio.hop
        mel = log_mel(torch.from_numpy(packed.read(number, 0, usable))[None].to(device), recipe.audio)[0]
        begun = time.monotonic()
        pieces = [piece.cpu() for piece in synthesis.generate(loaded.generator, mel, chunk)]
        took = time.monotonic() - begun
        folder.mkdir(parents=True, exist_ok=True)
        clipped = files.write(
            folder / f"{entry.id}.wav",
            torch.cat(pieces, 1)[0].numpy(),
            recipe.audio.sample_rate,
            settings.format,
        )
        rows.append({"id": entry.id, "seconds": usable / recipe.audio.sample_rate, "took": took, "clipped": clipped})
        rows[-1]["sha256"] = entry.sha256
    seconds, took = sum(row["seconds"] for row in rows), sum(row["took"] for row in rows)
    say(
        f"{count} clips, {seconds:.1f} s of audio in {took:.1f} s: {seconds / took:.1f} x real time on {device.type} (step {loaded.step})"
    )
    facts = {
        "split": settings.split,
        "step": loaded.step,
        "checkpoint": loaded.source.name,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "real_time_factor": took / seconds,
        "trained_on": list(loaded.history),
        "clips": rows,
    }
    return index.write(project.exp, facts, [folder / f"{row['id']}.wav" for row in rows])


def evaluate(project: Project, jobs: int, say: Callable[[str], None]) -> Path:
    """Writes ``scores/scores.jsonl`` (one line a file, NaN as null with its reason) and ``scores/summary.json``."""
    recipe = check.load(project.recipe, project.overrides)
    made = index.read(project.exp)
    index.demand_unchanged(project.exp, made)
    if made.get("own"):
        rows, found, anchors = own.score(project, recipe, made, say)
        return _write(project, rows, _facts(recipe, made) | {"scores": found, "anchors": anchors}, say)
    packed = references(project, made["trained_on"], made["split"], say)
    demand_same(project, packed, made["clips"])
    folder = project.exp / "samples" / made["split"]
    names = ["", *made.get("baselines", [])]
    folders = {name: folder / BASELINES / name if name else folder for name in names}
    work = [(row["id"], _clip(row), folders[name] / f"{row['id']}.wav") for name in names for row in made["clips"]]
    # A worker takes seconds to start: one for every eight files.
    scored = _score_all(project, made["split"], work, min(jobs, -(-len(work) // 8)))
    count = len(made["clips"])
    by_name = {name: scored[place * count : (place + 1) * count] for place, name in enumerate(names)}
    for name in names[1:]:
        text = "".join(json.dumps(row) + "\n" for row in by_name[name])
        write_atomically(project.exp / "scores" / BASELINES / f"{name}.jsonl", text)
    summary = _summary(recipe, by_name[""], made)
    if names[1:]:
        summaries = {name: _summary(recipe, by_name[name], made) for name in names[1:]}
        summary["baselines"] = {
            name: {key: each[key] for key in ("scores", "conditions") if key in each}
            for name, each in summaries.items()
        }
    return _write(project, by_name[""], summary, say)


def _clip(row: Mapping[str, Any]) -> str:
    """The packed clip that a generated one imitates; several may imitate one."""
    return row.get("clip", row["id"])


def _write(project: Project, rows: list[dict[str, Any]], summary: dict[str, Any], say: Callable[[str], None]) -> Path:
    target = project.exp / "scores"
    write_atomically(target / "scores.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write_atomically(target / "summary.json", json.dumps(summary, indent=1))
    for line in table(summary):
        say(line)
    others = {f"baseline {name}": each["scores"] for name, each in summary.get("baselines", {}).items()}
    for name, scores in (others | summary.get("anchors", {})).items():
        means = [f"{key} {'-' if row['mean'] is None else format(row['mean'], '.4f')}" for key, row in scores.items()]
        say(f"{name}: {', '.join(means)}")
    return target / "summary.json"


def _score_all(project: Project, split: str, work: list[tuple[str, str, Path]], jobs: int) -> list[dict[str, Any]]:
    arguments = (project.recipe, project.overrides, project.dump, split)
    if jobs <= 1:
        scorer = _Scorer(*arguments)
        return [scorer(*item) for item in work]
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(os.getpid(), *arguments)) as pool:
        return list(pool.map(_score_one, work))


_scorer: _Scorer | None = None


def _start(parent: int, recipe: Path, overrides: tuple[str, ...], dump: Path, split: str) -> None:
    import torch

    end_with_parent(parent)

    torch.set_num_threads(1)
    global _scorer
    _scorer = _Scorer(recipe, overrides, dump, split)


def _score_one(item: tuple[str, str, Path]) -> dict[str, Any]:
    assert _scorer is not None
    return _scorer(*item)


class _Scorer:
    """Scores one file with every metric of a recipe."""

    def __init__(self, path: Path, overrides: tuple[str, ...], dump: Path, split: str) -> None:
        from gansemble.training.build import construct

        self.recipe = check.load(path, overrides)
        self.metrics = [(part, construct(part, self.recipe)) for part in self.recipe.many["metrics"].values()]
        self.packed = Packed(dump, split)
        self.places = {entry.id: number for number, entry in enumerate(self.packed.entries)}

    def __call__(self, identity: str, clip: str, path: Path) -> dict[str, Any]:
        estimate = files.read_mono(path, self.recipe.audio.sample_rate)
        reference = self.packed.read(self.places[clip], 0, len(estimate))
        scores: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        for part, metric in self.metrics:
            found = naming.scores(part, metric, estimate, reference, self.recipe.audio.sample_rate)
            for name, score in found.items():
                scores[name] = None if math.isnan(score.value) else float(score.value)
                if score.reason:
                    reasons[name] = score.reason
        return {"id": identity, "scores": scores, "reasons": reasons}


def _summary(recipe: Recipe, rows: list[dict[str, Any]], index: Mapping[str, Any]) -> dict[str, Any]:
    from gansemble.training.build import construct

    definitions: dict[str, dict[str, Any]] = {}
    for name, part in recipe.many["metrics"].items():
        metric = construct(part, recipe)
        for key in naming.keys(part, metric, recipe.audio.sample_rate):
            definitions[key] = {"definition": metric.definition, "better": metric.better, "metric": name}
    settings = recipe.evaluation
    results = {}
    for key, facts in definitions.items():
        values = [_value(row, key) for row in rows]
        results[key] = summarise(values, settings.bootstrap, settings.confidence).as_dict() | facts
    made: dict[str, Any] = _facts(recipe, index) | {"scores": results}
    conditions = index.get("conditions", [])
    if len(conditions) > 1:
        of = {row["id"]: row["condition"] for row in index["clips"]}
        made["conditions"] = {}
        for condition in conditions:
            chosen = [row for row in rows if of[row["id"]] == condition]
            made["conditions"][condition] = {
                key: summarise([_value(row, key) for row in chosen], settings.bootstrap, settings.confidence).as_dict()
                for key in definitions
            }
    return made


def _value(row: Mapping[str, Any], key: str) -> float:
    found = row["scores"].get(key)
    return float("nan") if found is None else found


def _facts(recipe: Recipe, index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "step": index["step"],
        "split": index["split"],
        "real_time_factor": index["real_time_factor"],
        "device": index["device"],
        "threads": index["threads"],
        "environment": environment(),
    }


def environment() -> dict[str, Any]:
    """Versions, machine, commit and date, as results must carry them."""
    import importlib.metadata

    import torch

    names = ("torch", "torchaudio", "numpy", "librosa", "pesq", "pystoi")
    versions = {name: _version(name) for name in names}
    return versions | {
        "gansemble": importlib.metadata.version("gansemble"),
        "commit": commit(),
        "python": platform.python_version(),
        "machine": f"{_processor()}, {os.cpu_count()} processors"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""),
        "date": time.strftime("%Y-%m-%d"),
    }


def _version(name: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """The commit of the source tree, marked when it has changes; ``unknown`` outside one."""
    root = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        "unknown processor",
    )


def table(summary: Mapping[str, Any]) -> list[str]:
    """A summary as aligned lines."""
    wide = max(24, *map(len, summary["scores"])) if summary["scores"] else 24
    lines = [f"{'score':{wide}} {'mean':>9} {'95 % interval':>21} {'files':>9}"]
    for key, row in summary["scores"].items():
        mean = "-" if row["mean"] is None else f"{row['mean']:.4f}"
        interval = "-" if row["low"] is None else f"{row['low']:.4f} … {row['high']:.4f}"
        lines.append(f"{key:{wide}} {mean:>9} {interval:>21} {row['n_ok']:>4}/{row['n_total']:<4}")
        if row["mean"] is None and row.get("reason"):
            lines.append(f"  {row['reason']}")
    lines.append(
        f"{'real-time factor':{wide}} {summary['real_time_factor']:>9.4f} {summary['device'] + ', ' + str(summary['threads']) + ' threads':>21}"
    )
    return lines
