"""Pictures of the wavelet and the short-time Fourier transform: what the transforms are, and what comes back of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from gansemble.abilities import Fitted, PhasedRepresentation, PictureRepresentation
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble_plugins.time_frequency.colours import paint, table, unpaint
from gansemble_plugins.time_frequency.cwt import Cwt
from gansemble_plugins.time_frequency.morlet import MorletBank, frequencies, smooth
from gansemble_plugins.time_frequency.pictures import Pixels, resize
from gansemble_plugins.time_frequency.stft import StftImage

RATE, SEGMENT = 16000, 8000
SPEC = AudioSpec(sample_rate=RATE, fmax=None)
CPU = torch.device("cpu")


def bank(
    count: int = 32, low: float = 100.0, high: float = 7600.0, w0: float = 6.0, spacing: str = "log"
) -> MorletBank:
    return MorletBank(frequencies(count, low, high, spacing), RATE, w0)


def soft(
    length: int = SEGMENT, dtype: torch.dtype = torch.float64, pitches: tuple[float, ...] = (240, 911, 3400)
) -> Any:
    """Sines within the bank's band that begin and end softly [1, 1, T]."""
    time = torch.arange(length, dtype=torch.float64) / RATE
    middle = length / RATE / 2
    tones = sum(torch.sin(2 * math.pi * f * time + f) for f in pitches)
    return (0.1 * tones * torch.exp(-(((time - middle) / (middle / 7)) ** 2) / 2)).to(dtype)[None, None]


def sound(batch: int = 2, length: int = SEGMENT, dtype: torch.dtype = torch.float32) -> Any:
    """A decaying tone in noise, no two items alike [B, 1, T]."""
    time = torch.arange(length, dtype=torch.float64) / RATE
    drawn = torch.randn(batch, length, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    tones = torch.stack([torch.sin(2 * math.pi * 330 * 1.3**i * time) * torch.exp(-3 * time) for i in range(batch)])
    return (0.3 * tones + 0.01 * drawn).to(dtype)[:, None]


def cwt(**given: Any) -> Cwt:
    return Cwt(**({"audio": SPEC, "segment": SEGMENT, "size": 32, "scales": 40, "iterations": 2} | given))


def stft(**given: Any) -> StftImage:
    return StftImage(**({"audio": SPEC, "segment": SEGMENT, "size": 32, "n_fft": 512, "hop": 256} | given))


BOTH = pytest.mark.parametrize("make", [cwt, stft], ids=["cwt", "stft_image"])


def snr(reference: Any, estimate: Any) -> float:
    return float(10 * torch.log10(reference.square().sum() / (reference - estimate).square().sum()))


# The transform


@pytest.mark.parametrize("row", [3, 17, 27])
def test_a_sine_of_amplitude_one_at_a_rows_frequency_has_magnitude_one_there(row):
    held = bank(high=5000)  # wavelets nearer to half the sample rate are cut there, and ring
    time = torch.arange(SEGMENT, dtype=torch.float64) / RATE
    found = held.transform(torch.sin(2 * math.pi * held.frequencies[row] * time)[None, None])[0, 0]
    assert found.shape == (32, SEGMENT)
    middle = found[row, SEGMENT // 2 - 500 : SEGMENT // 2 + 500].abs()
    assert torch.allclose(middle, torch.ones_like(middle), atol=1e-4)
    assert found[:, SEGMENT // 2].abs().argmax() == row


def test_a_coefficient_is_the_correlation_with_the_wavelet_written_out():
    """psi_k(t) = (w0-wide Gaussian in time) exp(i w0 t / s), by its integral and not by a Fourier transform."""
    held, audio = bank(4, 500, 2000), sound(1, 1200, torch.float64)
    found = held.transform(audio)[0, 0]
    time = torch.arange(1200, dtype=torch.float64)
    for row, frequency in enumerate(held.frequencies):
        scale = held.w0 / (2 * math.pi * frequency) * RATE
        for place in (0, 333, 1199):
            apart = (place - time) / scale
            wavelet = 2 / (scale * math.sqrt(2 * math.pi)) * torch.exp(-(apart**2) / 2)
            direct = (audio[0, 0] * torch.polar(wavelet, held.w0 * apart)).sum()
            # Leaving out negative frequencies is all that differs.
            assert abs(complex(found[row, place] - direct)) < 2e-6


def test_the_transform_is_linear():
    held, one, other = bank(), sound(1, dtype=torch.float64), soft()
    assert torch.allclose(
        held.transform(2 * one - 3 * other), 2 * held.transform(one) - 3 * held.transform(other), atol=1e-12
    )


def test_a_later_clip_has_its_coefficients_later_and_nothing_wraps_around():
    held = bank(high=3500)
    burst = torch.zeros(1, 1, SEGMENT, dtype=torch.float64)
    burst[..., 100:200] = 1.0
    found, later = held.transform(burst), held.transform(burst.roll(700, -1))
    assert torch.allclose(found[..., : SEGMENT - 700], later[..., 700:], atol=1e-12)
    assert held.transform(burst)[..., -2000:].abs().max() < 1e-8


@pytest.mark.parametrize("length", [1, 2, 997, 4096])
def test_any_length_is_transformed_and_comes_back_as_long(length):
    audio = sound(2, length, torch.float64)
    found = bank().transform(audio)
    assert found.shape == (2, 1, 32, length)
    assert bank().inverse(found).shape == audio.shape


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 120), (torch.float64, 200)])
@pytest.mark.parametrize("rate", ["full", "decimated"])
def test_what_lies_in_the_band_comes_back_exactly(dtype, least, rate):
    audio = soft(dtype=dtype)
    plan = bank(64).plan(SEGMENT, CPU, dtype, 400, 0, rate)
    assert snr(audio, plan.synthesise(plan.analyse(audio))) > least
    assert snr(audio, bank(64).inverse(bank(64).transform(audio))) > least


@pytest.mark.parametrize(("hop", "instant"), [(400, None), (400, 10.0), (551, 500.0), (97, 3.0)])
@pytest.mark.parametrize("w0", [6.0, 20.0])
def test_decimated_coefficients_are_those_of_the_full_rate(hop, instant, w0):
    """Wherever they fall on a whole sample."""
    audio, held = sound(1, 6000, torch.float64)[0], bank(48, 60, 7600, w0)
    (full,) = held.plan(6000, CPU, torch.float64, hop).analyse(audio[0])
    plan = held.plan(6000, CPU, torch.float64, hop, 0, "decimated", instant)
    assert sum(found.shape[-2] * found.shape[-1] for found in plan.analyse(audio)) < (0.5 * 48 + 1) * plan.size
    compared = 0
    for group, found in zip(plan.groups, plan.analyse(audio), strict=True):
        times = torch.arange(group.size, dtype=torch.float64) * hop / group.per_hop + group.start
        whole = ((times - times.round()).abs() < 1e-9) & (times < 6000)
        compared += int(whole.sum())
        there = full[group.rows][:, times[whole].round().long()]
        assert torch.allclose(found[0][:, whole], there, atol=1e-11)
    assert compared > 100


def test_linear_spacing_has_equal_steps_and_log_spacing_equal_ratios():
    steps, ratios = torch.tensor(frequencies(9, 50, 4000, "linear")), torch.tensor(frequencies(9, 50, 4000))
    assert torch.allclose(steps.diff(), steps.diff()[:1].expand(8))
    assert torch.allclose(ratios.log().diff(), ratios.log().diff()[:1].expand(8))
    assert float(steps[0]) == float(ratios[0]) == 50 and float(steps[-1]) == pytest.approx(4000) == float(ratios[-1])


def test_the_inverse_is_the_adjoint_of_the_transform_but_for_the_dual():
    """<T x, W> = <x, T* W> in float64, T* from autograd."""
    held = bank(8, 300, 3000)
    audio = sound(1, 256, torch.float64).requires_grad_()
    other = torch.randn(1, 1, 8, 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (adjoint,) = torch.autograd.grad((held.transform(audio).real * other).sum(), audio)
    assert float((adjoint * audio).sum()) == pytest.approx(float((held.transform(audio).real * other).sum()), rel=1e-10)
    assert torch.equal(held.transform(audio.detach()), held.transform(audio).detach())


@pytest.mark.parametrize("rate", ["full", "decimated"])
def test_gradients_of_the_transform_and_of_its_inverse_are_right(rate):
    plan = bank(4, 2000, 6000).plan(20, CPU, torch.float64, 20, 0, rate)
    audio = sound(2, 20, torch.float64)[:, 0].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tuple(plan.analyse(x)), (audio,), fast_mode=True)
    held = [found.detach().requires_grad_() for found in plan.analyse(audio)]
    assert torch.autograd.gradcheck(lambda *found: plan.synthesise(found), held, fast_mode=True)


def test_the_bank_agrees_with_pywavelets_but_for_the_scale():
    pywt = pytest.importorskip("pywt", reason="PyWavelets is not installed")
    held, audio = bank(6, 100, 600), sound(1, 4000, torch.float64)
    scales = [held.w0 / (2 * math.pi) * RATE / frequency for frequency in held.frequencies]
    theirs, _ = pywt.cwt(audio[0, 0].numpy(), scales, f"cmor2.0-{held.w0 / (2 * math.pi):.12f}", precision=14)
    # Their wavelets have the norm 1 in time and no factor 2; they are sampled, which long wavelets suffer less.
    wanted = np.abs(theirs) / np.sqrt(scales)[:, None] * 2
    assert np.abs(wanted - held.transform(audio)[0, 0].abs().numpy()).max() < 0.01 * wanted.max()


def test_smooth_lengths_are_the_least_products_of_two_three_and_five():
    def plain(number: int) -> bool:
        for prime in (2, 3, 5):
            while number % prime == 0:
                number //= prime
        return number == 1

    for least in range(1, 700):
        assert smooth(least) == next(n for n in range(least, 2 * least + 1) if plain(n))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fmax": 9000.0}, "fmax must be at most half the sample rate .8000 Hz., got 9000 Hz"),
        ({"fmin": 0.0}, "fmin must be above 0"),
        ({"hop": 0.06}, "hop must be from 1 sample to the window's 800"),
        ({"size": 1}, "size must be at least 2 or null, got 1"),
        ({"scales": 1}, "scales must be at least 2"),
        ({"momentum": 1.0}, "momentum in"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_the_contract_and_the_part(given, message):
    with pytest.raises(ValueError, match=message):
        cwt(**given)
    with pytest.raises(ValueError, match=message):
        contract_of(Cwt, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"range": (1.0, -1.0)}, "range must be two numbers"),
        ({"floor_db": 0.0}, "floor_db must be positive"),
        ({"literal_zero": True}, "literal_zero is of magnitude log_real"),
    ],
)
def test_pixels_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Pixels(**given)


def contract_of(part: Any, **given: Any) -> Any:
    from gansemble.recipe.types import signature

    filled = {n: p.default for n, p in signature(part).items() if p.default is not p.empty}
    return part.contract(filled | {"audio": SPEC, "segment": SEGMENT} | given)


# Frames


def test_five_seconds_at_16_khz_are_199_frames():
    assert cwt(segment=80000, size=None).images.transform.frames == 199


@BOTH
def test_time_comes_before_frequency_and_low_frequencies_first(make):
    part = make(size=None)
    time = torch.arange(SEGMENT) / RATE
    late = 0.5 * torch.sin(2 * math.pi * 200 * time) * (time > 0.3)
    high = 0.5 * torch.sin(2 * math.pi * 5000 * time)
    first, second = part.encode(torch.stack([late, high])[:, None])[:, 0]
    frames, bands = first.shape
    assert first.mean(1)[-frames // 4 :].min() > first.mean(1)[: frames // 4].max()
    assert int(first[-3].argmax()) < bands // 2 < int(second[frames // 2].argmax())


@pytest.mark.parametrize("frame", ["mean", "middle"])
@pytest.mark.parametrize("hop", [0.025, 0.0171])
def test_decimated_means_are_those_over_samples(frame, hop):
    audio = sound(1)
    full, fast = (cwt(size=None, frame=frame, hop=hop, rate=rate) for rate in ("full", "decimated"))
    assert (full.encode(audio) - fast.encode(audio)).abs().max() < 0.01
    magnitudes = full.images.transform.magnitudes(audio[:, 0])[0]
    held = full.images.transform
    plain = held.bank.transform(audio)[0, 0].abs()
    for number in (0, 5):
        begin = number * held.hop
        there = plain[:, begin : begin + held.window]
        wanted = there.mean(1) if frame == "mean" else there[:, held.window // 2]
        assert torch.allclose(magnitudes[number], wanted, rtol=1e-3, atol=1e-6)


def test_a_full_scale_sine_is_white_in_both():
    audio = torch.sin(2 * math.pi * 1000 * torch.arange(SEGMENT) / RATE)[None, None]
    for part in (cwt(size=None, scales=200), stft(size=None)):
        assert float(part.images.transform.magnitudes(audio[:, 0]).max()) == pytest.approx(1, abs=0.01)
        assert float(part.encode(audio).max()) == pytest.approx(1, abs=0.003)


# Pixels


@BOTH
@pytest.mark.parametrize("magnitude", ["linear", "log", "log_real"])
@pytest.mark.parametrize("reference", ["full_scale", "clip"])
def test_silence_is_one_grey_and_its_gradient_is_finite(make, magnitude, reference):
    audio = torch.zeros(2, 1, SEGMENT, requires_grad=True)
    x = make(pixels=Pixels(magnitude=magnitude, reference=reference)).encode(audio)
    assert torch.equal(x, torch.full_like(x, -1))
    x.sum().backward()
    assert torch.isfinite(audio.grad).all()


@BOTH
def test_a_level_is_20_log10_of_the_magnitude_over_the_floor(make):
    part, audio = make(size=None, pixels=Pixels(floor_db=60.0, range=(0.0, 1.0))), sound(1)
    magnitudes = part.images.transform.magnitudes(audio[:, 0])
    wanted = (1 + 20 * torch.log10(magnitudes) / 60).clamp(0, 1)
    assert torch.allclose(part.encode(audio)[:, 0], wanted, atol=1e-5)
    assert torch.allclose(
        make(size=None, pixels=Pixels(magnitude="linear", range=(0.0, 1.0))).encode(audio)[:, 0], magnitudes.clamp(0, 1)
    )


@BOTH
def test_a_clips_own_reference_makes_pictures_equal_at_every_level(make):
    part, audio = make(pixels=Pixels(reference="clip")), sound()
    assert torch.allclose(part.encode(audio), part.encode(audio * 0.01), atol=1e-3)
    assert not torch.allclose(make().encode(audio), make().encode(audio * 0.01), atol=0.1)


@BOTH
@pytest.mark.parametrize(("reference", "of"), [("training", max), ("clip", np.mean)])
def test_decoding_takes_the_training_splits_level(make, reference, of):
    part, audio = make(pixels=Pixels(reference=reference)), sound(2)
    assert isinstance(part, Fitted) and not part.fitted
    with pytest.raises(RuntimeError, match="run stage 2"):
        part.decode(torch.zeros(1, 1, 32, 32))
    part.fit(iter([audio[:1], audio[1:] * 0.1, torch.zeros(1, 1, SEGMENT)]))
    peaks = [
        float(20 * torch.log10(part.images.transform.magnitudes(a[:, 0]).max())) for a in (audio[:1], audio[1:] * 0.1)
    ]
    assert part.state_dict()["level_db"] == pytest.approx(of(peaks), abs=1e-3)
    other = make(pixels=Pixels(reference=reference))
    other.load_state_dict(part.state_dict())
    assert other.fitted and torch.equal(other.decode(part.encode(audio)), part.decode(part.encode(audio)))


@BOTH
def test_full_scale_needs_no_statistics_and_reads_no_clips(make):
    part = make()
    part.fit(iter(()))
    assert part.fitted
    with pytest.raises(ValueError, match="every training segment is silent"):
        make(pixels=Pixels(reference="training")).fit(iter([torch.zeros(1, 1, SEGMENT)]))


def test_exact_zeros_of_log_real_are_white_by_the_papers_code_and_black_by_default():
    silence = torch.zeros(1, 1, SEGMENT)
    assert float(cwt(pixels=Pixels(magnitude="log_real", literal_zero=True)).encode(silence).min()) == 1
    assert float(cwt(pixels=Pixels(magnitude="log_real")).encode(silence).max()) == -1


def test_the_real_parts_magnitude_is_two_over_pi_of_the_whole_in_the_mean():
    audio = torch.sin(2 * math.pi * 1000 * torch.arange(SEGMENT) / RATE)[None]
    whole, real = (
        cwt(pixels=Pixels(magnitude=name)).images.transform.magnitudes(audio)[0, 9].max()
        for name in ("log", "log_real")
    )
    assert float(real / whole) == pytest.approx(2 / math.pi, rel=0.02)


@pytest.mark.parametrize("size", [None, 24, 48])
@pytest.mark.parametrize(("colours", "channels"), [("grey", 1), ("grey3", 3), ("viridis", 3), ("jet", 3)])
@BOTH
def test_pictures_have_the_contracts_shape_and_come_back_as_clips(make, size, colours, channels):
    part, audio = make(size=size, pixels=Pixels(colours=colours)), sound()
    given = {"scales": 40} if make is cwt else {"n_fft": 512, "hop": 256}
    declared = contract_of(type(part), size=size, pixels=Pixels(colours=colours), **given)
    x = part.encode(audio)
    assert tuple(x.shape[1:]) == declared.shape and x.shape[1] == channels and x.min() >= -1 and x.max() <= 1
    assert size is None or x.shape[2:] == (size, size)
    assert part.decode(x).shape == audio.shape and part.domain == declared.domain == "log_spectrogram"
    grey = make(size=size).decode(make(size=size).encode(audio))
    assert snr(grey, part.decode(x)) > 30


def test_only_logarithms_within_one_are_of_the_domain_of_log_spectrograms():
    assert (
        cwt(pixels=Pixels(magnitude="linear")).domain
        == cwt(pixels=Pixels(range=(0.0, 1.0))).domain
        == stft(pixels=Pixels(magnitude="linear")).domain
        == "spectrogram"
    )


@pytest.mark.parametrize("name", ["grey", "viridis", "jet"])
def test_colours_of_a_map_are_read_exactly_and_others_are_reported(name):
    entries = table(name, CPU, torch.float64)
    values = torch.arange(256, dtype=torch.float64).view(1, 16, 16) / 255
    painted = paint(values, name)
    assert torch.allclose(painted[0].flatten(1).T, entries, atol=1e-12)
    found, apart = unpaint(painted, name)
    assert torch.allclose(paint(found, name), painted, atol=1e-12) and apart.max() < 1e-9
    # Three neighbouring entries of jet are one colour.
    assert torch.allclose(found, values, rtol=0, atol=2.01 / 255 if name == "jet" else 1e-12)
    assert int(((found - values).abs() > 1e-9).sum()) <= 2
    between = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, apart = unpaint(paint(between, name), name)
    assert torch.allclose(found, between, atol=1e-9 if name != "jet" else 2.01 / 255)
    off = torch.tensor([0.0, 1.0, 1.0] if name != "jet" else [1.0, 0.0, 1.0], dtype=torch.float64).view(1, 3, 1, 1)
    assert float(unpaint(off, name)[1]) == pytest.approx(float((entries - off.view(3)).norm(dim=1).min()), rel=0.02)


def test_how_far_pictures_are_off_their_map_is_told():
    part = cwt(pixels=Pixels(colours="viridis"))
    x = part.encode(sound())
    part.decode(x)
    assert part.monitors()["off_colour_map"] < 1e-4
    strange = torch.stack([x[0], torch.rand_like(x[0]) * 2 - 1])
    part.decode(strange)
    assert part.monitors()["off_colour_map"] > 0.1
    apart = part.images.pictures.off_colours(strange)
    assert apart[0] < 1e-4 < 0.1 < apart[1]
    assert cwt().monitors() == {}


def test_resizing_is_torchs_antialiased_one():
    values = torch.rand(2, 39, 70, generator=torch.Generator().manual_seed(0))
    for size in ((16, 16), (64, 128), (39, 20)):
        wanted = torch.nn.functional.interpolate(values[:, None], size, mode="bilinear", antialias=True)[:, 0]
        assert torch.allclose(resize(values, size), wanted, atol=1e-5)


# The way back


@pytest.mark.parametrize(("make", "least"), [(cwt, 100), (stft, 100)], ids=["cwt", "stft_image"])
def test_own_coefficients_give_the_clip_back(make, least):
    audio, part = soft(dtype=torch.float32), make()
    held = part.images.transform
    assert snr(audio[0], held.synthesise(held.analyse(audio[:, 0]))) > least


@BOTH
def test_a_whole_picture_with_its_own_phase_is_near_its_clip(make):
    part, audio = make(size=None, scales=128) if make is cwt else make(size=None), soft(dtype=torch.float32)
    assert snr(audio, part.decode_with_phase(part.encode(audio), audio)) > 15


@BOTH
def test_of_a_recording_only_the_phase_is_taken(make):
    part, audio = make(), sound(1)
    x = part.encode(audio)
    assert snr(part.decode_with_phase(x, audio), part.decode_with_phase(x, 0.1 * audio)) > 25


@BOTH
def test_more_of_the_search_brings_magnitudes_nearer_than_a_noises_phase(make):
    audio = sound(1)
    errors = []
    for given in ({"inverse": "noise"}, {"iterations": 2}, {"iterations": 12}):
        part = make(size=None, **given)
        magnitudes = part.images.transform.magnitudes
        made = part.decode(part.encode(audio))
        errors.append(float((magnitudes(made[:, 0]) - magnitudes(audio[:, 0])).norm()))
    assert errors[0] > errors[1] > errors[2]


@BOTH
@pytest.mark.parametrize("inverse", ["griffin_lim", "noise"])
def test_decoding_draws_nothing_and_repeats_itself_and_a_batch_is_its_items(make, inverse):
    part = make(inverse=inverse)
    x, before = part.encode(sound(3)), torch.get_rng_state()
    made = part.decode(x)
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(part.decode(x), made)
    assert torch.allclose(made, torch.cat([part.decode(each[None]) for each in x]), atol=1e-5)
    assert torch.allclose(x, torch.cat([part.encode(each[None]) for each in sound(3)]), atol=1e-5)


@BOTH
def test_what_cannot_be_inverted_says_so(make):
    part = make(inverse="none")
    with pytest.raises(ValueError, match="cannot be inverted; set inverse: griffin_lim or noise"):
        part.decode(part.encode(sound()))
    assert part.phase.startswith("none") and "noise" in make(inverse="noise").phase and "search" in make().phase
    assert part.decode_with_phase(part.encode(sound()), sound()).shape == sound().shape


@BOTH
def test_a_recording_of_another_length_is_refused_with_both_lengths(make):
    part = make()
    x = part.encode(sound())
    with pytest.raises(ValueError, match=r"8000 samples .*got one of 7999"):
        part.decode_with_phase(x, sound(2, 7999))
    with pytest.raises(ValueError, match="2 pictures need as many recordings, or one for all, got 3"):
        part.decode_with_phase(x, sound(3))
    one = part.decode_with_phase(x, sound(1))
    # A transform of one recording and one of two differ in the last bits on some processors.
    torch.testing.assert_close(one, part.decode_with_phase(x, sound(1).expand(2, -1, -1)), rtol=0, atol=1e-6)


@BOTH
def test_wrong_shapes_are_refused(make):
    part = make()
    with pytest.raises(ValueError, match=r"a picture must be \[B, 1, 32, 32\], got \[2, 1, 32, 31\]"):
        part.decode(torch.zeros(2, 1, 32, 31))
    with pytest.raises(ValueError, match="mono"):
        part.encode(torch.zeros(2, 2, SEGMENT))
    with pytest.raises(ValueError, match=r"8000 samples .*got one of 9000"):
        part.encode(torch.zeros(2, 1, 9000))


@BOTH
@pytest.mark.parametrize("colours", ["grey", "jet"])
def test_nan_stays_in_its_item_and_nothing_breaks(make, colours):
    part, audio = make(pixels=Pixels(colours=colours)), sound()
    audio[0, 0, 4000] = math.nan
    x = part.encode(audio)
    assert x[0].isnan().all() if make is cwt else x[0].isnan().any()
    assert torch.isfinite(x[1]).all()
    made = part.decode(x)
    assert made.shape == audio.shape and made[0].isnan().any() and torch.isfinite(made[1]).all()


@BOTH
def test_half_precision_and_autocast_give_the_picture_of_float32(make):
    part, audio = make(), sound()
    wanted = make().encode(audio)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(part.encode(audio), wanted)
        assert part.decode(part.encode(audio).bfloat16()).dtype == torch.float32
    assert part.encode(audio.half()).dtype == torch.float32
    assert part.encode(audio.double()).dtype == torch.float64
    assert torch.allclose(part.encode(audio.double()).float(), part.encode(audio), atol=1e-3)


@BOTH
def test_a_pictures_gradient_reaches_the_audio(make):
    part = make(pixels=Pixels(colours="viridis"))
    audio = sound(1, dtype=torch.float64).requires_grad_()
    loss = part.encode(audio).square().mean()
    (slope,) = torch.autograd.grad(loss, audio)
    step = 1e-6 * torch.randn(audio.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = (
        part.encode(audio.detach() + step).square().mean() - part.encode(audio.detach() - step).square().mean()
    ) / 2
    assert float(moved) == pytest.approx(float((slope * step).sum()), rel=1e-3)


@BOTH
def test_gradients_flow_after_what_was_kept_in_inference_mode(make):
    given: dict[str, Any] = {"pixels": Pixels(colours="jet"), "segment": 7777, "size": 21}
    with torch.inference_mode():
        make(**given).encode(sound(1, 7777))
    audio = sound(1, 7777).requires_grad_()
    make(**given).encode(audio).sum().backward()
    assert torch.isfinite(audio.grad).all()


@BOTH
def test_the_mel_spectrogram_is_that_of_the_clip_as_far_as_frames_allow(make):
    drawn = 0.1 * torch.randn(2, 1, SEGMENT, generator=torch.Generator().manual_seed(2))
    spec = AudioSpec(sample_rate=RATE, fmin=200, fmax=7000)
    part = make(size=None, scales=100) if make is cwt else make(size=None)
    ours, theirs = part.log_mel(part.encode(drawn), spec), log_mel(drawn, spec)
    assert ours.shape == theirs.shape == (2, 80, SEGMENT // 256)
    assert float((ours - theirs).mean().abs()) < 0.35
    quiet = part.log_mel(part.encode(drawn * 0), spec)
    assert torch.allclose(quiet, torch.full_like(quiet, math.log(1e-5)))


@BOTH
def test_a_picture_to_look_at_has_time_to_the_right_and_frequency_upwards(make):
    part = make(pixels=Pixels(colours="viridis"))
    low = 0.5 * torch.sin(2 * math.pi * 150 * torch.arange(SEGMENT) / RATE)
    seen = part.picture(low.numpy())
    assert seen.shape == (32, 32, 3) and seen.dtype == np.uint8
    assert seen[-8:].astype(int).sum() > seen[:8].astype(int).sum()
    assert isinstance(part, PictureRepresentation) and isinstance(part, PhasedRepresentation)
    assert part.picture(low.numpy()[:100]).shape == part.picture(np.tile(low.numpy(), 2)).shape == (32, 32, 3)
    grey = make().picture(low.numpy())
    assert (grey[..., 0] == grey[..., 2]).all()


@pytest.mark.parametrize("inverse", ["noise", "griffin_lim"])
def test_a_picture_of_silence_is_silent_whatever_its_phases_are_of(inverse):
    """Neither the fixed noise nor a recording is heard in it, at its edges either: the floor is 80 dB down."""
    representation = Cwt(
        audio=AudioSpec(sample_rate=16000, fmax=None), segment=16000, size=64, scales=64, inverse=inverse
    )
    floor = torch.full((1, 1, 64, 64), -1.0)
    time = torch.arange(16000) / 16000
    recording = 0.3 * torch.sin(2 * torch.pi * 60 * time)[None, None]
    for made in (representation.decode(floor), representation.decode_with_phase(floor, recording)):
        assert float(made.abs().max()) < 2e-3
