"""Time warping, and the metrics that warp: WARP-Q and mel-cepstral distortion."""

import math

import librosa
import numpy as np
import pytest

from gansemble_plugins.metrics import cepstrum, mcd, warpq
from gansemble_plugins.metrics.alignment import subsequence_costs, warping_path
from gansemble_plugins.metrics.cepstrum import Analysis, mel_cepstra, warping
from gansemble_plugins.metrics.inputs import UnscorableFile
from gansemble_plugins.metrics.mcd import DECIBELS, KINDS, Mcd
from gansemble_plugins.metrics.warpq import WarpQ, active, normalised

RATE = 16000
STEPS = np.array([[1, 0], [0, 3], [1, 3]])


def voice(seconds: float = 4.0, rate: int = RATE) -> np.ndarray:
    """A harmonic tone of moving pitch, timbre and level, about as loud as speech."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * time)) / rate
    harmonics = (np.sin(k * phase) / k * (0.6 + 0.4 * np.cos(2 * np.pi * (0.5 + 0.3 * k) * time)) for k in range(1, 21))
    return 0.1 * sum(harmonics) * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * time))


def noisy(signal: np.ndarray, snr: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(signal.size)
    return signal + noise * np.sqrt(np.mean(signal**2) / 10 ** (snr / 10)) / np.sqrt(np.mean(noise**2))


def value(metric, estimate, reference, rate: int = RATE) -> float:
    (score,) = metric.score(estimate, reference, rate).values()
    return score.value


def plain_subsequence_cost(patch: np.ndarray, reference: np.ndarray) -> float:
    """The recursion as it is written down, cell by cell."""
    distances = np.linalg.norm(patch[:, None] - reference[None], axis=2)
    sums = np.full(distances.shape, np.inf)
    for row in range(len(patch)):
        for column in range(len(reference)):
            before = [sums[row - x, column - y] for x, y in STEPS if row >= x and column >= y]
            least = min(before, default=np.inf) if row else min([0.0, *before])
            sums[row, column] = distances[row, column] + least
    return float(sums[-1].min()) / len(patch)


@pytest.mark.parametrize("length, frames", [(2, 3), (5, 5), (6, 31), (9, 40)])
def test_patches_cost_what_the_recursion_says_and_what_librosa_computes(length, frames):
    draws = np.random.default_rng(length)
    patches, reference = draws.standard_normal((3, length, 4)), draws.standard_normal((frames, 4))
    found = subsequence_costs(patches, reference)
    for patch, cost in zip(patches, found, strict=True):
        assert cost == pytest.approx(plain_subsequence_cost(patch, reference), rel=1e-12)
        table = librosa.sequence.dtw(
            X=patch.T, Y=reference.T, subseq=True, backtrack=False,
            step_sizes_sigma=STEPS, weights_mul=np.ones(3), weights_add=np.zeros(3),
        )  # fmt: skip
        assert cost == pytest.approx(table[-1].min() / length, rel=1e-9)


def test_patches_cost_the_same_in_small_groups(monkeypatch):
    draws = np.random.default_rng(0)
    patches, reference = draws.standard_normal((7, 5, 3)), draws.standard_normal((20, 3))
    whole = subsequence_costs(patches, reference)
    monkeypatch.setattr("gansemble_plugins.metrics.alignment.CELLS_AT_ONCE", 40)
    np.testing.assert_array_equal(subsequence_costs(patches, reference), whole)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (2, 2), (17, 30), (30, 17), (25, 25)])
def test_a_warping_path_has_the_least_sum_and_goes_on_by_single_steps(shape):
    distances = np.random.default_rng(sum(shape)).random(shape)
    first, second = warping_path(distances)
    assert (first[0], second[0]) == (0, 0) and (first[-1] + 1, second[-1] + 1) == shape
    steps = np.stack([np.diff(first), np.diff(second)])
    assert ((steps == 0) | (steps == 1)).all() and (steps.sum(axis=0) > 0).all()
    least = librosa.sequence.dtw(C=distances, backtrack=False)[-1, -1]
    assert distances[first, second].sum() == pytest.approx(least, rel=1e-12)


def test_equal_costs_are_crossed_diagonally():
    first, second = warping_path(np.ones((4, 4)))
    assert first.tolist() == second.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("snr, expected", [(40, 0.861), (20, 2.477), (0, 3.833)])
def test_warpq_of_2024_scores_as_the_authors_program_does(snr, expected):
    """Computed once with their package of October 2024, its detector off; it rounds to three decimals."""
    reference = voice()
    assert value(WarpQ(variant="2024", vad="none"), noisy(reference, snr), reference) == pytest.approx(
        expected, abs=6e-4
    )


def test_warpq_of_2022_is_the_median_of_librosas_costs_of_patches_of_100_frames():
    reference = voice(2.0)
    estimate = noisy(reference, 10)
    first, second = (normalised(warpq._mfcc(signal)) for signal in (estimate, reference))
    costs = [
        librosa.sequence.dtw(
            X=first[start : start + 100].T, Y=second.T, subseq=True, backtrack=False,
            step_sizes_sigma=STEPS, weights_mul=np.ones(3), weights_add=np.zeros(3),
        )[-1].min() / 100
        for start in range(0, len(first) - 99, 50)
    ]  # fmt: skip
    assert value(WarpQ(vad="none"), estimate, reference) == pytest.approx(np.median(costs), rel=1e-9)


def test_warpq_names_its_definition_in_the_key():
    keys = [
        next(iter(WarpQ(variant=v, vad=d).score(voice(1.0), voice(1.0), RATE)))
        for v in ("2022", "2024")
        for d in ("energy", "none")
    ]
    assert keys == ["warpq_2022", "warpq_2022_no_vad", "warpq_2024", "warpq_2024_no_vad"]


def test_warpq_passes_over_pauses_unless_told_not_to():
    """The pause of the estimate holds noise, more than 40 dB below the voice."""
    pause = np.zeros(3 * RATE)
    hiss = 4e-4 * np.random.default_rng(1).standard_normal(pause.size)
    reference, estimate = np.concatenate([voice(1.5), pause]), np.concatenate([voice(1.5), hiss])
    same = value(WarpQ(), voice(1.5), voice(1.5))
    assert value(WarpQ(), estimate, reference) == pytest.approx(same, abs=0.15)
    assert value(WarpQ(vad="none"), estimate, reference) > same + 0.3


def test_quiet_frames_are_those_40_db_below_the_95th_percentile():
    frame = int(0.03 * RATE)
    levels = np.array([1.0] * 40 + [0.011, 0.009])
    kept = active(np.repeat(levels, frame), RATE)
    assert kept.size == 41 * frame and kept.min() == 0.011


def test_normalised_features_are_those_of_a_loop_over_windows():
    features = np.random.default_rng(0).standard_normal((230, 3)) * [1, 5, 0.1] + [0, 3, 9]

    def window(rows, index):
        return np.pad(rows, ((100, 100), (0, 0)), mode="symmetric")[index : index + 201]

    centred = np.stack([features[i] - window(features, i).mean(axis=0) for i in range(230)])
    expected = np.stack([centred[i] / (window(centred, i).std(axis=0) + 2**-30) for i in range(230)])
    np.testing.assert_allclose(normalised(features), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seconds, words", [(0.3, "needs 0.4 s of speech"), (121, "120 s at most")])
def test_warpq_says_which_lengths_it_takes(seconds, words):
    clip = 0.1 * np.sin(np.arange(int(seconds * RATE)))
    (score,) = WarpQ().score(clip, clip, RATE).values()
    assert math.isnan(score.value) and words in score.reason


@pytest.mark.parametrize(
    "make", [lambda: WarpQ(variant="2023"), lambda: WarpQ(vad="webrtc"), lambda: Mcd(variant="plain")]
)
def test_unknown_variants_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_a_warped_cepstrum_is_the_spectrum_at_warped_frequencies():
    """An all-pass takes the frequency w to w'; the log magnitude there is sum of c_m cos(m w')."""
    alpha, order = 0.42, 200
    one_sided = np.random.default_rng(0).standard_normal(12) * 0.5 ** np.arange(12)
    warped = one_sided @ warping(11, order, alpha)
    frequency = np.linspace(0, np.pi, 50)
    there = frequency + 2 * np.arctan2(alpha * np.sin(frequency), 1 - alpha * np.cos(frequency))
    straight = np.cos(np.outer(frequency, np.arange(12))) @ one_sided
    np.testing.assert_allclose(np.cos(np.outer(there, np.arange(order + 1))) @ warped, straight, atol=1e-8)


def test_without_warping_the_cepstrum_is_only_cut():
    np.testing.assert_array_equal(warping(6, 3, 0.0), np.eye(7)[:, :4])


def test_a_gain_changes_the_0th_coefficient_by_its_logarithm_and_no_other():
    how = Analysis("blackman", 400, 512, 80, 23, 0.42)
    loud = noisy(voice(0.5), 30)
    change = mel_cepstra(loud, how) - mel_cepstra(0.1 * loud, how)
    np.testing.assert_allclose(change[:, 0], np.log(10), atol=1e-9)
    np.testing.assert_allclose(change[:, 1:], 0, atol=1e-9)


def test_digital_silence_within_a_clip_has_a_finite_cepstrum():
    clip = np.concatenate([voice(0.2), np.zeros(4000)])
    assert np.isfinite(mel_cepstra(clip, Analysis("hamming", 512, 512, 256, 23, 0.42))).all()


@pytest.mark.parametrize("variant, expected", [("sptk", 0.0), ("espnet", DECIBELS * math.log(2)), ("classic", 0.0)])
def test_half_the_level_costs_what_the_0th_coefficient_says(variant, expected):
    """ln 2 in c_0 is 4.26 dB where c_0 counts."""
    clip = noisy(voice(1.0), 30)
    assert value(Mcd(variant=variant), 0.5 * clip, clip) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("variant", KINDS)
def test_known_cepstra_give_the_known_distortion(variant, monkeypatch):
    """Cepstra that differ by 0.1 in c_1 and by 0.2 in c_2 are 10 / ln 10 sqrt(2 (0.01 + 0.04)) = 1.373 dB apart."""
    given = iter([np.tile([0.0, 0.1, 0.2, 0.0], (95, 1)), np.zeros((95, 4))])
    monkeypatch.setattr(mcd, "mel_cepstra", lambda signal, how: next(given))
    monkeypatch.setattr(mcd, "_active", lambda reference, how: np.arange(95) < 50)
    assert value(Mcd(variant=variant), voice(0.5), voice(0.5)) == pytest.approx(1.373, abs=1e-3)


def test_alignment_forgives_a_shift_that_frames_without_it_do_not():
    clip = noisy(voice(1.0), 40)
    late = np.concatenate([clip[:800], clip[:-800]])
    assert value(Mcd(), late, clip) < 0.7 * value(Mcd(variant="classic"), late, clip)


def test_long_clips_are_aligned_in_pieces_that_hold_every_frame(monkeypatch):
    clip, lengths = noisy(voice(3.0), 40), []
    monkeypatch.setattr(mcd, "PIECE_SECONDS", 2.0)
    monkeypatch.setattr(mcd, "warping_path", lambda table: (lengths.append(table.shape), warping_path(table))[1])
    assert value(Mcd(), clip, clip) == pytest.approx(0, abs=1e-12)
    assert len(lengths) == 2 and sum(rows for rows, _ in lengths) == (3 * RATE - 400) // 80 + 1


def test_pauses_do_not_count_in_the_classic_variant():
    reference = np.concatenate([noisy(voice(1.0), 40), 1e-4 * noisy(voice(1.0), 0)])
    estimate = np.concatenate([noisy(voice(1.0), 40), 1e-4 * np.random.default_rng(5).standard_normal(RATE)])
    assert value(Mcd(variant="classic"), estimate, reference) < 1.0 < value(Mcd(), estimate, reference)


def test_rates_without_an_order_are_not_scored():
    (score,) = Mcd().score(voice(0.5), voice(0.5), 8000).values()
    assert math.isnan(score.value) and "got 8000 Hz" in score.reason
    with pytest.raises(UnscorableFile, match="resample"):
        Mcd().analysis(32000)
    assert Mcd.contract({}).sample_rates == frozenset({16000, 22050, 24000, 44100, 48000})


@pytest.mark.parametrize(
    "rate, order, alpha, length", [(16000, 23, 0.42, 400), (22050, 34, 0.45, 551), (48000, 39, 0.55, 1200)]
)
def test_the_order_and_the_warping_go_with_the_rate(rate, order, alpha, length):
    how = Mcd().analysis(rate)
    assert (how.order, how.alpha, how.length, how.hop) == (order, alpha, length, round(rate * 0.005))
    assert how.n_fft >= how.length and Mcd(variant="classic").analysis(rate).order == 24
    fixed = Mcd(variant="espnet").analysis(rate)
    assert (fixed.order, fixed.length, fixed.hop, fixed.window) == (order, 512, 256, "hamming")


def test_the_matrix_of_the_warping_is_that_of_sptk():
    pysptk = pytest.importorskip("pysptk", exc_type=ImportError)
    one_sided = np.random.default_rng(0).standard_normal(257) * 0.9 ** np.arange(257)
    np.testing.assert_allclose(
        one_sided @ cepstrum.warping(256, 24, 0.42), pysptk.freqt(one_sided, 24, 0.42), atol=1e-12
    )


def test_mcd_aligns_signals_of_other_lengths_and_the_classic_variant_does_not():
    clip = noisy(voice(1.0), 40)
    slower = np.concatenate([clip, np.zeros(4000)])
    aligned, classic = (Mcd(variant=name).score(slower, clip, 16000) for name in ("sptk", "classic"))
    assert aligned["mcd_sptk"].value > 0 and aligned["mcd_sptk"].reason is None
    assert math.isnan(classic["mcd_classic"].value) and "more than 1024 apart" in str(classic["mcd_classic"].reason)


def test_long_clips_of_other_lengths_are_not_aligned_in_pieces():
    clip = noisy(voice(31.0), 40)
    found = Mcd().score(np.concatenate([clip, np.zeros(4000)]), clip, 16000)["mcd_sptk"]
    assert math.isnan(found.value) and "they must be of one length" in str(found.reason)
