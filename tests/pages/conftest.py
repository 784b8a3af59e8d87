"""Pages made directly, without an experiment, and a browser that shows and plays them."""

from __future__ import annotations

import pytest
from played_pages import LISTEN, SPEC, Player

from gansemble.pages import document
from gansemble.pages.clips import Version, compared, single, toolbar
from gansemble.pages.sounds import Sounds


@pytest.fixture
def page(tmp_path):
    """Writes a page of clips: of ``{title: {version: samples}}``, or, as a wall, of ``{title: samples}``; its address."""

    def write(clips, matched=True, sound="auto", more="", spec=SPEC):
        sounds = Sounds(sound)
        several = any(isinstance(each, dict) for each in clips.values())
        body = ["<header><h1>A page</h1></header>", toolbar(spec.sample_rate, several, matched), more]
        cells = []
        for title, made in clips.items():
            if isinstance(made, dict):
                colours = ("", "#2563eb", "#d97706")
                versions = [
                    Version(name, audio, "snr 3.00", colours[min(place, 2)])
                    for place, (name, audio) in enumerate(made.items())
                ]
                body.append(compared(title, "a note", versions, spec, sounds))
            else:
                cells.append(single(title, "a note", made, spec, sounds))
        body += [f"<section><div class=wall>{''.join(cells)}</div></section>"] if cells else []
        path = tmp_path / "page.html"
        path.write_text(document.assemble("A page", body, sounds), encoding="utf-8")
        return path.as_uri()

    return write


@pytest.fixture
def before(browser):
    """Runs a script before those of each page that the browser opens in this test."""
    made = []

    def run(script):
        made.append(browser.call("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"])

    yield run
    for identifier in made:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=identifier)


@pytest.fixture
def player(browser, before):
    """Opens a page: a :class:`Player`."""
    before(LISTEN)

    def opened(address, width=1200, height=900, dark=False):
        browser.look(width, height, dark)
        browser.open(address)
        return Player(browser)

    return opened
