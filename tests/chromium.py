"""A browser, driven by its DevTools protocol over a pipe, with nothing but Python; fixtures of ``conftest.py`` give it."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

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
    "\\": ("Backslash", "\\", 220),
    "ArrowRight": ("ArrowRight", "", 39),
    "ArrowLeft": ("ArrowLeft", "", 37),
    "PageUp": ("PageUp", "", 33),
    "End": ("End", "", 35),
    "Home": ("Home", "", 36),
}


class Browser:
    """Chromium without a window, showing one page."""

    def __init__(self, program: str, folder: Path, *more: str) -> None:
        ours, theirs = os.pipe(), os.pipe()
        words = [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]
        words += [*more, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank"]
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
        kind = "Digit" if key.isdigit() else "Key"
        code, text, virtual = KEYS[key] if key in KEYS else (f"{kind}{key.upper()}", key, ord(key.upper()))
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

    def faults(self, axe: str) -> list[str]:
        """Serious and critical findings of axe-core on the page as it is shown, and how to mend them.

        Args:
            axe: the source of axe-core, which is run by the protocol, and not by the page.
        """
        self.run(f"if (!window.axe) {{ {axe} }}")
        # A colour on its way to another is no finding.
        self.run("document.getAnimations().forEach((each) => each.finish())")
        return self.run(
            """axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations
            .filter((each) => ['serious', 'critical'].includes(each.impact))
            .flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.html}: ${node.failureSummary}`)))"""
        )

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
