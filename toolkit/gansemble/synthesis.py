"""Copy-synthesis: audio or mel spectrograms to waveforms, long ones in chunks whose result equals the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gansemble.audio import files
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.errors import CheckpointError, DataError
from gansemble.interfaces import Condition
from gansemble.recipe.check import Recipe
from gansemble.training import checkpoint


@dataclass
class Loaded:
    """A generator ready to synthesise: folded, in eval mode, without gradients; its recipe, the state of its
    representation where it has one, and the data it was trained on (:mod:`gansemble.data.trained_on`)."""

    generator: nn.Module
    spec: AudioSpec
    step: int
    source: Path
    recipe: Recipe
    representation: dict[str, Any] | None = None
    history: Sequence[Mapping[str, Any]] = ()


def load(
    exp: Path,
    which: str = "best",
    device: str | torch.device = "cpu",
    warn: Callable[[str], None] | None = None,
) -> Loaded:
    """The generator of an experiment: its average where it has one, of the best or the last sound checkpoint.

    Raises:
        CheckpointError: if the experiment has no sound checkpoint.
    """
    from gansemble.recipe import check
    from gansemble.training.build import generator

    store = checkpoint.Store(exp / "checkpoints")
    saved = store.newest(warn)
    if saved is None:
        raise CheckpointError(
            f"{exp}: expected an experiment with checkpoints, found none; train it first (run.sh --stage train)"
        )
    if which == "best":
        for name in saved.manifest.get("best", {}):
            if (store.folder / name).is_dir():
                saved = checkpoint.verify(store.folder / name)
                break
    recipe = check.load(saved.folder / "recipe.yaml")
    network = generator(recipe)
    network.load_state_dict(saved.network("ema" if saved.has("ema.safetensors") else "generator"))
    kept = saved.state("state")["parts"].get("representation") if saved.has("state.pt") else None
    ready = fold(network).eval().requires_grad_(False).to(device)
    history = saved.manifest.get("data") or ()
    return Loaded(ready, recipe.audio, saved.step, saved.folder, recipe, kept, history)


def representation(loaded: Loaded) -> Any:
    """The representation of a loaded generator, with the statistics it was trained with.

    Raises:
        CheckpointError: if they are not in the checkpoint.
    """
    from gansemble.training.build import Samples, construct

    if "representation" not in loaded.recipe.single:
        return Samples()
    made = construct(loaded.recipe.single["representation"], loaded.recipe)
    if loaded.representation is not None:
        made.load_state_dict(loaded.representation)
    elif not getattr(made, "fitted", True):
        raise CheckpointError(f"{loaded.source}: holds no statistics of its representation; train it again")
    if isinstance(made, nn.Module):
        first = next(loaded.generator.parameters(), None)
        made.to(torch.device("cpu") if first is None else first.device)
    return made


def fold(network: nn.Module) -> nn.Module:
    """Replaces every weight norm by the weight it computes; the output is unchanged and synthesis faster."""
    for module in network.modules():
        for name in list(getattr(module, "parametrizations", {})):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return network


@torch.no_grad()
def generate(generator: nn.Module, mel: Tensor, chunk: int | None = None) -> Iterator[Tensor]:
    """Waveform pieces [C, T'] of a log-mel spectrogram [mels, L], whose concatenation is the whole.

    Each chunk of ``chunk`` frames is made with the generator's receptive field on both sides and cropped, so that the
    pieces are what the whole would be; a generator that declares no ``context_frames`` makes the whole at once.
    """
    frames = mel.shape[1]
    context = getattr(generator, "context_frames", None)
    if chunk is None or context is None or frames <= chunk:
        yield generator(Condition(signal=mel[None]))[0].float()
        return
    for start in range(0, frames, chunk):
        first, last = max(0, start - context), min(frames, start + chunk + context)
        made = generator(Condition(signal=mel[None, :, first:last]))[0].float()
        hop = made.shape[-1] // (last - first)
        yield made[:, (start - first) * hop : (min(frames, start + chunk) - first) * hop]


def mel_blocks(path: Path, spec: AudioSpec, block: int, resample: bool = False) -> Iterator[Tensor]:
    """The log-mel spectrogram [mels, L'] of an audio file, ``block`` frames at a time, equal to that of the whole file.

    Raises:
        DataError: for another sample rate (unless ``resample``), several channels, or a file too short to frame.
    """
    header = files.info(path)
    if header.channels != 1:
        raise DataError(f"{path}: expected mono, got {header.channels} channels; mix it down first")
    if header.sample_rate != spec.sample_rate:
        audio = files.read_mono(path, spec.sample_rate, resample)
        read = lambda start, stop: audio[start:stop]  # noqa: E731
        total = len(audio)
    else:
        read = lambda start, stop: files.read(path, start, stop - start)[0][0]  # noqa: E731
        total = header.frames
    margin = (spec.n_fft - spec.hop) // 2
    if total <= max(margin, spec.hop):
        raise DataError(f"{path}: {total} samples are too few; at least {max(margin, spec.hop) + 1} are needed")
    frames = total // spec.hop
    # Blocks are framed with whole hops of real audio around them, so that only the file's own ends are reflected.
    extra = -(-2 * margin // spec.hop) + 1
    for first in range(0, frames, block):
        last = min(frames, first + block)
        begin, end = max(0, first - extra), last + extra
        piece = torch.from_numpy(np.ascontiguousarray(read(begin * spec.hop, min(total, end * spec.hop))))
        yield log_mel(piece[None], spec)[0][:, first - begin : last - begin]


class Window:
    """Turns a stream of mel blocks into waveform pieces with bounded memory, equal to the whole.

    Args:
        loaded: the generator.
        chunk: frames made at a time.
    """

    def __init__(self, loaded: Loaded, chunk: int) -> None:
        self.loaded, self.chunk = loaded, chunk
        self.context = getattr(loaded.generator, "context_frames", None)

    @torch.no_grad()
    def pieces(self, blocks: Iterator[Tensor]) -> Iterator[Tensor]:
        """Waveform pieces [C, T'] of consecutive mel blocks."""
        first = next(self.loaded.generator.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        if self.context is None:
            mel = torch.cat(list(blocks), dim=1).to(device)
            yield from generate(self.loaded.generator, mel)
            return
        held = torch.empty(0)
        before, ended = 0, False  # frames of held that were made already; whether the stream is over
        while not ended:
            block = next(blocks, None)
            ended = block is None
            held = held if block is None else block if not held.numel() else torch.cat([held, block], dim=1)
            ready = held.shape[1] if ended else held.shape[1] - self.context
            if ready <= before:
                continue
            made = self.loaded.generator(Condition(signal=held[None].to(device)))[0].float()
            hop = made.shape[-1] // held.shape[1]
            yield made[:, before * hop : ready * hop].cpu()
            drop = max(0, ready - self.context)
            held, before = held[:, drop:], ready - drop


def synthesise_file(
    loaded: Loaded,
    source: Path,
    target: Path,
    sample_format: Any,
    chunk_seconds: float,
    resample: bool = False,
) -> dict[str, Any]:
    """Writes the copy-synthesis of an audio or ``.npy`` mel file; returns seconds made, time taken and samples clipped.

    Raises:
        DataError: if the input is not what the experiment's audio section describes.
    """
    spec = loaded.spec
    block = max(16, int(chunk_seconds * spec.sample_rate / spec.hop))
    begun, clipped, length = time.monotonic(), 0, 0
    blocks = _npy_blocks(source, spec, block) if source.suffix == ".npy" else mel_blocks(source, spec, block, resample)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    try:
        with soundfile.SoundFile(
            str(temporary), "w", spec.sample_rate, 1, files.SUBTYPES[sample_format], format="WAV"
        ) as out:
            for piece in Window(loaded, block).pieces(blocks):
                audio = piece.numpy().T
                clipped += int((np.abs(audio) > 1).sum())
                length += len(audio)
                out.write(np.clip(audio, -1, 1))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return {"seconds": length / spec.sample_rate, "took": time.monotonic() - begun, "clipped": clipped}


def _npy_blocks(path: Path, spec: AudioSpec, block: int) -> Iterator[Tensor]:
    try:
        mel = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as a .npy array ({error})") from error
    if not (isinstance(mel, np.ndarray) and np.issubdtype(mel.dtype, np.floating)):
        raise DataError(f"{path}: expected floating-point numbers, got {getattr(mel, 'dtype', type(mel).__name__)}")
    if mel.ndim == 3 and mel.shape[0] == 1:
        mel = mel[0]
    if mel.ndim != 2 or mel.shape[0] != spec.mels:
        raise DataError(
            f"{path}: expected a log-mel spectrogram [mels, frames] with {spec.mels} mels, got shape {tuple(mel.shape)}"
        )
    if not mel.shape[1]:
        raise DataError(f"{path}: holds no frames")
    if not np.isfinite(mel).all():
        raise DataError(f"{path}: holds NaN or Inf")
    floor = float(np.log(spec.log_floor))
    if mel.min() < floor - 1 or mel.max() > 10:
        raise DataError(
            f"{path}: values from {mel.min():.1f} to {mel.max():.1f} are not natural-log magnitudes, whose floor here is {floor:.3f}; "
            "check the log base and normalisation of what made it"
        )
    for first in range(0, mel.shape[1], block):
        yield torch.from_numpy(np.array(mel[:, first : first + block], dtype=np.float32))
