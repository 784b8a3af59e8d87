"""Copy-synthesis: makes waveforms from mel spectrograms, or from those of audio files; long ones in chunks."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soundfile
import torch
from torch import Tensor

from gansemble.audio import files
from gansemble.audio.features import log_mel
from gansemble.audio.reader import AudioReader
from gansemble.audio.spec import AudioSpec
from gansemble.data import mel_scale, signal_files
from gansemble.data.mel_scale import MelStatistics
from gansemble.errors import DataError, GansembleError
from gansemble.files import staged_file
from gansemble.inference.streaming import stack, vocoder_stream
from gansemble.inference.trained import TrainedGenerator
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.recipe.schema import Recipe

#: Samples of a file that are read at a time.
READ = 1 << 16
#: Mel spectrograms that are looked at together.
JUDGED = 64


def mel_file(
    path: Path, spec: AudioSpec, resample: bool = False, channels: files.ChannelPolicy = "error"
) -> tuple[bytes, int]:
    """The log-mel spectrogram of an audio file, as the bytes of a ``.npy`` file, and its number of frames.

    Args:
        path: of the audio file.
        spec: how it is computed.
        resample: convert a file of another sample rate, instead of refusing it.
        channels: what is done with several channels.

    Raises:
        DataError: for another sample rate (unless ``resample``), several channels that are not to be made one, or a file too
            short for one frame.
    """
    audio = files.read_mono(path, spec.sample_rate, resample, channels)
    shortest = max((spec.n_fft - spec.hop) // 2, spec.hop) + 1
    if len(audio) < shortest:
        raise DataError(f"{path}: {len(audio)} samples are too few; at least {shortest} are needed")
    mel = log_mel(torch.from_numpy(audio)[None, None], spec)[0].numpy()
    stream = io.BytesIO()
    np.save(stream, mel.astype(np.float32), allow_pickle=False)
    return stream.getvalue(), mel.shape[1]


def signal_blocks(
    path: Path,
    builder: ConditionBuilder,
    block: int,
    resample: bool = False,
    device: torch.device | None = None,
    channels: files.ChannelPolicy = "error",
) -> Iterator[dict[str, Tensor]]:
    """Yields the signals of an audio file that a generator reads, in blocks: its log-mel spectrogram, equal to that of
    the whole file, and features, each computed with a second of audio around the block.

    Args:
        path: of the audio file.
        builder: computes the signals.
        block: frames at a time.
        resample: convert a file of another sample rate, instead of refusing it.
        device: to compute on; None is the CPU.
        channels: what is done with several channels.

    Yields:
        Blocks [C, L'] by name, of C channels (M = ``spec.mels`` bands) and L' frames, at most ``block``.

    Raises:
        DataError: for another sample rate (unless ``resample``), several channels, or a file too short for one frame.
    """
    spec = builder.spec
    margin = (spec.n_fft - spec.hop) // 2
    # Blocks are framed with whole hops of real audio around them, so that only the file's own ends are reflected.
    # A window reaches margin = (n_fft - hop) / 2 samples beyond its hop on each side; twice that and a hop is safe.
    extra = -(-2 * margin // spec.hop) + 1
    if builder.features:
        extra = max(extra, spec.sample_rate // spec.hop)
    with contextlib.closing(_mono_blocks(path, spec.sample_rate, resample, channels)) as blocks:
        window, first = _Window(blocks), 0
        while True:
            begin = max(0, first - extra)
            ended = window.fill(begin * spec.hop, (first + block + extra) * spec.hop)
            if first == 0 and window.end <= max(margin, spec.hop):
                raise DataError(
                    f"{path}: {window.end} samples are too few; at least {max(margin, spec.hop) + 1} are needed"
                )
            last = min(window.end // spec.hop, first + block) if ended else first + block
            if last <= first:
                return
            piece = torch.from_numpy(window.samples[: (last + extra - begin) * spec.hop])
            whole = len(piece) // spec.hop * spec.hop if builder.features else len(piece)
            computed = builder.computed(piece[None, None, :whole].to(device or "cpu"))
            yield {name: signal[0][:, first - begin : last - begin] for name, signal in computed.items()}
            first = last


def _mono_blocks(
    path: Path, sample_rate: int, resample: bool, channels: files.ChannelPolicy
) -> Generator[np.ndarray, None, None]:
    """One channel of a file at a sample rate [Hz] in blocks [T]; raises what :func:`files.read_mono` raises."""
    with AudioReader(path) as reader:
        files.to_mono(path, np.zeros((reader.channels, 0), np.float32), channels)
        if reader.sample_rate == sample_rate:
            reader.warn()
            for block in reader.blocks(READ):
                yield files.to_mono(path, block.T, channels)[0]
            return
    yield files.read_mono(path, sample_rate, resample, channels)


class _Window:
    """A stretch of a signal that arrives in blocks: ``samples``, which end at the sample ``end`` of the signal."""

    def __init__(self, blocks: Iterator[np.ndarray]) -> None:
        self._blocks = blocks
        self.samples, self.end = np.zeros(0, np.float32), 0

    def fill(self, begin: int, end: int) -> bool:
        """Drops what precedes ``begin`` and reads on to ``end``; returns whether the signal has ended by then."""
        kept, there = [self.samples[max(0, begin - self.end + len(self.samples)) :]], self.end
        ended = False
        while there < end and not ended:
            block = next(self._blocks, None)
            ended = block is None
            if block is not None:
                kept.append(block)
                there += len(block)
        self.samples, self.end = np.concatenate(kept), there
        return ended


def synthesise_file(
    loaded: TrainedGenerator,
    source: Path,
    target: Path,
    sample_format: files.SampleFormat,
    chunk_seconds: float,
    resample: bool = False,
    label: int | None = None,
    signals: Mapping[str, Path | Tensor] = MappingProxyType({}),
    overwrite: bool = True,
    complete: Callable[[Path], None] | None = None,
) -> dict[str, float]:
    """Writes the waveform that a vocoder makes from an audio file or a mel spectrogram.

    Args:
        loaded: a trained vocoder.
        source: an audio file, whose signals are computed, or a ``.npy`` file with a log-mel spectrogram [M, L], or with what
            the generator reads instead of one, such as codes [C, L].
        target: WAV file to write; it appears under its name only when it is complete.
        sample_format: of the WAV file.
        chunk_seconds: length of audio that is made at a time [s].
        resample: convert an audio file of another sample rate, instead of refusing it.
        label: class or pitch index, for a generator that reads one.
        signals: other signals by name, in place of what is computed of audio: ``.npy`` files [C, L] or [L], or what
            :func:`read_signal` made of such a file.
        overwrite: replace a file that is there.
        complete: called with the temporary file that holds the whole waveform, before it gets its name.

    Returns:
        By name: the ``seconds`` of audio made, the time it ``took`` [s], and how many samples were ``clipped``.

    Raises:
        DataError: if an input is not what the experiment's audio section describes, a signal is missing, the generator makes
            NaN or Inf, or the waveform cannot be written.
    """
    spec = loaded.spec
    block = max(16, int(chunk_seconds * spec.sample_rate / spec.hop))
    begun = time.monotonic()
    blocks, there = _source(loaded, source, block, resample)
    given = {
        name: found if isinstance(found, Tensor) else read_signal(name, found, loaded.recipe)
        for name, found in signals.items()
    }
    constant = {name: given.pop(name) for name in loaded.recipe.data.embeddings.keys() & given.keys()}
    try:
        loaded.demand_read(there | given.keys() | constant.keys(), label is not None)
    except GansembleError as error:
        raise DataError(f"{source}: {error}") from error
    pieces = _pieces(loaded, _with(blocks, given, constant, source), block, label)
    try:
        with staged_file(target, overwrite, complete) as temporary:
            length, clipped = _write(temporary, pieces, spec.sample_rate, sample_format, source)
    except FileExistsError as error:
        raise DataError(f"{target}: is there by now, made by another; it was left as it is") from error
    except soundfile.LibsndfileError as error:
        raise DataError(f"{target}: cannot be written ({error.error_string or 'the system refused it'})") from error
    return {"seconds": length / spec.sample_rate, "took": time.monotonic() - begun, "clipped": clipped}


def _write(
    path: Path, pieces: Iterator[Tensor], sample_rate: int, sample_format: files.SampleFormat, source: Path
) -> tuple[int, int]:
    """Writes pieces [1, T'] of a waveform to a WAV file, and returns (samples written, samples clipped).

    Raises:
        DataError: naming ``source`` if a piece holds NaN or Inf.
    """
    length, clipped = 0, 0
    with soundfile.SoundFile(
        os.fsencode(path), "w", sample_rate, 1, files.SUBTYPES[sample_format], format="WAV"
    ) as out:
        for piece in pieces:
            audio = piece.numpy().T
            if not np.isfinite(audio).all():
                raise DataError(f"{source}: the generator made NaN or Inf of it, near {length / sample_rate:.1f} s")
            clipped += int((np.abs(audio) > 1).sum())
            length += len(audio)
            out.write(np.clip(audio, -1, 1))
    return length, clipped


def _pieces(
    loaded: TrainedGenerator, blocks: Iterator[dict[str, Tensor]], core: int, label: int | None
) -> Iterator[Tensor]:
    """Pieces [1, T'] of the waveform of blocks of signals."""
    first = next(blocks, None)
    if first is None:
        return
    channels = {name: len(signal) for name, signal in first.items()}
    stream = vocoder_stream(loaded.generator, loaded.representation, core, channels, label)
    yield from stream.pieces(stack(signals) for signals in itertools.chain([first], blocks))


def _source(
    loaded: TrainedGenerator, source: Path, block: int, resample: bool
) -> tuple[Iterator[dict[str, Tensor]], set[str]]:
    """(blocks of the signals that an input gives, by name; their names).

    Raises:
        DataError: if it is audio, and the generator reads nothing that is computed of audio.
    """
    builder, main = ConditionBuilder(loaded.recipe), loaded.main_signal
    if source.suffix.lower() == ".npy":
        pieces = _npy_blocks(source, loaded.spec, block, loaded.mel) if main == "mel" else _blocks(main, source, block)
        return ({main: piece} for piece in pieces), {main}
    if builder.computable:
        policies = loaded.recipe.data
        again = resample or policies.rate == "resample"
        return signal_blocks(source, builder, block, again, channels=policies.channels), builder.computable
    raise DataError(
        f"{source}: generator {loaded.recipe.single['generator'].use} reads {', '.join(builder.signals)}, of which nothing is "
        f"computed of audio; give a .npy file of {main} as input, and the others with --signal"
    )


def demand_usable(loaded: TrainedGenerator, sources: Sequence[Path], signals: Set[str], labelled: bool) -> None:
    """Refuses at once what would be refused of every input by itself.

    Args:
        loaded: a trained vocoder.
        sources: the inputs; they are not opened.
        signals: names of the signals that are given beside them.
        labelled: whether a label is given.

    Raises:
        GansembleError: if of none of the inputs and what is given the generator has all that it reads, and no more.
    """
    refused: GansembleError | None = None
    for source in {path.suffix.lower() == ".npy": path for path in sources}.values():
        try:
            loaded.demand_read(_source(loaded, source, 1, False)[1] | signals, labelled)
            return
        except GansembleError as error:
            refused = error
    if refused is not None:
        raise refused


def demand_scale(loaded: TrainedGenerator, sources: Sequence[Path]) -> None:
    """Refuses mel spectrograms of another scale before the first is made: all together tell what a short one does not.

    Args:
        loaded: a trained vocoder.
        sources: the inputs; of the ``.npy`` files among them the first ones are read, and faults of single files are left to
            their turn.

    Raises:
        GansembleError: naming the first of them, and what their scale seems to be.
    """
    found = []
    for path in [path for path in sources if path.suffix.lower() == ".npy"][:JUDGED]:
        with contextlib.suppress(DataError):
            found.append((path, torch.cat(list(_npy_blocks(path, loaded.spec, READ, None)), 1).numpy()))
    if loaded.main_signal != "mel" or len(found) < 2:
        return
    fault = mel_scale.foreign(np.concatenate([mel for _, mel in found], 1), loaded.spec, loaded.mel)
    if fault is not None:
        raise GansembleError(f"{found[0][0]} and {len(found) - 1} other spectrograms: {fault}")


def read_signal(name: str, path: Path, recipe: Recipe) -> Tensor:
    """A signal [C, L] of a ``.npy`` file; [C, 1] if it holds for a whole clip.

    Raises:
        DataError: if there is no such file, or it holds anything else.
    """
    read = signal_files.embedding if name in recipe.data.embeddings else signal_files.read
    return torch.from_numpy(read(name, path))


def _with(
    blocks: Iterator[dict[str, Tensor]], given: Mapping[str, Tensor], constant: Mapping[str, Tensor], source: Path
) -> Iterator[dict[str, Tensor]]:
    """Blocks of signals with those of files [C, L] beside them, frame by frame.

    Args:
        blocks: [C, L] by name.
        given: the signals of files, [C, L] of the whole input.
        constant: likewise [C, 1], which hold for the whole input.
        source: of the blocks, for messages.

    Raises:
        DataError: if a file has not as many frames as the rest.
    """
    place = 0
    for block in blocks:
        frames = next(iter(block.values())).shape[1]
        block |= {name: vector.expand(-1, frames) for name, vector in constant.items()}
        for name, signal in given.items():
            if signal.shape[1] < place + frames:
                raise DataError(
                    f"{source}: has {place + frames} frames or more, but the signal {name} {signal.shape[1]}; they must go "
                    "together"
                )
            block[name] = signal[:, place : place + frames]
        place += frames
        yield block
    for name, signal in given.items():
        if signal.shape[1] != place:
            raise DataError(
                f"{source}: has {place} frames, but the signal {name} {signal.shape[1]}; they must go together"
            )


def _blocks(name: str, path: Path, block: int) -> Iterator[Tensor]:
    """A signal of a file in blocks [C, L']."""
    signal = torch.from_numpy(signal_files.read(name, path))
    yield from signal.split(block, 1)


def _npy_blocks(path: Path, spec: AudioSpec, block: int, learnt: MelStatistics | None) -> Iterator[Tensor]:
    try:
        mel = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not readable as a .npy array ({error})") from error
    if not (isinstance(mel, np.ndarray) and np.issubdtype(mel.dtype, np.floating)):
        raise DataError(f"{path}: expected floating-point numbers, got {getattr(mel, 'dtype', type(mel).__name__)}")
    if mel.ndim == 3 and mel.shape[0] == 1:
        mel = mel[0]
    if mel.ndim != 2 or mel.shape[0] != spec.mels:
        turned = "; it is transposed" if mel.ndim == 2 and mel.shape[1] == spec.mels else ""
        raise DataError(
            f"{path}: expected a log-mel spectrogram [mels, frames] with {spec.mels} mels, got shape {tuple(mel.shape)}{turned}"
        )
    if not mel.shape[1]:
        raise DataError(f"{path}: holds no frames")
    if not np.isfinite(mel).all():
        raise DataError(f"{path}: holds NaN or Inf")
    fault = mel_scale.foreign(mel, spec, learnt)
    if fault is not None:
        raise DataError(f"{path}: {fault}")
    for first in range(0, mel.shape[1], block):
        yield torch.from_numpy(np.array(mel[:, first : first + block], dtype=np.float32))
