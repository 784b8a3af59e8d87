"""The page of a listening test as one HTML file, from its text, style and scripts beside this module."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from gansemble.audio.levels import rms
from gansemble.listening.design import Key
from gansemble.listening.sounds import Prepared
from gansemble.pages import document
from gansemble.pages.names import named

HERE = Path(__file__).parent
#: Scripts of the page beside this module, in their order, after the player that all pages share.
SCRIPTS = ("session.js", "page.js")


class PageTrial(TypedDict):
    """A trial as the page has it: random names only."""

    id: str
    sounds: list[str]
    reference: NotRequired[str]
    x: NotRequired[str]


def as_text(sound: bytes) -> str:
    """A sound file as text, base64."""
    return base64.b64encode(sound).decode("ascii")


def sound_script(name: str, text: str) -> str:
    """A sound as a script: a page opened from a file may load scripts beside it, but may not fetch other files."""
    return f'gansembleSound("{name}", "{text}");\n'


def loudest(key: Key, prepared: Mapping[str, Prepared]) -> str:
    """The name of the sound with the largest root mean square, on which listeners set their volume."""
    levels = {name: rms(prepared[row["clip"]].versions[row["system"]]) for name, row in key["sounds"].items()}
    return max(levels, key=lambda name: levels[name])


def assemble(key: Key, check: str, sounds: Mapping[str, str] | None) -> str:
    """The whole page.

    Args:
        key: of the test, of which the page gets what a listener may know.
        check: name of the sound for the volume.
        sounds: by name, each as text; None where they lie beside the page.
    """
    trials: list[PageTrial] = [{"id": name, **row} for name, row in key["trials"].items()]  # type: ignore[typeddict-item]
    test = {
        "test": key["test"],
        "mode": key["mode"],
        "title": key["title"],
        "question": key["question"],
        "seed": key["seed"],
        "rate": key["sample_rate"],
        "check": check,
        "trials": trials,
    }
    scripts = [document.text_of("player.js"), *((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)]
    pieces = {
        "title": named(key["title"]),
        "style": document.text_of("palette.css") + (HERE / "page.css").read_text(encoding="utf-8"),
        "test": _json(test),
        "audio": _json(sounds or {}),
        "script": document.scoped(scripts),
    }
    return document.put_in((HERE / "page.html").read_text(encoding="utf-8"), pieces)


def _json(value: object) -> str:
    """A value as JSON that can stand within a script element: no ``<`` that could end it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
