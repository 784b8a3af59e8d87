"""Conditioning signals of clips in files: ``.npy`` arrays beside the audio, such as mel spectrograms, codes, embeddings.

Imports no torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gansemble.errors import DataError

#: A signal may have so many frames more or fewer than its clip: programs pad the ends of clips differently [frames].
SLACK = 2
#: Whole numbers up to this are exact as float32, which signals are kept as.
LARGEST_CODE = 1 << 24


def read(name: str, path: Path) -> np.ndarray:
    """A signal of a ``.npy`` file.

    Args:
        name: of the signal, for messages.
        path: the file, with numbers [C, L] or [1, C, L], or [L] for one channel.

    Returns:
        float32 [C, L].

    Raises:
        DataError: if there is no such file, or it holds anything else, NaN or infinity, or codes too large for float32.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        # Of a file of another kind NumPy advises to unpickle it, which nobody should.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no .npy file of numbers"
        raise DataError(f"{path}: cannot be read as the signal {name} ({reason})") from error
    if isinstance(found, np.ndarray) and found.ndim == 3 and found.shape[0] == 1:
        found = found[0]
    if not isinstance(found, np.ndarray) or found.ndim not in (1, 2) or found.dtype.kind not in "fiu":
        shown = f"{found.dtype} {list(found.shape)}" if isinstance(found, np.ndarray) else type(found).__name__
        raise DataError(f"{path}: the signal {name} must be numbers [C, L] or [L], got {shown}")
    if not found.size:
        raise DataError(f"{path}: the signal {name} is empty, {list(found.shape)}")
    if not np.isfinite(found).all():
        raise DataError(f"{path}: the signal {name} holds NaN or infinity")
    if found.dtype.kind in "iu" and np.abs(found.astype(np.int64)).max() > LARGEST_CODE:
        raise DataError(
            f"{path}: the signal {name} holds whole numbers beyond {LARGEST_CODE:,}, which float32 cannot tell apart"
        )
    return np.atleast_2d(found).astype(np.float32)


def embedding(name: str, path: Path) -> np.ndarray:
    """A vector of a ``.npy`` file that holds for a whole clip, such as a speaker embedding.

    Args:
        name: of the signal, for messages.
        path: the file, with numbers [C], or [1, C] or [C, 1].

    Returns:
        float32 [C, 1].

    Raises:
        DataError: if there is no such file, or it holds anything else.
    """
    found = read(name, path)
    if 1 not in found.shape:
        raise DataError(f"{path}: the embedding {name} must be one vector [C], got {list(found.shape)}")
    return found.reshape(-1, 1)


def demand_fit(name: str, path: str | Path, shape: tuple[int, ...], frames: int, samples: int, hop: int) -> None:
    """Refuses a signal whose number of frames is not that of its clip, up to :data:`SLACK`.

    Args:
        name: of the signal.
        path: its file, for messages.
        shape: of the signal, (C, L).
        frames: expected, a frame for each ``hop`` samples of the clip.
        samples: of the clip.
        hop: ``audio.hop`` [samples].

    Raises:
        DataError: if it is transposed, or of another frame rate or another clip.
    """
    channels, length = shape
    if abs(length - frames) <= SLACK:
        return
    expected = f"{path}: the signal {name} has {length} frames, expected {frames} (up to {SLACK} more or fewer)"
    why = f"a frame for each audio.hop of {hop} of the clip's {samples} samples"
    if abs(channels - frames) <= SLACK:
        raise DataError(f"{expected}, {why}; it is transposed: save it as [channels, frames]")
    raise DataError(
        f"{expected}, {why}; it has a frame for each {samples / length:.1f} samples. Make it with a hop of {hop}, or of the "
        "whole clip and of this one"
    )


def aligned(signal: np.ndarray, first: int, frames: int) -> np.ndarray:
    """A stretch of a signal, of so many frames; frames behind its end repeat the last one.

    Args:
        signal: [C, L].
        first: first frame of the stretch.
        frames: how many.

    Returns:
        [C, frames].
    """
    stretch = signal[:, first : first + frames]
    if stretch.shape[1] == 0:
        stretch = signal[:, -1:]
    lacking = frames - stretch.shape[1]
    return np.pad(stretch, ((0, 0), (0, lacking)), mode="edge") if lacking > 0 else stretch
