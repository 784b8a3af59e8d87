"""Pages by an accessibility checker, axe-core: of clips compared and alone, while they play, and blind."""

from __future__ import annotations

import numpy as np
import pytest
from played_pages import RATE, ramp

from gansemble.pages import document

pytestmark = pytest.mark.slow
TABLE = """<table class=scores><thead><tr><td></td><th><i class=dot style="background:#2563eb"></i><span>one</span></th></tr>
</thead><tbody><tr><th scope=row>snr <span aria-hidden=true>↑</span><span class=unseen> (higher is better)</span></th>
<td class=best>3.000<small>2.000 … 4.000</small><small>best</small></td></tr><tr><th scope=row>lsd</th><td class=tied>1.000
<small>not told from the best</small></td></tr></tbody></table>"""


def test_clips_compared_with_tables_and_notices(axe, page, accessible):
    more = document.scrolling(TABLE, "scores") + document.banner("A toy.", "Nothing is learnt from it.")
    more += document.facts("The environment", {"torch": "2"}) + "<p class=note>A note.</p>"
    accessible(page({"a": {"one": ramp(1.0), "two": ramp(1.0)}, "b": {"one": ramp(1.0)}}, more=more))


def test_clips_while_they_play_and_blind(axe, page, player):
    shown = player(page({"a": {"one": ramp(8.0), "two": ramp(8.0)}, "b": {"one": ramp(1.0), "two": ramp(1.0)}}))
    for dark in (False, True):
        shown.browser.look(1200, 900, dark)
        shown.press("2", "l")
        shown.until_playing()
        assert shown.browser.faults(axe) == []
        shown.press("h")
        assert shown.browser.faults(axe) == []
        shown.press("h", "l")


def test_a_wall_of_clips(axe, page, accessible):
    accessible(page({f"clip {number}": np.full(RATE, 0.1, np.float32) for number in range(3)}))
