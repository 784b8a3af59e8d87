"""The clips of a page, each with a player for all its versions, which are heard in turn at one position, and spectrograms."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gansemble.audio.spec import AudioSpec
from gansemble.pages import pictures
from gansemble.pages.names import in_attribute, isolated, named
from gansemble.pages.sounds import Sounds, gains, mono

Heading = Literal["h3", "h4"]


@dataclass(frozen=True)
class Version:
    """One version of a clip.

    Args:
        name: as displayed.
        audio: samples [T], or [C, T] of C channels, whose mean the spectrogram shows.
        note: a short line below the name, such as its scores.
        colour: as in CSS, a dot beside the name; empty without one.
    """

    name: str
    audio: np.ndarray
    note: str = ""
    colour: str = ""


def dot(colour: str) -> str:
    """A dot in a colour as HTML; nothing without a colour."""
    return f'<i class=dot style="background:{html.escape(colour)}"></i>' if colour else ""


def toolbar(rate: int, several: bool, matched: bool = True) -> str:
    """The controls that all clips of a page share, as HTML; it stands above them.

    Args:
        rate: sample rate of the sounds [Hz].
        several: whether clips have several versions, which can be compared.
        matched: whether levels are matched at first.
    """
    keys = "<span class=keys>Keys: <kbd>space</kbd> play or pause · <kbd>1</kbd>–<kbd>9</kbd> switch version · <kbd>←</kbd> <kbd>→</kbd> a second · <kbd>L</kbd> loop · <kbd>N</kbd> <kbd>P</kbd> next, previous clip · <kbd>H</kbd> hide names · <kbd>M</kbd> levels. </span>"
    if not several:
        keys = "<span class=keys>Keys: <kbd>space</kbd> play or pause · <kbd>←</kbd> <kbd>→</kbd> a second · <kbd>N</kbd> <kbd>P</kbd> next, previous clip. </span>"
    choices = (
        "<label><input type=checkbox id=blind> hide names, draw the order by lot</label>"
        f"<label><input type=checkbox id=matched{' checked' if matched else ''}> levels matched to the first version</label>"
        if several
        else ""
    )
    hint = (
        "Drag over a spectrogram to loop a part of it, click to go there. "
        if several
        else "Click on a spectrogram to go there. "
    )
    return (
        f'<section id=listening class=listening data-rate="{rate}" aria-label="controls of all clips">{choices}'
        f"<p class=note>{keys}{hint}<span id=said role=status></span></p>"
        "<noscript><p class=note>The sounds play by JavaScript, which is switched off in this browser.</p></noscript></section>"
    )


def compared(title: str, note: str, versions: Sequence[Version], spec: AudioSpec, sounds: Sounds) -> str:
    """All versions of one clip with one player, as HTML. Their spectrograms share the colours of the first version.

    Args:
        title: of the clip.
        note: beside the title.
        versions: the first one is the reference.
        spec: gives the sample rate and the spectrograms.
        sounds: of the page, which the versions are added to.
    """
    top = pictures.top(mono(versions[0].audio), spec)
    matched, plain = gains([each.audio for each in versions])
    cells = []
    for place, (version, factor) in enumerate(zip(versions, matched, strict=True)):
        name = html.escape(version.name)
        data = f'data-sound="{sounds.add(version.audio, spec.sample_rate)}" data-name="{name}" data-level="{factor:.5g}" data-plain="{plain:.5g}"'
        pick = (
            f'<button type=button class=pick aria-pressed="{str(place == 0).lower()}"><kbd>{place + 1}</kbd>{dot(version.colour)}'
            f"<span class=name>{named(version.name)}</span></button>"
        )
        cells.append(
            f"<figure {data}><figcaption>{pick}<small>{html.escape(version.note)}</small></figcaption>"
            f"{_picture(mono(version.audio), spec, top, f'{isolated(version.name)}, {isolated(title)}', loops=True)}</figure>"
        )
    seconds = max(each.audio.shape[-1] for each in versions) / spec.sample_rate
    name = in_attribute(title)
    return (
        f'<section class=clip data-clip data-seconds="{seconds:.4f}" aria-label="clip {name}">'
        f"<h3>{named(title)} <small>{html.escape(note)}</small></h3><div class=transport>"
        f"<button type=button class=play aria-label='play or pause {name}' aria-pressed=false>▶ Play</button>"
        f"<label class=position><span class=unseen>position in {named(title)}</span><input type=range min=0 max=1000 step=1 value=0></label>"
        f"<span class=clock aria-hidden=true>0.0 / {seconds:.1f} s</span><label class=loop><input type=checkbox> loop</label></div>"
        f"<div class=versions>{''.join(cells)}</div></section>"
    )


def single(title: str, note: str, audio: np.ndarray, spec: AudioSpec, sounds: Sounds, heading: Heading = "h4") -> str:
    """One clip alone with a button to play it and its spectrogram, for a wall of clips, as HTML.

    Args:
        title: of the clip.
        note: beside the title.
        audio: samples [T].
        spec: gives the sample rate and the spectrogram.
        sounds: of the page, which the clip is added to.
        heading: the element of its title: one level below that of the wall, so that none is left out.
    """
    name, seconds = in_attribute(title), len(audio) / spec.sample_rate
    data = f'data-sound="{sounds.add(audio, spec.sample_rate)}" data-name="{html.escape(title)}" data-level="1" data-plain="1"'
    return (
        f'<section class=clip data-clip data-seconds="{seconds:.4f}" role=group aria-label="clip {name}"><{heading}>{named(title)}</{heading}>'
        f"<div class=transport><button type=button class=play aria-label='play or pause {name}' aria-pressed=false>▶ Play</button>"
        f"<span class=note>{html.escape(note)}</span></div>"
        f"<figure {data}>{_picture(audio, spec, pictures.top(audio, spec), title)}</figure></section>"
    )


def _picture(audio: np.ndarray, spec: AudioSpec, top: float, name: str, loops: bool = False) -> str:
    alt = f"spectrogram of {html.escape(name)}"
    region = "<i class=range hidden></i>" if loops else ""
    return (
        f'<div class=picture style="--left:{pictures.LEFT};--width:{pictures.WIDTH}">'
        f'<img alt="{alt}" draggable=false loading=lazy src="{pictures.spectrogram(audio, spec, top)}">{region}<i class=cursor></i></div>'
    )
