"""Metrics that other packages or the user's own network compute: DNSMOS, UTMOS, ViSQOL."""

import hashlib
import importlib.util
import math
import sys
import types

import numpy as np
import pytest
import torch

from gansemble.abilities import ReferenceFree
from gansemble.errors import MissingNeed
from gansemble.inputs import File
from gansemble_plugins.metrics import unreferenced, visqol
from gansemble_plugins.metrics.perceptual import Stoi
from gansemble_plugins.metrics.unreferenced import Dnsmos, Utmos
from gansemble_plugins.metrics.visqol import Visqol

RATE = 16000
NOISE = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)


class Loudness(torch.nn.Module):
    """In a network's place: ten times the mean magnitude."""

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return 10 * wave.abs().mean(dim=1)


class WithRate(torch.nn.Module):
    def forward(self, wave: torch.Tensor, sr: int) -> torch.Tensor:
        return wave.abs().mean(dim=1) * 0 + sr / 10000


class PerFrame(torch.nn.Module):
    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return wave[:, :7]


class Failing(torch.nn.Module):
    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return wave @ wave


@pytest.fixture
def weights(tmp_path):
    """Makes the file of a scripted network."""

    def make(network: torch.nn.Module) -> File:
        path = tmp_path / "network.pt"
        torch.jit.script(network).save(str(path))
        return File(path)

    return make


@pytest.fixture
def installed(monkeypatch):
    """Everything seems to be installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


def test_utmos_is_what_the_network_says_of_the_clip_at_16_khz(weights):
    metric = Utmos(weights=weights(Loudness()))
    assert metric.score(NOISE, None, RATE)["utmos"].value == pytest.approx(10 * np.abs(NOISE).mean(), rel=1e-5)
    wave = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000).astype(np.float32)
    assert metric.score(wave, None, 48000)["utmos"].value == pytest.approx(20 / np.pi, rel=0.01)


def test_utmos_names_the_files_digest(weights):
    file = weights(Loudness())
    assert hashlib.sha256(file.read_bytes()).hexdigest() in Utmos(weights=file).definition


def test_utmos_tells_the_rate_to_a_network_that_asks(weights):
    assert Utmos(weights=weights(WithRate())).score(NOISE, None, RATE)["utmos"].value == pytest.approx(1.6)


@pytest.mark.parametrize("network, words", [(PerFrame(), "one number for a clip, got [1, 7]"), (Failing(), "failed")])
def test_utmos_says_what_is_wrong_with_a_networks_answer(weights, network, words):
    score = Utmos(weights=weights(network)).score(NOISE, None, RATE)["utmos"]
    assert math.isnan(score.value) and words in score.reason


def test_utmos_without_a_usable_file_cannot_be_built(tmp_path, weights):
    with pytest.raises(MissingNeed, match="give its path as weights"):
        Utmos()
    with pytest.raises(MissingNeed, match="there is no /nowhere"):
        Utmos(weights=File("/nowhere/utmos.pt"))
    plain = tmp_path / "plain.pt"
    torch.save({"weight": torch.zeros(1)}, plain)
    with pytest.raises(ValueError, match="is no TorchScript file"):
        Utmos(weights=File(plain))
    demanded = weights(Loudness())
    demanded.stated = "0" * 64
    with pytest.raises(ValueError, match="is not what is demanded"):
        Utmos(weights=demanded)


def test_metrics_of_a_clip_alone_never_look_at_the_reference(weights):
    metric = Utmos(weights=weights(Loudness()))
    assert isinstance(metric, ReferenceFree) and not metric.needs_reference
    assert metric.score(NOISE, NOISE[:5], RATE) == metric.score(NOISE, None, RATE)
    assert Dnsmos.needs_reference is False
    assert not isinstance(Stoi(), ReferenceFree)


@pytest.mark.parametrize(
    "clip, words",
    [
        (np.zeros(RATE, np.float32), "estimate is silent"),
        (NOISE[:800], "too short"),
        (np.full(RATE, np.nan, np.float32), "NaN"),
        (20 * NOISE, "within ±1"),
    ],
)
def test_dnsmos_says_why_a_clip_has_no_score(installed, clip, words):
    found = Dnsmos().score(clip, None, RATE)
    assert list(found) == ["dnsmos", "dnsmos_signal", "dnsmos_background", "dnsmos_p808"]
    assert all(math.isnan(score.value) and words in score.reason for score in found.values())


def test_dnsmos_passes_the_packages_values_on(installed, monkeypatch):
    asked = []
    values = {"ovrl_mos": 3.0, "sig_mos": 3.5, "bak_mos": math.nan, "p808_mos": 2.5}
    run = lambda signal, rate, model_type: (asked.append((signal.dtype, len(signal), rate, model_type)), values)[1]  # noqa: E731
    monkeypatch.setitem(sys.modules, "speechmos", types.SimpleNamespace(dnsmos=types.SimpleNamespace(run=run)))
    found = Dnsmos(personalised=True).score(NOISE, None, 8000)
    assert asked == [(np.float32, 2 * RATE, RATE, "dnsmos_personalized")]
    assert found["dnsmos_personalised"].value == 3.0 and found["dnsmos_p808_personalised"].value == 2.5
    assert found["dnsmos_background_personalised"].reason == "the value is not finite (nan)"


def test_absent_packages_are_named_with_how_to_install_them(monkeypatch):
    monkeypatch.setattr(unreferenced.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingNeed, match=r"pip install 'gansemble\[dnsmos\]'"):
        Dnsmos()
    with pytest.raises(MissingNeed, match=r"pip install 'gansemble\[visqol\]'"):
        Visqol()
    monkeypatch.setattr(visqol.importlib.util, "find_spec", lambda name: None if name == "ai_edge_litert" else object())
    with pytest.raises(MissingNeed, match="ai-edge-litert"):
        Visqol(mode="speech")
    assert Visqol(mode="speech", mapping="polynomial").key == "visqol_speech_polynomial"


@pytest.mark.parametrize("mode, rate, key", [("audio", 48000, "visqol"), ("speech", 16000, "visqol_speech")])
def test_visqol_compares_the_reference_with_the_estimate_at_its_own_rate(installed, monkeypatch, mode, rate, key):
    heard = []

    class Api:
        def create(self, **settings):
            heard.append(settings)

        def measure_from_arrays(self, reference, degraded, sample_rate):
            heard.append((len(reference), sample_rate, np.abs(reference).max() > np.abs(degraded).max()))
            return types.SimpleNamespace(moslqo=4.25)

    monkeypatch.setitem(sys.modules, "visqol", types.SimpleNamespace(VisqolApi=Api))
    assert Visqol(mode=mode).score(0.5 * NOISE, NOISE, RATE)[key].value == 4.25
    assert heard == [{"mode": mode, "use_lattice_model": mode == "speech"}, (rate, rate, True)]


def test_what_visqol_raises_becomes_a_reason(installed, monkeypatch):
    class Api:
        def create(self, **settings):
            raise ValueError("no patches")

    monkeypatch.setitem(sys.modules, "visqol", types.SimpleNamespace(VisqolApi=Api))
    found = Visqol().score(NOISE, NOISE, RATE)["visqol"]
    assert math.isnan(found.value) and found.reason == "visqol-python: ValueError: no patches"
    assert "needs 1 s" in Visqol().score(NOISE[:8000], NOISE[:8000], RATE)["visqol"].reason


@pytest.mark.slow
def test_the_installed_dnsmos_prefers_less_noise():
    pytest.importorskip("speechmos.dnsmos", exc_type=ImportError)
    tone = 0.3 * np.sin(np.arange(RATE) * 0.05).astype(np.float32)
    clean, noisy = (Dnsmos().score(clip, None, RATE) for clip in (tone, 0.5 * tone + NOISE))
    assert clean["dnsmos_background"].value > noisy["dnsmos_background"].value
    assert all(0.5 < score.value < 5.5 for score in clean.values())


@pytest.mark.slow
def test_the_installed_visqol_gives_identical_audio_its_highest_score():
    """4.732 is what Google's program gives for identical audio at 48 kHz."""
    pytest.importorskip("visqol", exc_type=ImportError)
    clip = np.tile(NOISE, 3)
    assert Visqol().score(clip, clip, RATE)["visqol"].value == pytest.approx(4.732, abs=0.01)
