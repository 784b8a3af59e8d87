"""How long the command takes to answer, against Python alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.timing import alternate, line

COMMAND = str(Path(sys.executable).with_name("gansemble"))


def run() -> list[str]:
    """Rows in seconds; at most 0.2."""
    ways = {
        "python": [sys.executable, "-c", "pass"],
        "gansemble --help": [COMMAND, "--help"],
        "gansemble plugins list": [COMMAND, "plugins", "list"],
    }
    calls = {
        name: (lambda argv=argv: subprocess.run(argv, capture_output=True, check=True)) for name, argv in ways.items()
    }
    seconds = alternate(calls, rounds=9)
    return [line(name, value, "s", "" if name == "python" else "at most 0.2") for name, value in seconds.items()]
