"""SpecDiff-GAN against theory and the released code: oracles 1 to 12, 14, and the discriminator of 13."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor

from gansemble.abilities import Adaptive
from gansemble.audio.features import log_mel, stft
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.random import Draws
from gansemble_plugins.specdiff.discriminators import MultiResolution
from gansemble_plugins.specdiff.filter import (
    minimum_phase,
    noise_level,
    overlaps,
    response,
    shape_noise,
    smooth,
)
from gansemble_plugins.specdiff.forward_process import ForwardProcess, alpha_bar, step_law
from gansemble_plugins.specdiff.injector import SpectralDiffusion
from gansemble_plugins.specdiff.schedule import DiffusionSchedule

LJSPEECH = AudioSpec()
SMALL = AudioSpec(sample_rate=8000, n_fft=64, hop=16, window=64, mels=12, fmax=None)
TINY = AudioSpec(sample_rate=8000, n_fft=16, hop=4, window=16, mels=3, fmax=None)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=source(seed), dtype=torch.float64)


def filters(seed: int, spec: AudioSpec, frames: int) -> Tensor:
    """Random filters [1, F, L], real at DC and Nyquist as any real filter is, different in every frame."""
    bins = spec.n_fft // 2 + 1
    phase = normal(seed + 1, 1, bins, frames)
    phase[:, [0, -1]] = 0
    return torch.polar(normal(seed, 1, bins, frames).exp(), phase)


def operator(spec: AudioSpec, given: Tensor, compat: str) -> Tensor:
    """L as a matrix [T, T] whose row i is what a unit sample at i becomes."""
    length = given.shape[-1] * spec.hop
    return shape_noise(torch.eye(length, dtype=torch.float64), given, spec, compat)


def speechlike(spec: AudioSpec, items: int, length: int) -> Tensor:
    """Bursts of resonant noise [B, 1, T] spanning 40 dB in time and 60 dB in frequency."""
    noise = torch.fft.rfft(normal(5, items, length))
    hertz = torch.linspace(0, spec.sample_rate / 2, noise.shape[-1], dtype=torch.float64)
    tilt = 10 ** (-hertz / hertz[-1] * 60 / 20) + torch.exp(-(((hertz - 2200) / 300) ** 2))
    coloured = torch.fft.irfft(noise * tilt, n=length)
    time = torch.arange(length, dtype=torch.float64) / spec.sample_rate
    bursts = 0.01 + torch.sin(2 * math.pi * 4 * time + torch.arange(items)[:, None]).clamp_min(0) ** 2
    audio = coloured * bursts
    return (0.1 * audio / audio.square().mean(1, keepdim=True).sqrt())[:, None]


def covariance_error(samples: Tensor, expected: Tensor) -> tuple[float, float]:
    """Found and expected relative Frobenius error of N zero-mean samples [N, L] of a covariance."""
    count = samples.shape[0]
    found = torch.linalg.norm(samples.T @ samples / count - expected) / torch.linalg.norm(expected)
    theory = (expected.trace() ** 2 / torch.linalg.norm(expected) ** 2 + 1).div(count).sqrt()
    return float(found), float(theory)


def step_of(seen: Tensor, *scores: Tensor) -> Step:
    """A step whose real output has these score maps, in two discriminators."""
    outputs = [DiscriminatorOutput(score) for score in scores]
    told = Condition()
    batch = Batch(seen, tuple("abc"), Draws.plain(0, seen.shape[0]))
    module = torch.nn.Identity()
    return Step(
        0, batch, seen, seen, told, told, seen, seen, module, module, {},
        real_output={"first": tuple(outputs[:1]), "second": tuple(outputs[1:])},
    )  # fmt: skip


def injector(**changes: object) -> SpectralDiffusion:
    return SpectralDiffusion(**({"audio": SMALL} | changes))


@pytest.mark.parametrize(
    ("first", "last", "length", "step", "expected", "tolerance"),
    [
        (1e-6, 1e-2, 10, 1, 0.999999, 1e-12),
        (1e-6, 1e-2, 10, 5, 0.988928177, 1e-9),
        (1e-6, 1e-2, 10, 10, 0.951056437638, 1e-12),
        (1e-6, 1e-2, 100, 100, 0.605480017240, 1e-12),
        (1e-6, 1e-2, 500, 500, 0.081379285040, 1e-12),
        (1e-6, 1e-2, 1000, 1000, 0.006622643935, 1e-12),
        (1e-4, 2e-2, 10, 10, 0.903739416151, 1e-12),
        (1e-4, 2e-2, 500, 500, 0.006352710797, 1e-12),
        (1e-4, 2e-2, 1000, 1000, 4.0358298e-5, 1e-12),
    ],
)
def test_alpha_bar(first: float, last: float, length: int, step: int, expected: float, tolerance: float) -> None:
    """Oracle 1: the betas span the present T, and index 0 is the clean signal."""
    table = alpha_bar(length, first, last)
    assert table.shape == (length + 1,) and table[0] == 1
    assert float(table[step]) == pytest.approx(expected, abs=tolerance, rel=0)


def test_noise_share_at_the_end() -> None:
    """Oracle 1: at t = T = 1000 the mix holds sqrt(1 - abar) = .9966831774 of the noise."""
    process = ForwardProcess(DiffusionSchedule(fixed_t=1000))
    one, zero = torch.ones(1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, dtype=torch.float64)
    assert float(process.mix(zero, one, torch.tensor([1000]))) == pytest.approx(0.9966831774, abs=1e-10)


@pytest.mark.parametrize("length", [10, 100, 1000])
def test_laws_of_the_step(length: int) -> None:
    """Oracle 2: the means of the three laws; the released code's never draws t = 1."""
    steps = torch.arange(1, length + 1, dtype=torch.float64)
    means = {law: float(step_law(law, length) @ steps) for law in ("priority", "priority_shifted", "uniform")}
    assert means["priority"] == pytest.approx((2 * length + 1) / 3)
    assert means["priority_shifted"] == pytest.approx((2 * length + 2) / 3)
    assert means["uniform"] == pytest.approx((length + 1) / 2)
    assert step_law("priority_shifted", length)[0] == 0 < step_law("priority", length)[0]


@pytest.mark.parametrize("law", ["priority", "priority_shifted", "uniform"])
def test_pool(law: str) -> None:
    """Oracle 2: 32 zeros of 64 in every pool, the rest by the law, drawn anew at every update."""
    process = ForwardProcess(DiffusionSchedule(law=law, t_min=100, t_max=100))
    pools = []
    for _ in range(300):
        process.adapt(1.0)
        pools.append(process.pool)
    pools = torch.stack(pools)
    assert bool(((pools == 0).sum(1) == 32).all())
    steps, weights = torch.arange(1, 101, dtype=torch.float64), step_law(law, 100)
    mean = float(steps @ weights)
    error = math.sqrt(float((steps - mean).square() @ weights) / (300 * 32))
    drawn = pools[pools > 0].double()
    assert float(drawn.mean()) == pytest.approx(mean, abs=4 * error)
    assert drawn.max() <= 100 and (drawn.min() >= 2 if law == "priority_shifted" else drawn.min() == 1)
    assert len({tuple(pool.tolist()) for pool in pools}) == 300


@pytest.mark.parametrize("fixed", [None, 40])
def test_half_the_items_stay_clean(fixed: int | None) -> None:
    """Oracle 2: P(t = 0) = 1/2 from the pool, and from the law if T is fixed; two independent draws."""
    process = ForwardProcess(DiffusionSchedule(fixed_t=fixed, law="uniform", t_min=40, t_max=40))
    times = process.times(Draws(3, [(epoch, item) for epoch in range(250) for item in range(16)]))
    assert times.shape == (2, 4000)
    clean = (times == 0).double()
    assert clean.mean(1).tolist() == pytest.approx([0.5, 0.5], abs=4 * 0.5 / math.sqrt(4000))
    assert float(clean.prod(0).mean()) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 4000))
    if fixed:
        noisy = times[times > 0].double()
        assert float(noisy.mean()) == pytest.approx(20.5, abs=4 * 40 / math.sqrt(12 * noisy.numel()))
        assert noisy.min() == 1 and noisy.max() == 40


@pytest.mark.parametrize(("positives", "direction"), [(12, -1), (13, 1)])
@pytest.mark.parametrize("compat", ["principled", "official"])
def test_controller_direction(positives: int, direction: int, compat: str) -> None:
    """Oracle 3: of 16 items, 12 taken for real lower p and 13 raise it, by C = 1.28e-4."""
    part = injector(compat=compat)
    part.load_state_dict(part.state_dict() | {"p": torch.tensor(0.5, dtype=torch.float64)})
    value = part.statistic(step_of(torch.zeros(16, 1, 32), *scores_of(positives))).mean()
    assert float(value) == pytest.approx(2 * positives / 16 - 1)
    part.adapt(float(value))
    assert part.process.p == pytest.approx(0.5 + direction * 1.28e-4, abs=1e-12)


def scores_of(positives: int) -> tuple[Tensor, Tensor]:
    """Two score maps whose mean is .55 or .45, though over all positions it is below .5."""
    taken = torch.arange(16) < positives
    few, many = torch.where(taken, 0.9, 0.7)[:, None].expand(16, 2), torch.full((16, 50), 0.2)
    return few, many


@pytest.mark.parametrize(("updates", "length"), [(4, 11), (12, 12), (75, 20), (778, 109), (3903, 505), (7809, 1000)])
def test_length_after_updates(updates: int, length: int) -> None:
    """Oracle 3: T after so many positive updates; the released code needs 31,250 steps from 10 to 1000."""
    process = ForwardProcess(DiffusionSchedule())
    assert process.length == 10
    state = process.state_dict() | {"p": torch.tensor((updates - 2) * 1.28e-4, dtype=torch.float64)}
    process.load_state_dict(state)
    process.adapt(1.0)
    process.adapt(1.0)
    assert process.length == length


def test_p_stays_between_0_and_1() -> None:
    """Oracle 3: p is clipped, and a confidence at the target or without a number leaves it alone."""
    process = ForwardProcess(DiffusionSchedule(kwav=0.064))  # C = 1
    process.adapt(-1.0)
    assert (process.p, process.length) == (0.0, 10)
    process.adapt(1.0)
    process.adapt(1.0)
    assert (process.p, process.length) == (1.0, 1000)
    half = ForwardProcess(DiffusionSchedule(kwav=0.128))  # C = 1/2
    half.adapt(1.0)
    half.adapt(0.6)
    half.adapt(math.nan)
    assert (half.p, half.length) == (0.5, 505)


def example(spec: AudioSpec, items: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor, Batch]:
    """Real and fake audio [B, 1, T] in float64, and their batch."""
    real = speechlike(spec, items, frames * spec.hop)
    fake = 0.1 * normal(seed + 9, *real.shape)
    return (
        real,
        fake,
        Batch(real, tuple(map(str, range(items))), Draws.plain(seed, items), signals={"mel": log_mel(real, spec)}),
    )


def test_clean_items_are_untouched() -> None:
    """Oracle 4: t = 0 returns the audio bit for bit, any other t does not."""
    part = injector(schedule=DiffusionSchedule(fixed_t=1000))
    real, fake, batch = example(SMALL, 12, 32)
    real, fake = real.float(), fake.float()
    clean = part.process.times(batch.draws)[0] == 0
    assert 0 < int(clean.sum()) < 12
    for seen, heard in zip(part(real, fake, batch), (real, fake), strict=True):
        assert [torch.equal(a, b) for a, b in zip(seen, heard, strict=True)] == clean.tolist()


def test_no_stale_tables() -> None:
    """Oracle 4: a process whose T has moved mixes as one that was made with this T."""
    moved, x, noise = ForwardProcess(DiffusionSchedule(kwav=0.128)), normal(0, 4, 1, 8), normal(1, 4, 1, 8)
    before = moved.mix(x, noise, torch.tensor([0, 1, 5, 10]))
    moved.adapt(1.0)
    assert moved.length == 505
    fresh = ForwardProcess(DiffusionSchedule(fixed_t=505))
    times = torch.tensor([0, 1, 5, 10])
    assert torch.equal(moved.mix(x, noise, times), fresh.mix(x, noise, times))
    assert not torch.equal(before, moved.mix(x, noise, times))
    last = torch.full((4,), 505)
    assert torch.equal(moved.mix(x, noise, last), fresh.mix(x, noise, last))


def test_chain_equals_closed_form() -> None:
    """Oracle 5: T steps x <- sqrt(1 - beta) x + sqrt(beta) L z have the mix's mean and covariance."""
    count, frames = 20_000, 4
    given = filters(3, TINY, frames)
    matrix = operator(TINY, given, "principled")
    clean = normal(2, frames * TINY.hop)
    process = ForwardProcess(DiffusionSchedule(beta_first=1e-3, beta_last=0.2, fixed_t=20))
    chain = clean.expand(count, -1)
    for index, beta in enumerate(torch.linspace(1e-3, 0.2, 20, dtype=torch.float64)):
        noise = shape_noise(normal(100 + index, *chain.shape), given, TINY, "principled")
        chain = (1 - beta).sqrt() * chain + beta.sqrt() * noise
    power = alpha_bar(20, 1e-3, 0.2)[-1]
    jump = process.mix(
        clean.expand(count, -1),
        shape_noise(normal(99, *chain.shape), given, TINY, "principled"),
        torch.full((count,), 20),
    )
    expected = (1 - power) * matrix.T @ matrix
    for samples in (chain, jump):
        centred = samples - power.sqrt() * clean
        assert float(centred.mean(0).norm()) < 2 * math.sqrt(float(expected.trace()) / count)
        found, theory = covariance_error(centred, expected)
        assert found < 1.5 * theory < 0.05


def test_noise_covariance_is_llt() -> None:
    """Oracle 6: filtered white noise has the covariance L L^T of the operator written as a matrix."""
    given = filters(7, TINY, 16)
    matrix = operator(TINY, given, "principled")
    expected = matrix.T @ matrix
    samples = torch.cat([shape_noise(normal(chunk, 20_000, 64), given, TINY, "principled") for chunk in range(5)])
    found, theory = covariance_error(samples, expected)
    assert 0.6 * theory < found < 1.5 * theory < 0.05


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_shaping_is_linear(dtype: torch.dtype, tolerance: float) -> None:
    """Oracle 6: L(a x + b y) = a L x + b L y."""
    given = filters(7, TINY, 16).to(torch.complex64 if dtype == torch.float32 else torch.complex128)
    x, y = normal(1, 1, 64).to(dtype), normal(2, 1, 64).to(dtype)
    whole = shape_noise(0.3 * x - 2 * y, given, TINY, "principled")
    parts = [shape_noise(each, given, TINY, "principled") for each in (x, y)]
    assert float((whole - 0.3 * parts[0] + 2 * parts[1]).norm() / whole.norm()) < tolerance


@pytest.mark.parametrize("spec", [LJSPEECH, SMALL, AudioSpec(n_fft=1024, hop=256, window=800)])
def test_unit_filter_is_the_identity(spec: AudioSpec) -> None:
    """Oracle 7: M = 1 gives y = x aligned, and y[n] = x[n + hop / 2] in the released form."""
    x = normal(1, 2, 16 * spec.hop)
    unit = torch.ones(2, spec.n_fft // 2 + 1, 16, dtype=torch.complex128)
    aligned = shape_noise(x, unit, spec, "principled")
    assert float((aligned - x).norm() / x.norm()) < 1e-10
    early, half = shape_noise(x, unit, spec, "official"), spec.hop // 2
    assert float((early[:, :-half] - x[:, half:]).norm() / x.norm()) < 1e-10


@pytest.mark.parametrize(("compat", "offset"), [("principled", 0.5), ("official", 0.0)])
def test_filters_act_on_their_frame(compat: str, offset: float) -> None:
    """Oracle 7: noise through frame k alone lies around sample k hop + hop / 2, the centre of mel frame k."""
    given = torch.zeros(1, 33, 32, dtype=torch.complex128)
    given[..., 16] = 1
    energy = operator(SMALL, given, compat).square().sum(0)
    centroid = float((energy * torch.arange(512)).sum() / energy.sum())
    assert centroid == pytest.approx((16 + offset) * SMALL.hop, abs=1e-6)


def test_one_pole_minimum_phase() -> None:
    """Oracle 8: from |1 / (1 - a e^-jw)| alone the minimum-phase response 1 / (1 - a e^-jw) comes back."""
    omega = torch.linspace(0, math.pi, 513, dtype=torch.float64)
    pole = 1 / (1 - 0.9 * torch.exp(-1j * omega))
    assert torch.allclose(minimum_phase(pole.abs()).exp(), pole, rtol=1e-12, atol=0)


def test_minimum_phase_of_speech_envelopes() -> None:
    """Oracle 8: |M| = A, the impulse responses of M and 1 / M are causal, and M M^-1 = 1."""
    _, _, batch = example(LJSPEECH, 2, 16)
    envelope = response(batch.signals["mel"], LJSPEECH, 24, 0.01, "envelope", "principled").transpose(1, 2)
    inverse = response(batch.signals["mel"], LJSPEECH, 24, 0.01, "inverse", "principled").transpose(1, 2)
    logs = minimum_phase(envelope.abs())
    assert torch.allclose(logs.exp(), envelope, rtol=1e-9, atol=0)
    assert torch.allclose(envelope * inverse, torch.ones_like(envelope), rtol=0, atol=1e-12)
    for spectrum in (envelope, inverse):
        energy = torch.fft.irfft(spectrum).square()
        assert float((energy[..., :512].sum(-1) / energy.sum(-1)).min()) > 0.9999


@pytest.mark.parametrize(("compat", "period", "gain"), [("principled", 1024, 1.0), ("official", 513, 0.5)])
def test_lifter_gains(compat: str, period: int, gain: float) -> None:
    """Oracle 9: log-cosines of quefrency 1 to 23 come back (halved as released), from 24 on vanish."""
    bins = torch.arange(513, dtype=torch.float64)
    for index in (1, 2, 12, 23):
        cosine = torch.cos(2 * math.pi * index * bins / period)
        assert float((smooth(cosine, 24, compat) - gain * cosine).abs().max()) < 1e-13
    for index in (24, 25, 60, 200):
        assert float(smooth(torch.cos(2 * math.pi * index * bins / period), 24, compat).abs().max()) < 1e-13
    flat = torch.full((513,), -1.25, dtype=torch.float64)
    assert float((smooth(flat, 24, compat) + 1.25).abs().max()) < 1e-13


def test_released_lifter_halves_the_envelope() -> None:
    """Oracle 9: it is mean + (two-sided lifter - mean) / 2 of the spectrum wrapped over its 513 bins."""
    logs = normal(1, 4, 513).cumsum(1) / 10
    cepstrum = torch.fft.fft(logs)
    cepstrum[:, 24:-23] = 0
    two_sided = torch.fft.ifft(cepstrum).real
    mean = logs.mean(1, keepdim=True)
    assert torch.allclose(smooth(logs, 24, "official"), mean + 0.5 * (two_sided - mean), rtol=0, atol=1e-12)


def test_released_filter() -> None:
    """1.5-1.6: filter and noise equal what the released code gave for these formulas, run here in float32."""
    n = torch.arange(2048, dtype=torch.float64)
    tones = [0.3 / k * torch.cos(2 * math.pi * 220 * k * n / 22050 + k * k) for k in range(1, 37)]
    mel = log_mel(torch.stack(tones).sum(0).float()[None], LJSPEECH)
    found = response(mel, LJSPEECH, 24, 0.01, "inverse", "official")
    bins = [0, 20, 100, 250, 371, 420, 512]
    released = torch.tensor(
        [
            [60.62881, 4.68852 + 9.79817j, 17.47042 - 1.5094j, 5.88166 + 4.50872j,
             -61.98048 - 21.1393j, 46.62099 + 83.62006j, 73.05762],
            [86.29309, 11.66401 + 3.03123j, 19.49411 - 6.4913j, 7.64869 + 4.10446j,
             -68.30663 - 3.57028j, 54.60023 + 79.28349j, 89.85904],
        ]
    )  # fmt: skip
    assert torch.allclose(found[0, bins][:, [1, 5]].T, released, rtol=5e-3, atol=0)
    chirp = torch.cos(3e-4 * n * n).float()[None]
    shaped = shape_noise(chirp, found, LJSPEECH, "official")[0]
    assert float(shaped.square().mean().sqrt()) == pytest.approx(12.7686, rel=1e-3)
    assert shaped[[0, 300, 1000, 1900]].tolist() == pytest.approx([9.0838, 4.4549, -5.0205, -4.8693], abs=0.02)


def test_level_of_one_filter() -> None:
    """Oracle 10: with one filter in all frames the level is the RMS of its gains over all n_fft bins."""
    given = filters(3, SMALL, 1).expand(-1, -1, 128)
    gains = torch.cat([given[0, :, 0], given[0, 1:-1, 0]]).abs()
    assert float(noise_level(given, SMALL)) == pytest.approx(float(gains.square().mean().sqrt()), rel=1e-9)
    assert float(overlaps(SMALL, 128, CPU, torch.float64).sum()) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("shaping", ["inverse", "envelope"])
def test_level_of_changing_filters(shaping: str) -> None:
    """Oracle 10: the RMS law holds within 2 % for envelopes that change by 40 dB between frames."""
    real, _, batch = example(LJSPEECH, 2, 64)
    given = response(batch.signals["mel"], LJSPEECH, 24, 0.01, shaping, "principled")
    law = noise_level(given, LJSPEECH)
    draws = [shape_noise(normal(i, *real[:, 0].shape), given, LJSPEECH, "principled") for i in range(12)]
    measured = torch.stack(draws).square().mean((0, 2)).sqrt()
    assert (measured / law).tolist() == pytest.approx([1, 1], abs=0.02)


@pytest.mark.parametrize(("shaping", "sign"), [("inverse", -1), ("envelope", 1)])
def test_noise_has_level_and_shape(shaping: str, sign: int) -> None:
    """Oracle 10: noise of RMS sigma within 3 %, strong where the audio is weak, or strong (envelope)."""
    spec = dataclasses.replace(LJSPEECH, fmax=None)
    part = SpectralDiffusion(
        audio=spec, shaping=shaping, sigma=0.2, schedule=DiffusionSchedule(fixed_t=1, beta_first=0.5, beta_last=0.5)
    )
    real, fake, batch = example(spec, 12, 64)
    noisy = part.process.times(batch.draws)[0] > 0
    seen, _ = part(real, fake, batch)
    noise = ((seen - math.sqrt(0.5) * real) / math.sqrt(0.5))[noisy]
    assert int(noisy.sum()) >= 4
    assert float(noise.square().mean().sqrt()) == pytest.approx(0.2, rel=0.03)
    bands = torch.stack([log_mel(real[noisy], spec).mean((0, 2)), log_mel(noise, spec).mean((0, 2))])
    assert sign * float(torch.corrcoef(bands)[0, 1]) > 0.9
    loudness = torch.stack([power(real[noisy], spec), power(noise, spec)]).flatten(1)
    assert sign * float(torch.corrcoef(loudness)[0, 1]) > 0.8


def power(audio: Tensor, spec: AudioSpec) -> Tensor:
    """Log magnitude averaged over bins, per frame [B, L]."""
    return stft(audio[:, 0], spec.n_fft, spec.hop, spec.window).abs().clamp_min(1e-6).log().mean(1)


def test_bands_above_fmax_hold_the_last_value() -> None:
    """The envelope of white noise stays flat above fmax, where the released one drops to its floor."""
    mel = log_mel(0.1 * normal(1, 1, 1, 256 * 64), LJSPEECH)
    top = slice(440, 513)  # above 9.5 kHz
    levels = {}
    for compat in ("principled", "official"):
        gains = response(mel, LJSPEECH, 24, 0.01, "envelope", compat).abs().mean(2)[0]
        levels[compat] = float(20 * torch.log10(gains[top].mean() / gains[50:300].mean()))
    assert abs(levels["principled"]) < 0.5 and levels["official"] < -20


TWO_LEVELS = {
    "audio": TINY,
    "lifter": 4,
    "schedule": DiffusionSchedule(fixed_t=1, beta_first=0.3, beta_last=0.3),
}


def seen_pairs(items: int, **changes: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Audio [T] as it is seen in many items' real and fake [B, T], and their t [2, B]."""
    part = SpectralDiffusion(**(TWO_LEVELS | changes))
    audio = normal(4, 1, 1, 64).expand(items, 1, 64)
    batch = Batch(audio, (), Draws.plain(1, items), signals={"mel": log_mel(audio, TINY)})
    real, fake = part(audio, audio, batch)
    return audio[0, 0], real[:, 0], fake[:, 0], part.process.times(batch.draws)


def test_pairs_share_t_but_not_noise() -> None:
    """Oracle 11: with x = xhat the difference has covariance 2 (1 - abar) Sigma: independent noise."""
    audio, real, fake, times = seen_pairs(4000)
    noisy = times[0] == 1
    assert 1800 < int(noisy.sum()) < 2200
    real, fake = (each[noisy] - math.sqrt(0.7) * audio for each in (real, fake))
    given = response(log_mel(audio[None], TINY), TINY, 4, 0.01, "inverse", "principled")
    matrix = 0.05 * operator(TINY, given, "principled") / noise_level(given, TINY)
    sigma = matrix.T @ matrix
    found, theory = covariance_error(real - fake, 2 * 0.3 * sigma)
    assert found < 1.5 * theory < 0.2
    for noise in (real, fake):
        found, theory = covariance_error(noise, 0.3 * sigma)
        assert found < 1.5 * theory
    products = (real * fake).sum(1)
    assert abs(float(products.mean())) < 4 * float(products.std()) / math.sqrt(len(products))


@pytest.mark.parametrize("compat", ["principled", "official"])
def test_one_t_for_real_and_fake(compat: str) -> None:
    """Oracle 11: an item's real and fake take the same t, in batches of more than one too."""
    part = injector(compat=compat, schedule=DiffusionSchedule(fixed_t=2, beta_first=0.5, beta_last=0.5, law="uniform"))
    real, _, batch = example(SMALL, 16, 16)
    seen_real, seen_fake = part(real, real, batch)
    clean = part.process.times(batch.draws)[0] == 0
    same = torch.tensor([
        torch.allclose(a / a.abs().max(), x / x.abs().max(), rtol=0, atol=1e-9)
        and torch.allclose(b / b.abs().max(), x / x.abs().max(), rtol=0, atol=1e-9)
        for a, b, x in zip(seen_real, seen_fake, real, strict=True)
    ])  # fmt: skip
    assert torch.equal(same, clean) and 0 < int(clean.sum()) < 16


def test_shared_noise_and_separate_t() -> None:
    """Oracle 11: shared noise makes a pair equal; separate t make fakes clean whose reals are not."""
    audio, real, fake, _ = seen_pairs(40, shared_noise=True)
    assert torch.equal(real, fake) and not torch.equal(real, audio.expand_as(real))
    audio, real, fake, times = seen_pairs(40, shared_t=False)
    clean = torch.stack([(each == audio).all(1) for each in (real, fake)])
    assert torch.equal(clean, times == 0)
    assert {(True, True), (True, False), (False, True), (False, False)} == set(map(tuple, clean.T.tolist()))


def test_gradient_of_the_fake() -> None:
    """Oracle 12: d x_t / d xhat = sqrt(abar_t) I: no filter, no other item, no mel takes part."""
    part = injector(schedule=DiffusionSchedule(fixed_t=4, beta_first=0.1, beta_last=0.4, law="uniform"))
    real, fake, batch = example(SMALL, 8, 16)
    fake.requires_grad_()
    batch.signals["mel"].requires_grad_()
    real.requires_grad_()
    seen_real, seen_fake = part(real, fake, batch)
    pull = normal(3, *fake.shape)
    gradient, to_mel, to_real = torch.autograd.grad(
        (seen_fake * pull).sum() + seen_real.sum(), (fake, batch.signals["mel"], real), allow_unused=True
    )
    times = part.process.times(batch.draws)[0]
    assert len(set(times.tolist())) >= 3
    shares = alpha_bar(4, 0.1, 0.4)[times].sqrt()[:, None, None]
    assert torch.allclose(gradient, shares * pull, rtol=1e-12, atol=0)
    assert torch.allclose(to_real, shares.expand_as(real), rtol=1e-12, atol=0) and to_mel is None


def test_batches_couple_only_as_released() -> None:
    """Oracle 12: one item's output ignores the others; the released form divides by the peak of all."""
    real, fake, batch = example(SMALL, 4, 16)
    louder = fake.clone()
    louder[3] *= 50
    part = injector(schedule=DiffusionSchedule(fixed_t=50))
    assert torch.equal(part(real, fake, batch)[1][:3], part(real, louder, batch)[1][:3])
    official = injector(compat="official", schedule=DiffusionSchedule(fixed_t=50))
    fake.requires_grad_()
    seen_real, seen_fake = official(real, fake, batch)
    assert float(seen_real.detach().abs().max()) == 1 == float(seen_fake.detach().abs().max())
    peak = int(seen_fake.detach().abs().amax((1, 2)).argmax())
    other = (peak + 1) % 4
    (gradient,) = torch.autograd.grad(seen_fake[other].square().sum(), fake)
    assert float(gradient[peak].abs().max()) > 0


@pytest.mark.parametrize(("length", "counts"), [(8192, [4617, 5125, 5397]), (16384, [8721, 9225, 10537])])
def test_multi_resolution_sizes(length: int, counts: list[int]) -> None:
    """Oracle 13, 1.2: 280,902 parameters, three outputs of these lengths, six maps ending in logits."""
    network = MultiResolution()
    assert sum(parameter.numel() for parameter in network.parameters()) == 280_902
    with torch.no_grad():
        outputs = network(0.1 * normal(0, 1, 1, length).float(), Condition())
    assert [output.score.shape for output in outputs] == [(1, count) for count in counts]
    for output, bins in zip(outputs, (513, 1025, 257), strict=True):
        assert [each.shape[1] for each in output.features] == [32] * 5 + [1]
        assert output.features[-1].shape[2] == bins
        assert torch.equal(output.features[-1].flatten(1), output.score)
        first = output.features[0]
        assert float(first.min()) < 0 < float(first.max())


def test_multi_resolution_spectrogram() -> None:
    """1.2: linear magnitude; a 1 kHz tone leaks -60 dB to 8 kHz, far less through a Hann window."""
    seconds = torch.arange(8192) / 22050
    tone = torch.sin(2 * math.pi * 1000 * seconds)[None, None]
    leak = {}
    for window in ("rectangular", "hann"):
        part = MultiResolution(resolutions=((1024, 120, 600),), channels=1, window=window).discriminators[0]
        spectrum = part.spectrogram(tone)[0, :, 20:-20].square().mean(1).sqrt()
        leak[window] = float(20 * torch.log10(spectrum[round(8000 / 22050 * 1024)] / spectrum.max()))
        assert torch.allclose(part.spectrogram(2 * tone), 2 * part.spectrogram(tone))
    click = torch.zeros(1, 1, 8192)
    click[..., 4096] = 1
    part = MultiResolution(resolutions=((1024, 120, 600),), channels=1).discriminators[0]
    heard = part.spectrogram(click).amax(1)[0]
    assert heard[heard > 0].tolist() == pytest.approx([1.0] * 5)  # 600 samples of frames every 120
    assert leak["rectangular"] == pytest.approx(-60, abs=6) and leak["hann"] < -100


def test_multi_resolution_of_silence_has_finite_gradients() -> None:
    """1.2: the magnitude's gradient at zero is zero, not NaN."""
    silence = torch.zeros(1, 1, 1024, requires_grad=True)
    network = MultiResolution(resolutions=((256, 32, 128), (128, 16, 64)), channels=4)
    sum(output.score.mean() for output in network(silence, Condition())).backward()
    assert torch.equal(silence.grad, torch.zeros_like(silence))
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_multi_resolution_names_and_limits() -> None:
    """1.2: modules are named as in UnivNet's code; too short audio is refused as the contract says."""
    network = MultiResolution(resolutions=((256, 32, 128), (128, 16, 64)), channels=4)
    names = {name.split(".parametrizations")[0].removesuffix(".bias") for name in network.state_dict()}
    layers = [f"convs.{index}" for index in range(5)] + ["conv_post"]
    assert names == {f"discriminators.{i}.{layer}" for i in range(2) for layer in layers}
    contract = MultiResolution.contract({"resolutions": ((256, 32, 128), (128, 16, 64))})
    assert contract.shortest == 113 and contract.gives == {"features"} and contract.domain == "waveform"
    network(torch.zeros(1, 1, 113), Condition())
    with pytest.raises(ValueError, match="at least 113"):
        network(torch.zeros(1, 1, 112), Condition())


@pytest.mark.parametrize("compat", ["principled", "official"])
@pytest.mark.parametrize("shaping", ["inverse", "envelope", "none"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_silent_batches(compat: str, shaping: str, seed: int) -> None:
    """Oracle 14: an all-zero batch stays finite, forward and backward, noisy or clean."""
    part = injector(compat=compat, shaping=shaping, schedule=DiffusionSchedule(t_min=1000))
    silence, fake = torch.zeros(2, 1, 256), torch.zeros(2, 1, 256, requires_grad=True)
    batch = Batch(silence, (), Draws.plain(seed, 2), signals={"mel": log_mel(silence, SMALL)})
    seen_real, seen_fake = part(silence, fake, batch)
    seen_fake.square().sum().backward()
    for each in (seen_real, seen_fake, fake.grad):
        assert bool(torch.isfinite(each).all())


def test_misfits_are_refused() -> None:
    """Oracle 14: wrong lengths, bands, channels or bandwidths are errors that name both numbers."""
    real, fake, batch = example(SMALL, 2, 16)
    part = injector()
    longer = torch.nn.functional.pad(real, (0, 5))
    with pytest.raises(ValueError, match=r"261 samples exactly, got 16 frames of 16 = 256 samples"):
        part(longer, longer, batch)
    with pytest.raises(ValueError, match=r"audio.mels = 12 bands, got 80"):
        part(real, fake, dataclasses.replace(batch, signals={"mel": torch.zeros(2, 80, 16)}))
    with pytest.raises(ValueError, match="got none"):
        part(real, fake, dataclasses.replace(batch, signals={}))
    with pytest.raises(ValueError, match=r"\[B, 1, T\]"):
        part(real.expand(2, 2, -1), fake.expand(2, 2, -1), batch)
    with pytest.raises(ValueError, match=r"half the sample rate .*12000"):
        AudioSpec(sample_rate=22050, fmax=12000)


@pytest.mark.parametrize(
    "make",
    [
        *(
            partial(DiffusionSchedule, **wrong)
            for wrong in (
                {"t_min": 20, "t_max": 10}, {"beta_first": 0.1}, {"pool": 7}, {"every": 0}, {"target": 1.5},
                {"fixed_t": 0}, {"kwav": 0.0},
            )
        ),
        *(partial(injector, **wrong) for wrong in ({"lifter": 33}, {"sigma": -1.0}, {"floor": 0.0})),
        partial(injector, schedule=DiffusionSchedule(fixed_t=1), compat="official"),
    ],
)  # fmt: skip
def test_impossible_numbers_are_refused(make: Callable[[], object]) -> None:
    """Oracle 14: constructors refuse what cannot be."""
    with pytest.raises(ValueError, match="must"):
        make()


@pytest.mark.parametrize(
    ("compat", "law", "drawn_from"),
    [
        ("official", "priority", "priority_shifted"),
        ("official", "priority_shifted", "priority_shifted"),
        ("official", "uniform", "uniform"),
        ("principled", "priority_shifted", "priority_shifted"),
    ],
)
def test_the_released_form_reads_its_law_as_released(compat: str, law: str, drawn_from: str) -> None:
    """Only official turns p(t) ∝ t into t - 1; what a recipe names besides is taken as it is."""
    part = injector(compat=compat, schedule=DiffusionSchedule(law=law, kwav=7.0))
    assert part.process.schedule == DiffusionSchedule(law=drawn_from, kwav=7.0)


def test_adaptive_protocol() -> None:
    """The released statistic is of the generator's turn and last step; ours covers the interval."""
    ours, released = injector(), injector(compat="official")
    assert isinstance(ours, Adaptive) and isinstance(released, Adaptive)
    assert (ours.statistic_turn, ours.statistic_window, ours.adapt_every) == ("discriminator", "interval", 4)
    assert (released.statistic_turn, released.statistic_window) == ("generator", "last")
    assert released.needs_real_output and not ours.needs_real_output
    assert released.process.schedule.law == "priority_shifted" and ours.process.schedule.law == "priority"
    assert ours.statistic(dataclasses.replace(step_of(torch.zeros(2, 1, 8)), real_output={})).shape == (0,)


def test_contract() -> None:
    """Shaped noise needs the mel spectrogram and room for its frames, white noise neither."""
    needs = SpectralDiffusion.contract({"audio": LJSPEECH, "shaping": "inverse"})
    assert needs.needs == {"mel"} and needs.domain == "waveform" and needs.shortest == 385
    assert SpectralDiffusion.contract({"audio": LJSPEECH, "shaping": "none"}).needs == frozenset()


def test_autocast_changes_nothing() -> None:
    """Half precision would lose the noise of small t: the injector works in float32 throughout."""
    part = injector(schedule=DiffusionSchedule(fixed_t=30))
    real, fake, batch = example(SMALL, 6, 16)
    real, fake, batch.signals["mel"] = real.float(), fake.float(), batch.signals["mel"].float()
    plain = part(real, fake, batch)
    with torch.autocast("cpu", torch.bfloat16):
        cast = part(real, fake, batch)
    assert all(torch.equal(a, b) and b.dtype == torch.float32 for a, b in zip(plain, cast, strict=True))


def test_noise_does_not_depend_on_the_company() -> None:
    """An item's t, noise and filter are the same in a batch of eight and in a batch of one."""
    part = injector(schedule=DiffusionSchedule(fixed_t=100))
    real, fake, batch = example(SMALL, 8, 16)
    whole = part(real, fake, batch)
    for item in range(8):
        one = Batch(real[[item]], (), Draws(0, [(0, item)]), signals={"mel": batch.signals["mel"][[item]]})
        alone = part(real[[item]], fake[[item]], one)
        for mine, theirs in zip(alone, whole, strict=True):
            assert torch.allclose(mine[0], theirs[item], rtol=0, atol=1e-12)
