"""How long the command takes to answer, against Python alone; also with many plugins installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import alternate, line

COMMAND = str(Path(sys.executable).with_name("gansemble"))
MANY = 50
MODULE = """\
from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    for kind in ("loss", "metric", "objective"):
        register(kind, "extra_NUMBER", f"{__name__}.{kind}:Part", "a part of a plugin that is only listed")
"""


def run() -> list[str]:
    """Rows in seconds, at most 0.2, with many plugins at most 0.3; and how many times Python alone each is."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        for number in range(MANY):
            _install(site, number)
        crowded = os.environ | {"PYTHONPATH": os.pathsep.join([folder, *_path()])}
        ways = {
            "python": ([sys.executable, "-c", "pass"], None),
            "gansemble --help": ([COMMAND, "--help"], None),
            "gansemble plugins list": ([COMMAND, "plugins", "list"], None),
            f"gansemble plugins list, {MANY} more plugins": ([COMMAND, "plugins", "list"], crowded),
        }
        listed = subprocess.run([COMMAND, "plugins", "list"], env=crowded, capture_output=True, text=True, check=True)
        found = listed.stdout.count("\n  extra_")
        if found != 3 * MANY:
            raise RuntimeError(f"expected {3 * MANY} more parts to be listed, got {found}")
        calls = {
            name: (lambda argv=argv, env=env: subprocess.run(argv, env=env, capture_output=True, check=True))
            for name, (argv, env) in ways.items()
        }
        seconds = alternate(calls, rounds=9)
    bounds = dict(zip(ways, ("", "at most 0.2", "at most 0.2", "at most 0.3"), strict=True))
    rows = [line(name, value, "s", bounds[name]) for name, value in seconds.items()]
    alone = seconds["python"]
    return rows + [line(f"{name} / python", value / alone, "x") for name, value in seconds.items() if name != "python"]


def _path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _install(site: Path, number: int) -> None:
    """A plugin as pip leaves it: its module and its distribution's metadata."""
    (site / f"extra_{number}.py").write_text(MODULE.replace("NUMBER", str(number)))
    info = site / f"gansemble_extra_{number}-1.0.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: gansemble-extra-{number}\nVersion: 1.0\nRequires-Dist: gansemble>=0.1\n"
    (info / "METADATA").write_text(head)
    (info / "entry_points.txt").write_text(f"[gansemble.plugins]\nextra_{number} = extra_{number}\n")
