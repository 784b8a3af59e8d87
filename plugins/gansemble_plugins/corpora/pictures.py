"""CIFAR-10's binary batches: reading them, turning their pictures into clips, and making small ones."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import wave
from pathlib import Path

import numpy as np

from gansemble.audio.levels import to_int16
from gansemble.audio.names import shown
from gansemble.data import text_files
from gansemble.data.download import staged
from gansemble.errors import DataError
from gansemble.files import sha256, sync
from gansemble.stages import json_files

CHANNELS, HEIGHT, WIDTH = 3, 32, 32
RATE = CHANNELS * HEIGHT * WIDTH  # [Hz] nominal: a picture a second
RECORD = 1 + RATE  # [bytes] of a picture with its label
CLASSES = 10
BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
NAMES = "batches.meta.txt"
CLIPS = "clips"
#: Beside the clips: their labels, the names of the classes, and hashes of what they were made from.
LABELS = "labels.json"

MINI_CLASSES = (
    *("disc", "ring", "square", "cross", "triangle"),
    *("rows", "columns", "board", "slope", "speckle"),
)
MINI_OF_A_CLASS = 2


def clip_path(batch: str, number: int) -> str:
    """Where a picture's clip lies below the clips' folder."""
    return f"{batch}/{number:05d}.wav"


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(labels uint8 [N], values uint8 [N, 3072]) of a batch.

    Raises:
        DataError: if the file is missing, is not made of whole records, or a label is none of the ten.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; unpack the archive of the binary version again")
    size = path.stat().st_size
    if size == 0 or size % RECORD:
        raise DataError(
            f"{path}: expected records of {RECORD} bytes, got {size} bytes; copy it again (the python version's batches are "
            "other files: get the binary version)"
        )
    records = np.fromfile(path, np.uint8).reshape(-1, RECORD)
    wrong = np.flatnonzero(records[:, 0] >= CLASSES)
    if len(wrong):
        raise DataError(
            f"{path}: picture {wrong[0]} has label {records[wrong[0], 0]}, but labels are 0 to {CLASSES - 1}; copy it again"
        )
    return records[:, 0], records[:, 1:]


def class_names(path: Path) -> list[str]:
    """The names of the ten classes, one on each line.

    Raises:
        DataError: if the file is missing or no text, or there are not ten, each once.
    """
    names = [word for line in text_files.lines(path) for word in line.text.split()]
    if len(names) != CLASSES or len(set(names)) != CLASSES:
        raise DataError(
            f"{path}: expected the names of {CLASSES} classes, got {shown(', '.join(names[:20])) or 'none'}; unpack the archive of the binary version again"
        )
    return names


def to_samples(values: np.ndarray) -> np.ndarray:
    """uint8 values -> int16 samples of value / 127.5 - 1.

    Neighbouring values are at least 256 of 65,536 levels apart, so rounding, and the level that 1 is cut to, lose nothing.
    """
    return _SAMPLES[values]


#: Of each value: looked up, as a batch in floating point would take a gigabyte.
_SAMPLES = to_int16(np.arange(256) / 127.5 - 1)


def convert(source: Path, clips: Path) -> None:
    """Writes a WAV file for each picture; does nothing where that was done from the same batches.

    They are written into a folder beside ``clips`` that is renamed when it is whole, so whatever is in ``clips`` is whole.

    Raises:
        DataError: if a batch is missing or damaged, or ``clips`` holds something else.
    """
    paths = [source / f"{batch}.bin" for batch in (*BATCHES, TEST_BATCH)]
    names = class_names(source / NAMES)
    read = {path.stem: read_batch(path) for path in paths}
    made_from = {path.name: sha256(path) for path in [*paths, source / NAMES]}
    if _complete(clips, made_from, {batch: len(labels) for batch, (labels, _) in read.items()}):
        return
    foreign = _foreign(clips)
    if foreign:
        raise DataError(f"{foreign[0]} (with {len(foreign) - 1} others) is no clip of CIFAR-10; move it out of {clips}")
    with staged(clips) as temporary:
        for batch, (_, values) in read.items():
            (temporary / batch).mkdir()
            for number, samples in enumerate(to_samples(values)):
                (temporary / clip_path(batch, number)).write_bytes(_HEADER + samples.astype("<i2").tobytes())
        noted = {
            "made_from": made_from,
            "classes": names,
            "labels": {batch: labels.tolist() for batch, (labels, _) in read.items()},
        }
        (temporary / LABELS).write_text(json.dumps(noted), encoding="utf-8")
        sync(temporary / LABELS)
        if clips.exists():
            shutil.rmtree(clips)  # older clips, or an empty folder


def _complete(clips: Path, made_from: dict[str, str], counts: dict[str, int]) -> bool:
    """Whether all clips are there and whole, made from these batches."""
    try:
        noted = json_files.read(clips / LABELS, dict[str, object], "the clips are made again")
        if noted.get("made_from") != made_from:
            return False
        return all(
            os.stat(f"{clips}/{clip_path(batch, number)}").st_size == len(_HEADER) + 2 * RATE  # noqa: PTH116
            for batch, count in counts.items()
            for number in range(count)
        )
    except (OSError, DataError):
        return False


def _foreign(clips: Path) -> list[Path]:
    """What lies where the clips belong and is none: it must not be deleted with them."""
    if not clips.exists():
        return []
    if not clips.is_dir():
        return [clips]
    ours = re.compile(rf"(?:{'|'.join((*BATCHES, TEST_BATCH))})/[0-9]{{5}}\.wav|{re.escape(LABELS)}")
    found = (path for path in sorted(clips.rglob("*")) if not path.is_dir())
    return [path for path in found if not ours.fullmatch(path.relative_to(clips).as_posix())]


def _header() -> bytes:
    """What every clip's WAV file begins with."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(bytes(2 * RATE))
    return whole.getvalue()[: -2 * RATE]


_HEADER = _header()


def write_mini(folder: Path) -> None:
    """Batches of 20 synthetic pictures, two of each class, in the binary version's layout."""
    folder.mkdir(parents=True)
    for place, batch in enumerate((*BATCHES, TEST_BATCH)):
        records = [
            bytes([label]) + draw(label, (place, label, number)).tobytes()
            for number in range(MINI_OF_A_CLASS)
            for label in range(CLASSES)
        ]
        (folder / f"{batch}.bin").write_bytes(b"".join(records))
    (folder / NAMES).write_text("".join(f"{name}\n" for name in (*MINI_CLASSES, "")), encoding="utf-8")


def draw(label: int, seed: tuple[int, ...]) -> np.ndarray:
    """A shape in one colour on another, uint8 [3, 32, 32]; place, size and colours are drawn."""
    draws = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH] - draws.uniform(12, 20, (2, 1, 1))
    size, turn = draws.uniform(6, 10), draws.uniform(0, 2 * np.pi)
    away, step = np.hypot(x, y), draws.uniform(3, 5)
    masks = {
        "disc": away < size,
        "ring": np.abs(away - size) < 2,
        "square": np.maximum(np.abs(x), np.abs(y)) < 0.8 * size,
        "cross": np.minimum(np.abs(x), np.abs(y)) < 2,
        "triangle": (np.abs(x) < 0.5 * (y + size)) & (y < 0.8 * size),
        "rows": np.floor(y / step) % 2 == 0,
        "columns": np.floor(x / step) % 2 == 0,
        "board": (np.floor(x / step) + np.floor(y / step)) % 2 == 0,
        "slope": np.clip(0.5 + (x * np.cos(turn) + y * np.sin(turn)) / WIDTH, 0, 1),
        "speckle": draws.random((HEIGHT, WIDTH)),
    }
    mask = masks[MINI_CLASSES[label]].astype(float)
    dark, bright = draws.uniform(0, 90, (3, 1, 1)), draws.uniform(150, 255, (3, 1, 1))
    noisy = dark + (bright - dark) * mask + draws.normal(0, 4, (CHANNELS, HEIGHT, WIDTH))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
