"""The page in a browser, without a window: recordings given and taken, sliders moved, results heard and kept, and errors in words."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from demo_parts import RATE, sound, tone

from gansemble.demo import restoring
from gansemble.demo.examples import Examples

pytestmark = pytest.mark.slow
SPEECH = Path(__file__).parents[3] / "shared/audio/LJSpeech-1.1/wavs/LJ001-0002.wav"
#: What a visitor's choice of a file does.
CHOOSE = """(() => {
  const chosen = new DataTransfer();
  chosen.items.add(new File([Uint8Array.from(atob(%r), (each) => each.charCodeAt(0))], %r));
  const input = document.getElementById("file");
  input.files = chosen.files;
  input.dispatchEvent(new Event("change"));
})()"""
DROP = """(() => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(%r), (each) => each.charCodeAt(0))], %r));
  for (const kind of ["dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
})()"""
IDLE = "document.getElementById('state').textContent === ''"
WRONG = "document.getElementById('wrong')"


class Visitor:
    """A page of a demonstration, used as a visitor does."""

    def __init__(self, browser) -> None:
        self.browser = browser
        self.run, self.until = browser.run, browser.until

    def give(self, content, name, how=CHOOSE):
        self.run(how % (base64.b64encode(content).decode(), name))

    def results(self):
        return self.run("document.querySelectorAll('#results > *').length")

    def until_results(self, count):
        self.until(f"{IDLE} && (document.querySelectorAll('#results > *').length === {count} || !{WRONG}.hidden)")
        assert self.wrong() == ""

    def wrong(self):
        return self.run(f"{WRONG}.hidden ? '' : {WRONG}.textContent")

    def until_wrong(self):
        self.until(f"{IDLE} && !{WRONG}.hidden")
        return self.wrong()

    def click(self, selector):
        self.run(f"document.querySelector({selector!r}).click()")

    def of(self, selector, what="textContent"):
        return self.run(f"document.querySelector({selector!r}).{what}")

    def versions(self):
        return self.run(
            "[...document.querySelectorAll('#results > *:first-child .name')].map((each) => each.textContent)"
        )

    def at(self):
        return float(self.of("#results .clock").split()[0])


@pytest.fixture
def visit(browser, serve):
    """Opens the page of a demonstration: a :class:`Visitor`."""

    def run(demo, width=1200):
        served = serve(demo)
        browser.look(width, 900)
        browser.open(served.server.address)
        found = Visitor(browser)
        found.server = served.server
        return found

    return run


def test_a_file_is_restored_heard_at_one_position_and_kept(demos, visit, browser, tmp_path):
    page = visit(demos["enhancement"])
    audio = tone(1.9)
    page.give(sound(audio), "my tone.wav")
    page.until_results(1)
    assert page.versions() == ["recording", "restored"] and page.of("#results h3").startswith("my tone.wav")
    assert page.run(
        "[...document.querySelectorAll('#results img')].every((each) => each.complete && each.naturalWidth > 400)"
    )
    assert page.run("document.activeElement === document.querySelector('.play')")
    browser.press(" ")
    page.until("document.querySelector('.play').textContent.includes('Pause')")
    page.until("Number(document.querySelector('#results .clock').textContent.split(' ')[0]) > 0.3")
    before = page.at()
    browser.press("2")
    page.until("document.querySelectorAll('.pick')[1].getAttribute('aria-pressed') === 'true'")
    assert page.at() >= before and "Pause" in page.of(".play")
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click(".downloads a:last-child")
    kept = tmp_path / "my-tone-restored.wav"
    limit = time.monotonic() + 10
    while not kept.is_file() and time.monotonic() < limit:
        time.sleep(0.02)
    made, rate = soundfile.read(kept, dtype="float32")
    wanted = demos["enhancement"].trained(torch.from_numpy(audio)[None, None])[0, 0].numpy()
    assert rate == RATE
    np.testing.assert_allclose(made, np.clip(wanted, -1, 1), atol=2 / 2**15)
    assert browser.errors == []


def test_a_dropped_file_and_a_held_out_clip_are_taken_and_the_latest_is_degraded(demos, visit, browser, packed):
    page = visit(replace(demos["enhancement"], examples=Examples(packed, [0, 1])))
    page.give(sound(tone(0.5)), "dropped.wav", DROP)
    page.until_results(1)
    assert page.of("#dropping", "hidden") is True
    page.click("[data-example='0']")
    page.until_results(2)
    assert page.of("#results h3").startswith("clip <0>") and page.versions() == ["recording", "restored"]
    page.click("#degrade")
    page.until_results(3)
    assert page.of("#results h3").startswith("clip <0>") and page.versions() == ["recording", "degraded", "restored"]
    for count in (4, 4):  # no more than four are kept
        page.click("[data-example='1']")
        page.until(f"document.querySelector('#results h3').textContent.startsWith('clip <1>') && {IDLE}")
        page.until_results(count)
    assert browser.errors == []


def test_the_microphone_is_recorded_and_given(demos, visit, browser):
    page = visit(demos["vocoding"])
    page.click("#record")
    page.until("document.querySelector('#record').getAttribute('aria-pressed') === 'true'")
    assert page.of("#record span") == "Stop" and page.of("#taking", "hidden") is False
    page.until("Number(document.querySelector('#elapsed').textContent.split(' ')[0]) > 0.7")
    page.until("document.querySelector('#level').value > 0.01")  # the beep
    page.click("#record")
    page.until_results(1)
    assert page.versions() == ["recording", "copy-synthesis"] and page.of("#record span") == "Record"
    assert page.of("#taking", "hidden") is True
    assert 0.7 < page.run("Number(document.querySelector('[data-clip]').dataset.seconds)") <= 2
    page.click("#record")  # it ends by itself at the longest that is taken, 2 s
    page.until_results(2)
    assert page.run("Number(document.querySelector('[data-clip]').dataset.seconds)") == pytest.approx(2, abs=0.001)
    assert browser.errors == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("NotAllowedError", "The browser does not give this page the microphone. Allow it for this address"),
        ("NotFoundError", "No microphone was found. Connect one, or choose a file."),
        ("NotReadableError", "The microphone is in use by another program"),
        ("OddError", "The microphone cannot be used (why). Choose a file."),
    ],
)
def test_a_microphone_that_is_refused_is_told_in_words(demos, visit, error, said):
    page = visit(demos["vocoding"])
    page.run(f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('why', '{error}'); }}")
    page.click("#record")
    assert page.until_wrong().startswith(said)
    assert page.of("#record", "disabled") is False and page.of("#record span") == "Record"


def test_without_a_secure_address_there_is_no_microphone_and_that_is_said(demos, visit):
    page = visit(demos["vocoding"])
    page.run("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    page.click("#record")
    assert "only to pages at 127.0.0.1 or localhost, or by https" in page.until_wrong()


def test_what_is_no_recording_is_told_on_the_page_until_something_else_is_given(demos, visit):
    page = visit(demos["vocoding"])
    page.give(b"<html>", "page.wav")
    assert page.until_wrong().startswith("page.wav: is a web page or other text")
    page.give(sound(np.zeros(RATE)), "mute.wav")
    page.until(f"{WRONG}.textContent.startsWith('mute.wav: is silent')")
    page.give(b"", "empty.wav")
    assert page.wrong().startswith("empty.wav: is empty")
    page.give(b"nothing", "song.m4a")  # which the browser cannot decode either
    page.until(f"{WRONG}.textContent.startsWith('song.m4a: is no audio that can be read here')")
    page.give(sound(tone(0.5)), "tone.wav")
    page.until_results(1)


WEBM = """new Promise(async (done) => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream, { mimeType: "audio/webm" });
  recorder.ondataavailable = async ({ data }) => {
    const chosen = new DataTransfer();
    chosen.items.add(new File([data], "telephone.webm"));
    const input = document.getElementById("file");
    input.files = chosen.files;
    input.dispatchEvent(new Event("change"));
    stream.getTracks()[0].stop();
    done();
  };
  recorder.start();
  setTimeout(() => recorder.stop(), 1500);
})"""


def test_what_only_the_browser_can_decode_is_decoded_there(demos, visit):
    page = visit(demos["vocoding"])
    page.run(WEBM)
    page.until_results(1)
    assert "It was decoded by your browser." in page.of("#results")
    assert 0.3 < page.run("Number(document.querySelector('[data-clip]').dataset.seconds)") <= 2


def test_a_server_that_has_ended_is_told(demos, visit):
    page = visit(demos["vocoding"])
    page.server.shutdown()
    page.server.server_close()
    page.give(sound(tone(0.5)), "tone.wav")
    assert page.until_wrong().startswith("The server does not answer: it has been ended")


def test_another_server_at_the_same_port_is_told(demos, visit):
    page = visit(demos["vocoding"])
    page.server.word = "another"
    page.give(sound(tone(0.5)), "tone.wav")
    assert "(404): open the address that gansemble demo printed last" in page.until_wrong()


def test_a_job_that_is_cancelled_ends_and_the_next_one_is_done(demos, visit, monkeypatch):
    ended = []
    collected = restoring._collected

    def forever(pieces, length, name, check):
        try:
            while True:
                time.sleep(0.02)
                check(0.5)
        finally:
            ended.append(name)

    page = visit(demos["vocoding"])
    monkeypatch.setattr(restoring, "_collected", forever)
    page.give(sound(tone(0.5)), "tone.wav")
    page.until("document.getElementById('bar').value === 0.5")
    assert page.of("#state") == "At work …" and page.of("#cancel", "hidden") is False
    page.click("#cancel")
    page.until(IDLE)
    assert page.wrong() == "" and page.results() == 0
    limit = time.monotonic() + 10
    while not ended and time.monotonic() < limit:
        time.sleep(0.01)
    assert ended == ["tone.wav"]
    monkeypatch.setattr(restoring, "_collected", collected)
    page.give(sound(tone(0.5)), "next.wav")
    page.until_results(1)


def test_sliders_make_clips_that_play_at_once(demos, visit, browser):
    page = visit(demos["generation"])
    page.until_results(1)
    assert page.of("#results h3").startswith("draw 0, cat") and page.of(".play") == "▶ Play"
    page.run(
        "(() => { const one = document.querySelectorAll('[data-move]')[2]; one.value = -1.5; one.dispatchEvent(new Event('input')); })()"
    )
    assert page.run("document.querySelectorAll('output')[3].textContent") == "−1.5"
    page.until_results(2)
    assert page.of("#results h3").startswith("draw 0, cat, direction 3 -1.5")
    page.until(
        "document.querySelector('.position input').value > 0 || document.querySelector('.play').textContent.includes('Pause')"
    )
    page.run(
        "(() => { const one = document.getElementById('label'); one.value = 1; one.dispatchEvent(new Event('change')); })()"
    )
    page.until_results(3)
    page.click("#still")
    page.until_results(4)
    assert page.of("#results h3").startswith("draw 0, <i>dog</i> ")
    page.click("#another")
    page.until("document.querySelector('#results h3').textContent.startsWith('draw 1, ')")
    page.click("#way")
    page.until("document.querySelector('#results h3').textContent.startsWith('from draw 1 to draw 1, ')")
    assert page.versions() == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    page.run("document.getElementById('towards').focus()")
    browser.press("7")  # is a digit there, and no version
    assert "7" in page.of("#towards", "value")
    assert page.of("#results .pick[aria-pressed=true] .name") == "0 %"
    assert browser.errors == []


def test_real_speech_is_copied(demos, visit):
    if not SPEECH.is_file():
        pytest.skip(f"no speech at {SPEECH}")
    page = visit(demos["vocoding"])
    page.give(SPEECH.read_bytes(), SPEECH.name)
    page.until_results(1)
    assert "It was resampled from 22,050 to 16,000 Hz" in page.of("#results")


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("task", ["vocoding", "enhancement", "generation"])
def test_the_page_fits_its_window_and_is_dark_where_that_is_wished(demos, visit, browser, packed, task, width):
    page = visit(replace(demos[task], examples=Examples(packed, [0, 1])), width)
    if task != "generation":
        page.click("[data-example='0']")
    page.until_results(1)
    browser.look(width, 844, dark=True)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    dark = page.run("getComputedStyle(document.body).backgroundColor")
    browser.look(width, 844)
    assert dark != page.run("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("task", ["vocoding", "enhancement", "generation"])
def test_an_accessibility_checker_finds_nothing_serious(axe, demos, visit, browser, packed, task):
    page = visit(replace(demos[task], examples=Examples(packed, [0, 1]), longest=60.0))  # the checker takes its time
    if task == "vocoding":
        page.click("#record")
        page.until("document.querySelector('#record').getAttribute('aria-pressed') === 'true'")
        assert browser.faults(axe) == []
        page.click("#record")
        page.until(f"{IDLE} && document.getElementById('taking').hidden")
    elif task == "enhancement":
        page.click("#degrade")
        page.click("[data-example='0']")
    page.until(f"{IDLE} && document.querySelectorAll('#results > *').length === 1")
    page.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    page.run(f"{WRONG}.hidden = false; {WRONG}.textContent = 'this is wrong'")
    for width, dark in ((1200, False), (1200, True), (390, False)):
        browser.look(width, 900, dark)
        assert browser.faults(axe) == []
