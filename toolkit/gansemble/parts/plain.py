"""Reads what torch has saved of plain tensors and containers. Nothing else is read, as a pickle can hold any program."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from gansemble.errors import GansembleError


def read_plain(path: Path, remedy: str) -> Any:
    """The content of a file that ``torch.save`` wrote, with tensors on the CPU.

    Args:
        path: the file.
        remedy: what to do about one that cannot be read, for the message.

    Raises:
        GansembleError: if it is damaged, or holds anything but tensors, numbers, text and containers of them, of which
            nothing is run.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        said = "holds other things than plain tensors, or is damaged; nothing of it was run"
        raise GansembleError(f"{path}: {said}; {remedy}") from error
    except OSError:
        raise  # of the file, which is told as such
    except Exception as error:
        raise GansembleError(
            f"{path}: damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__}); {remedy}"
        ) from error
