"""Runs ONNX files that ``gansemble export`` wrote, with NumPy, soundfile and ONNX Runtime alone.

This file imports nothing of gansemble, and works where it is copied to::

    python runner.py vocoder.onnx speech.wav made.wav

For a vocoder the input is a recording, whose mel spectrogram is computed, or a ``.npy`` file with one; for a generator that
restores recordings it is a recording. Files of any length take the same memory, if the generator has a bounded context.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, cast

import numpy as np
import onnxruntime

#: Of the metadata that this runner reads.
FORMAT = 1
#: Samples of audio that a mel spectrogram is computed of at a time.
BLOCK = 1 << 16

Arrays = Mapping[str, np.ndarray]


class Audio(TypedDict):
    """The audio specification in a file's metadata, as ``gansemble.audio.spec`` describes it."""

    sample_rate: int
    n_fft: int
    hop: int
    window: int
    mels: int
    fmin: float
    fmax: float | None
    log_floor: float
    power_floor: float
    mel_filters: NotRequired[Literal["slaney", "htk"]]


class MelStatistics(TypedDict):
    """Mean and standard deviation of the mel spectrograms that the generator learnt from."""

    mean: float
    deviation: float


class Facts(TypedDict):
    """What a file says of itself, as far as it is needed to run it."""

    format: int
    task: str
    audio: Audio
    inputs: dict[str, dict[str, object]]
    output: dict[str, object]
    main: str | None
    whole: list[str]
    latent: dict[str, object] | None
    labels: int | None
    first_pitch: int | None
    classes: list[str]
    hop: int | None
    context_frames: int | None
    alignment: int
    mel: MelStatistics | None


class UnusableFile(ValueError):
    """A file is no ONNX file that ``gansemble export`` wrote, or is damaged."""


class Runner:
    """A generator in an ONNX file.

    Args:
        path: of the file.
        threads: that one call uses; None leaves it to ONNX Runtime.

    Attributes:
        facts: the file's metadata.
        audio: its audio specification.

    Raises:
        UnusableFile: if it cannot be read, is damaged, of another program, or of a newer format.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        if threads is not None:
            options.intra_op_num_threads = threads
        if not Path(path).is_file():
            raise UnusableFile(f"{path}: no such file; gansemble export writes one")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a class of its own for each of its codes
            raise UnusableFile(f"{path}: is no ONNX file that can be run, or is damaged ({_first(error)})") from error
        self.facts = self._facts(path)
        self.audio = self.facts["audio"]
        self.names = [value.name for value in self._session.get_inputs()]
        self._basis = mel_basis(self.audio)

    def _facts(self, path: str | Path) -> Facts:
        text = self._session.get_modelmeta().custom_metadata_map.get("gansemble")
        if text is None:
            raise UnusableFile(f"{path}: has no metadata of gansemble; it was made by another program")
        try:
            facts = json.loads(text)
            found = int(facts["format"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableFile(f"{path}: its metadata are damaged; export the generator again") from error
        if found > FORMAT:
            raise UnusableFile(
                f"{path}: is of format {found}, newer than {FORMAT}; it needs a newer version of gansemble"
            )
        missing = sorted(Facts.__required_keys__ - facts.keys())
        if missing:
            raise UnusableFile(f"{path}: its metadata lack {', '.join(missing)}; export the generator again")
        return cast("Facts", facts)

    def __call__(self, given: Arrays) -> np.ndarray:
        """What the generator makes, float32 [B, 1, T].

        Args:
            given: its inputs by name: ``latent`` [B, Z], ``label`` [B], signals [B, C, L], such as ``mel``.

        Raises:
            ValueError: if an input is missing, unknown, empty, of another shape, or holds NaN or Inf.
        """
        self._demand(given)
        ordered = {
            name: np.ascontiguousarray(given[name], dtype=np.int64 if name == "label" else np.float32)
            for name in self.names
        }
        return np.asarray(self._session.run(None, ordered)[0])

    def _demand(self, given: Arrays) -> None:
        if set(given) != set(self.names):
            raise ValueError(f"expected the inputs {', '.join(self.names)}, got {', '.join(sorted(given)) or 'none'}")
        for name in self.names:
            shape, found = cast("list[object]", self.facts["inputs"][name]["shape"]), given[name]
            wanted = ", ".join(map(str, shape))
            if found.ndim != len(shape) or any(
                isinstance(size, int) and size != have for size, have in zip(shape, found.shape, strict=True)
            ):
                turned = found.ndim == 3 and shape[1] == found.shape[2]
                hint = "; it is transposed: give its last two axes the other way round" if turned else ""
                raise ValueError(f"{name}: expected [{wanted}], got {list(found.shape)}{hint}")
            if not found.size:
                raise ValueError(f"{name}: is empty, {list(found.shape)}")
            if not np.isfinite(found).all():
                raise ValueError(f"{name}: holds NaN or Inf")
            codes = self.facts["inputs"][name].get("codes", self.facts["labels"] if name == "label" else None)
            if isinstance(codes, int) and not 0 <= found.min() <= found.max() < codes:
                raise ValueError(f"{name}: expected whole numbers from 0 to {codes - 1}, got up to {found.max():g}")

    def latent(self, seed: int, index: int) -> np.ndarray:
        """The latent vector [1, Z] of clip ``index`` of a seed, whatever the number of clips; not those of ``gansemble sample``."""
        latent = self.facts["latent"]
        if latent is None:
            raise ValueError("the generator reads no latent vector")
        drawn, size = np.random.default_rng([seed, index]), cast("int", latent["size"])
        made = drawn.standard_normal(size) if latent["law"] == "normal" else drawn.uniform(-1, 1, size)
        return made[None].astype(np.float32)

    def mel(self, audio: np.ndarray) -> np.ndarray:
        """The log-mel spectrogram [M, L] of audio [T] at the file's sample rate."""
        return np.concatenate(list(self.mels(iter([audio]))), 1)

    def mels(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The log-mel spectrogram of audio that comes in blocks [T'], in blocks [M, L'] that together are that of the whole.

        Raises:
            ValueError: if the audio is too short for one frame.
        """
        n_fft, hop = self.audio["n_fft"], self.audio["hop"]
        pad = (n_fft - hop) // 2
        held, begun, length = np.zeros(0, np.float32), False, 0
        for block in blocks:
            for first in range(0, len(block), BLOCK):
                piece = block[first : first + BLOCK]
                held, length = np.concatenate([held, piece]), length + len(piece)
                if not begun and length > max(pad, hop):
                    held, begun = np.concatenate([held[pad:0:-1], held]), True
                frames = (len(held) - n_fft) // hop + 1 if begun else 0
                # What is left must hold the samples that are mirrored at the end.
                if frames > 0 and len(held) - frames * hop > pad:
                    yield self._mel_of(held, frames)
                    held = held[frames * hop :]
        if not begun:
            raise ValueError(f"{length} samples are too few; at least {max(pad, hop) + 1} are needed")
        held = np.concatenate([held, held[-2 : -pad - 2 : -1]])
        if (frames := (len(held) - n_fft) // hop + 1) > 0:
            yield self._mel_of(held, frames)

    def _mel_of(self, padded: np.ndarray, frames: int) -> np.ndarray:
        n_fft, hop, window = self.audio["n_fft"], self.audio["hop"], self.audio["window"]
        shape = np.zeros(n_fft)
        first = (n_fft - window) // 2
        shape[first : first + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        cut = np.lib.stride_tricks.sliding_window_view(padded.astype(np.float64), n_fft)[::hop][:frames]
        spectrum = np.fft.rfft(cut * shape)
        magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2 + self.audio["power_floor"])
        mel = np.log(np.maximum(self._basis @ magnitude.T, self.audio["log_floor"]))
        return mel.astype(np.float32)

    def pieces(self, blocks: Iterator[Arrays], seconds: float = 10.0, label: int | None = None) -> Iterator[np.ndarray]:
        """Consecutive pieces [B, T'] of the waveform of signals that come in blocks, equal to those of the whole.

        Memory is bounded if the generator's context is.

        Args:
            blocks: signals [B, C, L'] by name, of any lengths.
            seconds: of audio that is made at a time.
            label: of all items, for a generator that reads one.
        """
        hop, context = self.facts["hop"] or 1, self.facts["context_frames"]
        unit = self.facts["alignment"]
        core = max(unit, round(seconds * self.audio["sample_rate"] / hop / unit) * unit)
        held: dict[str, np.ndarray] = {}
        before, ended = 0, False
        while not ended:
            block = next(blocks, None)
            ended = block is None
            if block is not None:
                held = {name: np.concatenate([held[name], x], 2) if held else x for name, x in block.items()}
            while held and before < (there := next(iter(held.values())).shape[2]):
                last = there if context is None else before + core
                if not ended and (context is None or there < last + context):
                    break
                end = there if context is None else min(there, last + context)
                made = self._made({name: x[:, :, :end] for name, x in held.items()}, label)
                yield made[:, 0, before * hop : min(last, there) * hop]
                drop = 0 if context is None else max(0, min(last, there) - context)
                held = {name: x[:, :, drop:].copy() for name, x in held.items()}
                before = min(last, there) - drop

    def _made(self, signals: Arrays, label: int | None) -> np.ndarray:
        items = len(next(iter(signals.values())))
        return self({**signals, **({} if label is None else {"label": np.full(items, label)})})


def mel_basis(audio: Audio) -> np.ndarray:
    """Mel filters [M, F], M bands and F = n_fft / 2 + 1 bins: Slaney's, each of area 2 / (its width in Hz), or, where ``audio``
    says ``"mel_filters": "htk"``, on HTK's scale with peaks of one.

    In float32, as they were for the generator: weights at the feet of the triangles differ by their rounding.
    """
    top, htk = audio["sample_rate"] / 2 if audio["fmax"] is None else audio["fmax"], audio.get("mel_filters") == "htk"
    mels, hertz = (_mels_of_htk, _hertz_of_htk) if htk else (_mels, _hertz)
    edges = hertz(_spaced(mels(audio["fmin"]), mels(top), audio["mels"] + 2))
    bins = _spaced(0, audio["sample_rate"] // 2, audio["n_fft"] // 2 + 1)
    low, middle, high = (edges[place : place + audio["mels"], None] for place in range(3))
    triangles = np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    return triangles if htk else triangles * (np.float32(2) / (high - low))


def _spaced(first: float, last: float, count: int) -> np.ndarray:
    """Equally spaced float32 numbers, rounded as torch rounds them: counted from the nearer end."""
    start, end, place = np.float32(first), np.float32(last), np.arange(count)
    step = np.float64((end - start) / np.float32(count - 1))  # products of float32 numbers are exact in float64
    return np.where(place < count // 2, start + step * place, end - step * place[::-1]).astype(np.float32)


def _mels(hertz: float) -> float:
    """Slaney's scale: 3 mels for 200 Hz up to 1,000 Hz, and 27 for a factor of 6.4 beyond."""
    return 3 * hertz / 200 if hertz < 1000 else float(15 + 27 * np.log(hertz / 1000) / np.log(6.4))


def _hertz(mels: np.ndarray) -> np.ndarray:
    step = np.float32(np.log(6.4) / 27)
    return np.where(
        mels < 15, np.float32(200 / 3) * mels, 1000 * np.exp(np.float64(step * (mels - 15))).astype(np.float32)
    )


def _mels_of_htk(hertz: float) -> float:
    """HTK's scale, 2595 log10(1 + f / 700)."""
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz_of_htk(mels: np.ndarray) -> np.ndarray:
    exact = np.power(10.0, np.float32(mels / np.float32(2595)).astype(np.float64)).astype(np.float32)
    return np.float32(700) * (exact - np.float32(1))


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def main(arguments: list[str]) -> int:
    """Makes one WAV file of one input; returns the exit status."""
    import soundfile

    if len(arguments) != 3:
        sys.stderr.write("usage: python runner.py FILE.onnx INPUT.wav|INPUT.npy OUTPUT.wav\n")
        return 2
    path, source, target = arguments
    try:
        runner = Runner(path)
        rate, main_input = runner.audio["sample_rate"], runner.facts["main"]
        if main_input is None or runner.facts["output"]["name"] != "audio":
            raise ValueError(f"{path}: runner.py makes audio of a signal; this generator reads none, or makes none")
        if source.endswith(".npy"):
            blocks = iter([{main_input: np.load(source, allow_pickle=False)[None]}])
        else:
            blocks = _recording(runner, source, rate, main_input)
        with soundfile.SoundFile(target, "w", rate, 1, "PCM_16", format="WAV") as out:
            for piece in runner.pieces(blocks):
                out.write(np.clip(piece[0], -1, 1))
    except (ValueError, OSError, RuntimeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _recording(runner: Runner, source: str, rate: int, main_input: str) -> Iterator[dict[str, np.ndarray]]:
    import soundfile

    with soundfile.SoundFile(source) as sound:
        if (sound.samplerate, sound.channels) != (rate, 1):
            raise ValueError(
                f"{source}: expected {rate} Hz, mono, got {sound.samplerate} Hz, {sound.channels} channels"
            )
        audio = sound.blocks(BLOCK, dtype="float32")
        for block in audio if main_input == "degraded" else runner.mels(audio):
            yield {main_input: block[None, None] if main_input == "degraded" else block[None]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
