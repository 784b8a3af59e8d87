"""Asks before a byte of a download is fetched: what, from where, how large, to where, and how much space is free there."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from gansemble import __version__
from gansemble.errors import DataError

#: Longest time to wait for a server to tell the size of a file [s].
TIMEOUT_S = 10.0
#: What to do where a corpus should be downloaded to a folder that holds something else.
ELSEWHERE = "name an empty or a new folder with --data, or, to train on these recordings, give --set corpus.use=folder"


@dataclass(frozen=True)
class Offer:
    """A file that would be downloaded.

    Args:
        url: where it is.
        path: where it goes.
        size: its size [bytes]; None if it is not known.
    """

    url: str
    path: Path
    size: int | None = None

    @property
    def missing(self) -> int | None:
        """How much of it is not here yet [bytes]: an interrupted download goes on where it stopped."""
        part = self.path.with_name(self.path.name + ".part")
        here = part.stat().st_size if part.is_file() else 0
        return None if self.size is None else max(0, self.size - here)

    def words(self) -> str:
        """The offer in one line."""
        size = "of unknown size" if self.size is None else megabytes(self.size)
        rest = "" if self.missing == self.size else f" ({megabytes(self.missing or 0)} of it to go)"
        host = urlsplit(self.url).hostname or self.url
        return f"{self.path.name}, {size}{rest}, from {host} to {self.path.parent}"


#: Called with what would be downloaded; raises a DataError to refuse.
Consent = Callable[[Sequence[Offer]], None]
_asked: list[Consent] = []
_agreed: set[tuple[str, Path]] = set()


@contextlib.contextmanager
def asking(consent: Consent) -> Iterator[None]:
    """Lets ``consent`` be asked before each download in the ``with`` block. Outside of one, nobody is asked."""
    _asked.append(consent)
    try:
        yield
    finally:
        _asked.pop()
        _agreed.clear()


def demand(*offers: Offer) -> None:
    """Asks for consent to download files, once for all of them; those that are there already are left out.

    A corpus of several archives asks for all of them before the first, so that nobody is asked when an hour has passed.

    Args:
        offers: the files. A size that is not known is asked of the server.

    Raises:
        DataError: if it is refused, or there is too little space.
    """
    new = [each for each in offers if not each.path.exists() and (each.url, each.path) not in _agreed]
    if not new or not _asked:
        return
    known = [each if each.size is not None else replace(each, size=announced(each.url)) for each in new]
    needed, room = sum(each.missing or 0 for each in known), free(known[0].path)
    if needed > room:
        raise DataError(
            f"{known[0].path.parent}: {megabytes(needed)} would be downloaded, and {megabytes(room)} are free there; nothing "
            "was downloaded. Free some, or name a folder on another disk with --data"
        )
    _asked[-1](known)
    _agreed.update((each.url, each.path) for each in new)


def free(path: Path) -> int:
    """How much space is free where a file would be written [bytes]."""
    there = next(parent for parent in path.absolute().parents if parent.exists())
    return shutil.disk_usage(there).free


def announced(url: str) -> int | None:
    """The size of a file by its server [bytes]; None if it does not tell. Nothing of the file itself is fetched."""
    import http.client  # here, as every command imports this module
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": f"gansemble/{__version__}"}, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            length = response.headers.get("Content-Length")
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return int(length) if length and length.isdigit() else None


def megabytes(size: int) -> str:
    """A size in words: ``170 MB``, ``2.6 GB``, ``25 GB``."""
    if size < 10**9:
        return f"{size / 1e6:,.0f} MB"
    return f"{size / 1e9:.1f} GB" if size < 10**10 else f"{size / 1e9:,.0f} GB"
