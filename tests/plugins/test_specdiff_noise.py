"""The injected noise made visible: its level and SNR are those of theory, and the command writes what it names."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.errors import GansembleError
from gansemble_plugins.specdiff import command, pictures
from gansemble_plugins.specdiff.injector import SpectralDiffusion
from gansemble_plugins.specdiff.noise import (
    LENGTHS,
    decibels,
    likeness,
    mean_envelope,
    mean_spectrum,
    shaped_noises,
    snr,
    snr_rows,
)

RECIPE = Path(__file__).parents[2] / "egs/ljspeech/specdiff/conf/mini.yaml"
SPEECH = sorted((Path(__file__).parents[3] / "shared/audio/LJSpeech-1.1/wavs").glob("*.wav"))
#: RMS over sigma of a clip whose SNR at abar = 1/2 is 8.9 dB, as of the clips that the published figures below are of.
LOUD = 0.05 * 10 ** (8.9 / 20)


def made(**changes: object) -> SpectralDiffusion:
    return SpectralDiffusion(**({"audio": AudioSpec()} | changes))


def burst(seconds: float = 0.75, rate: int = 22050) -> Tensor:
    """Resonant noise of falling spectrum whose level goes up and down, in whole frames [T], float64, largest 0.9."""
    count = round(seconds * rate) // 256 * 256
    white = torch.randn(count, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    hertz = torch.linspace(0, rate / 2, count // 2 + 1, dtype=torch.float64)
    gains = 10 ** (-hertz / hertz[-1] * 60 / 20) + torch.exp(-(((hertz - 2200) / 300) ** 2))
    time = torch.arange(count, dtype=torch.float64) / rate
    sound = torch.fft.irfft(torch.fft.rfft(white) * gains, n=count) * (
        0.05 + torch.sin(2 * math.pi * 2 * time).square()
    )
    return 0.9 * sound / sound.abs().max()


@pytest.mark.parametrize(
    ("length", "t", "expected"), [(10, 10, 21.8), (100, 100, 10.8), (1000, 500, 5.0), (1000, 1000, -12.8)]
)
def test_signal_to_noise_is_that_of_a_clip_of_speech(length: int, t: int, expected: float) -> None:
    clip = burst()
    clip = clip * (LOUD / clip.square().mean().sqrt())
    rows = snr_rows(clip, [shaped_noises(clip, made())[2]], made())  # white: of level sigma but for chance
    row = next(row for row in rows if (row["T"], row["t"]) == (length, t))
    assert row["principled_none_db"] == pytest.approx(expected, abs=0.15)


def test_signal_to_noise_of_levels_without_a_ratio() -> None:
    assert snr(0.5, 1.0, 0.0) == math.inf and snr(1.0, 1.0, 1.0) == math.inf
    assert snr(0.5, 0.0, 1.0) == -math.inf
    assert math.isnan(snr(0.5, 0.0, 0.0))


def test_every_step_of_every_length_has_a_row() -> None:
    clip = burst()
    rows = list(snr_rows(clip, shaped_noises(clip, made()), made()))
    assert [(row["T"], row["t"]) for row in rows] == [(T, t) for T in LENGTHS for t in range(1, T + 1)]
    for length in LENGTHS:  # every step adds noise
        levels = [row["official_inverse_db"] for row in rows if row["T"] == length]
        assert levels == sorted(levels, reverse=True)


def test_noise_has_the_level_that_its_filters_give_it() -> None:
    """The RMS law within 3 % in one draw, whose own chance is 1 to 2 %, for all shapings in both forms."""
    noises = shaped_noises(burst(2.0), made(sigma=0.2))
    assert [noise.name for noise in noises] == [
        f"{form}_{shaping}" for form in ("principled", "official") for shaping in ("inverse", "envelope", "none")
    ]
    for noise in noises:
        assert noise.rms == pytest.approx(noise.law, rel=0.04), noise.name
    laws = {noise.name: noise.law for noise in noises}
    assert {laws[f"principled_{shaping}"] for shaping in ("inverse", "envelope", "none")} == {0.2}
    assert laws["official_inverse"] > 10  # released: not scaled


def test_powers_of_the_bins_add_up_to_the_mean_square() -> None:
    white = torch.randn(22050 // 256 * 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    power = 10 ** (mean_spectrum(white, made()) / 10)
    assert float(power.sum()) == pytest.approx(float(white.square().mean()), rel=0.02)
    inner = power[5:-5]  # flat, and one-sided: DC and Nyquist have half
    assert float(inner.mean()) == pytest.approx(1 / 512, rel=0.05)


def test_the_envelope_follows_the_clip_and_noise_fills_what_it_leaves() -> None:
    clip, like = burst(), made()
    noises = {noise.name: mean_spectrum(noise.samples, like) for noise in shaped_noises(clip, like)}
    below = slice(1, 350)  # the mel ends at 8 kHz
    shape = mean_spectrum(clip, like)[below]
    assert likeness(mean_envelope(clip, like, "principled")[below], shape) > 0.8
    assert likeness(noises["principled_envelope"][below], shape) > 0.7
    assert likeness(noises["principled_inverse"][below], shape) < -0.7


def test_decibels_end_at_their_floor_and_a_flat_spectrum_is_like_none() -> None:
    assert decibels(torch.tensor([1.0, 0.0], dtype=torch.float64)).tolist() == [0.0, -200.0]
    assert math.isnan(likeness(torch.zeros(4), torch.arange(4.0)))


def run(*words: str) -> str:
    result = CliRunner().invoke(command.group, ["noise", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the pictures out, which take most of the time."""
    for name in ("spectra", "ratios", "spectrograms", "save"):
        monkeypatch.setattr(pictures, name, lambda *_: None)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_command_writes_pictures_and_tables(tmp_path: Path) -> None:
    clip, output = tmp_path / "clip.wav", tmp_path / "out"
    files.write(clip, burst().float().numpy(), 22050)
    said = run(str(RECIPE), "--clip", str(clip), "--output", str(output), "--set", "noise_injector.sigma=0.1")
    assert "t = T = 1000: signal to noise" in said
    for name in ("spectra", "snr", "spectrograms"):
        assert (output / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    levels = table(output / "levels.csv")
    assert len(levels) == 6 and float(levels[0]["noise_rms"]) == pytest.approx(0.1, rel=0.05)
    spectra = table(output / "spectra.csv")
    assert len(spectra) == 513 and float(spectra[-1]["hz"]) == 11025
    assert len(table(output / "snr.csv")) == sum(LENGTHS)


def test_the_clip_has_the_level_that_training_sees(tmp_path: Path, unpainted: None) -> None:
    clip = tmp_path / "clip.wav"
    files.write(clip, 0.01 * burst().float().numpy(), 22050, "float")
    for change, peak in (("0.95", 0.95), ("null", float(0.01 * burst().abs().max()))):
        run(str(RECIPE), "--clip", str(clip), "--output", str(tmp_path / "o"), "--set", f"data.normalise={change}")
        written = float(table(tmp_path / "o" / "levels.csv")[0]["clip_rms"])
        shape = float(burst().square().mean().sqrt() / burst().abs().max())
        assert written == pytest.approx(peak * shape, rel=1e-3)


def test_a_recipe_with_other_noise_is_shown_the_papers(tmp_path: Path, unpainted: None) -> None:
    clip = tmp_path / "clip.wav"
    files.write(clip, burst().float().numpy(), 22050)
    run(str(RECIPE), "--clip", str(clip), "--output", str(tmp_path / "o"), "--set", "noise_injector=null")
    assert float(table(tmp_path / "o" / "levels.csv")[2]["noise_rms_by_law"]) == 0.05


def test_a_stretch_too_short_for_a_filter_is_refused(tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    files.write(clip, burst().float().numpy(), 22050)
    with pytest.raises(GansembleError, match=r"clip.wav: 0.0\d+ s are left after --start 0.7 s .* earlier --start"):
        run(str(RECIPE), "--clip", str(clip), "--output", str(tmp_path / "o"), "--start", "0.7")


def test_silence_has_noise_and_no_signal(tmp_path: Path, unpainted: None) -> None:
    clip = tmp_path / "clip.wav"
    files.write(clip, np.zeros(8192, np.float32), 22050)
    run(str(RECIPE), "--clip", str(clip), "--output", str(tmp_path / "o"))
    first = table(tmp_path / "o" / "snr.csv")[0]
    assert first["principled_inverse_db"] == "-inf"


@pytest.mark.skipif(not SPEECH, reason="the shared recordings (../shared/audio) are not here")
def test_levels_of_real_speech_are_those_of_the_readme(tmp_path: Path, unpainted: None) -> None:
    said = run(str(RECIPE.with_name("v1.yaml")), "--clip", str(SPEECH[0]), "--output", str(tmp_path / "o"))
    assert "t = T = 10: signal to noise +19.7 dB (principled), -42.6 dB (official)" in said
    assert "t = T = 1000: signal to noise -15.0 dB (principled), -77.2 dB (official)" in said
