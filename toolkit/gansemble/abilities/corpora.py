"""What corpora can do besides what their kind demands. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class DescribedCorpus(Protocol):
    """A corpus that has something to say of what it found in a folder, such as how many speakers: ``describe`` gives it
    in words when the corpus is prepared."""

    def describe(self, folder: Path) -> str: ...


class ProgressiveCorpus(Protocol):
    """A corpus that tells how a download goes on: ``fetch`` takes ``progress``, to be called with the bytes that are done
    and those in all (None where that is unknown)."""

    def fetch(self, folder: Path, *, progress: Callable[[int, int | None], None] | None = None) -> None: ...
