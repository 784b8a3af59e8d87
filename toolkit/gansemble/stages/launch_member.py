"""Runs ``gansemble`` as one of the processes that a launcher of others has started.

It is run as a program, ``python -m gansemble.stages.launch_member STAGE…``, by :mod:`gansemble.stages.launch_others`, for
whom each process leaves its last words in a file of its own.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from gansemble.stages.last_words import PLACE

#: Environment variable with the folder for the last words of all processes of a machine.
FOLDER = "GANSEMBLE_LAST_WORDS_FOLDER"


def place(folder: str, rank: int) -> Path:
    """The file for the last words of the process of a local rank."""
    return Path(folder) / f"{rank}.json"


def main() -> None:
    """Runs the command line of this process."""
    if FOLDER in os.environ:
        os.environ[PLACE] = str(place(os.environ[FOLDER], int(os.environ.get("LOCAL_RANK", "0"))))
    runpy.run_module("gansemble", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
