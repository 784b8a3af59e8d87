"""What a run was trained on: kept in the experiment, so that going on with other data is noticed, and named.

``exp/trained-on/<key>.jsonl`` lists the clips of the training and validation splits; checkpoints hold the keys, each
with the step from which it was used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from gansemble.data.manifest import Manifest, SplitIdentity
from gansemble.data.packed import Packed
from gansemble.errors import DataError
from gansemble.files import write_atomically
from gansemble.stages.ledger import SplitRecord

FOLDER = "trained-on"
#: The splits that decide what a run becomes: one is learnt from, one chooses the best checkpoint.
SPLITS = ("train", "validation")
SHOWN = 3


class TrainedData(TypedDict):
    """One entry of a checkpoint's history: the data it was trained on from a step, under their key."""

    from_step: int
    key: str
    splits: dict[str, SplitRecord]


History = Sequence[TrainedData]
#: A clip of the list: split, id, hash of its samples and, where it has one, of its degraded recording.
Row = tuple[str, str, str, str | None]


def key(identity: Mapping[str, SplitIdentity]) -> str:
    """A hash of the identities of the splits that training reads."""
    return hashlib.sha256("".join(identity[s].sha256 for s in SPLITS if s in identity).encode()).hexdigest()[:16]


def entry(identity: Mapping[str, SplitIdentity], step: int) -> TrainedData:
    """What a checkpoint holds of the data it is trained on from a step."""
    return {
        "from_step": step,
        "key": key(identity),
        "splits": {split: identity[split].record() for split in SPLITS if split in identity},
    }


def note(exp: Path, manifest: Manifest) -> None:
    """Writes the list of clips into an experiment, unless it is there."""
    path = _path(exp, key(manifest.identity))
    if _read(exp, key(manifest.identity)) is not None:
        return
    rows = [[e.split, e.id, e.sha256, e.partner_sha256] for e in manifest.entries if e.split in SPLITS]
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def difference(exp: Path, before: TrainedData, manifest: Manifest) -> str:
    """How packed data differ from those of a history's entry: clips added, changed, removed, moved between splits."""
    rows = _read(exp, str(before["key"]))
    if rows is None:
        counts = [
            f"{split} {before['splits'][split]['clips'] if split in before['splits'] else 0} -> "
            f"{_clips(manifest, split)} clips"
            for split in SPLITS
        ]
        return ", ".join(counts)
    old = {id_: (split, *hashes) for split, id_, *hashes in rows}
    new = {e.id: (e.split, e.sha256, e.partner_sha256) for e in manifest.entries if e.split in SPLITS}
    both = [id_ for id_ in new if id_ in old]
    found = (
        ("added", [id_ for id_ in new if id_ not in old]),
        ("removed", [id_ for id_ in old if id_ not in new]),
        ("changed", [id_ for id_ in both if old[id_][1:] != new[id_][1:]]),
        ("moved to another split", [id_ for id_ in both if old[id_][0] != new[id_][0]]),
    )
    parts = [f"{_counted(ids)} {word} ({_shown(ids)})" for word, ids in found if ids]
    return ", ".join(parts) or "labels, or the order of clips"


def held_out(
    exp: Path,
    history: History,
    packed: Packed,
    say: Callable[[str], None],
) -> Packed:
    """The clips of a split that a run was not trained on.

    Where the packed data are those that the run was trained on last, clips that it learnt, now or on earlier data, and
    clips with a twin among its training clips are left out, and said to be. The training split itself is let through: whoever
    asks for it by name wants it; but not the variants that augmentations made of its clips, which are no recordings.

    Raises:
        DataError: if the packed data are other ones, and hold clips that were trained on; or if no clip is left.
    """
    packed = packed.originals()
    if not history or packed.split == "train":
        return packed
    now = key(packed.manifest.identity)
    ids: set[str] = set()
    hashes: set[str] = set()
    for each in history:
        rows = _read(exp, str(each["key"]))
        if rows is None and each["key"] == now:
            rows = [(e.split, e.id, e.sha256, e.partner_sha256) for e in packed.manifest.entries]
        if rows is None:
            raise DataError(
                f"{_path(exp, str(each['key']))}: the list of what this run was trained on is gone, and {packed.folder} holds "
                "other data than it was trained on; score it on the data it was trained on, or train again"
            )
        ids |= {row[1] for row in rows if row[0] == "train"}
        hashes |= {row[2] for row in rows if row[0] == "train"}
    learnt = [e.id for e in packed.entries if e.id in ids or e.sha256 in hashes]
    if not learnt:
        return packed
    if history[-1]["key"] != now:
        raise DataError(
            f"{packed.folder}: {_counted(learnt)} of the {packed.split} split ({_shown(learnt)}) are among those this run "
            f"was trained on: the packed data are not those of the run ({difference(exp, history[-1], packed.manifest)}). "
            "Give the packed data it was trained on with --dump, or train again"
        )
    say(
        f"left out: {_counted(learnt)} of the {packed.split} split ({_shown(learnt)}), which the run was trained on, or which "
        "have the same samples as a training clip: a score of them would say nothing"
    )
    return packed.without(set(learnt))


def _path(exp: Path, of: str) -> Path:
    return exp / FOLDER / f"{of}.jsonl"


def _read(exp: Path, of: str) -> list[Row] | None:
    try:
        lines = _path(exp, of).read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line]
    except (OSError, ValueError):
        return None
    whole = all(isinstance(row, list) and len(row) == 4 for row in rows)
    return [(split, id_, sha256, partner) for split, id_, sha256, partner in rows] if whole else None


def _clips(manifest: Manifest, split: str) -> int:
    return manifest.identity[split].clips if split in manifest.identity else 0


def _counted(ids: Sequence[str]) -> str:
    return f"{len(ids)} {'clip' if len(ids) == 1 else 'clips'}"


def _shown(ids: Sequence[str]) -> str:
    return ", ".join(ids[:SHOWN]) + (", …" if len(ids) > SHOWN else "")
