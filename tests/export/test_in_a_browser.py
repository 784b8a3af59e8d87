"""The example page runs an exported vocoder by onnxruntime-web in headless Chromium, and makes what ONNX Runtime makes."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from pathlib import Path

import exported_experiments as experiments
import numpy as np
import pytest

import gansemble

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

PAGE = Path(__file__).parents[2] / "examples" / "onnx_in_a_browser" / "index.html"
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of a folder that logs nothing, and asks for no icon."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The page's address, beside the files of onnxruntime-web; and a folder with a vocoder and its spectrogram."""
    place = os.environ.get("GANSEMBLE_ORT_WEB")
    if not place:
        pytest.skip("no onnxruntime-web: GANSEMBLE_ORT_WEB does not name package/dist of npm's package onnxruntime-web")
    folder, inputs = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("inputs")
    for name in FILES:
        shutil.copy(Path(place) / name, folder)
    shutil.copy(PAGE, folder)
    (folder / "favicon.ico").touch()
    gansemble.export(experiments.make(inputs / "exp"), inputs / "vocoder.onnx")
    np.save(inputs / "mel.npy", (np.random.default_rng(0).standard_normal((20, 250)) - 5).astype(np.float32))
    (inputs / "mel.json").write_text(json.dumps(np.load(inputs / "mel.npy").tolist()))
    np.save(inputs / "narrow.npy", np.zeros((7, 3), np.float32))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html", inputs
    server.shutdown()
    server.server_close()


def choose(browser, name: str, path: Path) -> None:
    found = browser.call("Runtime.evaluate", expression=f"document.getElementById('{name}')")["result"]
    browser.call("DOM.setFileInputFiles", files=[str(path)], objectId=found["objectId"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mel.npy", "mel.json"])
def test_the_page_makes_what_onnx_runtime_makes(chromium, served, name):
    from gansemble.exporting.runner import Runner

    address, inputs = served
    chromium.open(address)
    choose(chromium, "model", inputs / "vocoder.onnx")
    choose(chromium, "mel", inputs / name)
    said = chromium.until("document.getElementById('told').value.includes('made') && told.value", 120)
    assert said.startswith("1.00 s at 16000 Hz, made in")
    made = np.array(chromium.run("Array.from(window.made)"))
    wanted = Runner(inputs / "vocoder.onnx")({"mel": np.load(inputs / "mel.npy")[None]})[0, 0]
    assert made.shape == wanted.shape and np.abs(made - wanted).max() < 1e-5
    chromium.run("document.getElementById('play').click()")
    assert chromium.run("!document.getElementById('play').disabled") and not chromium.errors
    if (place := os.environ.get("GANSEMBLE_PICTURES")) and name == "mel.npy":
        chromium.look(800, 500)
        chromium.picture(Path(place) / "onnx_in_a_browser.png")


@pytest.mark.slow
def test_a_spectrogram_of_another_width_is_told_on_the_page(chromium, served):
    address, inputs = served
    chromium.open(address)
    choose(chromium, "model", inputs / "vocoder.onnx")
    choose(chromium, "mel", inputs / "narrow.npy")
    said = chromium.until("document.getElementById('told').value.includes('Cannot') && told.value")
    assert "Cannot be made" in said and "Got: 7 Expected: 20" in said
