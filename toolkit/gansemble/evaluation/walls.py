"""HTML galleries of generated or real clips: a spectrogram with an audio player for each, or a picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence

import numpy as np

from gansemble.abilities import PictureRepresentation
from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.data.packed import Packed
from gansemble.evaluation import page
from gansemble.evaluation.page import System
from gansemble.recipe.schema import Recipe

#: Turns the samples [T] of a clip into a picture uint8 [H, W, 3], for recipes whose clips are pictures and not sound.
Look = Callable[[np.ndarray], np.ndarray]
#: Smallest number of pixels on the shorter side of a displayed picture.
SIDE = 128


def look_of(recipe: Recipe) -> Look | None:
    """The function that turns a clip into a picture, where the recipe's representation says that its clips are pictures
    without sound; None for audio."""
    from gansemble.recipe.construct import construct

    if "representation" not in recipe.single:
        return None
    made = construct(recipe.single["representation"], recipe)
    return made.picture if isinstance(made, PictureRepresentation) and made.soundless else None


def gallery(system: System, count: int, spec: AudioSpec, look: Look | None = None) -> str:
    """A section with the first generated clips of an experiment.

    Args:
        system: the experiment.
        count: number of clips.
        spec: gives the sample rate and the spectrogram.
        look: turns clips into pictures; None shows spectrograms and players.
    """
    made = []
    for clip in system.index.clips[:count]:
        audio = files.read_mono(system.samples / clip.sound, spec.sample_rate)
        label = "" if clip.label is None else f" · label {clip.label}"
        label = label if clip.pitch is None else f" · pitch {clip.pitch}"
        made.append((f"{clip.id}{label}", audio))
    return _wall(f"{page.dot(system)}{html.escape(system.name)}: generated", made, spec, look)


def real(packed: Packed, count: int, length: int, spec: AudioSpec, look: Look | None = None) -> str:
    """A section with real clips, taken at equal distances from the whole split.

    Args:
        packed: the clips of the split; variants that augmentations made are left out.
        count: largest number of clips.
        length: clips are cut or padded to it, as generated ones are [samples].
        spec: gives the sample rate and the spectrogram.
        look: turns clips into pictures; None shows spectrograms and players.
    """
    packed = packed.originals()
    chosen = range(0, len(packed), max(1, len(packed) // max(1, count)))
    clips = [(packed.entries[index].id, packed.read(index, 0, length)) for index in list(chosen)[:count]]
    return _wall("real clips", clips, spec, look)


def wall(
    title: str, note: str, clips: Sequence[tuple[str, np.ndarray]], spec: AudioSpec, look: Look | None = None
) -> str:
    """A complete HTML page of clips.

    Args:
        title: of the page.
        note: a line below the title.
        clips: (caption, samples [T]) of each clip.
        spec: gives the sample rate and the spectrogram.
        look: turns clips into pictures; None shows spectrograms and players.
    """
    head = f"<header><h1>{html.escape(title)}</h1><p>{html.escape(note)}</p></header>"
    heading = f"<h2>{'Look' if look else 'Listen'}</h2>"
    return page.assemble(title, [head, heading, _wall("", clips, spec, look)])


def _wall(title: str, clips: Sequence[tuple[str, np.ndarray]], spec: AudioSpec, look: Look | None) -> str:
    cells = [_cell(html.escape(name), audio, spec, look) for name, audio in clips]
    heading = f"<h3>{title}</h3>" if title else ""
    return f"<section>{heading}<div class=wall>{''.join(cells)}</div></section>"


def _cell(name: str, audio: np.ndarray, spec: AudioSpec, look: Look | None) -> str:
    if look is not None:
        shown = f'<img alt="picture {name}" src="{_data(look(audio))}" style="image-rendering: pixelated">'
        return f"<figure><figcaption title='{name}'>{name}</figcaption>{shown}</figure>"
    seconds = f"<small>{len(audio) / spec.sample_rate:.2f} s</small>"
    picture = page.spectrogram(audio, spec, page.top(audio, spec))
    return (
        f"<figure><figcaption title='{name}'>{name}{seconds}</figcaption>"
        f'<img alt="spectrogram of {name}" src="{picture}">{page.player(audio, spec.sample_rate)}</figure>'
    )


def _data(picture: np.ndarray) -> str:
    """A picture uint8 [H, W, 3] as the data URL of a PNG, enlarged where it is small; see :func:`png`."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"


def png(picture: np.ndarray) -> bytes:
    """The bytes of a PNG file, in which each pixel of a small picture is repeated so that it can be seen.

    Shape:
        - picture: uint8 [H, W, 3], H rows, W columns, RGB
    """
    from matplotlib.image import imsave

    # ceil(SIDE / shorter side), so that the shorter side has at least SIDE pixels.
    times = max(1, -(-SIDE // min(picture.shape[:2])))
    buffer = io.BytesIO()
    imsave(buffer, np.repeat(np.repeat(picture, times, 0), times, 1), format="png")
    return buffer.getvalue()
