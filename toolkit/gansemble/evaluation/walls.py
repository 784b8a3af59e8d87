"""Walls of clips that a generator made of its own, or that are real: spectrograms with players, or pictures."""

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

#: A clip's samples [T] to uint8 [H, W, 3], of recipes whose clips are looked at.
Look = Callable[[np.ndarray], np.ndarray]
#: Pixels on the shorter side of a picture, at least.
SIDE = 128


def look_of(recipe: Recipe) -> Look | None:
    """What shows the recipe's clips, where they are pictures and make no sound; else None."""
    from gansemble.recipe.construct import construct

    if "representation" not in recipe.single:
        return None
    made = construct(recipe.single["representation"], recipe)
    return made.picture if isinstance(made, PictureRepresentation) and made.soundless else None


def gallery(system: System, count: int, spec: AudioSpec, look: Look | None = None) -> str:
    """The first clips a system made of its own."""
    made = []
    for clip in system.index.clips[:count]:
        audio = files.read_mono(system.samples / f"{clip.id}.wav", spec.sample_rate)
        label = "" if clip.label is None else f" · label {clip.label}"
        label = label if clip.pitch is None else f" · pitch {clip.pitch}"
        made.append((f"{clip.id}{label}", audio))
    return _wall(f"{page.dot(system)}{html.escape(system.name)}: generated", made, spec, look)


def real(packed: Packed, count: int, length: int, spec: AudioSpec, look: Look | None = None) -> str:
    """Clips of the corpus, spread over it, cut to the generator's length."""
    packed = packed.originals()
    chosen = range(0, len(packed), max(1, len(packed) // max(1, count)))
    clips = [(packed.entries[index].id, packed.read(index, 0, length)) for index in list(chosen)[:count]]
    return _wall("real clips", clips, spec, look)


def wall(
    title: str, note: str, clips: Sequence[tuple[str, np.ndarray]], spec: AudioSpec, look: Look | None = None
) -> str:
    """A whole page of clips, each with a player and a spectrogram, or as a picture."""
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
    """A picture uint8 [H, W, 3] as the address of a PNG, its pixels repeated where it is small."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"


def png(picture: np.ndarray) -> bytes:
    """PNG of a picture uint8 [H, W, 3], each pixel repeated so often that it is seen."""
    from matplotlib.image import imsave

    times = max(1, -(-SIDE // min(picture.shape[:2])))
    buffer = io.BytesIO()
    imsave(buffer, np.repeat(np.repeat(picture, times, 0), times, 1), format="png")
    return buffer.getvalue()
