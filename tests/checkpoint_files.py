"""The files of checkpoints, to be compared byte by byte."""

from __future__ import annotations

import json
from pathlib import Path

#: What differs between the same run made twice: how long it took, in which parts, and from which state of the source.
OF_THE_WORK = "work"


def files(exp: Path) -> dict[str, object]:
    """Every file of an experiment's checkpoints, byte by byte; of a manifest, all but the account of the work."""
    found: dict[str, object] = {}
    for path in sorted((exp / "checkpoints").rglob("*")):
        if path.name == "manifest.json":
            manifest = json.loads(path.read_text())
            assert OF_THE_WORK in manifest
            found[str(path.relative_to(exp))] = {name: each for name, each in manifest.items() if name != OF_THE_WORK}
        elif path.is_file():
            found[str(path.relative_to(exp))] = path.read_bytes()
    assert any(name.endswith("generator.safetensors") for name in found), sorted(found)
    return found
