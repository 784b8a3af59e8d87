"""When a command looks for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Context manager, and decorator, within which Python searches for no unreachable cycles.

    For what imports much and keeps it, and then answers: to import torch, Python searches its hundreds of thousands of
    objects again and again, a fifth of the time that it takes, and finds nothing.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
