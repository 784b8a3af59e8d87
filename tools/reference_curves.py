"""Makes the curves that ``gansemble status`` compares a run with: of a recipe's runs with several seeds.

python tools/reference_curves.py egs/folder/vocos/conf/mini.yaml --runs FOLDER              # trains three seeds, with --mini
python tools/reference_curves.py egs/ljspeech/hifigan/conf/small.yaml --data DIR --runs FOLDER
python tools/reference_curves.py egs/ljspeech/hifigan/conf/small.yaml --from EXP EXP EXP    # of runs that are there

What is there of a run is not trained again. The result is ``reference/<name>.json`` beside the recipe's ``conf/``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gansemble.evaluation import reference_curves
from gansemble.evaluation.reference_curves import Reference
from gansemble.recipe import fill
from gansemble.recipe.document import read
from gansemble.scoring.curves import CurveRow, read_curves
from gansemble.scoring.environment import environment


def main() -> None:
    """Trains what is missing, and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recipe", type=Path, help="egs/<corpus>/<method>/conf/<name>.yaml")
    parser.add_argument("--from", dest="done", type=Path, nargs="+", default=[], help="experiments that are finished")
    parser.add_argument("--runs", type=Path, help="folder for the runs that are made")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--data", type=Path, help="the corpus; without it, the small one that is made offline (--mini)")
    parser.add_argument("--output", type=Path, help="the file (reference/<name>.json beside conf/)")
    given = parser.parse_args()
    if not given.done and given.runs is None:
        parser.error("give --runs FOLDER, or experiments that are finished with --from")
    done = given.done or [train(given.recipe, seed, given.runs, given.data) for seed in given.seeds]
    target = given.output or reference_curves.place(given.recipe.resolve())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(written(reference(done)))
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


def train(recipe: Path, seed: int, folder: Path, data: Path | None) -> Path:
    """Trains a recipe with a seed, unless it is there, and returns the experiment."""
    exp = (folder / f"seed{seed}").resolve()
    words = ["gansemble", "run", str(recipe), "--exp", str(exp), "--dump", str((folder / "dump").resolve())]
    words += ["--set", f"plan.seed={seed}", "--stop-stage", "train"]
    words += ["--mini"] if data is None else ["--data", str(data)]
    if data is None and recipe.stem != "mini":
        sys.exit(f"{recipe}: --mini is of conf/mini.yaml; give the corpus of another recipe with --data")
    if subprocess.run(words, check=False).returncode:
        sys.exit(f"seed {seed} failed; its command was: {' '.join(words)}")
    return exp


def reference(done: Sequence[Path]) -> Reference:
    """The reference curves of finished experiments."""
    folders = [sorted((exp / "checkpoints").glob("step-*"))[-1] for exp in done]
    flats = [fill.flatten(read(folder / "recipe.yaml").value) for folder in folders]
    manifest = json.loads((folders[0] / "manifest.json").read_text())
    shared = reference_curves.settings(flats[0])
    for exp, flat in zip(done, flats, strict=True):
        other = [key for key, value in reference_curves.settings(flat).items() if shared.get(key, value) != value]
        if other:
            sys.exit(
                f"{exp}: its recipe differs from that of {done[0]} in {', '.join(other)}; compare runs of one recipe"
            )
    train, validation = (
        [read_curves(exp / "logs" / f"{name}.jsonl") for exp in done] for name in ("train", "validation")
    )
    steps, validated = (reference_curves.thinned(_steps(rows)) for rows in (train, validation))
    env = environment()
    planned, seeds = flats[0]["plan.steps"], [flat["plan.seed"] for flat in flats]
    assert isinstance(planned, int)
    return {
        "recipe": str(flats[0]["name"]),
        "made": f"{time.strftime('%Y-%m-%d')}, gansemble {env.get('gansemble', '')}, torch {env.get('torch', '')}",
        "seeds": [int(str(seed)) for seed in seeds],
        "clips": manifest["data"][-1]["splits"]["train"]["clips"],
        "planned": planned,
        "settings": shared,
        "levels": list(reference_curves.LEVELS),
        "steps": steps,
        "curves": {
            name: reference_curves.bands(train, name, steps)
            for name in _names(train)
            if name.startswith(reference_curves.TOLD)
        },
        "validated": validated,
        "validation": {
            name: reference_curves.bands(validation, name, validated, around=0) for name in _names(validation)
        },
    }


def written(found: Reference) -> str:
    """The file's text: a line for each curve."""
    lines = []
    for name, value in found.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(key)}: {json.dumps(each)}" for key, each in value.items())
            lines.append(f" {json.dumps(name)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _steps(runs: Sequence[Sequence[CurveRow]]) -> list[int]:
    """The steps that all runs report."""
    reported = [{int(row["step"] or 0) for row in rows if len(row) > 1} for rows in runs]
    return sorted(set.intersection(*reported))


def _names(runs: Sequence[Sequence[CurveRow]]) -> list[str]:
    return list(dict.fromkeys(name for rows in runs for row in rows for name in row if name != "step"))


if __name__ == "__main__":
    main()
