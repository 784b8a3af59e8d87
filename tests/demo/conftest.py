"""Experiments with tiny untrained generators, one of each task, their demonstrations, and servers and browsers that show them."""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from demo_parts import RECIPES, Packed, Served, write

from chromium import Browser
from gansemble.data.degraded import Degrader
from gansemble.demo import page
from gansemble.demo.demonstration import Demonstration
from gansemble.demo.serving import LARGEST, Server


@pytest.fixture(scope="session")
def experiments(tmp_path_factory) -> dict[str, Path]:
    """An experiment of each task, without any data."""
    folder = tmp_path_factory.mktemp("experiments")
    return {task: write(folder / task, task) for task in RECIPES}


@pytest.fixture(scope="session")
def demos(experiments) -> dict[str, Demonstration]:
    """Their demonstrations, for recordings of at most 2 s."""
    return {task: Demonstration.of(exp, "best", 2.0, lambda text: None) for task, exp in experiments.items()}


@pytest.fixture
def packed() -> Packed:
    return Packed()


@pytest.fixture
def serve():
    """Serves a demonstration until the end of the test: a :class:`Served`."""
    with ExitStack() as stack:

        def run(demo: Demonstration) -> Served:
            server = stack.enter_context(Server(demo, page.files(demo, LARGEST, lambda text: None)))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return Served(server)

        yield run


@pytest.fixture
def degrader():
    """A degradation that halves the level, and notes which clip it was told."""
    found = []

    def halve(clip, rng):
        found.append(len(clip))
        return clip / 2

    halve.margin = 0
    made = Degrader(halve, 0)
    return SimpleNamespace(made=made, lengths=found)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser whose microphone is a beep that it makes itself; tests are skipped where there is none."""
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if program is None:
        pytest.skip("no chromium on this machine")
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    found = Browser(program, tmp_path_factory.mktemp("browser"), *flags)
    yield found
    found.close()
