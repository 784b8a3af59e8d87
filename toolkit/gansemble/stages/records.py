"""What is recorded of a stage that has finished, and how it is told what has changed since."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NotRequired, TypedDict

from gansemble.stages.project import Place


class SplitRecord(TypedDict):
    """The identity of one split of the packed data: its number of clips, and a hash over them."""

    clips: int
    sha256: str


#: What a stage made, as the stages after it record it: a hash, or of packed data the identity of each split.
Result = str | dict[str, SplitRecord] | None
#: Recipe keys that changed, with (old value, new value).
Changes = Mapping[str, tuple[object, object]]


class Record(TypedDict):
    """What is recorded of a stage that has finished.

    Attributes:
        version: of the stage's code.
        keys: the recipe keys that the stage read, with their values.
        inputs: what it read from outside: of the fetch stage, the corpus folder.
        result: a hash of what it made.
        upstream: the results that it was made from, by stage.
        overrides: the ``--set`` options of the run.
        outputs: size of each output file [bytes], by path.
        finished: date and time.
        seconds: duration [s].
        begun_again: when it was begun anew; there only until that run finishes.
        data: the identity of each split; of the prepare stage alone.
        files: the files and folders that parts of the stage read, each with the digest of its content, by recipe key.
    """

    version: int
    keys: dict[str, object]
    inputs: dict[str, Place]
    result: str
    upstream: dict[str, Result]
    overrides: list[str]
    outputs: dict[str, int]
    finished: str
    seconds: float
    begun_again: NotRequired[str]
    data: NotRequired[dict[str, SplitRecord]]
    files: NotRequired[dict[str, str]]


def data_reasons(before: Result, now: Mapping[str, SplitRecord]) -> Iterator[str]:
    """Says how the splits that a stage was made from differ from those that are packed now."""
    before = before if isinstance(before, dict) else {}
    for split in dict.fromkeys([*now, *before]):
        old, new = before.get(split), now.get(split)
        if old == new:
            continue
        counts = [each["clips"] if each else 0 for each in (old, new)]
        how = (
            f"{counts[0]} -> {counts[1]} clips" if counts[0] != counts[1] else f"other content in its {counts[0]} clips"
        )
        yield f"the packed {split} split changed ({how})"


def shown(value: object) -> str:
    """A value on one line of a reason, cut where it is long."""
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) < 80 else text[:77] + "..."
