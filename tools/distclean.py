"""Removes what the recipes made and downloaded, and the virtual environment, after showing sizes and asking.

usage: distclean.py [VENV]

Trained models and corpora take days to make again: nothing is removed without an answer, and none is assumed where
nobody can be asked.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What a recipe's folder holds besides itself.
MADE = {"exp": "experiments: trained models, samples, scores", "dump": "packed audio", "data": "corpora"}


def targets(venv: str | None) -> Iterator[tuple[Path, str]]:
    """Everything that would be removed, with what it is."""
    for name, what in MADE.items():
        for path in sorted(ROOT.glob(f"egs/*/*/{name}")):
            yield path, what
    if venv and (ROOT / venv / "pyvenv.cfg").is_file():
        yield (ROOT / venv).resolve(), "virtual environment"


def size(path: Path) -> int:
    """Of a file, or of all files below a folder [bytes]; what links point to does not count."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(each.lstat().st_size for each in path.rglob("*") if not each.is_dir())


def main() -> int:
    """0 if everything was removed, 1 if nothing was."""
    found = list(targets(sys.argv[1] if len(sys.argv) > 1 else None))
    if not found:
        print("nothing to remove")
        return 0
    for path, what in found:
        print(f"{size(path) / 1e6:10,.1f} MB  {os.path.relpath(path, ROOT)}  ({what})")
    if sys.stdin is None or not sys.stdin.isatty():
        print("nothing was removed: this asks before it removes anything, and there is no terminal to ask at")
        return 1
    try:
        answer = input("Remove all of this? It cannot be undone. Type yes: ")
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        print("nothing was removed")
        return 1
    for path, _ in found:
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
