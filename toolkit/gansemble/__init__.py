"""gansemble: a plugin-based toolkit for adversarial audio synthesis.

This module imports pluggy and nothing heavier, so a plugin's ``from gansemble import hookimpl`` costs nothing; what is
trained, used or extended from Python is imported on first use::

    import gansemble

    vocoder = gansemble.load("exp/v1")
    audio = vocoder(log_mel)  # [B, mels, L] -> [B, 1, L * hop]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import torch

    from gansemble.inference.loading import TrainedGenerator
    from gansemble.training.session import Session

__version__ = "0.1.0"

hookspec = pluggy.HookspecMarker("gansemble")
hookimpl = pluggy.HookimplMarker("gansemble")

__all__ = ["Session", "__version__", "hookimpl", "hookspec", "load"]


def load(exp: str | Path, which: str = "best", device: str | torch.device | None = None) -> TrainedGenerator:
    """The trained generator of an experiment, ready to be called; see :class:`gansemble.inference.loading.TrainedGenerator`.

    Args:
        exp: the experiment's folder.
        which: its ``best`` checkpoint by the validation score, or the ``last`` one.
        device: None takes the GPU where there is one.

    Raises:
        GansembleError: if there is no such folder, or no sound checkpoint in it.
    """
    from gansemble.inference import loading

    return loading.load(exp, which, device)


def __getattr__(name: str) -> type[Session]:
    """``gansemble.Session``, imported on first use."""
    if name != "Session":
        raise AttributeError(f"module 'gansemble' has no attribute {name!r}")
    from gansemble.training.session import Session

    return Session
