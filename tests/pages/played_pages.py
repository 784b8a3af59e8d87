"""What a browser plays of a page, to the sample; and the page, driven as a listener does."""

from __future__ import annotations

import numpy as np

from gansemble.audio.spec import AudioSpec
from gansemble.pages import pictures

RATE = 16_000
SPEC = AudioSpec(sample_rate=RATE, n_fft=256, hop=64, window=256, mels=20, fmax=None)
#: Run before the page's own scripts: keeps the last 2 s of what it plays.
LISTEN = """
(() => {
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...more) {
    if (to instanceof AudioDestinationNode) {
      const analyser = to.context.createAnalyser();
      analyser.fftSize = 32768;
      connect.call(this, analyser);
      window.output = () => {
        const samples = new Float32Array(analyser.fftSize);
        analyser.getFloatTimeDomainData(samples);
        return [...samples];
      };
    }
    return connect.call(this, to, ...more);
  };
})();
"""


def ramp(seconds: float = 4.0, sign: float = 1.0) -> np.ndarray:
    """A clip [T] whose samples tell where they are: 0.1 at its beginning, and 0.1 more for each second."""
    return (sign * (0.1 + 0.1 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def moments(samples: np.ndarray) -> np.ndarray:
    """Where in the ramp samples are [s]."""
    return (np.abs(samples) - 0.1) / 0.1


class Player:
    """A page in a browser, driven as a listener does."""

    def __init__(self, browser):
        self.browser = browser

    def press(self, *keys):
        for key in keys:
            self.browser.press(key)

    def run(self, script):
        return self.browser.run(script)

    def of(self, clip, selector, what="textContent"):
        """An attribute of the first element that a selector finds within a clip, by its place."""
        return self.run(f"document.querySelectorAll('[data-clip]')[{clip}].querySelector({selector!r}).{what}")

    def all_of(self, clip, selector, what="textContent"):
        found = f"document.querySelectorAll('[data-clip]')[{clip}].querySelectorAll({selector!r})"
        return self.run(f"[...{found}].map((each) => each.{what})")

    def plays(self, clip=0):
        return "Pause" in self.of(clip, ".play")

    def until_playing(self, clip=0):
        self.browser.until(
            f"document.querySelectorAll('[data-clip]')[{clip}].querySelector('.play').textContent.includes('Pause')"
        )

    def until_silent(self, clip=0):
        self.browser.until(
            f"document.querySelectorAll('[data-clip]')[{clip}].querySelector('.play').textContent.includes('Play')"
        )

    def at(self, clip=0):
        """The position that the page shows [s]."""
        return self.run(
            f"(() => {{ const clip = document.querySelectorAll('[data-clip]')[{clip}];"
            "return Number(clip.style.getPropertyValue('--at')) * Number(clip.dataset.seconds); })()"
        )

    def wait(self, seconds):
        self.run(f"new Promise((done) => setTimeout(done, {1000 * seconds}))")

    def output(self):
        """What was played of late [T]."""
        return np.array(self.run("window.output()"))

    def heard_at(self, clip=0):
        """(the last samples that were played [T], the position that the page shows [s]), at one time."""
        samples, at = self.run(
            f"(() => {{ const clip = document.querySelectorAll('[data-clip]')[{clip}];"
            "return [window.output().slice(-200),"
            "Number(clip.style.getPropertyValue('--at')) * Number(clip.dataset.seconds)]; })()"
        )
        return np.array(samples), at

    def pressed(self, clip=0):
        return self.all_of(clip, ".pick", "getAttribute('aria-pressed')").index("true")

    def click(self, selector):
        x, y, width, height = self.box(selector)
        self._mouse("mousePressed", x + width / 2, y + height / 2)
        self._mouse("mouseReleased", x + width / 2, y + height / 2)

    def drag(self, selector, first, last):
        """Drags over a spectrogram from one share of its time axis to another."""
        x, y, width, height = self.box(selector)
        left, wide = pictures.LEFT, pictures.WIDTH
        self._mouse("mouseMoved", x + width * (left + first * wide), y + height / 2)
        self._mouse("mousePressed", x + width * (left + first * wide), y + height / 2)
        for part in (0.1, 0.3, 0.6, 1.0):  # as a hand does; a browser drags images, once the mouse moves
            self._mouse("mouseMoved", x + width * (left + (first + part * (last - first)) * wide), y + height / 2, 1)
        self._mouse("mouseReleased", x + width * (left + last * wide), y + height / 2)

    def box(self, selector):
        return self.run(
            f"(() => {{ const each = document.querySelector({selector!r}); each.scrollIntoView({{block: 'center'}});"
            "const box = each.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()"
        )

    def _mouse(self, kind, x, y, held=0):
        button = "none" if kind == "mouseMoved" and not held else "left"
        self.browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=held, clickCount=1)
