"""What TensorBoard shows of a run besides its curves: validated clips to hear and see, and the recipe.

Clips are numbered, so that no generated clip stands under a real clip's name: ``sample/0/reference``, ``sample/0/input``
and ``sample/0/generated`` are one clip, whose id is the text ``sample/0/clip``. A generator that imitates no clip has
``sample/0/generated`` alone, and real clips beside it under ``real/0``.
"""

from __future__ import annotations

import shlex

import numpy as np
import torch

from gansemble.audio.spec import AudioSpec
from gansemble.recipe import fill
from gansemble.training.board import Board
from gansemble.training.validation import ValidationOutcome

#: Colours of a spectrogram span so much below the loudest point of the reference [dB].
SPAN = 80.0
#: 20 / ln 10: decibels in one unit of the natural logarithm of a magnitude.
DECIBELS = 20 / np.log(10)
#: Spectrograms are enlarged by whole numbers up to this height, and no wider than this, however long the clip [pixels].
HEIGHT, WIDTH = 400, 1600


class BoardSamples:
    """Writes validated clips and the recipe to TensorBoard.

    Args:
        board: the log.
        spec: gives the sample rate and the mel spectrogram.
    """

    def __init__(self, board: Board, spec: AudioSpec) -> None:
        self.board, self.spec = board, spec
        self._begun = False

    def recipe(self, filled: dict[str, object], step: int) -> None:
        """Writes a recipe with all its values as the text ``recipe``."""
        self.board.text("recipe", fill.dump(filled), step)

    @property
    def command(self) -> str | None:
        """The command that shows the log; None where it cannot be written."""
        return None if self.board.writer is None else f"tensorboard --logdir {shlex.quote(str(self.board.folder))}"

    def validated(self, step: int, outcome: ValidationOutcome) -> None:
        """Writes scores, and the audio and spectrograms of the first clips.

        What does not change from one validation to the next (references, degraded inputs and ids) is written once. All
        spectrograms of a clip have one scale, that of its reference; where clips imitate none, the loudest real clip's.
        """
        self.board.scalars(step, {f"validation/{name}": value for name, value in outcome.means.items()})
        first, self._begun = not self._begun and bool(outcome.audio), self._begun or bool(outcome.audio)
        tops = [self._top(reference) for reference, _ in outcome.audio.values()]
        for number, (name, (reference, made)) in enumerate(outcome.audio.items()):
            top = tops[number] if outcome.imitates else max(tops)
            place = f"{'sample' if outcome.imitates else 'real'}/{number}"
            if first:
                self.board.text(f"{place}/clip", name, step)
                self._show(f"{place}/reference" if outcome.imitates else place, reference, top, step)
                if name in outcome.inputs:
                    self._show(f"{place}/input", outcome.inputs[name], top, step)
            self._show(f"sample/{number}/generated", made, top, step)
        self.board.flush()

    def _show(self, name: str, audio: np.ndarray, top: float, step: int) -> None:
        self.board.audio(name, audio, step, self.spec.sample_rate)
        self.board.picture(name, picture(self._mel(audio), top), step)

    def _top(self, audio: np.ndarray) -> float:
        return float(self._mel(audio).max())

    def _mel(self, audio: np.ndarray) -> np.ndarray:
        """The mel spectrogram of audio [T] in natural-log units, [M, L]; audio shorter than a frame is padded with silence."""
        from gansemble.audio.features import log_mel

        padded = np.pad(audio, (0, max(0, self.spec.n_fft - len(audio))))
        return log_mel(torch.from_numpy(padded)[None], self.spec)[0].numpy()


def picture(mel: np.ndarray, top: float) -> np.ndarray:
    """A mel spectrogram as an RGB image, large enough to look at, whose colours go from ``top`` to 80 dB below.

    Args:
        mel: in natural-log units.
        top: of the brightest colour [natural-log units].

    Shape:
        - mel: [M, L], M bands and L frames
        - output: float [3, H, W] within 0 and 1, the lowest band below; H is M times a whole number, at most 400 if M is; W
          is L times that number, at most 1,600
    """
    import matplotlib

    scaled = np.clip(1 + (mel[::-1] - top) * DECIBELS / SPAN, 0, 1).astype(np.float32)
    bands, frames = scaled.shape
    times = max(1, HEIGHT // bands)
    size = (bands * times, min(WIDTH, frames * times))
    image = torch.from_numpy(scaled.copy())[None, None]
    large = torch.nn.functional.interpolate(image, size, mode="bicubic", antialias=True)[0, 0].clamp(0, 1).numpy()
    return matplotlib.colormaps["magma"](large)[..., :3].transpose(2, 0, 1).copy()
