"""CLAP's audio tower as an embedder, by the package transformers and from a folder on this machine."""

from __future__ import annotations

import contextlib
import io
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from gansemble import Folder, inputs
from gansemble.errors import GansembleError, MissingNeed
from gansemble_plugins.set_metrics.training import device

#: CLAP hears 10 s at 48 kHz; shorter audio is repeated until it is as long.
RATE, LENGTH = 48000, 480000
#: Of a transformers model in a folder.
FILES = ("config.json", "preprocessor_config.json")


class Clap:
    """The audio embedding of a CLAP model (Wu et al. 2023, *Large-Scale Contrastive Language-Audio Pretraining*).

    Clips are heard in windows of 10 s side by side, what is left after the last whole one is not; a shorter clip is repeated to
    10 s, as the model's own preparation does, after zeros have made it 1 s long. Nothing is downloaded, and no code of the
    folder is run.

    Args:
        folder: of a ClapModel in the layout of transformers, such as a copy of ``laion/clap-htsat-unfused``; ``random`` is an
            untrained small model for trying things out, whose scores mean nothing to anybody.

    Shape:
        - input: float32 [T] at 48 kHz
        - output: float32 [L, D], D as the model has it, 512 in published ones

    Raises:
        GansembleError: if the package transformers is not installed, or the folder holds no ClapModel.
    """

    sample_rate = RATE
    window = RATE

    def __init__(self, *, folder: Literal["random"] | Folder) -> None:
        self.random = folder == "random"
        self.model, self.prepare, self.digest = _model(None if self.random else Path(folder))

    @property
    def dim(self) -> int:
        """Numbers for a window."""
        return int(self.model.config.projection_dim)

    @property
    def key(self) -> str:
        """``clap``, with ``_random`` where that applies."""
        return "clap" + "_random" * self.random

    @property
    def definition(self) -> str:
        """What exactly is computed, by which weights."""
        whose = "untrained weights" if self.random else f"files of SHA-256 {self.digest[:16]}"
        return f"CLAP's {self.dim} projected numbers for each 10 s or shorter clip, which is repeated, 48 kHz; {whose}"

    @torch.no_grad()
    def embed(self, audio: np.ndarray) -> np.ndarray:
        """A row for each window."""
        sound = np.pad(np.asarray(audio, np.float32), (0, max(0, RATE - len(audio))))
        whole = max(1, len(sound) // LENGTH)
        place = device()
        model = self.model.to(place)
        rows = []
        for index in range(whole):
            window = sound[index * LENGTH : (index + 1) * LENGTH]
            given = self.prepare(window, sampling_rate=RATE, return_tensors="pt", padding="repeatpad").to(place)
            found = model.get_audio_features(**given)
            # From transformers 5 on, the projected numbers are an attribute of what is returned.
            rows.append(getattr(found, "pooler_output", found))
        return torch.cat(rows).reshape(whole, -1).float().cpu().numpy()


@lru_cache(maxsize=1)
def _model(folder: Path | None) -> tuple[Any, Any, str]:
    """(model, preparation, digest of the folder); kept, as several metrics ask for it.

    Raises:
        GansembleError: as of :class:`Clap`.
    """
    try:
        from transformers import ClapConfig, ClapFeatureExtractor, ClapModel
    except (ImportError, OSError) as error:
        raise MissingNeed(
            f"embedder clap needs the package transformers, which does not load here ({error}); pip install 'gansemble[clap]'"
        ) from error
    if folder is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return (
                ClapModel(ClapConfig(**_small())).requires_grad_(False).eval(),
                ClapFeatureExtractor(truncation="rand_trunc"),
                "",
            )
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise GansembleError(f"{folder}: no {' and no '.join(missing)}; expected a ClapModel as transformers saves it")
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            model = ClapModel.from_pretrained(folder, local_files_only=True, weights_only=True)
            prepare = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever a folder of another model makes of itself
        raise GansembleError(f"{folder}: cannot be read as a ClapModel ({type(error).__name__}: {error})") from error
    return model.requires_grad_(False).eval(), prepare, inputs.digest(folder)


def _small() -> dict[str, object]:
    """The configuration of a small model."""
    text = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 32,
    }
    audio = {
        "patch_embeds_hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "hidden_size": 32,
        "num_hidden_layers": 2,
    }
    return {"text_config": text, "audio_config": audio, "projection_dim": 32}
