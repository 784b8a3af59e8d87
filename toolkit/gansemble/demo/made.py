"""What a visitor gets: versions of a clip to hear and to keep, or pictures, as a piece of the page."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from gansemble.audio.spec import AudioSpec
from gansemble.evaluation import walls
from gansemble.evaluation.walls import Look
from gansemble.pages import pictures
from gansemble.pages.clips import Version, compared
from gansemble.pages.names import named
from gansemble.pages.sounds import Sounds, mono

#: Called with the share of a job that is done; raises an exception where the job is to end.
Check = Callable[[float], None]


class Sound(TypedDict):
    """A sound of a reply: the name by which its piece of the page calls it, and a WAV file in base64."""

    name: str
    type: str
    text: str


class Reply(TypedDict):
    """What the page gets.

    Attributes:
        title: of the result, without markup.
        html: a section of the page.
        sounds: that are heard in it.
    """

    title: str
    html: str
    sounds: list[Sound]


@dataclass(frozen=True)
class Made:
    """One result.

    Args:
        title: of the clip.
        note: beside the title.
        versions: the first one is the reference.
        notes: what was done, as sentences.
    """

    title: str
    note: str
    versions: Sequence[Version]
    notes: Sequence[str] = ()


def reply(made: Made, spec: AudioSpec, look: Look | None = None) -> Reply:
    """A result as a piece of the page with its sounds.

    Args:
        made: the result.
        spec: gives the sample rate and the spectrograms.
        look: turns clips into pictures, for generators of pictures; None shows spectrograms, and plays.
    """
    notes = f"<p class=note>{html.escape(' '.join(made.notes))}</p>" if made.notes else ""
    if look is not None:
        cells = "".join(_picture(each, look) for each in made.versions)
        head = f"<h3>{named(made.title)} <small>{html.escape(made.note)}</small></h3>"
        section = f"<section class=pictures>{head}<div class=wall>{cells}</div>{notes}</section>"
        return {"title": made.title, "html": section, "sounds": []}
    sounds = Sounds("wav", float("inf"))  # what is heard is what can be kept
    section = compared(made.title, made.note, made.versions, spec, sounds)
    embedded = sounds.embedded(0, lambda text: None)
    told = [Sound(name=each.name, type=each.type, text=each.text) for each in embedded]
    return {"title": made.title, "html": section.removesuffix("</section>") + notes + "</section>", "sounds": told}


def _picture(version: Version, look: Look) -> str:
    source = pictures.url(walls.png(look(mono(version.audio))))
    name = html.escape(version.name)
    return f'<figure class=look><figcaption>{name}</figcaption><img alt="picture {name}" src="{source}"></figure>'
