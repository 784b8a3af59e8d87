"""What can be said of the parts beforehand: where the noise lies, what an envelope and a band's power come to."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bandnoise import band, gansemble_check_recipe
from bandnoise.injector import BandNoise
from bandnoise.loss import Envelope
from bandnoise.metric import BandEnergy
from bandnoise.objective import Huber

from gansemble.audio.spec import AudioSpec
from gansemble.errors import GansembleError
from gansemble.interfaces import Batch
from gansemble.random import Draws
from gansemble.recipe import check

RATE, LENGTH = 22050, 8192
RECIPE = """\
audio: {sample_rate: 16000, fmax: 8000}
corpus: {use: folder}
generator: {use: hifigan}
discriminators: {mpd: {use: multi_period}}
noise_injector: {use: band_noise, low_hz: 2000, high_hz: HIGH}
objective: {use: huber, beta: 2}
losses: {mel: {use: mel_l1, weight: 45}, envelope: {use: envelope, weight: 3}}
metrics: {mel_distance: {use: mel_distance}, band_energy: {use: band_energy, high_hz: HIGH}}
plan: {steps: 10}
optimisers: {generator: {use: adamw}, discriminators: {use: adamw}}
"""


def tone(frequency: float, level: float = 0.5, length: int = LENGTH) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(length) / RATE)


def seen(injector: BandNoise, items: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    real = torch.stack([torch.from_numpy(tone(300.0, 0.1 * (i + 1))).float()[None] for i in range(items)])
    fake = torch.zeros_like(real)
    return real, fake, *injector(real, fake, Batch(real, ("clip",) * items, Draws.plain(5, items)))


def test_the_noise_lies_within_its_band_at_its_level_and_is_one_for_both():
    real, fake, seen_real, seen_fake = seen(BandNoise(audio=AudioSpec(), low_hz=3000, high_hz=5000, snr_db=20))
    noise = seen_fake - fake
    assert torch.allclose(seen_real - real, noise, atol=1e-6)
    assert torch.allclose(noise.square().mean(2) / real.square().mean(2), torch.tensor(0.01), rtol=1e-3)
    power = torch.fft.rfft(noise.double()).abs().square()
    frequency = torch.fft.rfftfreq(LENGTH, 1 / RATE)
    within = (frequency >= 3000) & (frequency < 5000)
    assert power[..., ~within].sum() < 1e-9 * power.sum()
    assert (power[..., within] > 0).all()


def test_items_draw_noise_of_their_own():
    _, _, _, noise = seen(BandNoise(audio=AudioSpec()))
    correlation = torch.corrcoef(noise[:, 0])
    assert (correlation - torch.eye(3)).abs().max() < 0.1


def test_the_shortest_signal_its_contract_allows_has_a_bin_in_the_band():
    for low, high in ((0, 20), (4000, 4001), (11000, 11025)):
        length = BandNoise.contract({"audio": AudioSpec(), "low_hz": low, "high_hz": high}).shortest
        within = band.bins(low, high, RATE, length)
        assert within.stop - within.start >= 1 and length <= RATE / (high - low) + 1


def test_envelopes_of_a_ramp_in_closed_form():
    x = torch.arange(12.0)[None, None]
    loss = Envelope(window=4, hop=4)
    assert loss.envelopes(x).tolist() == [[[3, 7, 11], [0, -4, -8]]]


def test_the_envelope_loss_is_half_the_change_of_one_side():
    class Step:
        real, fake = torch.ones(2, 1, 64), torch.ones(2, 1, 64)

    Step.fake = Step.fake.clone()
    Step.fake[:, :, ::8] = 3.0  # every window's largest sample, no window's smallest
    assert float(Envelope(window=8, hop=8)(Step, "generator")) == pytest.approx((3 - 1) / 2)


def test_a_tone_within_the_band_counts_in_full_and_one_outside_not_at_all():
    metric = BandEnergy(low_hz=4000, high_hz=8000)
    inside, outside = tone(RATE * 2000 / LENGTH), tone(RATE * 100 / LENGTH)  # whole periods: no leakage
    halved = metric.score(outside + inside / 2, inside, RATE)["band_energy"].value
    assert halved == pytest.approx(20 * math.log10(2), abs=1e-6)
    assert metric.score(inside + outside, inside, RATE)["band_energy"].value == pytest.approx(0, abs=1e-6)
    assert metric.score(outside, inside, RATE)["band_energy"].value == 100.0
    assert math.isnan(metric.score(inside, outside, RATE)["band_energy"].value)


def test_the_whole_band_holds_the_mean_power_of_clips_of_any_length():
    metric = BandEnergy(low_hz=0, high_hz=RATE / 2)
    noise = np.random.default_rng(0).standard_normal(9001)
    other = noise[:7000] / 2 + 1  # a constant is one bin, what swings is a bin and its mirror image
    wanted = 10 * math.log10(np.mean(other**2) / np.mean(noise**2))
    assert metric.score(other, noise, RATE)["band_energy"].value == pytest.approx(abs(wanted), abs=0.02)


def test_huber_is_half_of_least_squares_near_the_targets_and_bounded_beyond():
    real, fake = torch.tensor([[1.3, 0.6]]), torch.tensor([[0.2, -0.4]])
    near = Huber(beta=10.0)
    squares = (real - 1).square().mean() + fake.square().mean()
    assert torch.allclose(near.discriminator(real, fake), squares / 2)
    far = torch.tensor([[-500.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(Huber(beta=2.0).generator(far), far)
    assert slope.item() == -2.0


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [(-1, 100, "low_hz must not"), (200, 100, "high_hz must lie above"), (0, 12000, "high_hz must be at most half")],
)
def test_a_band_that_cannot_be_is_refused(low, high, message):
    with pytest.raises(ValueError, match=message):
        BandNoise(audio=AudioSpec(), low_hz=low, high_hz=high)


def test_a_recipe_with_the_parts_is_sound(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("HIGH", "8000"))
    recipe = check.load(path)
    assert gansemble_check_recipe(recipe) == []
    assert {part.entry.plugin for part in recipe.parts()} >= {"bandnoise", "gansemble-bandnoise"}


def test_a_band_above_half_the_rate_is_told_with_its_key(tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("HIGH", "9000"))
    with pytest.raises(GansembleError) as caught:
        check.load(path)
    said = str(caught.value)
    for key in ("noise_injector.high_hz", "metrics.band_energy.high_hz"):
        assert f"{key}: must be at most half the sample rate, which is 8000 Hz, got 9000 Hz" in said
    assert "recipe.yaml:5:" in said and "recipe.yaml:8:" in said and "2 problems" in said
