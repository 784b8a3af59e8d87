"""Folders of short tones as systems; and a browser, driven by its DevTools protocol over a pipe, with nothing but Python."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16_000
#: The browser reads commands from descriptor 3 and answers on 4. They are copied to high numbers first, as one of the pipes
#: may be 3 or 4 itself.
PIPES = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]
for number, pipe in enumerate(pipes, 3):
    os.dup2(pipe, number)
os.execvp(sys.argv[3], sys.argv[3:])
"""
#: Keys that a test presses, as the protocol wants them: (code, text, virtual key).
KEYS = {
    " ": ("Space", " ", 32),
    "Enter": ("Enter", "\r", 13),
    "ArrowRight": ("ArrowRight", "", 39),
    "ArrowLeft": ("ArrowLeft", "", 37),
    "PageUp": ("PageUp", "", 33),
    "End": ("End", "", 35),
    "Home": ("Home", "", 36),
}


class Browser:
    """Chromium without a window, showing one page."""

    def __init__(self, program: str, folder: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        words = [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]
        words += ["--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PIPES, str(ours[0]), str(theirs[1]), *words],
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.write, self.read = ours[1], theirs[0]
        self.number, self.waiting, self.errors = 0, b"", []
        (target,) = [each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    session = None

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._message()
            if found.get("id") == self.number:
                assert "error" not in found, (method, found["error"])
                return found["result"]
            if found.get("method") == "Runtime.exceptionThrown":
                self.errors.append(found["params"]["exceptionDetails"])
            if found.get("method") == "Log.entryAdded" and found["params"]["entry"]["level"] == "error":
                self.errors.append(found["params"]["entry"])

    def _message(self):
        limit = time.monotonic() + 60
        while b"\0" not in self.waiting:
            if not select.select([self.read], [], [], max(0, limit - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.read, 1 << 20)
            if not part:
                raise EOFError("the browser has ended")
            self.waiting += part
        one, _, self.waiting = self.waiting.partition(b"\0")
        return json.loads(one)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && document.querySelector('h1').textContent")

    def run(self, script: str):
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, seconds: float = 30):
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            found = self.run(script)
            if found:
                return found
            time.sleep(0.02)
        raise TimeoutError(f"never true: {script}; the page says: {self.run('document.body.innerText')}")

    def press(self, key: str) -> None:
        code, text, virtual = KEYS[key] if key in KEYS else (f"Key{key.upper()}", key, ord(key.upper()))
        facts = {"key": key, "code": code, "windowsVirtualKeyCode": virtual}
        self.call("Input.dispatchKeyEvent", type="keyDown", **facts, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def look(self, width: int, height: int, dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(10)
        except Exception:
            pass
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            os.close(self.write)
            os.close(self.read)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser for the tests of a file; they are skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no chromium on this machine")
    found = Browser(program, tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture
def browser(chromium):
    """The browser with an empty page, which remembers nothing of the test before."""
    chromium.call("Runtime.evaluate", expression="localStorage.clear()")  # of an empty page, which has none, it fails
    chromium.call("Page.navigate", url="about:blank")
    chromium.errors.clear()
    return chromium


def tone(hertz: float, seconds: float = 1.0, level: float = 0.3, rate: int = RATE) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def folders(tmp_path):
    """``real``, ``alpha`` and ``beta``, each with three clips of a second at 16 kHz; the sum of tones that alpha lacks beta has."""
    for number in range(3):
        low, high = tone(300 + 50 * number), tone(5000, level=0.1)
        for name, audio in {"real": low + high, "alpha": low, "beta": low + 0.5 * high}.items():
            (tmp_path / name / "sub").mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / name / "sub" / f"clip{number}.wav", audio, RATE)
    return tmp_path


@pytest.fixture
def made(folders):
    """Makes a test of ``real`` and the folders named, in ``test``: its folder."""
    from gansemble.listening.making import make
    from gansemble.listening.matching import system_of
    from gansemble.listening.options import Options

    def run(mode, *names, to="test", **options):
        systems = [system_of(str(folders / name)) for name in names or ("alpha", "beta")]
        make(system_of(str(folders / "real")), systems, folders / to, Options(mode=mode, **options))
        return folders / to

    return run


@pytest.fixture
def answered():
    """Answers to all trials of a test, as the page gives them; ``choose`` gets the systems of a trial by sound, and its X."""

    def write(folder, listener, choose, trials=None, session=None, **changed):
        key = json.loads((folder / "key.json").read_text())
        rows = []
        for name, trial in list(key["trials"].items())[:trials]:
            systems = {sound: key["sounds"][sound]["system"] for sound in trial["sounds"]}
            unknown = key["sounds"][trial["x"]]["system"] if "x" in trial else None
            found = choose(systems, unknown)
            given = {"ratings": found} if isinstance(found, dict) else {"choice": found}
            rows.append({"trial": name, "shown": trial["sounds"], "seconds": 1.5, "played": {}, **given})
        document = {
            "format": "gansemble listening answers",
            "version": 1,
            "test": key["test"],
            "mode": key["mode"],
            "listener": listener,
            "session": session or f"{listener}-1",
            "started": "2026-11-30T12:00:00Z",
            "trials": len(key["trials"]),
            "complete": len(rows) == len(key["trials"]),
            "answers": rows,
        } | changed
        path = folder / "answers" / f"{listener}-{len(list((folder / 'answers').iterdir()))}.json"
        path.write_text(json.dumps(document))
        return path

    return write
