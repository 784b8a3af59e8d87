"""The page of a demonstration: its text, style and scripts, which are files of their own so that its policy forbids all others."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from gansemble.demo import facts, latents
from gansemble.demo.demonstration import Demonstration
from gansemble.demo.latents import Latents
from gansemble.evaluation import account_words
from gansemble.pages import document
from gansemble.pages.clips import toolbar
from gansemble.pages.names import in_attribute, isolated, named
from gansemble.recipe.task import Task

HERE = Path(__file__).parent
#: How many results a page keeps.
KEPT = 4
#: What the page may load, and what may be done with it: nothing that is not of its server. Spectrograms are data URLs, and the
#: player's marks have their places in style attributes.
POLICY = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
_ASKS = {
    Task.VOCODING: "Record a few words, or choose a sound file. What the vocoder reads is computed of it, and a new waveform is made "
    "of that alone: hear both, at one position.",
    Task.ENHANCEMENT: "Record something, or choose a sound file, and hear it beside its restored version, at one position.",
    Task.GENERATION: "Each clip is made of random numbers alone. Draw others, mix two draws, or move along directions in which "
    "clips change most.",
}
#: What becomes of what a visitor gives, by whether that is a recording.
_PRIVACY = {
    True: "What you give goes to the program that shows this page, and to nobody else. Nothing of it is kept: a recording is deleted from "
    "the program's disk when it has been read, and from its memory when the answer has been sent. Results stay in this page until "
    "you close it.",
    False: "Clips are made by the program that shows this page, and kept by nobody but the page, until you close it.",
}
_SCRIPTS = {
    Task.VOCODING: ("restoring.js", "recording.js"),
    Task.ENHANCEMENT: ("restoring.js", "recording.js"),
    Task.GENERATION: ("latents.js",),
}


@dataclass(frozen=True)
class File:
    """A file of the page.

    Args:
        content: as it is sent.
        kind: its media type.
    """

    content: bytes
    kind: str


def files(demo: Demonstration, largest: int, say: Callable[[str], None]) -> Mapping[str, File]:
    """The files of a demonstration's page by name; the page itself has none.

    Args:
        demo: what is shown.
        largest: recording that is taken [bytes].
        say: called with lines about records that cannot be read.
    """
    task = demo.trained.task
    own = ("requests.js", "results.js", *_SCRIPTS[task])
    player = document.SCRIPTS if demo.look is None else ()  # pictures are not played
    scripts = [*(document.text_of(name) for name in player), *(_text(name) for name in own)]
    style = document.text_of("palette.css") + document.text_of("look.css") + _text("page.css")
    return {
        "": File(_page(demo, largest, say).encode(), "text/html; charset=utf-8"),
        "page.css": File(style.encode(), "text/css; charset=utf-8"),
        "page.js": File(document.in_scope(scripts).encode(), "text/javascript; charset=utf-8"),
        "recorder.js": File(_text("recorder.js").encode(), "text/javascript; charset=utf-8"),
    }


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _page(demo: Demonstration, largest: int, say: Callable[[str], None]) -> str:
    trained, found = demo.trained, facts.account(demo, say)
    name = found.name if found is not None else trained.recipe.name
    use = trained.recipe.single["generator"].use
    told = f"{account_words.KINDS[trained.task]} · {use} · {trained.spec.sample_rate:,} Hz · step {trained.step:,}"
    recordings = not isinstance(demo.work, Latents)
    pieces = {
        "title": html.escape(isolated(name)),
        "head": f"<header><h1>{named(name)}</h1><p>{html.escape(told)}</p></header>{facts.banner(found)}",
        "settings": html.escape(
            json.dumps({"longest": demo.longest, "largest": largest, "rate": trained.spec.sample_rate})
        ),
        "asks": html.escape(_ASKS[trained.task]),
        "controls": _latents(demo, demo.work) if isinstance(demo.work, Latents) else _recordings(demo),
        "toolbar": "" if demo.look is not None else toolbar(trained.spec.sample_rate, several=True, matched=recordings),
        "kept": str(KEPT),
        "kept-where": html.escape(_PRIVACY[recordings]),
        "about": facts.sections(demo, found, say),
    }
    return document.put_in(_text("page.html"), pieces)


def _recordings(demo: Demonstration) -> str:
    """Where a recording comes from."""
    examples = "".join(
        f'<button type=button data-example="{number}">{named(name)}</button>'
        for number, name in enumerate(demo.examples.names)
    )
    offered = (
        f"<p class=examples><span>Held-out clips, which it was not trained on:</span> {examples}</p>"
        if examples
        else f"<p class=note>{html.escape(demo.examples.why_not)}</p>"
    )
    work = demo.work
    degrades = ""
    if demo.degrades_examples and not isinstance(work, Latents):
        whose = (
            "degrade it first, as in training"
            if work.degrades
            else "take the degraded recording that belongs to a held-out clip"
        )
        of_all = str(work.degrades).lower()
        degrades = f"<label><input type=checkbox id=degrade data-of-all={of_all}> {whose}</label>"
    return (
        "<div class=sources><button type=button id=record aria-pressed=false><i class=lamp></i><span>Record</span></button>"
        "<button type=button id=choose>Choose a file …</button>"
        '<input type=file id=file accept="audio/*,.wav,.flac,.mp3,.ogg,.opus,.aif,.aiff" hidden>'
        f"<span class=note>or drop one anywhere on this page; at most {demo.longest:g} s are taken</span></div>"
        '<div id=taking hidden><meter id=level min=0 max=1 high=0.9 aria-label="level of the microphone"></meter>'
        "<span id=elapsed class=clock>0.0 s</span></div>"
        f"{offered}<div class=choices>{degrades}{_label(demo)}</div>"
    )


def _latents(demo: Demonstration, work: Latents) -> str:
    """What a clip is made of."""
    vector = truncation = ""
    if work.directions is not None:
        what = (
            "in which its first layer changes most, strongest first"
            if work.directions.principal
            else "drawn at random, as none could be found in which it changes most"
        )
        rows = "".join(
            f"<label class=slider><span>{number}</span><input type=range data-move min={-latents.FARTHEST:g} "
            f'max={latents.FARTHEST:g} step=0.1 value=0 aria-label="direction {number}"><output>0</output></label>'
            for number in range(1, len(work.directions.vectors) + 1)
        )
        vector = (
            "<div class=draws><label>Draw <input type=number id=draw min=0 max=2147483648 step=1 value=0></label>"
            "<button type=button id=another>Another</button>"
            "<label>towards draw <input type=number id=towards min=0 max=2147483648 step=1 value=1></label>"
            "<label class=slider><span>from the one to the other</span>"
            f"<input type=range id=share min=0 max={latents.STEPS} step=1 value=0><output>0 %</output></label></div>"
            f"<fieldset><legend>Directions {what} [standard deviations]</legend><div class=moves>{rows}</div>"
            "<button type=button id=still>All back to 0</button></fieldset>"
        )
        truncation = (
            "<label class=slider><span>truncation: less variety below 1</span>"
            f"<input type=range id=truncation min={latents.LOWEST_TRUNCATION} max={latents.HIGHEST_TRUNCATION:g} step=0.05 value=1>"
            "<output>1</output></label>"
        )
    make = "Make and play" if demo.look is None else "Make"
    way = f"<button type=button id=way>The way in {latents.WAY} clips</button>" if vector else ""
    return (
        f"{vector}<div class=choices>{_label(demo)}{truncation}</div><div class=sources>"
        f"<button type=button id=make class=main>{make}</button>{way}"
        "<span class=note>Draw N is clip N of <code>gansemble sample --seed 0</code>.</span></div>"
    )


def _label(demo: Demonstration) -> str:
    """A choice of a class or pitch; nothing where the generator reads none."""
    if not demo.labels:
        return ""
    middle = len(demo.labels) // 2 if demo.trained.recipe.generator_contract.pitches else 0
    options = "".join(
        f'<option value="{index}"{" selected" if index == middle else ""}>{in_attribute(name)}</option>'
        for index, name in demo.labels.items()
    )
    kind = "pitch" if demo.trained.recipe.generator_contract.pitches else "class"
    return f"<label>{kind} <select id=label>{options}</select></label>"
