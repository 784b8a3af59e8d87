"""``describe RECIPE``: its parts, its cost in computation and memory, and where each value was set."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe


def show(path: Path, overrides: tuple[str, ...], defaults: bool, fast: bool, as_json: bool) -> None:
    """Prints a recipe's description.

    Args:
        path: the recipe.
        overrides: ``KEY=VALUE`` of the ``--set`` options.
        defaults: list values that are defaults, too.
        fast: leave out what has to be measured on the networks.
        as_json: print JSON.

    Raises:
        RecipeError: if the recipe has problems.
    """
    from gansemble.recipe import check

    recipe = check.load(path, overrides)
    facts = _facts(recipe, fast)
    packed = _packed(path, overrides)
    facts |= {"packed": packed} if packed else {}
    facts["values"] = _values(recipe, defaults)
    if as_json:
        click.echo(json.dumps(facts, indent=1, default=str))
        return
    click.echo(click.style(recipe.name, bold=True) + f"  {path}")
    for line in _text(facts):
        click.echo(line)
    for note in recipe.notes:
        click.echo(f"note: {note.message}")
    click.echo(
        "\n" + click.style("values", bold=True) + ("" if defaults else " that differ from defaults or stand in a file")
    )
    width = max((len(row["key"]) for row in facts["values"]), default=0)
    for row in facts["values"]:
        takes = f"  ({row['takes']})" if row["takes"] else ""
        click.echo(f"  {row['key']:{width}}  {json.dumps(row['value']):28}  {row['where']}{takes}")


def _packed(path: Path, overrides: tuple[str, ...]) -> str | None:
    """How many clips are packed for a recipe, with augmented variants counted apart; None if none are packed."""
    from gansemble.data import manifest, prepare
    from gansemble.errors import DataError
    from gansemble.stages import Project

    try:
        return prepare.summary(manifest.read(Project.of(path, overrides).dump / prepare.MANIFEST))
    except DataError:
        return None


def _facts(recipe: Recipe, fast: bool) -> dict[str, Any]:
    parts = [
        {
            "path": ".".join(map(str, part.path)),
            "use": part.use,
            "plugin": part.entry.plugin,
            "target": part.entry.target,
        }
        for part in recipe.parts()
    ]
    facts: dict[str, Any] = {"name": recipe.name, "recipe": str(recipe.path), "parts": parts}
    facts["audio"] = {"sample_rate": recipe.audio.sample_rate, "hop": recipe.audio.hop}
    facts["plan"] = {
        "batch_size": recipe.plan.batch_size,
        "segment": recipe.plan.segment,
        "precision": recipe.plan.precision,
    }
    if fast:
        return facts
    import torch

    from gansemble.training import profiling

    built = profiling.parts_of(recipe)
    facts["task"] = str(recipe.task)
    facts["networks"] = [dataclasses.asdict(network) for network in profiling.networks(recipe, built)]
    facts["optimisers"] = [dataclasses.asdict(each) for each in profiling.learning(recipe, built)]
    facts["delay_seconds"] = profiling.delay(recipe, built.generator)
    facts["real_time_factor"] = profiling.real_time_factor(recipe, built)
    facts["threads"] = torch.get_num_threads()
    memory = profiling.memory(recipe, built)
    facts["memory"] = dataclasses.asdict(memory) | {"total": memory.total}
    return facts


def _text(facts: dict[str, Any]) -> list[str]:
    rate, hop = facts["audio"]["sample_rate"], facts["audio"]["hop"]
    lines = []
    if "networks" in facts:
        labels = [f"{row['path']} ({row['use']})" for row in facts["networks"]]
        wide = max(map(len, labels))
        lines.append(f"\n{'network':{wide}} {'parameters':>12} {'MACs/s of audio':>16}  sees")
        for label, row in zip(labels, facts["networks"], strict=True):
            macs = "-" if row["macs"] is None else f"{row['macs'] / 1e9:.3f} G"
            lines.append(f"{label:{wide}} {row['parameters']:>12,} {macs:>16}  {_sees(row, rate, hop, facts['task'])}")
        lines += _optimisers(facts["optimisers"])
    networks = {row["path"] for row in facts.get("networks", ())}
    others = [part for part in facts["parts"] if part["path"] not in networks]
    lines.append("\n" + click.style("parts", bold=True))
    width = max(len(part["path"]) for part in others)
    lines += [f"  {part['path']:{width}}  {part['use']:22} {part['plugin']}" for part in others]
    if "packed" in facts:
        lines.append(f"\n{facts['packed']}")
    if "memory" in facts:
        memory, plan = facts["memory"], facts["plan"]
        delay = facts["delay_seconds"]
        what = "context, and the least chunk" if facts["task"] == "enhancement" else "context, and half a window"
        shown = "unbounded" if delay is None else f"{1000 * delay:.0f} ms"
        factor = 1 / facts["real_time_factor"]
        lines.append(f"\ndelay    {shown} of look-ahead ({what})")
        lines.append(
            f"speed    generates at {factor:.1f} x real time here (CPU, {facts['threads']} threads, one second)"
        )
        pieces = ", ".join(
            f"{name} {_bytes(memory[name])}" for name in ("weights", "gradients", "optimisers", "activations")
        )
        step = f"{plan['batch_size']} x {plan['segment']} samples"
        lines.append(f"memory   about {_bytes(memory['total'])} for a training step of {step}: {pieces}")
    return lines


def _optimisers(rows: list[dict[str, Any]]) -> list[str]:
    """A table of what each optimiser moves."""
    labels = [f"{row['path']} ({row['use']})" for row in rows]
    wide = max(map(len, [*labels, "optimiser"]))
    lines = [f"\n{'optimiser':{wide}} {'parameters':>12} {'tensors':>8}  groups"]
    for label, row in zip(labels, rows, strict=True):
        groups = ", ".join(f"{name} {count:,}" for name, count in row["groups"].items()) or "-"
        lines.append(f"{label:{wide}} {row['parameters']:>12,} {row['tensors']:>8}  {groups}")
    return lines


def _sees(row: dict[str, Any], rate: int, hop: int, task: str) -> str:
    if row["sees"] is None:
        return "not stated"
    if row["path"] == "generator" and task == "enhancement":
        return f"±{row['sees']} samples ({1000 * row['sees'] / rate:.0f} ms)"
    if row["path"] == "generator":
        return f"±{row['sees']} frames ({1000 * row['sees'] * hop / rate:.0f} ms)"
    return f"{row['sees']:,} samples ({1000 * row['sees'] / rate:.0f} ms)"


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count / 1024:.0f} KiB"


def _values(recipe: Recipe, defaults: bool) -> list[dict[str, Any]]:
    """The values that are written in a file or given by ``--set``, with the place, and on request the defaults."""
    from gansemble.recipe.fill import fill, flatten

    rows = []
    for key, value in flatten(fill(recipe)).items():
        path = tuple(int(part) if part.isdigit() else part for part in key.split("."))
        mark = recipe.document.marks.get(path)
        if mark is not None or defaults:
            where = "default" if mark is None else mark.file if mark.file == "--set" else f"{mark.file}:{mark.line}"
            rows.append({"key": key, "value": value, "where": where, "takes": _takes(recipe, path)})
    return rows


def _takes(recipe: Recipe, path: tuple[str | int, ...]) -> str:
    """The type of a key's values with the ranges of their numbers, as ``int from 1 to 16``; empty where none is stated."""
    from gansemble import numbers
    from gansemble.audio.spec import AudioSpec
    from gansemble.recipe import types
    from gansemble.recipe.sections import SECTIONS, LearningRate
    from gansemble.recipe.weights import WeightOrSchedule

    parts = [part for part in recipe.parts() if part.path == path[: len(part.path)]]
    own: dict[str, object] = {}
    if parts:
        keys = path[len(parts[0].path) :]
        rates = types.ranged_hints(LearningRate) if parts[0].kind == "optimiser" else {}
        own = {"weight": WeightOrSchedule, "probability": numbers.Share, **rates, **types.ranged_hints(parts[0].target)}
    else:
        keys = path[1:]
        section = AudioSpec if path[0] == "audio" else SECTIONS.get(str(path[0]))
        own = types.ranged_hints(section) if section is not None else {}
    hint = own.get(str(keys[0])) if keys else None
    for key in keys[1:]:  # of settings that are a mapping
        within = types.settings_of(numbers.bare(hint))
        hint = types.ranged_hints(within).get(str(key)) if within is not None else None
    return types.show(hint) if numbers.ranged(hint) else ""
