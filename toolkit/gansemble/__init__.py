"""gansemble: a plugin-based toolkit for adversarial audio synthesis.

This module imports pluggy and nothing heavier, so a plugin's ``from gansemble import hookimpl`` costs nothing; what is
trained, used or extended from Python is imported on first use::

    import gansemble

    vocoder = gansemble.load("exp/v1")
    audio = vocoder(vocoder.read("speech.wav"))  # a log-mel spectrogram [B, mels, L] -> [B, 1, L * hop]
"""

from __future__ import annotations

import importlib
from typing import Any

import pluggy

from gansemble.inputs import File, Folder

__version__ = "0.1.0"

hookspec = pluggy.HookspecMarker("gansemble")
hookimpl = pluggy.HookimplMarker("gansemble")

#: What is imported on first use, as ``module:name``. Targets are strings here as in plugins: whatever imports this module
#: does not depend on them.
_OFFERED = {
    "Experiment": "gansemble.evaluation.experiment:Experiment",
    "Frozen": "gansemble.parts.frozen:Frozen",
    "GansembleError": "gansemble.errors:GansembleError",
    "Session": "gansemble.training.session:Session",
    "export": "gansemble.exporting.writing:export",
    "load": "gansemble.inference.loading:load",
    "log_mel": "gansemble.audio.features:log_mel",
    "run": "gansemble.cli.from_python:run",
    "score": "gansemble.suite.api:score",
    "stream": "gansemble.live.stream:stream",
}

__all__ = [
    "Experiment",
    "File",
    "Folder",
    "Frozen",
    "GansembleError",
    "Session",
    "__version__",
    "export",
    "hookimpl",
    "hookspec",
    "load",
    "log_mel",
    "run",
    "score",
    "stream",
]


def __getattr__(name: str) -> Any:
    """What is imported on first use, such as ``gansemble.load``."""
    if name not in _OFFERED:
        raise AttributeError(f"module 'gansemble' has no attribute {name!r}")
    module, _, attribute = _OFFERED[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
