"""The command as a user calls it, in this process, and a recipe of milliseconds."""

import pytest

from gansemble.cli import main
from gansemble.plugins import loading

TINY = """\
audio: {sample_rate: 22050, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
data: {normalise: null}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
  features: {use: feature_matching, weight: 2}
metrics:
  mel_distance: {use: mel_distance}
  snr: {use: snr}
plan: {steps: 4, batch_size: 2, segment: 2048, log_every: 2, save_every: 2}
validation: {every: 4, clips: 1, audio: 0}
optimisers:
  generator: {use: adamw, lr: 1e-3}
  discriminators: {use: adamw, lr: 1e-3}
"""


@pytest.fixture
def gansemble(capfd, monkeypatch, tmp_path):
    """Runs a command in an empty folder: (exit status, standard output, standard error), its processes' too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANSEMBLE_PLUGIN_FILES", "")

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capfd.readouterr()
        return left.value.code or 0, said.out, said.err

    yield run
    loading._found.cache_clear()  # of plugin files that are gone


@pytest.fixture
def tiny(tmp_path):
    """``tiny.yaml`` in the current folder."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path
