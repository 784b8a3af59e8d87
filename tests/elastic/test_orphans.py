"""Whoever gives the command of a killed launcher again at once is not told that the folder is in use."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from gansemble.stages import orphans

#: Holds a folder's lock for a while, beside a file that says so.
HOLDING = """
import sys, time
from pathlib import Path
from gansemble.stages.locks import FolderLock
folder = Path(sys.argv[1])
with FolderLock(folder):
    (folder / "held").touch()
    time.sleep(float(sys.argv[2]))
"""
LEAVING = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])"


def held(folder: Path) -> None:
    limit = time.monotonic() + 30
    while not (folder / "held").exists():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_one_that_has_lost_its_launcher_is_waited_for(tmp_path: Path):
    subprocess.run([sys.executable, "-c", LEAVING, HOLDING, str(tmp_path), "1"], check=True)
    held(tmp_path)
    assert (tmp_path / ".lock").exists()
    orphans.wait_for(tmp_path)
    assert not (tmp_path / ".lock").exists()


def test_one_that_holds_on_is_waited_for_within_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(orphans, "WAIT_SECONDS", 0.3)
    subprocess.run([sys.executable, "-c", LEAVING, HOLDING, str(tmp_path), "4"], check=True)
    held(tmp_path)
    begun = time.monotonic()
    orphans.wait_for(tmp_path)
    assert 0.3 <= time.monotonic() - begun < 3 and (tmp_path / ".lock").exists()


def test_a_run_that_somebody_started_and_a_free_folder_are_not_waited_for(tmp_path: Path):
    child = subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path), "60"])
    try:
        held(tmp_path)
        begun = time.monotonic()
        orphans.wait_for(tmp_path)
        orphans.wait_for(tmp_path / "nothing")
        assert time.monotonic() - begun < 5 and (tmp_path / ".lock").exists()
    finally:
        child.kill()
        child.wait()
    orphans.wait_for(tmp_path)
