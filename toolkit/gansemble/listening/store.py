"""Where the server keeps answers: a file for each session, written whole or not at all."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from gansemble.files import write_atomically
from gansemble.listening.answers import Answers, check
from gansemble.listening.design import Key
from gansemble.listening.places import ANSWERS
from gansemble.stages import json_files

#: Longest part of a listener's name in the name of a file.
NAME = 40


class Conflict(Exception):
    """The answers that were sent are fewer than those that are there."""


class Store:
    """Keeps answers as files, each session's in one of its own.

    Args:
        folder: of the test.
        key: of the test.
    """

    def __init__(self, folder: Path, key: Key) -> None:
        self.folder, self.key = folder / ANSWERS, key
        self._lock = threading.Lock()

    def save(self, body: bytes) -> Path:
        """Writes a session's answers, whole or not at all, in place of fewer ones of the same session.

        Raises:
            ValueError: if they are damaged or of another test.
            Conflict: if more answers of that session are there.
            OSError: if they cannot be written.
        """
        found = json_files.parse(body, Answers)
        check(found, self.key)
        with self._lock:
            path = self._place(found)
            write_atomically(path, body)
        return path

    def _place(self, found: Answers) -> Path:
        """The session's file, or a new one: ``<listener>-<time>.json``."""
        listener = re.sub(r"[^A-Za-z0-9_-]+", "-", found["listener"]).strip("-")[:NAME] or "listener"
        base = f"{listener}-{re.sub(r'[^0-9TZ]', '', found['started'])[:16]}"
        for number in range(10_000):
            path = self.folder / f"{base}{f'-{number}' if number else ''}.json"
            if not path.exists():
                return path
            try:
                there = json_files.read(path, Answers, "")
            except json_files.DamagedFile:
                continue
            if there["session"] == found["session"]:
                if len(there["answers"]) > len(found["answers"]):
                    raise Conflict(f"{len(there['answers'])} answers of this session are saved already")
                return path
        raise Conflict("too many files of this name")
