"""A page as one HTML file: its frame, style and player, with everything embedded."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gansemble.pages.sounds import Sounds

HERE = Path(__file__).parent
#: Scripts of a page with sounds, in their order.
SCRIPTS = ("player.js", "comparison.js")


def text_of(name: str) -> str:
    """A file beside this module."""
    return (HERE / name).read_text(encoding="utf-8")


def put_in(frame: str, pieces: Mapping[str, str]) -> str:
    """A text whose markers, such as ``<!--title-->``, are replaced by the pieces of their names.

    All at once: a piece may hold a marker.
    """
    out = []
    for part in frame.split("<!--"):
        name, closed, rest = part.partition("-->")
        out.append(pieces[name] + rest if closed else part)
    return "".join(out)


def scoped(scripts: Sequence[str]) -> str:
    """Scripts in a scope of their own, so that nothing of them is a name of the browser's window."""
    return f"<script>{in_scope(scripts)}</script>"


def in_scope(scripts: Sequence[str]) -> str:
    """The same without the element, for a file of its own."""
    return f'(() => {{\n"use strict";\n{chr(10).join(scripts)}}})();'


def assemble(
    title: str,
    body: Sequence[str],
    sounds: Sounds | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> str:
    """The whole page.

    Args:
        title: of the page.
        body: its pieces, as HTML.
        sounds: that clips of the body added; None for a page without any.
        say: called with lines about the page's size.
    """
    pieces = {
        "title": html.escape(title),
        "style": text_of("palette.css") + text_of("look.css"),
        "body": "\n".join(body),
        "sounds": "",
        "script": "",
    }
    if sounds is not None and sounds.seconds:
        pieces["script"] = scoped([text_of(name) for name in SCRIPTS])
        rest = sum(len(piece.encode()) for piece in pieces.values())
        pieces["sounds"] = "\n".join(each.element() for each in sounds.embedded(rest, say))
    return put_in(text_of("page.html"), pieces)


def banner(heading: str, text: str) -> str:
    """A notice that nobody overlooks, as HTML."""
    return f"<div class=banner role=note><strong>{html.escape(heading)}</strong>{html.escape(text)}</div>"


def details(summary: str, content: str) -> str:
    """HTML that is folded at first."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"


def scrolling(table: str, name: str) -> str:
    """A table that scrolls sideways within the page where it is too wide, by touch and by keyboard."""
    return f'<div class=scroll tabindex=0 role=region aria-label="{html.escape(name)}">{table}</div>'


def facts(summary: str, rows: Mapping[str, object]) -> str:
    """Facts by name as a table that is folded at first, as HTML."""
    cells = "".join(
        f"<tr><th>{html.escape(key)}</th><td class=text>{html.escape(str(value))}</td></tr>"
        for key, value in rows.items()
    )
    return details(summary, scrolling(f"<table><tbody>{cells}</tbody></table>", summary))
