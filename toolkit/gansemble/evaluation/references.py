"""The real recordings that generated clips imitate or are compared with: verified, and not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gansemble.data.packed import Packed
from gansemble.data.trained_on import History, held_out
from gansemble.data.verification import verify
from gansemble.errors import DataError
from gansemble.evaluation.index import GeneratedClip
from gansemble.stages import Project


def references(
    project: Project, history: History, split: str, say: Callable[[str], None], normalise: float | None = None
) -> Packed:
    """The clips of a split that may serve as references for a run, after a check of their hashes.

    Args:
        project: where the packed data and the experiment are.
        history: the data that the run was trained on, from its checkpoint or index.
        split: ``train``, ``validation`` or ``test``.
        say: called with a line if clips are left out.
        normalise: peak that clips are scaled to; None keeps their levels.

    Raises:
        DataError: if the packed audio was altered, if it is not the data of the run and holds clips that the run was
            trained on, or if no clip is left; see :func:`gansemble.data.trained_on.held_out`.
    """
    verify(project.dump, {split})
    return held_out(project.exp, history, Packed(project.dump, split, normalise), say)


def demand_same(project: Project, packed: Packed, generated: Sequence[GeneratedClip]) -> None:
    """Checks that the recordings which generated clips imitate are still in the packed data, and unchanged.

    Raises:
        DataError: if a recording is missing or has other samples now; the message names clips.
    """
    there = {entry.id: entry.sha256 for entry in packed.entries}
    clips = {str(clip.clip): clip.sha256 for clip in generated}
    missing = [id_ for id_ in clips if id_ not in there]
    if missing:
        raise DataError(
            f"{project.dump}: {len(missing)} generated clips have no reference there: {', '.join(missing[:5])}; synthesise again"
        )
    other = [id_ for id_, sha256 in clips.items() if sha256 not in (None, there[id_])]
    if other:
        raise DataError(
            f"{project.dump}: the recordings of {len(other)} generated clips are not those that were imitated: "
            f"{', '.join(other[:5])}; the corpus was packed anew since. Synthesise again"
        )
