"""Runs pytest again and again in processes that need not import torch each time.

A line of JSON on standard input is a list of pytest's arguments. Each is run by a fork of this process, which has imported what
takes long and nothing of the project, so that the project's files are read as they are then. Standard output has pytest's, and
behind each run a line with ``END`` and its exit status.
"""

from __future__ import annotations

import json
import os
import sys

END = "warm-pytest-ended"


def main() -> None:
    """Reads runs until the input ends."""
    import click.testing  # noqa: F401
    import librosa  # noqa: F401
    import numpy  # noqa: F401
    import pytest
    import scipy.signal  # noqa: F401
    import soundfile  # noqa: F401
    import torch  # noqa: F401

    for line in sys.stdin:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.setsid()  # a group of its own, so that all it starts can be ended with it
            print(f"{END} begun {os.getpid()}", flush=True)
            code = pytest.main(json.loads(line))
            sys.stdout.flush()
            os._exit(int(code))
        _, status = os.waitpid(child, 0)
        print(f"{END} {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
