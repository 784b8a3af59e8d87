"""The environment that results were made in, which is stored with them."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path


def environment() -> dict[str, str]:
    """Versions of the software, commit of the source, machine and date, each as text by name."""
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


def commit(source: Path = Path(__file__)) -> str:
    """The git commit of a source file's tree, with ``-dirty`` where the tree has changes.

    ``unknown`` outside a repository, and of a file that the repository around it does not track: a package that was
    installed within someone's repository is not of its commits.

    Args:
        source: the file; the toolkit's own by default.
    """
    try:
        _git(source, "ls-files", "--error-unmatch", source.name)
        return _git(source, "describe", "--always", "--dirty", "--abbrev=12")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(source: Path, *words: str) -> str:
    """What git says in the folder of a source file."""
    found = subprocess.run(["git", *words], cwd=source.parent, capture_output=True, text=True, timeout=10, check=True)
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
