"""Folders of short tones as systems, tests made of them, and answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

RATE = 16_000


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
