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


def commit() -> str:
    """The git commit of the source tree, with ``-dirty`` where it has changes; ``unknown`` outside a repository."""
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
