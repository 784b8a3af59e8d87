"""A folder to write recipes in, and the small recipe that the tests spoil."""

import pytest

BASE = """\
audio: {sample_rate: 22050}
corpus: {use: folder}
generator: {use: hifigan}
discriminators:
  mpd: {use: multi_period}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 10}
optimisers:
  generator: {use: adamw}
  discriminators: {use: adamw}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """``write(name=text, …)`` makes ``name.yaml`` in the current folder, a new one, and returns the last one's path."""
    monkeypatch.chdir(tmp_path)

    def written(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path / f"{list(files)[-1]}.yaml"

    return written


@pytest.fixture
def base(write):
    """The path of a sound recipe, ``base.yaml``."""
    return write(base=BASE)
