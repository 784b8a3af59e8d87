"""What a page of results holds, read from its HTML: its sounds, by what plays them, and its tables."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import soundfile


def held(page: str) -> dict[str, tuple[str, bytes]]:
    """(media type, file) of each sound that a page holds, by the name of its element."""
    found = re.findall(r'<script type="text/plain" id="([^"]*)" data-type="([^"]*)">([^<]*)</script>', page)
    return {name: (kind, base64.b64decode(text)) for name, kind, text in found}


def played(page: str) -> list[str]:
    """Names of the sounds that the page's players play, in their order."""
    return re.findall(r'data-sound="([^"]*)"', page)


def heard(page: str) -> list[tuple[np.ndarray, int]]:
    """(samples [T], rate [Hz]) of what the page's players play, in their order."""
    sounds = held(page)
    return [soundfile.read(io.BytesIO(sounds[name][1])) for name in played(page)]


def cells(table: str) -> list[list[str]]:
    """The text of a table by row: ``*`` before what is best, ``~`` before what is not told from it, a line break where a small
    note begins; without words that only a screen reader says."""
    marks = {"best": "*", "tied": "~"}
    rows = []
    for line in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL):
        row = []
        for opening, cell in re.findall(r"<(t[hd][^>]*)>(.*?)</t[hd]>", line, re.DOTALL):
            mark = re.search(r"class=(best|tied)", opening)
            cell = (
                re.sub(r"<span class=unseen>.*?</span>", "", cell)
                .replace("<small>", "\n")
                .replace("<small class=bounds>", "\n")
            )
            row.append((marks[mark.group(1)] if mark else "") + re.sub("<[^>]*>", "", cell).strip(" "))
        rows.append(row)
    return rows
