"""HTML galleries of generated or real clips: a spectrogram with an audio player for each, or a picture."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Sequence

import numpy as np

from gansemble.abilities import PictureRepresentation
from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.data.packed import Packed
from gansemble.evaluation.systems import System, dot
from gansemble.pages import pictures
from gansemble.pages.clips import Heading, single, toolbar
from gansemble.pages.document import assemble
from gansemble.pages.names import in_attribute, named
from gansemble.pages.sounds import Sounds
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Evaluation

#: Turns the samples [T] of a clip into a picture uint8 [H, W, 3], for recipes whose clips are pictures and not sound.
Look = Callable[[np.ndarray], np.ndarray]
#: How sounds are embedded where no recipe says it.
DEFAULT = Evaluation()
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


def gallery(system: System, count: int, spec: AudioSpec, sounds: Sounds, look: Look | None = None) -> str:
    """A section with the first generated clips of an experiment.

    Args:
        system: the experiment.
        count: number of clips.
        spec: gives the sample rate and the spectrogram.
        sounds: of the page, which the clips are added to.
        look: turns clips into pictures; None shows spectrograms and players.
    """
    made = []
    for clip in system.index.clips[:count]:
        audio = files.read_mono(system.samples / clip.sound, spec.sample_rate)
        label = "" if clip.label is None else f" · label {clip.label}"
        label = label if clip.pitch is None else f" · pitch {clip.pitch}"
        made.append((f"{clip.id}{label}", audio))
    return _wall(f"{dot(system)}{named(system.name)}: generated", made, spec, sounds, look)


def real(packed: Packed, count: int, length: int, spec: AudioSpec, sounds: Sounds, look: Look | None = None) -> str:
    """A section with real clips, taken at equal distances from the whole split.

    Args:
        packed: the clips of the split; variants that augmentations made are left out.
        count: largest number of clips.
        length: clips are cut or padded to it, as generated ones are [samples].
        spec: gives the sample rate and the spectrogram.
        sounds: of the page, which the clips are added to.
        look: turns clips into pictures; None shows spectrograms and players.
    """
    packed = packed.originals()
    chosen = range(0, len(packed), max(1, len(packed) // max(1, count)))
    clips = [(packed.entries[index].id, packed.read(index, 0, length)) for index in list(chosen)[:count]]
    return _wall("real clips", clips, spec, sounds, look)


def wall(
    title: str,
    note: str,
    clips: Sequence[tuple[str, np.ndarray]],
    spec: AudioSpec,
    look: Look | None = None,
    settings: Evaluation = DEFAULT,
    say: Callable[[str], None] = lambda text: None,
) -> str:
    """A complete HTML page of clips.

    Args:
        title: of the page.
        note: a line below the title.
        clips: (caption, samples [T]) of each clip.
        spec: gives the sample rate and the spectrogram.
        look: turns clips into pictures; None shows spectrograms and players.
        settings: say how sounds are embedded.
        say: called with lines about the page's size.
    """
    head = f"<header><h1>{named(title)}</h1><p>{html.escape(note)}</p></header>"
    sounds = Sounds(settings.sound, settings.page_megabytes)
    shown = _wall("", clips, spec, sounds, look)
    return assemble(title, [head, *heading(spec, look, several=False), shown], sounds, say)


def heading(spec: AudioSpec, look: Look | None, several: bool) -> list[str]:
    """What stands above the clips of a page: a heading, and the controls of the player.

    Args:
        spec: gives the sample rate.
        look: given for pictures, which have no player.
        several: whether clips have several versions.
    """
    return ["<h2>Look</h2>"] if look else ["<h2>Listen</h2>", toolbar(spec.sample_rate, several)]


def _wall(
    title: str, clips: Sequence[tuple[str, np.ndarray]], spec: AudioSpec, sounds: Sounds, look: Look | None
) -> str:
    cells = [_cell(name, audio, spec, sounds, look, "h4" if title else "h3") for name, audio in clips]
    top = f"<h3>{title}</h3>" if title else ""
    return f"<section>{top}<div class=wall>{''.join(cells)}</div></section>"


def _cell(name: str, audio: np.ndarray, spec: AudioSpec, sounds: Sounds, look: Look | None, heading: Heading) -> str:
    if look is not None:
        safe = in_attribute(name)
        picture = pictures.url(png(look(audio)))
        return f"<figure class=look><figcaption>{named(name)}</figcaption><img alt='picture {safe}' src='{picture}'></figure>"
    return single(name, f"{len(audio) / spec.sample_rate:.2f} s", audio, spec, sounds, heading)


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
