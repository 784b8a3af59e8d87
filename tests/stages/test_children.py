"""What a child process has of its parent's terminal: its new sizes, and the user's answers where it may ask."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from gansemble.stages.children import Children

SIZED = """
import signal, sys, time
from pathlib import Path
place = Path(sys.argv[1])
signal.signal(signal.SIGWINCH, lambda *_: (place / "told").touch())
(place / "ready").touch()
limit = time.monotonic() + 20
while not (place / "told").exists() and time.monotonic() < limit:
    time.sleep(0.01)
"""


def test_a_new_size_of_the_terminal_is_passed_on(tmp_path):
    before = signal.getsignal(signal.SIGWINCH)

    def resize() -> None:
        limit = time.monotonic() + 20
        while not (tmp_path / "ready").exists() and time.monotonic() < limit:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGWINCH)

    children = Children()
    with children.listening():
        threading.Thread(target=resize).start()
        assert children.run([sys.executable, "-c", SIZED, str(tmp_path)]) == 0
    assert (tmp_path / "told").exists() and not children.stopped
    assert signal.getsignal(signal.SIGWINCH) is before


def test_only_a_command_that_may_ask_reads_what_its_parent_would(tmp_path):
    (tmp_path / "typed").write_text("y\n")
    echo = "import sys; from pathlib import Path; Path(sys.argv[1]).write_text(sys.stdin.read())"
    with Path(tmp_path / "typed").open() as typed:
        kept = os.dup(0)
        os.dup2(typed.fileno(), 0)
        try:
            children = Children()
            children.run([sys.executable, "-c", echo, str(tmp_path / "first")])
            children.run([sys.executable, "-c", echo, str(tmp_path / "second")], asks=True)
        finally:
            os.dup2(kept, 0)
            os.close(kept)
    assert (tmp_path / "first").read_text() == "" and (tmp_path / "second").read_text() == "y\n"
