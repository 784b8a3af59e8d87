"""The page in a browser, without a window: played, answered by keyboard, saved, read back; switching without a click."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.listening import page
from gansemble.listening.answers import collect
from gansemble.listening.making import make
from gansemble.listening.matching import System
from gansemble.listening.options import Options
from gansemble.listening.results import evaluate
from gansemble.listening.serving import Server
from gansemble.pages import document

pytestmark = pytest.mark.slow
SPEECH = Path(__file__).parents[3] / "shared/audio/LJSpeech-1.1/wavs"
READY = (
    "document.getElementById('trial').getAttribute('aria-busy') === 'false' && !document.getElementById('trial').hidden"
)
COUNT = "document.getElementById('count').textContent"
END = "document.getElementById('end-text').textContent"
SAID = "document.getElementById('said').textContent"


@pytest.fixture
def begin(browser):
    """Opens a test and goes by keyboard to its first trial: the browser."""

    def run(address, listener="Anna"):
        browser.look(1000, 800)
        browser.open(address)
        browser.type(listener)
        browser.press("Enter")
        browser.until("document.getElementById('volume').getAttribute('aria-busy') === 'false'")
        browser.press(" ")
        browser.until("document.getElementById('try').textContent === 'Pause'")
        browser.press("Enter")
        browser.until(READY)
        return browser

    return run


def trial(browser, number, total):
    browser.until(f"{COUNT} === 'Trial {number} of {total}' && {READY}")


def file_of(folder):
    return (folder / "page/index.html").as_uri()


def stored(browser):
    """The session as the browser keeps it."""
    return json.loads(browser.run("Object.entries(localStorage).find(([key]) => key.startsWith('gansemble'))[1]"))


def test_a_preference_test_is_answered_through_the_server(made, begin):
    """Always the second sound: saved after each trial, and joined with the key as what it was."""
    folder = made("ab")
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        browser = begin(server.address, "Anna B.")
        for number in (1, 2, 3):
            trial(browser, number, 3)
            for key in ("a", "b", "r", "ArrowLeft", "ArrowRight", "Enter"):
                browser.press(key)
        browser.until(f"{END}.startsWith('All 3 answers have been saved')")
        server.shutdown()
        thread.join()
    (path,) = (folder / "answers").iterdir()
    assert path.name.startswith("Anna-B-2")
    (session,) = collect(folder).sessions
    assert session["complete"] and session["listener"] == "Anna B."
    assert all(row["choice"] == row["shown"][1] and len(row["played"]) == 3 for row in session["answers"])
    (row,) = evaluate(collect(folder)).tables["answers"]
    key = json.loads((folder / "key.json").read_text())
    chosen = [key["sounds"][answer["shown"][1]]["system"] for answer in session["answers"]]
    assert row["prefer_first"] == chosen.count("alpha") and row["prefer_second"] == chosen.count("beta")
    assert browser.errors == []


def test_grades_survive_a_reload_and_are_saved_from_a_file(made, begin, browser, folders):
    """The page opened from the disk: half a trial, a reload, the rest; then the answers as a download."""
    folder = made("mushra", "alpha", clips=2)
    begin(file_of(folder))
    first = stored(browser)["order"]
    browser.press("Enter")
    assert browser.run(SAID) == "Listen to 1, 2, 3, 4 first."
    browser.press("1")
    browser.press("End")
    browser.press("ArrowLeft")
    browser.until("Object.values(JSON.parse(Object.values(localStorage)[0]).partial.ratings)[0] === 99")
    browser.open(file_of(folder))
    browser.until("document.getElementById('resume-text').textContent.includes('Anna has answered 0 of 2 trials')")
    browser.press("Enter")
    browser.until("document.getElementById('volume').getAttribute('aria-busy') === 'false'")
    browser.press("Enter")
    browser.until(READY)
    assert stored(browser)["order"] == first
    assert browser.run("document.querySelectorAll('[data-grade]')[0].getAttribute('aria-valuetext')") == "99 excellent"
    for number in (1, 2):
        trial(browser, number, 2)
        for place in range(4):
            browser.press(str(place + 1))
            browser.press("Home")
            for _ in range(place):
                browser.press("PageUp")
        browser.press("Enter")
    browser.until(f"{END}.includes('save the answers as a file')")
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder / "answers"))
    browser.run("document.getElementById('download').click()")
    browser.until("document.getElementById('said').textContent.startsWith('Saved as')")
    for _ in range(200):
        if list((folder / "answers").glob("Anna-*.json")):
            break
        browser.run("new Promise((done) => setTimeout(done, 25))")
    found = collect(folder)
    (session,) = found.sessions
    assert [[row["ratings"][name] for name in row["shown"]] for row in session["answers"]] == [[0, 10, 20, 30]] * 2
    rows = evaluate(found, screen=False).tables["grades"]
    assert sum(row["mean"] for row in rows) == pytest.approx(60)
    assert browser.errors == []


def test_sounds_beside_a_page_from_a_file_are_loaded_and_x_is_found(made, begin, browser):
    folder = made("abx", "alpha", trials=2, embed=0)
    begin(file_of(folder))
    key = json.loads((folder / "key.json").read_text())
    for number in (1, 2):
        trial(browser, number, 2)
        for name in ("1", "2", "3"):
            browser.press(name)
        row = stored(browser)
        (unknown,) = [key["trials"][row["order"][number - 1]]["x"]]
        system = key["sounds"][unknown]["system"]
        buttons = browser.run(
            "[...document.querySelectorAll('#sounds [data-sound]')].map((each) => each.dataset.sound)"
        )
        assert buttons[2] == unknown
        browser.press("ArrowLeft" if key["sounds"][buttons[0]]["system"] == system else "ArrowRight")
        browser.press("Enter")
    browser.until(f"{END}.includes('save the answers as a file')")
    text = json.dumps(
        {"format": "gansemble listening answers", "version": 1, "test": key["test"], "mode": "abx", "trials": 2}
        | {name: stored(browser)[name] for name in ("listener", "session", "started", "answers")}
        | {"complete": True}
    )
    (folder / "answers" / "anna.json").write_text(text)
    (row,) = evaluate(collect(folder)).tables["answers"]
    assert (row["right"], row["n"]) == (2, 2) and browser.errors == []


def test_each_listener_has_an_order_of_their_own_that_the_seed_gives_again(browser):
    """Over 200 listeners each of four trials is first about as often as any other."""
    browser.run((page.HERE / "session.js").read_text() + "\nwindow.shuffled = shuffled")
    first = browser.run("Array.from({length: 200}, (_, who) => shuffled(['a', 'b', 'c', 'd'], `0/listener ${who}`)[0])")
    assert all(30 <= first.count(name) <= 70 for name in "abcd")
    assert browser.run(
        "shuffled(['a', 'b', 'c', 'd'], '7/anna').join() === shuffled(['a', 'b', 'c', 'd'], '7/anna').join()"
    )


RENDER = """
(async () => {
  const rate = 16000, context = new OfflineAudioContext(1, rate * 2, rate);
  const player = new Player(rate);
  player.context = context;
  player.open = () => {};
  player.master = context.createGain();
  player.master.connect(context.destination);
  for (const [name, gain] of [["one", 1], ["other", %s]]) {
    const buffer = context.createBuffer(1, rate, rate);
    buffer.copyToChannel(Float32Array.from({length: rate}, (_, t) => gain * Math.sin(2 * Math.PI * 100 * t / rate)), 0);
    player.buffers.set(name, buffer);
  }
  player.current = "one";
  player.play();
  context.suspend(0.504).then(() => { player.select("other"); context.resume(); });
  return [...(await context.startRendering()).getChannelData(0)];
})()
"""


@pytest.fixture
def rendered(browser):
    """The player's output, while it switches at 0.5 s from a tone of 100 Hz to the same times a gain, looped after 1 s."""
    browser.run(document.text_of("player.js") + "\nwindow.Player = Player")
    return lambda gain: np.array(browser.run(RENDER % gain))


def test_switching_between_equal_sounds_changes_no_sample(rendered):
    """Both play on at one position: beyond the fades at begin, seam and end, the output is the tone itself."""
    out, late = rendered(1), 480  # 0.03 s until it begins
    tone = np.sin(2 * np.pi * 100 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(out[late + 200 : late + 15_800], tone[200:15_800], atol=1e-4)
    np.testing.assert_allclose(out[late + 16_200 : late + 31_000], tone[200:15_000], atol=1e-4)


def test_switching_to_silence_makes_no_click(rendered):
    """No step from sample to sample is larger than the tone's own; an instant switch at its peak would be 1."""
    out = rendered(0)
    largest = 2 * np.pi * 100 / 16_000
    assert np.abs(np.diff(out)).max() < 1.6 * largest
    assert np.abs(out[8000 + 1600 :]).max() < 1e-3 and np.abs(out[4000:8000]).max() > 0.99


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("mode", ["ab", "abx", "mushra"])
def test_the_page_fits_its_window_and_names_all_that_is_operated(made, begin, browser, mode, width):
    begin(file_of(made(mode)))
    browser.look(width, 844, dark=True)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    names = browser.run(
        """[...document.querySelectorAll('#trial button, #trial input')].map((each) =>
           each.getAttribute('aria-label') || each.textContent.trim() || each.closest('label')?.textContent.trim())"""
    )
    assert len(names) > 7 and all(names)
    dark = browser.run("getComputedStyle(document.body).backgroundColor")
    browser.look(width, 844)
    assert dark != browser.run("getComputedStyle(document.body).backgroundColor")
    overlapping = browser.run(
        """[...document.querySelectorAll('.grade:not(.scale)')].filter((row) => {
           const [button, slider] = [row.children[0], row.children[1]].map((each) => each.getBoundingClientRect());
           return button.right > slider.left; }).length"""
    )
    assert overlapping == 0


@pytest.mark.parametrize("mode", ["ab", "abx", "mushra"])
def test_an_accessibility_checker_finds_nothing_serious_on_any_of_its_screens(axe, made, begin, browser, mode):
    address = file_of(made(mode))
    for dark in (False, True):
        browser.look(390 if dark else 1200, 844, dark)
        browser.open(address)
        assert browser.faults(axe) == []
    browser.run("localStorage.clear()")
    begin(address)
    browser.press("1")
    for dark in (False, True):
        browser.look(390 if dark else 1200, 844, dark)
        assert browser.faults(axe) == []


def test_real_speech_is_played(tmp_path, begin, browser):
    if not SPEECH.is_dir():
        pytest.skip(f"no speech at {SPEECH}")
    path = SPEECH / "LJ001-0002.wav"
    audio, rate = soundfile.read(path)
    noise = np.random.default_rng(0).normal(size=len(audio)) * 0.01
    for name, sound in {"real": audio, "noisy": audio + noise}.items():
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / path.name, sound, rate)
    systems = [System(name, tmp_path / name) for name in ("real", "noisy")]
    make(systems[0], systems[1:], tmp_path / "test", Options(mode="mushra"))
    begin(file_of(tmp_path / "test"))
    browser.press(" ")
    browser.until("Number(document.getElementById('clock').textContent.split(' ')[0]) > 0.3")
    assert f"/ {len(audio) / rate:.1f} s" in browser.run("document.getElementById('clock').textContent")
    assert browser.errors == []
