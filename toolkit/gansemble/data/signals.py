"""Conditioning signals that a corpus or the recipe's ``data`` section brings in files: finding, packing and checking them.

A signal is kept as it is in its file, as float32, beside the packed audio; where a clip of L frames is read, its signal is
cut or lengthened to L (see :func:`gansemble.data.signal_files.aligned`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from gansemble.audio import listing
from gansemble.audio.spec import AudioSpec
from gansemble.data import signal_files
from gansemble.data.manifest import Clip, ManifestEntry, SignalPlace
from gansemble.data.pack import PackedCorpus
from gansemble.data.stored import decode, dtype_of
from gansemble.errors import DataError, first_few
from gansemble.files import sha256, sync
from gansemble.recipe.schema import Recipe
from gansemble.stages.corpus_files import demand_unchanged

#: Names of files and clips that a message shows.
SHOWN = 5
#: The scale of mel spectrograms is judged by so many clips, spread over the corpus.
JUDGED = 24


def found(recipe: Recipe, folder: Path, clips: Sequence[Clip], say: Callable[[str], None]) -> list[Clip]:
    """The clips with the files of the signals that ``data.signals`` and ``data.embeddings`` name.

    Args:
        recipe: whose ``data`` section names folders.
        folder: of the corpus, to which relative folders belong.
        clips: as the corpus lists them.
        say: called with each line for the user.

    Raises:
        DataError: if a folder is not there, or clips have no file in it and ``data.broken`` is not ``drop``; or if none is
            left.
    """
    wanted = [(name, place, False) for name, place in recipe.data.signals.items()]
    wanted += [(name, place, True) for name, place in recipe.data.embeddings.items()]
    for name, place, constant in wanted:
        root = folder / Path(place).expanduser()
        key = f"data.{'embeddings' if constant else 'signals'}.{name}"
        if not root.is_dir():
            raise DataError(f"{key}: {root}: no such folder; expected one with a .npy file for each clip")
        there = {stem: root / path for stem, path in listing.by_name(root, listing.ARRAYS).items()}
        files = {clip.id: _file_of(clip, there, recipe.data.label if constant else None) for clip in clips}
        lacking = [id_ for id_, path in files.items() if path is None]
        if lacking and (recipe.data.broken != "drop" or len(lacking) == len(clips)):
            clip = next(clip for clip in clips if clip.id == lacking[0])
            raise DataError(
                f"{key}: {len(lacking)} of {len(clips)} clips have no file in {root}, such as {first_few(lacking, SHOWN)}; expected "
                f"{clip.id}.npy or {Path(clip.path).with_suffix('.npy').as_posix()}. Make them (gansemble mels writes mel "
                "spectrograms), or leave these clips out with data.broken=drop"
            )
        if lacking:
            say(
                f"left out, as data.broken=drop says: {len(lacking)} clips without {name} ({first_few(lacking, SHOWN)})"
            )
        _demand_one_each(key, files, clips, recipe.data.label if constant else None)
        unused = sorted(set(there.values()) - set(files.values()))
        if unused:
            names = [path.relative_to(root).as_posix() for path in unused]
            say(f"warning: {len(unused)} files in {root} belong to no clip of the corpus ({first_few(names, SHOWN)})")
        clips = [_with(clip, name, files[clip.id], folder, constant) for clip in clips if files[clip.id] is not None]
    return list(clips)


def _file_of(clip: Clip, there: Mapping[str, Path], label: str | None) -> Path | None:
    """The file of a clip: called as its id, its path, its name, or, of an embedding, its label."""
    path = Path(clip.path).with_suffix("")
    names = [clip.id, path.as_posix(), path.name]
    if label is not None and label in clip.labels:
        names.append(str(clip.labels[label]))
    return next((there[name] for name in names if name in there), None)


def _demand_one_each(key: str, files: Mapping[str, Path | None], clips: Sequence[Clip], label: str | None) -> None:
    """Refuses a file that two clips would share, as where two folders have audio of one name; one of a label may be shared."""
    owners: dict[Path, str] = {}
    for clip in clips:
        path = files[clip.id]
        if path is None or (label is not None and path.stem == str(clip.labels.get(label))):
            continue
        if path in owners:
            raise DataError(
                f"{key}: {path}: would be the file of two clips, {owners[path]} and {clip.id}; call the files as the clips' ids, "
                f"such as {clip.id}.npy, or as their paths below the corpus"
            )
        owners[path] = clip.id


def _with(clip: Clip, name: str, path: Path | None, folder: Path, constant: bool) -> Clip:
    relative = os.path.relpath(str(path), folder)
    if constant:
        return dataclasses.replace(clip, embeddings={**clip.embeddings, name: relative})
    return dataclasses.replace(clip, signals={**clip.signals, name: relative})


def paths(clip: Clip) -> list[str]:
    """The files of a clip's signals, relative to the corpus folder."""
    return [*clip.signals.values(), *clip.embeddings.values()]


def pack(
    packed: PackedCorpus,
    clips: Sequence[Clip],
    folder: Path,
    target: Path,
    recipe: Recipe,
    say: Callable[[str], None],
) -> PackedCorpus:
    """Packs the signals of clips beside their audio, one after the other in one file, and checks them against it.

    Args:
        packed: the clips' audio.
        clips: whose files are read.
        folder: of the corpus.
        target: folder of the packed data.
        recipe: gives the audio specification.
        say: called with each line for the user.

    Returns:
        The same with the places of signals in the entries, and their files' hashes.

    Raises:
        DataError: if a file cannot be read, is transposed, or of another length, number of channels or scale; or if the disk
            is full.
    """
    if not any(paths(clip) for clip in clips):
        return packed
    by_id = {entry.id: entry for entry in packed.entries}
    writer = _Writer(target / f".signals.{os.getpid()}.part", folder, recipe)
    try:
        places = {clip.id: writer.add(clip, by_id[clip.id]) for clip in clips if clip.id in by_id}
        writer.flush()
        _judge_mels(_placed(packed.entries, places, writer.part.name), target, recipe.audio)
        name = writer.finish()
    except BaseException:
        writer.close()
        raise
    for line in writer.told():
        say(line)
    return dataclasses.replace(
        packed, entries=_placed(packed.entries, places, name), hashes=packed.hashes | writer.hashes
    )


def _placed(
    entries: Sequence[ManifestEntry], places: Mapping[str, Mapping[str, SignalPlace]], name: str
) -> list[ManifestEntry]:
    """The entries with the places of their signals in the file of this name; variants have their clips' places."""
    return [
        dataclasses.replace(
            entry, signals={key: {**place, "pack": name} for key, place in places[entry.original or entry.id].items()}
        )
        for entry in entries
    ]


class _Writer:
    """Writes signals behind each other, time after channel, so that a stretch of one is one piece of the file."""

    def __init__(self, part: Path, folder: Path, recipe: Recipe) -> None:
        self.part, self.folder, self.spec = part, folder, recipe.audio
        self._codes = recipe.generator_contract.codes
        self.hashes: dict[str, str] = {}
        self._digest, self._offset = hashlib.sha256(), 0
        self._channels: dict[str, tuple[int, str]] = {}
        self._differences: dict[str, dict[int, int]] = {}
        part.parent.mkdir(parents=True, exist_ok=True)
        self._stream = part.open("wb")

    def add(self, clip: Clip, entry: ManifestEntry) -> dict[str, SignalPlace]:
        """Appends a clip's signals and returns their places, by name."""
        found = {}
        frames = entry.frames // self.spec.hop
        for constant, files in ((False, clip.signals), (True, clip.embeddings)):
            for name, path in sorted(files.items()):
                signal = self._read(name, path, constant)
                if not constant:
                    signal_files.demand_fit(name, self.folder / path, signal.shape, frames, entry.frames, self.spec.hop)
                    counts = self._differences.setdefault(name, {})
                    counts[signal.shape[1] - frames] = counts.get(signal.shape[1] - frames, 0) + 1
                found[name] = self._append(signal, constant)
        return found

    def _read(self, name: str, path: str, constant: bool) -> np.ndarray:
        place = self.folder / path
        if not place.is_file():
            raise DataError(f"{place}: no such file, which the corpus names as the signal {name} of a clip")
        before = place.stat()
        signal = (signal_files.embedding if constant else signal_files.read)(name, place)
        self.hashes[path] = sha256(place)
        demand_unchanged(place, before)
        expected, first = self._channels.setdefault(name, (len(signal), path))
        if name == "mel" and len(signal) != self.spec.mels:
            turned = "; it is transposed: save it as [mels, frames]" if signal.shape[1] == self.spec.mels else ""
            raise DataError(
                f"{place}: expected a mel spectrogram of audio.mels={self.spec.mels} bands [mels, frames], got "
                f"{list(signal.shape)}{turned}"
            )
        codes = self._codes.get(name)
        if codes is not None and (signal.min() < 0 or signal.max() >= codes or (signal % 1).any()):
            raise DataError(
                f"{place}: the signal {name} holds {'fractions' if (signal % 1).any() else 'numbers'} from {signal.min():g} to "
                f"{signal.max():g}; the recipe's generator reads whole numbers from 0 to {codes - 1}"
            )
        if len(signal) != expected:
            raise DataError(f"{place}: the signal {name} has {len(signal)} channels, but {expected} in {first}")
        return signal

    def _append(self, signal: np.ndarray, constant: bool) -> SignalPlace:
        data = np.ascontiguousarray(signal.T, "<f4").tobytes()
        self._try(lambda: self._stream.write(data))
        self._digest.update(data)
        offset, self._offset = self._offset, self._offset + signal.size
        channels, frames = signal.shape
        digest = hashlib.sha256(data).hexdigest()
        return {
            "pack": "",
            "offset": offset,
            "channels": channels,
            "frames": frames,
            "constant": constant,
            "sha256": digest,
        }

    def flush(self) -> None:
        """Hands what was written to the file, so that it can be read."""
        self._try(self._stream.flush)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            raise DataError(
                f"{self.part}: no room for signals ({error.strerror}); free space or pass --dump"
            ) from error

    def finish(self) -> str:
        """Gives the file its final name, which holds a hash of its content, and returns it."""
        self.close(keep=True)
        name = f"signals-{self._digest.hexdigest()[:16]}.f32"
        sync(self.part)
        self.part.replace(self.part.with_name(name))
        sync(self.part.parent)
        return name

    def close(self, keep: bool = False) -> None:
        """Closes the file, and deletes it unless it is to be kept."""
        if keep:
            self._try(self._stream.close)
            return
        self.part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # of a full disk, which is what is being told
            self._stream.close()

    def told(self) -> Iterator[str]:
        """A line for each signal: how many frames more or fewer than their clips the files have."""
        for name, (channels, _) in sorted(self._channels.items()):
            counts = self._differences.get(name)
            if counts is None:
                yield f"signal {name}: a vector of {channels} for each clip"
                continue
            shown = ", ".join(
                f"{number} of {difference:+d}" for difference, number in sorted(counts.items()) if difference
            )
            aligned = f"; lengths that differ from their clips' by frames were aligned: {shown}" if shown else ""
            yield f"signal {name}: {channels} channels, {sum(counts.values())} clips{aligned}"


def _judge_mels(entries: Sequence[ManifestEntry], target: Path, spec: AudioSpec) -> None:
    """Compares mel spectrograms of files with those of the packed audio.

    Raises:
        DataError: if they are in another scale, or of other clips.
    """
    chosen = [entry for entry in entries if "mel" in entry.signals]
    if not chosen:
        return
    import torch

    from gansemble.audio.features import log_mel
    from gansemble.data import mel_scale

    theirs, ours = [], []
    for entry in chosen[:: max(1, len(chosen) // JUDGED)][:JUDGED]:
        frames = entry.frames // spec.hop
        pack = np.memmap(target / entry.pack, dtype_of(entry.pack), "r")
        audio = decode(pack[entry.offset : entry.offset + frames * spec.hop], entry.shift)
        ours.append(log_mel(torch.from_numpy(audio)[None, None], spec)[0].numpy())
        theirs.append(signal_files.aligned(read(target, entry, "mel"), 0, frames))
    fault = mel_scale.fault(np.concatenate(theirs, 1), np.concatenate(ours, 1))
    if fault is not None:
        raise DataError(
            f"the mel spectrograms of the corpus (such as that of {chosen[0].id}) are not in the scale of this recipe's audio "
            f"section: {fault}. Nothing was packed"
        )


def read(folder: Path, entry: ManifestEntry, name: str) -> np.ndarray:
    """A whole signal of a packed clip, float32 [C, L].

    Args:
        folder: of the packed data.
        entry: of the clip.
        name: of the signal.
    """
    place = entry.signals[name]
    size = place["channels"] * place["frames"]
    pack = np.memmap(folder / place["pack"], "<f4", "r", offset=4 * place["offset"], shape=(size,))
    return np.array(pack).reshape(place["frames"], place["channels"]).T
