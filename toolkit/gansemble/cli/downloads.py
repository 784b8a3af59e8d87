"""Asks the user before a download: on a terminal by a question, elsewhere by an option."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from gansemble.cli.terminal import tell
from gansemble.data.consent import Offer, free, megabytes
from gansemble.errors import DataError

#: Downloads up to this size are told and not asked for [bytes].
SMALL = 20_000_000
#: Environment variable that agrees to every download where it is 1.
YES = "GANSEMBLE_YES"


def ask(offers: Sequence[Offer], yes: bool = False) -> None:
    """Tells what would be downloaded, and asks where it is more than ``SMALL``.

    Args:
        offers: the files.
        yes: the user has agreed beforehand.

    Raises:
        DataError: if the user says no, or cannot be asked and has not agreed beforehand.
    """
    room = free(offers[0].path)
    for offer in offers:
        tell(f"to download: {offer.words()}")
    if all(each.missing is not None for each in offers) and sum(each.missing or 0 for each in offers) <= SMALL:
        return
    tell(f"  free there: {megabytes(room)}; unpacking what is an archive needs as much again, or more")
    if yes or os.environ.get(YES) == "1":
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise DataError(
            f"{offers[0].path}: not downloaded, as nobody can be asked here; give --yes, or set {YES}=1, to agree beforehand, "
            "or get it elsewhere and put it there"
        )
    if not click.confirm("Download?", default=False, err=True):
        raise DataError(f"{offers[0].path}: not downloaded; name a folder that holds the corpus with --data")
