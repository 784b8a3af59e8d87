"""What degradations take away, that they keep everything else in its place, and that a crop is the whole file's."""

import itertools

import numpy as np
import pytest
from scipy import signal

from gansemble.audio.spec import AudioSpec
from gansemble.plugins.loading import Plugins
from gansemble_plugins import degradations
from gansemble_plugins.degradations import filters
from gansemble_plugins.degradations.codec_band import CodecBand
from gansemble_plugins.degradations.decimate import Decimate
from gansemble_plugins.degradations.low_pass import Drawn, LowPass
from gansemble_plugins.degradations.muffle import Muffle, high_shelf

RATE = 44100
SPEC = AudioSpec(sample_rate=RATE)
FAMILIES = ("cheby1", "butter", "bessel", "ellip", "sinc")
RIPPLES = (1e-9, 1e-6, 1e-3, 1.0, 5.0)
EVERYTHING = LowPass(audio=SPEC, families=FAMILIES, orders=(1, 11), ripples=RIPPLES, cutoff=(1000, 20000))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(samples: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * rng(seed).standard_normal(samples)).astype(np.float32)


def every_part() -> dict:
    fixed = {family: LowPass(audio=SPEC, families=(family,), orders=(4, 4)) for family in FAMILIES}
    return fixed | {
        "everything": EVERYTHING,
        "muffle": Muffle(audio=SPEC),
        "decimate": Decimate(audio=SPEC, rates=(8000, 11025, 22050)),
        "codec_band": CodecBand(audio=SPEC),
        "holes": CodecBand(audio=SPEC, holes=0.5),
    }


PARTS = every_part()
parts = pytest.mark.parametrize("name", PARTS)


def decibels(ratio) -> float:
    return float(20 * np.log10(np.maximum(ratio, 1e-12)))


def rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))


def energy(signal: np.ndarray) -> float:
    return float(np.sum(np.square(signal, dtype=np.float64)))


def response(degradation, frequencies, seed: int = 0) -> list[float]:
    """The gain [dB] at frequencies [Hz], each by a tone with a window whose side lobes are 200 dB down."""
    time, found = np.arange(1 << 15), []
    window = np.kaiser(time.size, 25)
    for frequency in frequencies:
        tone = (window * np.cos(2 * np.pi * frequency / RATE * time)).astype(np.float32)
        made = degradation(tone, rng(seed)).astype(np.float64)
        found.append(decibels(abs(made @ (window * tone)) / (tone.astype(np.float64) @ (window * tone))))
    return found


# what every degradation keeps to -----------------------------------------------------------


def test_every_degradation_is_registered_and_gives_what_it_says():
    plugins = Plugins(discover=False)
    plugins.add_module("degradations", degradations)
    names = []
    for entry in plugins.registry.entries("degradation"):
        part = entry.load()
        made = part(audio=SPEC, **entry.example)(noise(3000), rng())
        assert made.shape == (3000,) and made.dtype == np.float32
        names.append(entry.name)
    assert sorted(names) == ["codec", "codec_band", "decimate", "low_pass", "muffle"]


@parts
def test_a_draw_is_a_function_of_the_generator_alone_and_the_input_is_left_alone(name):
    part, audio = PARTS[name], noise(9001)
    kept = audio.copy()
    first = part(audio, rng(3))
    part(noise(500, 1), rng(4))
    np.testing.assert_array_equal(first, part(audio, rng(3)))
    np.testing.assert_array_equal(audio, kept)
    assert first.dtype == np.float32 and not np.shares_memory(first, audio)


@pytest.mark.parametrize("name", ["everything", "muffle", "decimate", "codec_band", "holes"])
def test_clips_get_filters_of_their_own(name):
    made = [PARTS[name](noise(4000), rng(seed)) for seed in range(6)]
    assert len({clip.tobytes() for clip in made}) > 1


@parts
def test_silence_stays_silence_and_short_clips_are_taken(name):
    part = PARTS[name]
    for length in (1, 2, 3, 17, 200):
        assert not part(np.zeros(length, np.float32), rng()).any()
        made = part(noise(length), rng())
        assert made.shape == (length,) and np.isfinite(made).all()
    with pytest.raises(ValueError, match=r"audio must be \[T\] with at least one sample, got \[0\]"):
        part(np.zeros(0, np.float32), rng())


@parts
def test_nothing_is_moved_in_time(name):
    burst = np.zeros(6000, np.float32)
    burst[2000:4000] = noise(2000) * np.hanning(2000)
    made = PARTS[name](burst, rng(2))
    spectrum = np.fft.rfft(made, 16384) * np.conj(np.fft.rfft(burst, 16384))
    correlation = np.fft.irfft(spectrum)
    assert correlation.argmax() == 0
    # Without a phase, what was alike forward and backward in time still is.
    both = burst + burst[::-1]
    if name not in ("holes", "decimate"):  # whose blocks and coarse samples begin at the first sample
        turned = PARTS[name](both, rng(2))
        assert decibels(rms(turned - turned[::-1]) / rms(turned)) < -80


@pytest.mark.parametrize("name", [name for name in PARTS if name != "holes"])  # whose blocks begin with the crop
def test_a_crop_with_its_margin_is_the_whole_recordings(name):
    part = PARTS[name]
    for seed in range(3):
        _hold_crop(lambda audio, seed=seed: part(audio, rng(seed)), part.margin)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("place", [0, 1])
def test_the_margin_holds_for_the_longest_ringing_of_every_family(family, place):
    cutoff = EVERYTHING.cutoff[place]
    for ripple in RIPPLES if family in ("cheby1", "ellip") else RIPPLES[:1]:
        for order in {min(EVERYTHING.rings[family, ripple]), max(EVERYTHING.rings[family, ripple])}:
            drawn = Drawn(family, order, ripple, cutoff)
            own = EVERYTHING._ring(drawn)
            assert own <= EVERYTHING.margin
            _hold_crop(lambda audio, drawn=drawn: EVERYTHING.apply(audio, drawn), own, own > 20 and order > 2)


def _hold_crop(call, margin: int, without: bool = True) -> None:
    """The middle of a long recording, cropped with its margin, within -80 dB; without a margin it would not be."""
    length, start = 2048, margin + 333
    audio = noise(start + length + margin + 500)
    audio += (0.1 * np.sin(0.05 * np.arange(audio.size))).astype(np.float32)
    whole = call(audio)[start : start + length]
    crop = call(audio[start - margin : start + length + margin])[margin : margin + length]
    assert decibels(rms(crop - whole) / rms(whole)) < -80
    if without:
        bare = call(audio[start : start + length])
        assert decibels(rms(bare - whole) / rms(whole)) > -60


def test_no_draw_is_unsound_and_none_adds_energy():
    audio = np.concatenate([noise(3000), np.ones(1000, np.float32)])
    for seed in range(120):
        made = EVERYTHING(audio, rng(seed))
        assert np.isfinite(made).all()
        assert energy(made) <= 1.013 * energy(audio)
    for name in ("muffle", "decimate", "codec_band", "holes", "cheby1", "butter", "bessel", "ellip"):
        assert energy(PARTS[name](audio, rng())) <= 1.0001 * energy(audio)


# frequencies -----------------------------------------------------------


@pytest.mark.parametrize("settings, expected", [
    (dict(families=("cheby1",)), (-0.07, -0.1, -14.6, -49, -90, -146)),
    (dict(families=("butter",), orders=(6, 6)), (-2.0, -6.0, -12.8, -25, -46, -82)),
    (dict(families=("ellip",), orders=(12, 12), longest=4.0), (-0.05, None, -44, -47, -41, -62)),
    (dict(families=("sinc",), orders=(2, 2)), (-1.4, -6, -16, -44, -62, -80)),
    (dict(families=("sinc",), orders=(8, 8)), (0, -6, -56, -80, -98, -117)),
])  # fmt: skip
def test_responses_are_those_measured_elsewhere(settings, expected):
    frequencies = [share * 4000 for share in (0.9, 1, 1.1, 1.25, 1.5, 2)]
    for found, wanted in zip(response(LowPass(audio=SPEC, **settings), frequencies), expected, strict=True):
        if wanted is not None:  # the elliptic edge is narrower than any window's main lobe, see below
            assert found == pytest.approx(wanted, abs=0.5) if wanted > -100 else found < -100


@pytest.mark.parametrize(
    "family, one_pass", [("cheby1", 0.05), ("ellip", 0.05), ("butter", 3.0103), ("bessel", 3.0103)]
)
@pytest.mark.parametrize("order", [1, 5, 12, 16])
def test_one_pass_at_the_cutoff_is_down_by_the_ripple_or_by_3_db(family, one_pass, order):
    sections = filters.Design(family, order, 4000, RATE).sections()
    _, found = signal.sosfreqz(sections, [4000], fs=RATE)
    assert decibels(abs(found[0])) == pytest.approx(-one_pass, abs=1e-3)


def test_a_family_not_seen_in_training_is_another_filter():
    settings = dict(audio=SPEC, cutoff=(5512.5, 5512.5))
    seen = LowPass(**settings)(noise(), rng())
    unseen = LowPass(families=("butter",), orders=(6, 6), **settings)(noise(), rng())
    assert decibels(rms(seen - unseen) / rms(seen)) > -20


def test_a_decimated_recording_holds_the_lower_band_and_nothing_above():
    part = Decimate(audio=SPEC, rates=(8000,))
    assert response(part, [100, 3000, 3560]) == pytest.approx([0, 0, 0], abs=0.01)
    assert max(response(part, [4000, 4100, 5000, 12000])) < -95
    made = part(noise(), rng())
    power = np.abs(np.fft.rfft(made * np.kaiser(made.size, 20))) ** 2
    above = np.fft.rfftfreq(made.size, 1 / RATE) >= 4010
    assert 10 * np.log10(power[above].sum() / power.sum()) < -90  # aliases and images would be here


def test_an_equaliser_cuts_as_much_as_it_says():
    settings = dict(audio=SPEC, shelf=(2000.0, 2000.0), gain=(-24.0, -24.0), low_pass=(9000.0, 9000.0), orders=(1, 1))
    found = response(Muffle(**settings), [50, 2000, 9000])
    assert found == pytest.approx([0, -12 - 0.2, -24 - 6], abs=0.3)
    gains = response(Muffle(**settings), range(300, 20000, 800))
    assert all(later < sooner + 0.01 for sooner, later in itertools.pairwise(gains))


@pytest.mark.parametrize("gain", [-40.0, -6.0, 0.0])
def test_the_shelf_has_its_gain_at_the_top_half_of_it_in_the_middle_and_no_hump(gain):
    numerator, denominator = high_shelf(5000, gain, RATE)[0].reshape(2, 3)
    z = np.exp(-1j * np.pi * np.array([0.0, 5000 / (RATE / 2), 1.0]))
    found = 20 * np.log10(abs(np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z)))
    assert found == pytest.approx([0, gain / 2, gain], abs=1e-6)
    everywhere = np.exp(-1j * np.linspace(0, np.pi, 500))
    assert abs(np.polyval(numerator[::-1], everywhere) / np.polyval(denominator[::-1], everywhere)).max() < 1 + 1e-9


def test_a_codecs_band_ends_abruptly():
    part = CodecBand(audio=SPEC, cutoffs=(11000.0,))
    assert response(part, [1000, 10800, 11000]) == pytest.approx([0, 0, -6.02], abs=0.01)
    assert max(response(part, [11200, 13000, 22000])) < -95
    assert CodecBand(audio=SPEC).cutoffs == pytest.approx((11000, 13000, 16000))
    assert CodecBand(audio=AudioSpec(sample_rate=22050)).cutoffs == pytest.approx((5500, 6500, 8000))


def test_holes_are_silent_bands_and_leave_the_rest_alone():
    solid = CodecBand(audio=SPEC, cutoffs=(16000.0,))(noise(), rng())
    below = np.abs(np.fft.rfftfreq(RATE, 1 / RATE)) < 2900
    for holes, remaining in ((0.5, 0.5), (1.0, 0.0)):
        made = CodecBand(audio=SPEC, cutoffs=(16000.0,), holes=holes)(noise(), rng())
        before, after = (np.abs(np.fft.rfft(clip)) ** 2 for clip in (solid, made))
        assert after[below].sum() == pytest.approx(before[below].sum(), rel=0.01)
        above = np.abs(np.fft.rfftfreq(RATE, 1 / RATE)) > 3100
        assert after[above].sum() / before[above].sum() == pytest.approx(remaining, abs=0.06)
    np.testing.assert_array_equal(CodecBand(audio=SPEC, cutoffs=(16000.0,), holes=1e-12)(noise(), rng()), solid)


# what cannot be -----------------------------------------------------------


@pytest.mark.parametrize("part, settings, message", [
    (LowPass, dict(cutoff=(4000.0, 30000.0)), r"cutoff must .* half the sample rate \(22050 Hz\), got 30000 Hz"),
    (LowPass, dict(cutoff=(22050.0, 22050.0)), r"half the sample rate \(22050 Hz\), got 22050 Hz"),
    (LowPass, dict(cutoff=(0.0, 4000.0)), "cutoff must be above 0"),
    (LowPass, dict(cutoff=(5000.0, 4000.0)), "cutoff must be a lowest and a highest value, got 5000 and 4000"),
    (LowPass, dict(orders=(0, 4)), "orders must be a lowest and a highest from 1 to 16"),
    (LowPass, dict(ripples=(0.0,)), "ripples must be above 0 dB"),
    (LowPass, dict(families=()), "families must name at least one"),
    (LowPass, dict(families=("ellip",), ripples=(20.0,)), "attenuation must be above the ripple of 20 dB"),
    (Muffle, dict(low_pass=(5000.0, 23000.0)), r"low_pass must .* \(22050 Hz\), got 23000 Hz"),
    (Muffle, dict(gain=(-6.0, 3.0)), "gain must be at most 0 dB, got 3 dB"),
    (Decimate, dict(rates=(44100,)), r"rates must .* below the sample rate \(44100 Hz\), got 44100 Hz"),
    (Decimate, dict(edge=1.0), "edge must be from 0.5 to 0.99, got 1"),
    (CodecBand, dict(cutoffs=(24000.0,)), r"cutoffs must .* \(22050 Hz\), got 24000 Hz"),
    (CodecBand, dict(holes=1.5), "holes must be from 0 to 1, got 1.5"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_the_contract_and_by_the_constructor(part, settings, message):
    with pytest.raises(ValueError, match=message):
        part(audio=SPEC, **settings)
    defaults = dict(part.__init__.__kwdefaults__)
    assert part.contract(defaults | {"audio": SPEC}).gives == {"degraded"}
    with pytest.raises(ValueError, match=message):
        part.contract(defaults | {"audio": SPEC} | settings)


def test_a_filter_that_rings_for_too_long_is_refused_or_gives_way():
    settings = dict(audio=SPEC, families=("ellip",), longest=0.5)
    with pytest.raises(
        ValueError, match=r"ellip of order 12 and 0.05 dB ripple must ring for at most 0.5 s, got 3.28 s"
    ):
        LowPass(orders=(12, 12), **settings)
    part = LowPass(orders=(4, 12), **settings)
    assert part.margin <= 0.5 * RATE
    assert {part.draw(rng(seed)).order for seed in range(60)} == {4, 5, 6, 7, 8, 9}


def test_ringing_is_where_a_response_has_died_away():
    design = filters.Design("cheby1", 8, 4000, RATE)
    impulse = np.zeros(8001)
    impulse[4000] = 1
    made = np.abs(filters.zero_phase(design.sections(), impulse, design.ring()))
    beyond = [made[: 4000 - n].sum() + made[4001 + n :].sum() for n in (design.ring(), design.ring() // 2)]
    assert beyond[0] < 2e-5 < 1e-3 < beyond[1]
    with pytest.raises(ValueError, match="inside the unit circle"):
        filters.ringing(np.array([-1.0]), np.array([1.0]), 1.0)
