"""The promises of corpora."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import cast
from unittest import mock

from gansemble.audio import files
from gansemble.contract import CorpusContract
from gansemble.data.manifest import SPLITS, Clip
from gansemble.errors import DataError
from gansemble.interfaces import Corpus
from gansemble.testing.subject import Fault, Subject, demand


@contextmanager
def _mini(subject: Subject) -> Iterator[tuple[Corpus, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        corpus, root = subject.make(), Path(folder) / "corpus"
        with _offline() as asked:
            corpus.mini(root)
        demand(not asked, f"its mini corpus asks the network for {asked[:1]}; make it from what is installed")
        yield corpus, root


def _listed(corpus: Corpus, root: Path) -> list[Clip]:
    """The clips that a corpus lists; :func:`lists_sound_clips` tests that they are clips."""
    return [cast(Clip, clip) for clip in corpus.scan(root)]


@contextmanager
def _offline() -> Iterator[list[object]]:
    """Refuses network connections, and yields the list of addresses that were tried."""
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> object:
        asked.append(arguments[-1] if isinstance(arguments[0], socket.socket) else arguments[0])
        raise OSError("a mini corpus is made offline")

    with mock.patch.object(socket.socket, "connect", refuse), mock.patch.object(socket, "getaddrinfo", refuse):
        yield asked


def makes_its_mini_corpus_beside_others_files(subject: Subject) -> None:
    """Writing the mini corpus into a folder with other files leaves these as they are."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.txt"
        notes.write_text("mine")
        try:
            subject.make().mini(Path(folder))
        except DataError:
            pass
        kept = notes.is_file() and notes.read_text() == "mine"
    demand(kept, "its mini corpus deletes files that were in the folder; raise DataError if it is not empty")


def lists_sound_clips(subject: Subject) -> None:
    """Clips of the mini corpus have unique ids without separators, existing files, and the splits that are needed.

    Splits are ``train``, ``validation`` and ``test``; the first two must have clips.
    """
    with _mini(subject) as (corpus, root):
        found = list(corpus.scan(root))
        demand(len(found) > 0, "scan finds nothing in its own mini corpus")
        wrong = [type(clip).__name__ for clip in found if not isinstance(clip, Clip)]
        demand(not wrong, f"scan must give gansemble.data.manifest.Clip, got {wrong[:1]}")
        clips = _listed(corpus, root)
        ids = [clip.id for clip in clips]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        demand(not twice, f"ids must be unique, but {', '.join(twice[:3])} comes again")
        odd = [name for name in ids if "/" in name or "\\" in name or name in ("", ".", "..")]
        demand(not odd, f"ids must be file names without separators, got {odd[:3]}")
        lost = [clip.path for clip in clips if not (root / clip.path).is_file()]
        lost += [
            clip.path for clip in clips if {"/", "\\", ".."} & set(PurePath(clip.path).parts) or ":" in clip.path[:3]
        ]
        demand(not lost, f"paths must be relative to the folder and exist, got {lost[:3]}")
        splits = {clip.split for clip in clips}
        demand(splits <= set(SPLITS), f"splits must be of {', '.join(SPLITS)}, got {sorted(splits)}")
        demand(
            {"train", "validation"} <= splits, f"the mini corpus needs train and validation clips, got {sorted(splits)}"
        )


def scans_without_opening_audio(subject: Subject) -> None:
    """Listing clips does not open their audio, and gives the same clips in the same order every time."""
    with _mini(subject) as (corpus, root):
        first = _listed(corpus, root)
        demand(first == _listed(corpus, root), "two scans of one folder differ; sort what is listed, and draw nothing")
        for clip in first:
            (root / clip.path).write_bytes(b"")
        try:
            again = _listed(corpus, root)
        except Exception as error:
            raise Fault(f"scan opens the audio: with empty files it raises {type(error).__name__}: {error}") from error
        demand(again == first, "scan opens the audio: with empty files it lists something else")


def makes_the_same_mini_corpus_twice(subject: Subject) -> None:
    """The mini corpus is made offline, readable, at a rate of the contract, and of the same bytes every time."""
    marks = []
    for _ in range(2):
        with _mini(subject) as (corpus, root):
            digest = hashlib.sha256()
            for clip in _listed(corpus, root):
                info = files.info(root / clip.path)
                demand(info.frames > 0, f"{clip.path} of the mini corpus is empty")
                rates = subject.contract.sample_rates
                demand(
                    rates is None or info.sample_rate in rates,
                    f"its contract says {sorted(rates or ())} Hz, {clip.path} has {info.sample_rate}",
                )
                digest.update((root / clip.path).read_bytes())
            marks.append(digest.hexdigest())
    demand(marks[0] == marks[1], "the mini corpus differs from one time to the next; seed what it draws")


def gives_the_labels_its_contract_says(subject: Subject) -> None:
    """If the contract gives labels or pitches, every clip has one, within what the contract declares.

    A label is called ``label`` or by a name of its own, such as ``speaker``, and is a number from 0 on, or a text.
    """
    contract = subject.stated(CorpusContract)
    with _mini(subject) as (corpus, root):
        clips = _listed(corpus, root)
        if "labels" in contract.gives:
            _demand_labels(clips, contract.classes)
        for clip in clips if "pitch" in contract.gives else ():
            pitch = clip.labels.get("pitch")
            low, high = contract.pitches or (0, 127)
            demand(
                isinstance(pitch, int) and low <= pitch <= high,
                f"{clip.id}: pitch {pitch!r} is not in {low}..{high}",
            )


def _demand_labels(clips: list[Clip], classes: int | None) -> None:
    names = {name for clip in clips for name in clip.labels if name != "pitch"}
    shared = sorted(name for name in names if all(name in clip.labels for clip in clips))
    key = "label" if "label" in shared or not shared else shared[0]
    classes = classes if key == "label" else None  # a contract's classes are those of this label
    found = [clip.labels.get(key) for clip in clips]
    for clip, label in zip(clips, found, strict=True):
        named = "" if shared else "; each clip needs a label of the same name"
        demand(
            isinstance(label, int | str) and label != "",
            f"{clip.id}: its contract gives labels, but this clip's {key} is {label!r}{named}",
        )
        demand(
            not isinstance(label, int) or 0 <= label < (classes or label + 1),
            f"{clip.id}: label {label} is not in 0..{(classes or 0) - 1}",
        )
    texts = {label for label in found if isinstance(label, str)}
    demand(
        not texts or all(isinstance(label, str) for label in found),
        f"the label {key} is a text of some clips, such as {min(texts, default='')!r}, and a number of others; give all one or "
        "the other",
    )
    demand(
        classes is None or len(texts) <= classes,
        f"its contract says {classes} classes, but clips have {len(texts)} labels: {', '.join(sorted(texts)[:5])}",
    )


def refuses_a_folder_that_is_not_its_own(subject: Subject) -> None:
    """Scanning a missing folder, or one of other files, raises a DataError that names the folder."""
    with tempfile.TemporaryDirectory() as folder:
        foreign = Path(folder) / "foreign"
        foreign.mkdir()
        (foreign / "notes.txt").write_text("nothing here")
        for root in (Path(folder) / "missing", foreign):
            try:
                found = list(subject.make().scan(root))
            except DataError as error:
                demand(root.name in str(error), f"the error does not name the folder: {error}")
            except Exception as error:
                raise Fault(
                    f"a {root.name} folder raises {type(error).__name__} ({error}), expected DataError"
                ) from error
            else:
                raise Fault(f"a {root.name} folder gives {len(found)} clips, expected DataError")


CORPUS: tuple[Callable[[Subject], None], ...] = (
    lists_sound_clips,
    scans_without_opening_audio,
    makes_its_mini_corpus_beside_others_files,
    makes_the_same_mini_corpus_twice,
    gives_the_labels_its_contract_says,
    refuses_a_folder_that_is_not_its_own,
)
