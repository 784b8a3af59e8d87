"""Small corpora that are synthesised without a network: speech by eSpeak NG, harmonic notes by numpy. Imports no torch.

They serve to try a recipe, not for research. Run as a module, this file is the child process in which eSpeak NG speaks.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from gansemble import json_files
from gansemble.audio import levels
from gansemble.audio.files import resample
from gansemble.data.download import staged
from gansemble.errors import DataError

#: File in a finished mini corpus: its stamp, and the size of every file that was made.
MARK = ".mini.json"


@dataclass(frozen=True)
class Voice:
    """A voice of eSpeak NG.

    Args:
        name: language file and variant, such as ``gmw/en-US+f3``.
        pitch: 0 to 99; 50 is the voice's own.
        words_per_minute: speaking rate, 80 to 450.
    """

    name: str
    pitch: int = 50
    words_per_minute: int = 165


VOICES = (
    Voice("gmw/en-US+f3", 55, 165),
    Voice("gmw/en-US+m3", 45, 160),
    Voice("gmw/en+f5", 50, 170),
    Voice("gmw/en-GB-scotland+m7", 50, 165),
    Voice("gmw/en-US+f2", 40, 155),
)


def speech(sentences: Sequence[str], *, voices: Sequence[Voice] = VOICES, sample_rate: int = 22050) -> list[np.ndarray]:
    """Speaks each sentence with the next voice in turn.

    The same sentences and voices give the same samples every time. As the output of eSpeak NG depends on what it spoke
    before, every call starts a fresh child process; a crash of the library does not reach the calling process, either.

    Args:
        sentences: what to say, in English for the default voices.
        voices: used in turn, beginning again after the last.
        sample_rate: of the result [Hz].

    Returns:
        One float32 array [T] for each sentence, within ±1, of different lengths T.

    Raises:
        DataError: if eSpeak NG is not installed, cannot be loaded, or lacks a voice.
    """
    request = {"sentences": list(sentences), "voices": [asdict(voice) for voice in voices]}
    # The child imports what this process imports, and nothing from the working directory (-P).
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    child = subprocess.run(
        [sys.executable, "-P", "-m", "gansemble.data.mini"],
        input=json.dumps(request).encode(),
        capture_output=True,
        env=environment,
        timeout=600,
    )
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {child.returncode}"]
        raise DataError(f"eSpeak NG could not make the speech ({said[-1]}); pip install 'gansemble[mini]'")
    head, _, body = child.stdout.partition(b"\n")
    answer = json.loads(head)
    # Split before each sentence but the first: at the running sums of the lengths, without the total.
    samples = np.split(np.frombuffer(body, np.dtype("<i2")), np.cumsum(answer["lengths"])[:-1])
    spoken = [levels.from_int16(each) for each in samples]
    return [resample(each[np.newaxis], answer["sample_rate"], sample_rate)[0] for each in spoken]


def notes(pitches: Sequence[int], *, sample_rate: int, seconds: float = 1.0, seed: int = 0) -> list[np.ndarray]:
    """Synthesises one harmonic note for each pitch.

    A note has an attack of 10 ms, partials that decay the faster the higher they are, a release of 50 ms, and white
    noise 60 dB below its first partial, so that the spectrum does not end abruptly above the last partial.

    Args:
        pitches: MIDI note numbers; 69 is 440 Hz.
        sample_rate: [Hz].
        seconds: length of each note [s].
        seed: of the timbre, which also depends on the pitch and on the note's place in the list.

    Returns:
        One float32 array [T] for each pitch, with a peak of 0.5.
    """
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    made = []
    for index, pitch in enumerate(pitches):
        draws = np.random.default_rng((seed, index, pitch))
        f0 = 440.0 * 2 ** ((pitch - 69) / 12)
        slope, fading = draws.uniform(1.0, 1.8), draws.uniform(0.5, 1.5)
        note = 1e-3 * draws.standard_normal(len(time))
        # Partial k is exp(-fading t) exp(2j pi f0 t k) exp(-0.3 fading t k), which is partial k - 1 times ``turn``: one
        # complex product for each partial, ten times cheaper than a sine and an exponential.
        turn, wave = np.exp((2j * np.pi * f0 - 0.3 * fading) * time), np.exp(-fading * time).astype(complex)
        # Partials stay below 0.45 of the sample rate, which is 0.9 of the Nyquist frequency.
        for partial in range(1, min(64, int(0.45 * sample_rate / f0)) + 1):
            wave *= turn
            note += (partial**-slope * np.exp(2j * np.pi * draws.random()) * wave).imag
        # Linear ramps: up from 0 in the first 10 ms, down to 0 in the last 50 ms.
        note *= np.minimum(1, np.minimum(time / 0.01, (seconds - time) / 0.05))
        made.append((0.5 * note / np.abs(note).max()).astype(np.float32))
    return made


def build(folder: Path, stamp: str, write: Callable[[Path], None]) -> None:
    """Makes a mini corpus in ``folder``, unless the same one is there already.

    The files are written to a temporary folder, which is renamed when it is complete. A mini corpus with another stamp
    is replaced.

    Args:
        folder: where the mini corpus belongs.
        stamp: names the corpus and its version.
        write: called with the temporary folder, writes the corpus' files into it.

    Raises:
        DataError: if ``folder`` holds files that do not belong to a mini corpus.
    """
    if _complete(folder, stamp):
        return
    ours = (folder / MARK).is_file()
    if not ours and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(f"{folder}: holds something that is no mini corpus; name another folder with --data")
    foreign = _foreign(folder) if ours else []
    if foreign:  # found now, before the older corpus is deleted
        raise DataError(
            f"{folder}: holds an older mini corpus, and {len(foreign)} files that are not of it, such as {foreign[0]}; move "
            "them away, or name another folder with --data"
        )
    try:
        with staged(folder) as temporary:
            write(temporary)
            names = sorted(path for path in temporary.rglob("*") if path.is_file())
            sizes = {str(path.relative_to(temporary)): _size(path) for path in names}
            (temporary / MARK).write_text(json.dumps({"stamp": stamp, "bytes": sizes}), encoding="utf-8")
            if ours:
                _clear(folder)
    except DataError:
        if not _complete(folder, stamp):  # else another process was faster, and made the same
            raise


class _Mark(TypedDict):
    """What a mini corpus notes of itself: what it was made from, and the size of each of its files [bytes]."""

    stamp: str
    bytes: dict[str, int]


def _mark(folder: Path) -> _Mark:
    remedy = (
        f"delete {folder} if it is nothing but a mini corpus, which is then made again, or name another with --data"
    )
    return json_files.read(folder / MARK, _Mark, remedy)


def _complete(folder: Path, stamp: str) -> bool:
    if not (folder / MARK).is_file():
        return False
    made = _mark(folder)
    sizes = made["bytes"].items()
    return made["stamp"] == stamp and all(_size(folder / name) == size for name, size in sizes)


def _foreign(folder: Path) -> list[Path]:
    """Files in the folder of a mini corpus that are not of the corpus itself."""
    made = _mark(folder)
    own = {folder / name for name in (*made["bytes"], MARK)}
    return sorted(path for path in folder.rglob("*") if not path.is_dir() and path not in own)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _clear(folder: Path) -> None:
    """Deletes the files of an older mini corpus, and only those."""
    made = _mark(folder)
    for name in [*made["bytes"], MARK]:
        if ".." not in Path(name).parts and not Path(name).is_absolute():
            (folder / name).unlink(missing_ok=True)
    for left in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        if not any(left.iterdir()):
            left.rmdir()


# The child process.

_RATE, _PITCH = 1, 3  # espeak_PARAMETER
_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT
_DO_NOT_EXIT = 0x8000  # without it the library ends the process when its data are missing
_UTF8 = 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def _speak(sentences: Sequence[str], voices: Sequence[Voice]) -> tuple[int, list[bytes]]:
    """(sample rate of the library [Hz], samples of each sentence as the bytes of int16). Runs in the child process."""
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        # A path of more than 160 characters would not fit into the library's buffer: tell it a relative one.
        os.chdir(Path(espeakng_loader.get_data_path()).parent)
    except (ImportError, OSError, RuntimeError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, b".", _DO_NOT_EXIT)
    if rate <= 0:
        raise SystemExit("espeak_Initialize failed: the library does not find its data")
    spoken: list[bytes] = []
    chunks: list[bytes] = []

    @_CALLBACK
    def collect(samples: int | None, count: int, events: int) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    library.espeak_SetSynthCallback(collect)
    for index, sentence in enumerate(sentences):
        voice = voices[index % len(voices)]
        if library.espeak_SetVoiceByName(voice.name.encode()):
            raise SystemExit(f"eSpeak NG has no voice {voice.name!r}")
        library.espeak_SetParameter(_RATE, voice.words_per_minute, 0)
        library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        # Breath and flutter are drawn from a generator that starts from the clock.
        library.espeak_ng_SetRandSeed(ctypes.c_long(index + 1))
        text = sentence.encode() + b"\0"
        if library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, _UTF8, None, None):
            raise SystemExit(f"eSpeak NG cannot speak {sentence!r}")
        library.espeak_Synchronize()
        spoken.append(b"".join(chunks))
        chunks.clear()
    return rate, spoken


def _child() -> None:
    request = json.load(sys.stdin)
    rate, spoken = _speak(request["sentences"], [Voice(**voice) for voice in request["voices"]])
    head = json.dumps({"sample_rate": rate, "lengths": [len(each) // 2 for each in spoken]})
    sys.stdout.buffer.write(head.encode() + b"\n" + b"".join(spoken))


if __name__ == "__main__":
    _child()
