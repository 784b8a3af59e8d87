"""Abilities of corpora. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class DescribedCorpus(Protocol):
    """A corpus that describes what it found in its folder, such as the number of speakers.

    Methods:
        describe(folder): one or more sentences for the user, shown when the corpus is prepared.
    """

    def describe(self, folder: Path) -> str: ...


class ProgressiveCorpus(Protocol):
    """A corpus that reports the progress of its download.

    Methods:
        fetch(folder, progress): as for any corpus; calls ``progress(done, total)`` with the bytes that are downloaded
            and those in all, which is None if it is unknown.
    """

    def fetch(self, folder: Path, *, progress: Callable[[int, int | None], None] | None = None) -> None: ...
