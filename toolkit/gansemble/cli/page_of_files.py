"""``--page``: a page of the files that a command made, each beside its input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gansemble.cli.made_files import Job
from gansemble.cli.terminal import printable, say

if TYPE_CHECKING:
    from gansemble.inference.trained import TrainedGenerator


def demand_page(page: Path | None) -> None:
    """Refuses a page that could not be written, before the work begins.

    Raises:
        GansembleError: with the reason.
    """
    if page is not None:
        from gansemble.pages import made_files

        made_files.demand_ours(page)


def write_page(page: Path | None, jobs: Sequence[Job], loaded: TrainedGenerator, made: str) -> None:
    """Writes the page, if one is wanted, of those files that are there, and says where it is.

    Args:
        page: its path.
        jobs: the files that were asked for.
        loaded: what they were made with.
        made: what was done with them, such as ``restored``.
    """
    if page is None:
        return
    from gansemble.pages import made_files

    pairs = [(job.source, job.target) for job in jobs if job.target.is_file()]
    title = f"Files {made} by {loaded.recipe.name}, step {loaded.step:,}"
    shown = made_files.write(page, title, pairs, loaded.spec, made, say)
    say(f"{printable(str(page))}: {shown} {'file' if shown == 1 else 'files'} to compare; open it in a browser")
