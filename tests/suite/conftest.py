"""Folders of short clips, and a plugin whose metrics crash on demand."""

from pathlib import Path

import numpy as np
import pytest
from suite_files import clip, write

from gansemble.plugins import loading


@pytest.fixture
def awkward(monkeypatch):
    monkeypatch.setenv(loading.FILES, str(Path(__file__).with_name("awkward_metrics.py").resolve()))


@pytest.fixture
def folders(tmp_path):
    """(references, estimates): six clips a.wav to f.wav, and the same with a little noise."""
    for number, name in enumerate("abcdef"):
        sound = clip(number)
        noise = np.random.default_rng(100 + number).standard_normal(sound.size).astype(np.float32)
        write(tmp_path / "reference", f"{name}.wav", sound)
        write(tmp_path / "made", f"{name}.wav", sound + 0.02 * noise)
    return tmp_path / "reference", tmp_path / "made"
