"""A record of the data that a run was trained on.

With it, resuming on other data is noticed, the differences can be named, and clips that the network was trained on can
be left out of an evaluation. ``exp/trained-on/<key>.jsonl`` lists the clips of the training and validation splits.
Checkpoints hold a history of such keys, each with the training step from which the data were used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from gansemble.data.manifest import SPLITS as ALL_SPLITS
from gansemble.data.manifest import Manifest, SplitIdentity
from gansemble.data.packed import Packed
from gansemble.errors import DataError, first_few
from gansemble.stages import json_files
from gansemble.stages.records import SplitRecord

FOLDER = "trained-on"
#: The splits that determine the result of a training: one is trained on, the other selects the best checkpoint.
SPLITS = ("train", "validation")
SHOWN = 3


class TrainedData(TypedDict):
    """One entry of a checkpoint's history of training data.

    Attributes:
        from_step: the training step from which these data were used.
        key: hash that identifies the data; see :func:`key`.
        splits: number of clips and hash of each split.
    """

    from_step: int
    key: str
    splits: dict[str, SplitRecord]


History = Sequence[TrainedData]
#: One clip of a list: split, id, hash of its samples, and hash of its degraded recording or None.
Row = tuple[str, str, str, str | None]


def key(identity: Mapping[str, SplitIdentity]) -> str:
    """A key for the data that a training reads: 16 hexadecimal digits of a hash over its splits' identities."""
    return hashlib.sha256("".join(identity[s].sha256 for s in SPLITS if s in identity).encode()).hexdigest()[:16]


def entry(identity: Mapping[str, SplitIdentity], step: int) -> TrainedData:
    """The entry of a checkpoint's history for data that are trained on from ``step`` on."""
    return {
        "from_step": step,
        "key": key(identity),
        "splits": {split: identity[split].record() for split in SPLITS if split in identity},
    }


def note(exp: Path, manifest: Manifest) -> None:
    """Writes the list of the training and validation clips into an experiment, unless it is there already."""
    path = _path(exp, key(manifest.identity))
    if _read(exp, key(manifest.identity)) is not None:
        return
    json_files.write_rows(path, (list(row) for row in _rows(manifest) if row[0] in SPLITS))


def difference(exp: Path, before: TrainedData, manifest: Manifest) -> str:
    """Describes how packed data differ from those that a run was trained on before.

    Args:
        exp: the experiment, which holds the list of clips.
        before: the entry of the history to compare with.
        manifest: of the packed data.

    Returns:
        How many clips were added, removed, changed or moved to another split, with examples; only the numbers of clips
        before and now where the list is gone.
    """
    rows = _read(exp, str(before["key"]))
    if rows is None:
        counts = [
            f"{split} {before['splits'][split]['clips'] if split in before['splits'] else 0} -> "
            f"{_clips(manifest, split)} clips"
            for split in SPLITS
        ]
        return ", ".join(counts)
    old = {id_: (split, *hashes) for split, id_, *hashes in rows}
    new = {id_: (split, *hashes) for split, id_, *hashes in _rows(manifest) if split in SPLITS}
    both = [id_ for id_ in new if id_ in old]
    found = (
        ("added", [id_ for id_ in new if id_ not in old]),
        ("removed", [id_ for id_ in old if id_ not in new]),
        ("changed", [id_ for id_ in both if old[id_][1:] != new[id_][1:]]),
        ("moved to another split", [id_ for id_ in both if old[id_][0] != new[id_][0]]),
    )
    parts = [f"{_counted(ids)} {word} ({first_few(ids, SHOWN)})" for word, ids in found if ids]
    return ", ".join(parts) or "labels, or the order of clips"


def held_out(
    exp: Path,
    history: History,
    packed: Packed,
    say: Callable[[str], None],
) -> Packed:
    """The clips of a split that may be used to evaluate a run: those that it was not trained on.

    Left out are clips that were in the training split at any time of the run, and clips with the same samples as one of
    those. Variants that augmentations made are left out of every split. The training split itself is returned whole
    otherwise, for callers that ask for it by name.

    Args:
        exp: the experiment, which holds the lists of clips.
        history: the data the run was trained on, from its checkpoint; empty leaves out variants only.
        packed: the clips of the split.
        say: called with a line that says which clips are left out.

    Raises:
        DataError: if the packed data are not those of the last entry in ``history`` and hold clips that were trained
            on, if a list of trained clips is missing, or if no clip is left.
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
            rows = list(_rows(packed.manifest))
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
            f"{packed.folder}: {_counted(learnt)} of the {packed.split} split ({first_few(learnt, SHOWN)}) are among those this run "
            f"was trained on: the packed data are not those of the run ({difference(exp, history[-1], packed.manifest)}). "
            "Give the packed data it was trained on with --dump, or train again"
        )
    say(
        f"left out: {_counted(learnt)} of the {packed.split} split ({first_few(learnt, SHOWN)}), which the run was trained on, or which "
        "have the same samples as a training clip: a score of them would say nothing"
    )
    return packed.without(set(learnt))


def _rows(manifest: Manifest) -> Iterator[Row]:
    """What is listed of each clip of a manifest."""
    clips = manifest.clips
    splits = (ALL_SPLITS[number] for number in clips.column("split").tolist())
    partners = (text or None for text in clips.texts("partner_sha256"))
    return zip(splits, clips.texts("id"), clips.texts("sha256"), partners, strict=True)


def _path(exp: Path, of: str) -> Path:
    return exp / FOLDER / f"{of}.jsonl"


def _read(exp: Path, of: str) -> list[Row] | None:
    try:
        return json_files.read_rows(_path(exp, of), tuple[str, str, str, str | None], "it is written anew")
    except DataError:
        return None


def _clips(manifest: Manifest, split: str) -> int:
    return manifest.identity[split].clips if split in manifest.identity else 0


def _counted(ids: Sequence[str]) -> str:
    return f"{len(ids)} {'clip' if len(ids) == 1 else 'clips'}"
