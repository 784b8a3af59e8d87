"""``doctor``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

import click

PACKAGES = (
    "torch",
    "torchaudio",
    "accelerate",
    "numpy",
    "scipy",
    "librosa",
    "soundfile",
    "pesq",
    "pystoi",
    "safetensors",
    "typeguard",
    "pluggy",
)


@click.command()
def doctor() -> None:
    """Show versions, devices and disk, and say what does not work; exits 1 when something needed is missing."""
    import gansemble

    click.echo(f"gansemble {gansemble.__version__} at {Path(gansemble.__file__).parent}")
    click.echo(
        f"Python {platform.python_version()} on {platform.platform()}, {len(os.sched_getaffinity(0))} processors"
    )
    missing = []
    for name in PACKAGES:
        try:
            click.echo(f"  {name:12} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            click.echo(f"  {name:12} missing")
    _torch()
    _entry_points()
    usage = shutil.disk_usage(Path.cwd())
    click.echo(f"disk: {usage.free / 1e9:.1f} GB free here")
    if missing:
        click.echo(f"install what is missing: pip install {' '.join(missing)}", err=True)
        raise SystemExit(1)


def _torch() -> None:
    import torch

    from gansemble.audio import torchaudio

    if torchaudio.extension_problem:
        click.echo(
            f"torchaudio: works without its compiled extension, which is not needed (it was left out, as {torchaudio.extension_problem})"
        )
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(index).total_memory / 2**30
            click.echo(f"GPU {index}: {torch.cuda.get_device_name(index)}, {memory:.0f} GiB")
    else:
        click.echo(f"no GPU; torch uses {torch.get_num_threads()} threads")


def _entry_points() -> None:
    """Names plugins that were added to pyproject.toml since an editable install, which does not see them."""
    import tomllib

    import gansemble
    from gansemble.plugins import loading

    pyproject = Path(gansemble.__file__).parents[2] / "pyproject.toml"
    if not pyproject.is_file():
        return
    declared = tomllib.loads(pyproject.read_text())["project"]["entry-points"]["gansemble.plugins"]
    installed = {point.name for point in loading.installed_points([loading.GROUP])[0][loading.GROUP]}
    late = sorted(declared.keys() - installed)
    if late:
        click.echo(f"plugins declared in {pyproject} but not installed: {', '.join(late)}; run pip install -e . again")
