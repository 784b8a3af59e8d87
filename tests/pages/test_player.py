"""The comparison player in a browser, without a window: heard to the sample, by keys and by pointer."""

from __future__ import annotations

import numpy as np
import pytest
from played_pages import RATE, moments, ramp

from gansemble.pages import document

pytestmark = pytest.mark.slow
PAIR = {"one": ramp(8.0), "two": ramp(8.0, -1)}


def line_of(samples: np.ndarray) -> np.ndarray:
    """Where each sample would be in the clip, had nothing been switched [s]: zero if all keep one position."""
    return moments(samples) - np.arange(len(samples)) / RATE


def seams(samples: np.ndarray) -> int:
    """How often the sound fades out: a ramp is nowhere that soft."""
    return int(np.sum((np.abs(samples[:-1]) >= 0.05) & (np.abs(samples[1:]) < 0.05)))


def test_a_switch_while_playing_keeps_the_position(page, player):
    """Before and after it, the same moment is heard to the millisecond, of the other version: its samples are negative."""
    shown = player(page({"a": PAIR}))
    shown.press(" ")
    shown.until_playing()
    shown.wait(0.8)
    shown.press("2")
    shown.wait(0.6)
    out = shown.output()
    assert shown.plays() and shown.pressed() == 1
    switched = int(np.flatnonzero(out > 0.05).max())  # the last sample of the first version
    begun = int(np.flatnonzero(out > 0.05).min())
    settled = 80 * RATE // 1000  # a fade, exponential in 5 ms, is over
    first, second = out[begun + 500 : switched - settled], out[switched + settled :]
    assert len(first) > RATE // 4 < len(second) and first.min() > 0 > second.max()
    where = line_of(out)
    was, became = np.median(where[begun + 500 : switched - settled]), np.median(where[switched + settled :])
    assert abs(was - became) < 0.001
    assert np.abs(where[switched + settled :] - became).max() < 0.001, "and nothing is missing or heard twice"
    assert shown.browser.errors == []


@pytest.mark.parametrize("by", ["keys", "clicks"])
def test_the_page_shows_one_position_through_many_switches(page, player, by):
    """From picture to picture of the page its position moves as time does: 50 ms at most beside it, in ten switches."""
    shown = player(page({"a": {name: np.full(20 * RATE, 0.1, np.float32) for name in ("one", "two", "three")}}))
    shown.press(" ")
    shown.until_playing()
    shown.wait(0.3)
    shown.run(
        """(() => { const clip = document.querySelector('[data-clip]'); window.seen = [];
        const look = () => { window.seen.push([performance.now() / 1000, 20 * Number(clip.style.getPropertyValue('--at'))]);
          if (window.seen) requestAnimationFrame(look); };
        requestAnimationFrame(look); })()"""
    )
    for number in range(10):
        place = (number + 1) % 3
        if by == "keys":
            shown.press(str(place + 1))
        else:
            shown.click(f".versions figure:nth-child({place + 1}) .pick")
        assert shown.pressed() == place
        shown.wait(0.08)
    seen = np.array(shown.run("window.seen"))
    assert shown.plays() and len(seen) > 10 and seen[-1, 1] - seen[0, 1] > 0.6
    apart = seen[:, 1] - seen[:, 0]
    assert np.ptp(apart) < 0.05


def test_versions_of_one_level_are_heard_as_they_are_or_matched(page, player):
    """The second is half as loud: matched to the first at first, as it is after M."""
    shown = player(page({"a": {"one": ramp(8.0), "half": -0.5 * ramp(8.0)}}))
    assert shown.run("document.getElementById('matched').checked")
    shown.press("2")
    shown.until_playing()
    shown.wait(0.4)
    loud, at = shown.heard_at()
    assert np.median(moments(loud)) == pytest.approx(at, abs=0.3)
    shown.press("m")
    assert not shown.run("document.getElementById('matched').checked")
    shown.wait(0.3)
    soft, at = shown.heard_at()
    assert np.median(moments(2 * soft)) == pytest.approx(at, abs=0.3)
    assert np.median(moments(2 * soft)) - np.median(moments(loud)) > 0.2, "it went on"


def test_a_page_may_leave_levels_as_they_are_at_first(page, player):
    shown = player(page({"a": {"one": ramp(8.0), "half": -0.5 * ramp(8.0)}}, matched=False))
    shown.press("2")
    shown.until_playing()
    shown.wait(0.4)
    soft, at = shown.heard_at()
    assert np.median(moments(2 * soft)) == pytest.approx(at, abs=0.3)


def test_a_clip_ends_where_it_ends_and_begins_again_where_it_is_looped(page, player):
    shown = player(page({"a": {"one": ramp(0.5), "two": ramp(0.5, -1)}}))
    shown.press(" ")
    shown.until_silent()
    shown.wait(0.7)
    assert not shown.plays() and shown.at() == 0 and np.abs(shown.output()[-500:]).max() < 1e-3
    shown.press("l", " ")
    shown.until_playing()
    shown.wait(1.3)
    assert shown.plays() and shown.of(0, ".loop input", "checked")
    out = shown.output()[-int(1.1 * RATE) :]
    assert (out > 0.095).mean() > 0.9 and seams(out) >= 2, "it is heard again and again, with fades between"
    shown.press("l")
    shown.until_silent()


def test_a_part_that_is_dragged_over_is_looped(page, player):
    """From an eighth to a quarter of 8 s: 1 s to 2 s, until the whole is asked for."""
    shown = player(page({"a": PAIR}))
    shown.press("1")
    shown.until_playing()
    shown.drag(".versions figure:nth-child(2) .picture", 0.125, 0.25)
    shown.browser.until("!document.querySelector('.range').hidden")
    assert shown.of(0, ".loop input", "checked") and shown.plays()
    assert shown.pressed() == 0, "which version is heard is not of the picture that was dragged over"
    shown.wait(1.8)
    out = shown.output()[-int(1.5 * RATE) :]
    heard = moments(out)
    assert ((heard > 0.98) & (heard < 2.02)).mean() > 0.95 and heard.max() < 2.02
    assert seams(out) >= 1, "it began again"
    assert 0.98 < shown.at() < 2.02
    shown.press("\\")
    shown.browser.until("document.querySelector('.range').hidden")


def test_a_click_on_a_picture_goes_to_its_moment(page, player):
    shown = player(page({"a": PAIR}))
    shown.drag(".picture", 0.5, 0.5)
    shown.browser.until("!!document.querySelector('.clip.active')")
    assert shown.at() == pytest.approx(4.0, abs=0.05) and not shown.plays()
    assert shown.of(0, ".clock") == "4.0 / 8.0 s"
    assert shown.of(0, ".position input", "value") == str(round(1000 * shown.at() / 8))
    left = shown.run(
        """(() => { const [cursor, picture] = ['.cursor', '.picture'].map((each) =>
        document.querySelector(each).getBoundingClientRect()); return (cursor.left + 1 - picture.left) / picture.width; })()"""
    )
    assert left == pytest.approx(0.085 + 0.5 * 0.90, abs=0.01), "the cursor stands at that moment of the time axis"


def test_everything_is_done_by_keys_alone(page, player):
    shown = player(page({"a": PAIR, "b": {"one": ramp(8.0), "two": ramp(8.0, -1), "three": ramp(8.0)}}))
    shown.press("ArrowRight", "ArrowRight")
    shown.browser.until("!!document.querySelector('.clip.active')")
    shown.browser.until("document.querySelector('.clip .clock').textContent.startsWith('2.0')")
    shown.press("ArrowLeft")
    shown.browser.until("document.querySelector('.clip .clock').textContent.startsWith('1.0')")
    shown.press("Home", "2", "n")
    shown.until_playing(1)
    assert not shown.plays(0) and shown.pressed(0) == 1
    assert shown.run("document.activeElement.getAttribute('aria-label')") == "play or pause b"
    shown.press("3")
    assert shown.pressed(1) == 2
    shown.press("9")
    assert shown.pressed(1) == 2, "there are no nine"
    shown.press(" ")
    shown.until_silent(1)
    shown.press("p")
    shown.browser.until("document.activeElement.getAttribute('aria-label') === 'play or pause a'")
    shown.wait(0.1)
    assert not shown.plays(0) and not shown.plays(1), "what was silent stays so"
    shown.press("p", "n", "n", "n")
    shown.browser.until("document.activeElement.getAttribute('aria-label') === 'play or pause b'")
    for key, what in (
        ("l", "document.querySelectorAll('.loop input')[1]"),
        ("m", "document.getElementById('matched')"),
    ):
        was = shown.run(f"{what}.checked")
        shown.press(key)
        assert shown.run(f"{what}.checked") != was
    assert shown.browser.errors == []


def test_keys_that_come_before_a_clip_is_decoded_are_not_lost(page, player, before):
    """Two steps to a clip that is then played, as the first was; never another one's sound in its place."""
    before(
        """const decode = BaseAudioContext.prototype.decodeAudioData;
        BaseAudioContext.prototype.decodeAudioData = async function (data) {
          while (!window.released) await new Promise((done) => setTimeout(done, 5));
          return decode.call(this, data);
        };"""
    )
    shown = player(page({str(number): {"one": np.full(8 * RATE, 0.1 * number, np.float32)} for number in (1, 2, 3)}))

    def meanwhile(*keys):
        shown.run("window.released = false")
        shown.press(*keys)
        shown.run("window.released = true")

    meanwhile("ArrowRight", "ArrowRight")
    shown.browser.until("document.querySelector('.clip .clock').textContent.startsWith('2.0')")
    shown.press("1")
    shown.until_playing(0)
    meanwhile("n", "n")
    shown.until_playing(2)
    shown.wait(0.3)
    assert np.median(shown.output()[-500:]) == pytest.approx(0.3, abs=1e-3)
    meanwhile("p", " ")
    shown.until_playing(1)
    shown.wait(0.3)
    assert np.median(shown.output()[-500:]) == pytest.approx(0.2, abs=1e-3), "and not 0.3, of the clip before"


def test_sounds_begin_together_however_busy_the_browser_is(page, player, before):
    """The moment they are to begin at passes between the first and the second: both are told anew."""
    before(
        """const start = AudioBufferSourceNode.prototype.start;
        let slow = 1;
        AudioBufferSourceNode.prototype.start = function (...given) {
          start.apply(this, given);
          if (slow-- > 0) for (const until = performance.now() + 120; performance.now() < until; );
        };"""
    )
    shown = player(page({"a": PAIR}))
    shown.press("1")
    shown.until_playing()
    shown.wait(0.7)
    shown.press("2")
    shown.wait(0.6)
    out = shown.output()
    switched, settled = int(np.flatnonzero(out > 0.05).max()), 80 * RATE // 1000
    where = line_of(out)
    first = where[switched - settled - 1000 : switched - settled]
    assert abs(np.median(first) - np.median(where[switched + settled :])) < 0.001


def test_keys_of_a_control_are_its_own(page, player):
    """Space on a box ticks it and plays nothing; on a slider, arrows move it."""
    shown = player(page({"a": PAIR}))
    shown.run("document.getElementById('blind').focus()")
    shown.press(" ")
    assert shown.run("document.getElementById('blind').checked") and not shown.plays()
    shown.press(" ")
    shown.run("document.querySelector('.position input').focus()")
    shown.press("ArrowRight")
    shown.browser.until("!!document.querySelector('.clip.active')")
    shown.wait(0.1)
    assert 0 < shown.at() < 0.1, "a thousandth of the clip, and not a second"
    shown.run("document.querySelectorAll('.pick')[1].focus()")
    shown.press("Enter")
    shown.until_playing()
    assert shown.pressed() == 1


def test_blind_neither_names_nor_scores_nor_pictures_are_there_and_the_order_is_drawn(page, player):
    names = [f"system {number}" for number in range(5)]
    shown = player(page({"a": {name: ramp() for name in names}}))
    hidden = """[...document.querySelectorAll('.versions .picture, .versions figcaption small, .versions .dot')]
        .every((each) => getComputedStyle(each).display === 'none' || getComputedStyle(each).visibility === 'hidden')"""
    orders = set()
    for _ in range(4):
        shown.press("h")
        assert shown.all_of(0, ".name") == list("ABCDE") and shown.all_of(0, ".pick kbd") == list("12345")
        assert not any(name in shown.run("document.body.innerText") for name in names)
        assert "snr" not in shown.run("document.querySelector('.versions').innerText") and shown.run(hidden)
        assert "drawn" in shown.run("document.getElementById('said').textContent")
        order = shown.all_of(0, "figure", "dataset.name")
        assert sorted(order) == names
        orders.add(tuple(order))
        shown.press("h")
        assert shown.all_of(0, ".name") == names and not shown.run(hidden)
    assert len(orders) > 1, "by chance, one order in 1.7 million such tests"


def test_blind_nothing_stands_elsewhere_in_the_reference(page, player):
    """It has no dot, and here a long note: neither takes room."""
    shown = player(page({"a": {"reference": ramp(), "one": ramp(), "a much longer name of a system": ramp()}}))
    shown.press("h")
    places = shown.run(
        """[...document.querySelectorAll('.versions figure')].map((figure) => {
             const [whole, name, pick] = [figure, figure.querySelector('.name'), figure.querySelector('.pick')]
               .map((each) => each.getBoundingClientRect());
             return [name.left - whole.left, name.top - whole.top, pick.width, whole.height].map(Math.round).join(); })"""
    )
    assert len(places) == 3 and len(set(places)) == 1


def test_blind_a_digit_plays_what_stands_at_its_place(page, player):
    """One of the two is negative: what is heard is what the drawn order says."""
    shown = player(page({"a": PAIR}))
    for _ in range(3):
        shown.press("h")
        order = shown.all_of(0, "figure", "dataset.name")
        shown.press("2")
        shown.until_playing()
        shown.wait(0.3)
        assert (np.median(shown.output()[-500:]) < 0) == (order[1] == "two")
        shown.press("h")


def test_of_two_clips_only_one_is_heard_and_the_other_keeps_its_place(page, player):
    loud = {"x": np.full(4 * RATE, 0.9, np.float32), "y": np.full(4 * RATE, -0.9, np.float32)}
    shown = player(page({"a": PAIR, "b": loud}))
    shown.click(".play")
    shown.until_playing(0)
    shown.wait(0.5)
    shown.click("[data-clip]:nth-of-type(3) .play")
    shown.until_playing(1)
    assert not shown.plays(0) and shown.run("document.querySelectorAll('.clip.active').length") == 1
    shown.wait(0.3)
    assert np.median(shown.output()[-500:]) == pytest.approx(0.9, abs=1e-3), "nothing of the first is added"
    left = shown.at(0)
    assert left > 0.4
    shown.click(".play")
    shown.until_playing(0)
    shown.wait(0.2)
    assert left < shown.at(0) < left + 1


@pytest.mark.parametrize(
    "broken",
    [
        "BaseAudioContext.prototype.decodeAudioData = () => Promise.reject(new DOMException('no', 'EncodingError'))",
        "delete window.AudioContext",
    ],
)
def test_a_browser_that_cannot_decode_says_what_to_do(page, player, before, broken):
    before(broken)
    shown = player(page({"a": PAIR}))
    shown.press(" ")
    shown.browser.until("document.getElementById('said').textContent.includes('cannot')")
    said = shown.run("document.getElementById('said').textContent")
    assert "cannot decode these sounds (audio/flac)" in said and "--set evaluation.sound=wav" in said
    assert not shown.plays() and shown.browser.errors == []
    shown.press("2", "n", "l", "h", "m")
    assert shown.browser.errors == []


@pytest.mark.parametrize("sound", ["opus", "wav"])
def test_every_way_of_holding_sounds_is_played(page, player, sound):
    shown = player(
        page({"a": {name: np.sin(ramp() * 3000).astype(np.float32) for name in ("one", "two")}}, sound=sound)
    )
    shown.press(" ")
    shown.until_playing()
    shown.wait(0.3)
    assert np.sqrt(np.mean(shown.output()[-1000:] ** 2)) == pytest.approx(0.71, abs=0.1)
    assert shown.browser.errors == []


HOSTILE = [
    "<b class=hostile>bold</b><script>window.hostile = 1</script>",
    "\"'><img src=x onerror='window.hostile = 1'>",
    "x" * 100,
    "نموذج أساسي بدون تدريب",
    "\u202eevil <!--body--> &amp; $&",
]


@pytest.mark.parametrize("width", [390, 1200])
def test_names_of_any_kind_are_shown_as_they_are(page, player, width):
    """Of systems and of clips, compared and alone; the page is no wider for them, and plays."""
    clips = {name: {each: ramp(4.0) for each in HOSTILE[: 2 if place else None]} for place, name in enumerate(HOSTILE)}
    shown = player(page(clips | {f"{name} alone": ramp(0.5) for name in HOSTILE}), width)
    assert shown.all_of(0, ".name") == HOSTILE
    assert [text[: len(name)] for text, name in zip(shown.run(TITLES), HOSTILE, strict=False)] == HOSTILE
    assert shown.run("[document.querySelectorAll('.hostile, [onerror]').length, typeof window.hostile]") == [
        0,
        "undefined",
    ]
    assert shown.run("document.documentElement.scrollWidth") <= width
    shown.press("5")
    shown.until_playing(0)
    shown.press("n")
    shown.until_playing(1)
    shown.press("h")
    assert shown.all_of(0, ".name") == list("ABCDE")
    assert shown.browser.errors == []


TITLES = "[...document.querySelectorAll('.clip h3')].map((each) => each.textContent)"


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_page_is_no_wider_than_its_window_in_light_and_dark(page, player, dark):
    table = "<table><tr>" + "<td>a score of a long name</td>" * 9 + "</tr></table>"
    shown = player(page({"a": PAIR}, more=document.scrolling(table, "scores")), 390, 844, dark)
    assert shown.run("document.documentElement.scrollWidth") <= 390
    assert shown.run("document.querySelector('.scroll').scrollWidth") > 390, "the table scrolls within itself"
    tops = shown.all_of(0, "figure", "getBoundingClientRect().left")
    assert len(set(tops)) == 1, "versions stand below one another"
    ground, ink = shown.run("['backgroundColor', 'color'].map((each) => getComputedStyle(document.body)[each])")
    levels = [sum(map(int, each.removeprefix("rgb(").rstrip(")").split(","))) for each in (ground, ink)]
    assert (levels[0] < 150 < 500 < levels[1]) if dark else (levels[1] < 150 < 500 < levels[0])


def test_a_clip_of_a_tenth_of_a_second_is_played(page, player):
    shown = player(page({"a": {"one": ramp(0.1), "two": ramp(0.1, -1)}}))
    shown.press(" ")
    shown.browser.until("!!document.querySelector('.clip.active')")
    shown.until_silent()
    shown.wait(0.3)
    heard = shown.output()
    assert np.abs(heard).max() == pytest.approx(0.11, abs=0.005) and (heard > 0.1).mean() * 2.048 > 0.07
    shown.drag(".picture", 0.2, 0.9)
    shown.wait(0.1)
    assert shown.run("document.querySelector('.range').hidden"), "too short for a part of it"
    assert shown.browser.errors == []


def test_a_page_of_one_clip_of_one_version_is_played(page, player):
    shown = player(page({"a": {"one": ramp()}}))
    shown.press("n", "p", "2", "1")
    shown.until_playing()
    assert shown.browser.errors == []


def test_a_wall_of_single_clips_is_played_one_by_one(page, player):
    shown = player(page({f"clip {number}": np.full(4 * RATE, 0.1 * (number + 1), np.float32) for number in range(3)}))
    assert not shown.run("document.getElementById('blind') || document.getElementById('matched')")
    shown.press(" ")
    shown.until_playing(0)
    shown.press("n")
    shown.until_playing(1)
    shown.wait(0.3)
    assert np.median(shown.output()[-500:]) == pytest.approx(0.2, abs=1e-3) and not shown.plays(0)
    shown.press("h", "m", "l", "n")
    shown.until_playing(2)
    shown.press("ArrowRight")
    shown.browser.until("Number(document.querySelectorAll('[data-clip]')[2].style.getPropertyValue('--at')) > 0.25")
    shown.press(" ")
    shown.until_silent(2)
    assert shown.browser.errors == []


def test_the_page_does_not_ask_the_network_for_anything(page, player, browser):
    shown = player(page({"a": PAIR, "b": PAIR}))
    asked = shown.run(
        "performance.getEntriesByType('resource').filter((each) => !each.name.startsWith('data:')).length"
    )
    assert asked == 0
