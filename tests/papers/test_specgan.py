"""SpecGAN: published sizes, TensorFlow's padding, statistics of each bin, the inverse, and its legacy ripple."""

from __future__ import annotations

import io
import itertools
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import gansemble_plugins.specgan
from gansemble.abilities import Fitted
from gansemble.interfaces import Condition
from gansemble.plugins import loading
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry, Registry
from gansemble.recipe import check, types
from gansemble.recipe.document import RecipeError
from gansemble.testing import conformance
from gansemble_plugins.specgan.critic import SpecGanCritic
from gansemble_plugins.specgan.generator import SpecGan
from gansemble_plugins.specgan.griffin_lim import analyse, griffin_lim, synthesise
from gansemble_plugins.specgan.padding import DoublingConvolution, HalvingConvolution
from gansemble_plugins.specgan.representation import LogSpectrogram
from gansemble_plugins.specgan.shuffle import TimeShuffle

torch.set_num_threads(1)
NOTES = sorted((Path(__file__).parents[3] / "shared/audio/nsynth/audio").glob("*.wav"))
needs_notes = pytest.mark.skipif(not NOTES, reason="the shared recordings (../shared/audio/nsynth) are not here")
SMALL = {"dim": 2, "frames": 32, "bins": 32, "layers": 3}
HERE = "gansemble_plugins.specgan"


def normal(*shape: int, seed: int = 0, **options: Any) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **options)


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def on_paper(part: type, **parameters: Any) -> Any:
    """A network whose weights take no memory."""
    with torch.device("meta"):
        return part(**parameters)


def seen(network: torch.nn.Module, layers: Any) -> list[tuple[int, ...]]:
    """The shapes behind the batch that the layers will give, filled when the network is called."""
    shapes: list[tuple[int, ...]] = []
    for layer in layers:
        layer.register_forward_hook(lambda module, given, made: shapes.append(tuple(made.shape[1:])))
    return shapes


def tones(batch: int = 4, length: int = 8192) -> torch.Tensor:
    """Tones with noise [B, 1, T], louder and louder."""
    time = torch.arange(length) / 16000
    made = [0.05 * (i + 1) * torch.sin(2 * torch.pi * 220 * 1.3**i * time) for i in range(batch)]
    return (torch.stack(made) + 0.02 * normal(batch, length, seed=1))[:, None]


def fitted(audio: torch.Tensor | None = None, **parameters: Any) -> LogSpectrogram:
    part = LogSpectrogram(**parameters)
    part.fit(iter((tones() if audio is None else audio).split(2)))
    return part


@pytest.fixture(scope="module")
def notes() -> torch.Tensor:
    """The first 16384 samples of each note [16, 1, 16384]."""
    return torch.from_numpy(np.stack([soundfile.read(str(path), stop=16384, dtype="float32")[0] for path in NOTES]))[
        :, None
    ]


# the networks -----------------------------------------------------------


def test_the_networks_have_the_published_sizes():
    """WaveGAN's to the parameter: 5 x 5 taps are 25."""
    generator, critic = on_paper(SpecGan), on_paper(SpecGanCritic)
    assert count(generator) == 19_065_345 and count(critic) == 17_427_969
    assert count(generator.project) == 1_654_784
    assert [count(layer) for layer in generator.layers] == [13_107_712, 3_277_056, 819_328, 204_864, 1_601]
    assert [count(layer) for layer in critic.layers] == [1_664, 204_928, 819_456, 3_277_312, 13_108_224]
    assert count(critic.output) == 16_385


def test_every_layer_gives_the_published_shape():
    generator, critic = SpecGan(dim=4), SpecGanCritic(dim=4)
    made, judged = seen(generator, generator.layers), seen(critic, critic.layers)
    x = generator(Condition(uniform(2, 100)))
    output = critic(x, Condition())
    assert made == [(32, 8, 8), (16, 16, 16), (8, 32, 32), (4, 64, 64), (1, 128, 128)]
    assert judged == [(4, 64, 64), (8, 32, 32), (16, 16, 16), (32, 8, 8), (64, 4, 4)]
    assert output.score.shape == (2, 1) and [tuple(f.shape[1:]) for f in output.features] == judged
    assert x.abs().max() <= 1


def test_longer_segments_are_more_frames_at_the_narrow_end():
    """65536 samples are 512 frames of 128 bins: 16 x 4 before the first layer."""
    generator = SpecGan(dim=1, frames=512, bins=128)
    assert generator.base == (16, 4)
    made = generator(Condition(uniform(1, 100)))
    assert made.shape == (1, 1, 512, 128)
    assert SpecGanCritic(dim=1, frames=512, bins=128)(made, Condition()).score.shape == (1, 1)


def halved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """TensorFlow's 5 x 5 convolution at stride 2 with ``same`` padding: x [H, W, in], kernel [5, 5, in, out]."""
    height, width = x.shape[0] // 2, x.shape[1] // 2
    out = np.zeros((height, width, kernel.shape[3]))
    for row, column, i, j in itertools.product(range(height), range(width), range(5), range(5)):
        at, beside = 2 * row + i - 1, 2 * column + j - 1  # one of three zeros stands before
        if 0 <= at < x.shape[0] and 0 <= beside < x.shape[1]:
            out[row, column] += x[at, beside] @ kernel[i, j]
    return out


def test_a_critics_layer_is_tensorflows():
    layer, x = HalvingConvolution(3, 2).double(), normal(8, 6, 3, dtype=torch.float64)
    kernel = normal(5, 5, 3, 2, seed=1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(kernel.permute(3, 2, 0, 1))
        layer.bias.zero_()
        made = layer(x.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(made.numpy(), halved(x.numpy(), kernel.numpy()), atol=1e-12)


def test_a_generators_layer_is_the_transpose_of_tensorflows():
    """By the matrix of the convolution that halves what this one doubles."""
    layer, x = DoublingConvolution(2, 3).double(), normal(3, 4, 2, dtype=torch.float64)
    kernel = normal(5, 5, 3, 2, seed=1, dtype=torch.float64)  # [.., made, read]
    with torch.no_grad():
        layer.weight.copy_(kernel.permute(3, 2, 0, 1))
        layer.bias.fill_(0.5)
        made = layer(x.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    matrix = np.array([halved(unit, kernel.numpy()).ravel() for unit in np.eye(6 * 8 * 3).reshape(-1, 6, 8, 3)])
    np.testing.assert_allclose(made.numpy(), (matrix @ x.numpy().ravel()).reshape(6, 8, 3) + 0.5, atol=1e-12)


def test_channels_are_last_where_maps_become_vectors():
    """As published: a dense unit's place is (frame, bin, channel)."""
    generator = SpecGan(**SMALL, latent=4)
    with torch.no_grad():
        generator.project.weight.zero_()
        generator.project.bias.copy_(torch.arange(4 * 4 * 8.0))
    given: list[torch.Tensor] = []
    generator.layers[0].register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    generator(Condition(uniform(1, 4)))
    assert given[0][0, 3, 2, 1] == (2 * 4 + 1) * 8 + 3
    critic = SpecGanCritic(**SMALL).eval()
    output = critic(normal(1, 1, 32, 32), Condition())
    last = output.features[-1][0].permute(1, 2, 0).flatten()
    torch.testing.assert_close(output.score[0], critic.output(last))


def test_first_weights_are_glorots_and_biases_zero():
    torch.manual_seed(0)
    networks = [SpecGan(dim=16), SpecGanCritic(dim=16)]
    modules = [
        module for network in networks for module in network.modules() if getattr(module, "weight", None) is not None
    ]
    assert len(modules) == 12
    for module in modules:
        taps = 25 if module.weight.dim() == 4 else 1
        limit = (6 / (taps * (module.weight.shape[0] + module.weight.shape[1]))) ** 0.5
        assert 0.98 * limit < float(module.weight.detach().abs().max()) <= limit * 1.001
        assert float(module.weight.detach().std()) == pytest.approx(limit / 3**0.5, rel=0.06)
        assert not module.bias.any()


@pytest.mark.parametrize("phase", [-2, -1, 0, 1, 2])
def test_frames_are_shifted_and_bins_are_not(phase, monkeypatch):
    x = torch.arange(1.0, 8).view(1, 1, 7, 1) + torch.tensor([0.0, 100.0])
    monkeypatch.setattr(torch, "randint", lambda *arguments, **options: torch.tensor(phase))
    expected = {-2: [3, 4, 5, 6, 7, 6, 5], -1: [2, 3, 4, 5, 6, 7, 6], 0: [1, 2, 3, 4, 5, 6, 7],
                1: [2, 1, 2, 3, 4, 5, 6], 2: [3, 2, 1, 2, 3, 4, 5]}[phase]  # fmt: skip
    made = TimeShuffle(2)(x)[0, 0]
    assert made[:, 0].tolist() == expected and (made[:, 1] - made[:, 0] == 100).all()


def test_the_shifts_are_drawn_alike_and_none_is_drawn_without_a_radius_or_in_eval():
    torch.manual_seed(0)
    x = torch.arange(7.0).view(1, 1, 7, 1)
    middles = torch.stack([TimeShuffle(2)(x)[0, 0, 3, 0] for _ in range(3000)])
    counts = torch.bincount(middles.long(), minlength=6)[1:6]
    assert counts.sum() == 3000 and float(((counts - 600.0) ** 2 / 600).sum()) < 18.5
    before = torch.get_rng_state()
    assert TimeShuffle(0)(x) is x and TimeShuffle(2).eval()(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_the_critic_shuffles_only_when_told():
    critic = SpecGanCritic(dim=1, shuffle=1)
    shuffled = seen(critic, [critic.shuffle])
    critic(normal(1, 1, 128, 128), Condition())
    assert shuffled == [(1, 64, 64), (2, 32, 32), (4, 16, 16), (8, 8, 8)]
    assert SpecGanCritic(**SMALL).shuffle.radius == 0


def test_spectral_norm_limits_the_gain_of_every_layer():
    torch.manual_seed(0)
    critic = SpecGanCritic(**SMALL, norm="spectral", classes=3).train()
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(10)
        for _ in range(200):
            critic(normal(1, 1, 32, 32), Condition(label=torch.tensor([1])))
    critic.eval()
    for module in (*critic.layers, critic.output, critic.embed):
        assert float(torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("variant", [{}, {"classes": 3, "shuffle": 1}, {"norm": "spectral"}])
def test_a_gradient_penalty_teaches_the_critic(variant):
    torch.manual_seed(0)
    critic, x = SpecGanCritic(**SMALL, **variant), uniform(3, 1, 32, 32).requires_grad_()
    score = critic(x, Condition(label=torch.tensor([0, 1, 2]))).score.sum()
    (gradient,) = torch.autograd.grad(score, x, create_graph=True)
    (gradient.flatten(1).norm(dim=1) - 1).square().mean().backward()
    learnt = {name: p.grad for name, p in critic.named_parameters() if not name.endswith("bias")}
    assert all(torch.isfinite(grad).all() and grad.abs().sum() > 0 for grad in learnt.values()), learnt.keys()


def test_classes_go_into_both_networks():
    generator, critic = SpecGan(**SMALL, latent=4, classes=3), SpecGanCritic(**SMALL, classes=3).eval()
    labels = torch.tensor([0, 2, 0])
    first, second, again = generator(Condition(uniform(1, 4).expand(3, 4), labels))
    torch.testing.assert_close(first, again)
    assert (first - second).abs().max() > 1e-3
    output = critic(normal(1, 1, 32, 32).expand(3, 1, 32, 32), Condition(label=labels))
    last = output.features[-1].permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(
        output.score[:, 0], critic.output(last)[:, 0] + (critic.embed.weight[labels] * last).sum(1)
    )


@pytest.mark.parametrize(
    ("part", "condition", "message"),
    [
        (SpecGan, Condition(), r"condition\.latent \[B, 100\], got None"),
        (SpecGan, Condition(torch.zeros(2, 3)), r"condition\.latent \[B, 100\], got \(2, 3\)"),
        (SpecGan, Condition(torch.zeros(2, 100)), r"condition\.label \[B\], got None"),
        (SpecGanCritic, Condition(), r"condition\.label \[B\], got None"),
    ],
)
def test_what_is_not_told_is_named(part, condition, message):
    network = part(**SMALL, classes=3)
    with pytest.raises(ValueError, match=message):
        network(condition) if part is SpecGan else network(torch.zeros(2, 1, 32, 32), condition)


def test_another_size_is_refused_with_both():
    with pytest.raises(ValueError, match=r"judges \[B, 1, 32, 32\], got \(2, 1, 32, 64\)"):
        SpecGanCritic(**SMALL)(torch.zeros(2, 1, 32, 64), Condition())


# the representation -----------------------------------------------------


def published_image(audio: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The paper's image [frames, 128] of [T] in numpy, written out frame by frame."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    padded = np.concatenate([audio, np.zeros(128)])
    rows = [np.abs(np.fft.rfft(padded[start : start + 256] * window)) for start in range(0, len(audio), 128)]
    return np.clip((np.log(np.array(rows) + 1e-6) - mean)[:, :128] / std[:128] / 3, -1, 1)


def test_an_image_is_the_published_one():
    part, audio = fitted(segment=8192), tones()
    x = part.encode(audio)
    assert x.shape == (4, 1, 64, 128) and x.dtype == torch.float32
    for ours, wave in zip(x[:, 0].numpy(), audio[:, 0].double().numpy(), strict=True):
        np.testing.assert_allclose(ours, published_image(wave, part.mean.numpy(), part.std.numpy()), atol=2e-3)
    exact = part.double().encode(audio.double())[0, 0].numpy()
    expected = published_image(audio[0, 0].double().numpy(), part.mean.numpy(), part.std.numpy())
    np.testing.assert_allclose(exact, expected, atol=1e-9)


def test_a_second_is_an_image_of_128_by_128():
    assert LogSpectrogram.contract({"segment": 16384, "n_fft": 256, "hop": 128}).shape == (1, 128, 128)
    assert fitted().encode(torch.zeros(1, 1, 16384)).shape == (1, 1, 128, 128)


@pytest.mark.parametrize(
    ("n_fft", "hop", "length"), [(512, 128, 4096), (512, 256, 8192), (256, 64, 2048), (200, 80, 4000)]
)
def test_other_framings_have_a_frame_for_each_hop_and_come_back(n_fft, hop, length):
    """Decoded, magnitudes are nearer to the original than silence by far."""
    audio = tones(length=length)
    part = fitted(audio, segment=length, n_fft=n_fft, hop=hop, iterations=32)
    x = part.encode(audio)
    assert x.shape == (4, 1, length // hop, n_fft // 2)
    made = part.decode(x)
    assert made.shape == audio.shape
    ours, theirs = (analyse(each[:, 0], n_fft, hop).abs() for each in (made, audio))
    assert float((ours - theirs).norm() / theirs.norm()) < 0.35


def test_statistics_are_each_bins_over_all_frames_whatever_the_batches():
    """Population standard deviation, in float64, in one pass: as numpy finds them with everything at hand."""
    audio = tones(6)
    padded = torch.nn.functional.pad(audio[:, 0], (0, 128))
    logs = torch.log(analyse(padded, 256, 128).abs() + 1e-6).double().flatten(0, 1).numpy()
    for sizes in ([6], [1] * 6, [2, 3, 1], [5, 1]):
        part = LogSpectrogram()
        part.fit(iter(audio.split(sizes)))
        np.testing.assert_allclose(part.mean.numpy(), logs.mean(0), rtol=1e-6)
        np.testing.assert_allclose(part.std.numpy(), logs.std(0), rtol=1e-6)
        assert part.frames == len(logs) == 6 * 64
    part.span = 30.0  # nothing is clipped
    image = 10 * part.encode(audio).double().flatten(0, 2)
    np.testing.assert_allclose(image.mean(0).numpy(), 0, atol=1e-5)
    np.testing.assert_allclose(image.std(0, correction=0).numpy(), 1 / 3, rtol=1e-5)


def test_a_spread_far_from_zero_is_not_lost(monkeypatch):
    """Sums of squares would leave nothing of a deviation of 1 around 1e8."""
    part = LogSpectrogram(n_fft=4, hop=2)
    monkeypatch.setattr(part, "_logs", lambda batch: 1e8 + batch.double())
    values = normal(40, 50, 3, dtype=torch.float64)
    part.fit(iter(values.split(3)))
    np.testing.assert_allclose(part.std.numpy(), values.flatten(0, 1).std(0, correction=0).numpy(), rtol=1e-6)


def test_bins_that_never_change_are_listed_and_stay_finite(caplog):
    """A bin of constant magnitude would be divided by zero: its deviation counts as 1e-6."""
    part = LogSpectrogram()
    with caplog.at_level(logging.WARNING):
        part.fit(iter([torch.zeros(2, 1, 16384)]))
    assert part.silent == tuple(range(129)) and part.monitors() == {"silent_bins": 129.0}
    assert "129 of 129 bins never change in the training split: 0, 1, 2, 3, 4, 5, 6, 7, …" in caplog.text
    assert torch.equal(part.std, torch.full((129,), 1e-6))
    assert not part.encode(torch.zeros(1, 1, 16384)).any()
    assert part.decode(part.encode(torch.zeros(1, 1, 16384))).abs().max() < 1e-4
    for audio in (torch.ones(1, 1, 16384), tones(1, 16384)):
        x = part.encode(audio)
        assert torch.isfinite(x).all() and x.abs().max() <= 1 and torch.isfinite(part.decode(x)).all()


def test_sounding_bins_are_not_listed():
    part = fitted()
    assert part.silent == () and part.monitors() == {"silent_bins": 0.0}


def test_nothing_works_before_statistics_and_all_does_after_loading_them():
    part = LogSpectrogram()
    assert isinstance(part, Fitted) and not part.fitted
    for call in (part.encode, part.decode):
        with pytest.raises(RuntimeError, match="no statistics yet"):
            call(torch.zeros(1, 1, 128, 128))
    measured = fitted(torch.cat([tones(), torch.zeros(2, 1, 8192)]))
    stored = io.BytesIO()
    torch.save(measured.state_dict(), stored)
    stored.seek(0)
    part.load_state_dict(torch.load(stored, weights_only=True))
    assert part.fitted and part.frames == measured.frames and part.silent == measured.silent
    assert torch.equal(part.encode(tones()), measured.encode(tones()))


@pytest.mark.parametrize("audio", [[], [torch.full((1, 1, 512), torch.nan)]], ids=["none", "nan"])
def test_statistics_of_nothing_and_of_what_is_not_finite_are_refused(audio):
    part = LogSpectrogram()
    with pytest.raises(ValueError, match=r"at least one training segment|not finite; look for NaN"):
        part.fit(iter(audio))
    assert not part.fitted


def test_the_gradient_through_an_image_of_silence_is_finite():
    audio = torch.zeros(1, 1, 2048, requires_grad=True)
    part = fitted()
    part.mean.fill_(-13.8)  # else silence lies beyond the clip
    part.encode(audio).sum().backward()
    assert torch.isfinite(audio.grad).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_fft": 255}, "n_fft must be even and at least 4, got 255"),
        ({"hop": 129}, "hop must be from 1 to half of n_fft 256, so that frames overlap, got 129"),
        ({"hop": 0}, "hop must be from 1"),
        ({"segment": 0}, "segment must be positive, got 0"),
        ({"floor": 0.0}, "must be positive, got 0"),
        ({"iterations": -1}, "iterations must be at least 0"),
        ({"momentum": 1.0}, r"momentum in \[0, 1\), got 16 and 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        LogSpectrogram(**parameters)


@pytest.mark.parametrize("shape", [(1, 2, 4096), (1, 4096)])
def test_audio_that_is_not_mono_is_refused(shape):
    with pytest.raises(ValueError, match="mono audio"):
        fitted().encode(torch.zeros(shape))


def test_an_image_of_another_width_is_refused():
    with pytest.raises(ValueError, match=r"decodes \[B, 1, L, 128\], got \(1, 1, 8, 64\)"):
        fitted().decode(torch.zeros(1, 1, 8, 64))


# the inverse ------------------------------------------------------------


def snr(audio: torch.Tensor, made: torch.Tensor) -> float:
    """[dB]."""
    return float(10 * torch.log10(audio.square().sum() / (audio - made).square().sum()))


@pytest.mark.parametrize(("n_fft", "hop"), [(256, 128), (512, 128), (512, 256), (200, 80)])
def test_the_dual_window_gives_back_the_signal(n_fft, hop):
    """Beyond 100 dB in float32 and 280 in float64, but for the rim of the first frame, which fades in."""
    for dtype, least in ((torch.float32, 100), (torch.float64, 280)):
        audio = normal(2, n_fft + 30 * hop, dtype=dtype)
        made = synthesise(analyse(audio, n_fft, hop), n_fft, hop)
        assert made.shape == audio.shape
        assert snr(audio[:, n_fft - hop : -n_fft], made[:, n_fft - hop : -n_fft]) > least
        assert made.abs().max() <= audio.abs().max() * 1.001


def test_the_legacy_inverse_ripples_between_a_half_and_one():
    """hann(t)² + hann(t + 128)², with a period of 128 samples: 6 dB."""
    audio = torch.ones(1, 256 + 30 * 128, dtype=torch.float64)
    made = synthesise(analyse(audio, 256, 128), 256, 128, legacy=True)[0, 128:-128]
    ripple = made[:128]
    window = torch.hann_window(256, dtype=torch.float64)
    torch.testing.assert_close(ripple, window[:128] ** 2 + window[128:] ** 2)
    assert float(ripple.min()) == pytest.approx(0.5, abs=1e-12) and float(ripple.max()) == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(made, ripple.repeat(len(made) // 128))
    assert 20 * np.log10(float(ripple.max() / ripple.min())) == pytest.approx(6.02, abs=0.01)


def convergence(magnitudes: torch.Tensor, iterations: int, **options: Any) -> torch.Tensor:
    """The distance of what is found from what was asked for, relative to that, of each item."""
    found = analyse(griffin_lim(magnitudes, 256, 128, iterations, **options), 256, 128).abs()
    return (found - magnitudes).norm(dim=(1, 2)) / magnitudes.norm(dim=(1, 2))


def test_griffin_lim_comes_nearer_with_every_iteration_and_faster_with_momentum():
    magnitudes = analyse(tones(length=4096)[:, 0], 256, 128).abs()
    slow = [float(convergence(magnitudes, n).mean()) for n in (0, 1, 2, 4, 8, 16, 32)]
    assert all(later < earlier for earlier, later in itertools.pairwise(slow))
    assert float(convergence(magnitudes, 32, momentum=0.9).mean()) < slow[-1]
    assert float(convergence(magnitudes, 32, legacy=True).mean()) > 1.5 * slow[-1]


def test_griffin_lim_draws_nothing():
    magnitudes = analyse(tones()[:, 0], 256, 128).abs()
    before = torch.get_rng_state()
    first = griffin_lim(magnitudes, 256, 128, 4, momentum=0.5)
    assert torch.equal(first, griffin_lim(magnitudes, 256, 128, 4, momentum=0.5))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_image_that_is_no_signals_makes_no_click_at_its_start():
    """The first samples are seen through the window's rim alone; divided by it, they would be hundreds of times as loud."""
    part = fitted()
    x = uniform(4, 1, 64, 128)
    audio = part.decode(x)[:, 0]
    assert audio[:, :128].abs().amax() < 1.5 * audio[:, 128:].abs().amax()


def test_the_nyquist_bin_comes_back_at_its_mean_and_the_floor_is_not_subtracted(monkeypatch):
    part, asked = fitted(), []
    monkeypatch.setattr(f"{HERE}.representation.griffin_lim", lambda m, *rest: asked.append(m) or torch.zeros(1, 9000))
    part.decode(torch.full((1, 1, 2, 128), 0.5))
    torch.testing.assert_close(asked[0][0, 1, 128], part.mean[128].exp())
    torch.testing.assert_close(asked[0][0, 1, :128], (0.5 * 3 * part.std + part.mean)[:128].exp())


def test_parameters_of_the_inverse_reach_it(monkeypatch):
    part, asked = fitted(iterations=5, momentum=0.3, legacy=True), []
    monkeypatch.setattr(
        f"{HERE}.representation.griffin_lim", lambda m, *rest: asked.append(rest) or torch.zeros(1, 999)
    )
    part.decode(torch.zeros(1, 1, 2, 128))
    assert asked == [(256, 128, 5, 0.3, True)]


# real notes -------------------------------------------------------------


@needs_notes
def test_images_of_notes_have_mean_0_and_a_third_as_deviation(notes):
    part = fitted(notes)
    x = part.encode(notes).double()
    assert x.shape == (16, 1, 128, 128)
    assert abs(float(x.mean())) < 1e-3 and float(x.std(correction=0)) == pytest.approx(0.333, abs=1e-3)
    assert 1e-4 < float((x.abs() >= 1).double().mean()) < 1e-3


@needs_notes
def test_magnitudes_of_notes_come_back(notes):
    """In the median within 2e-4: what is lost is the floor that is not subtracted, and what is clipped."""
    part = fitted(notes)
    logs = torch.nn.functional.pad(part.encode(notes)[:, 0], (0, 1)) * (3 * part.std) + part.mean
    truth = analyse(torch.nn.functional.pad(notes[:, 0], (0, 128)), 256, 128).abs()[..., :-1]
    error = (logs.exp()[..., :-1] - truth).abs() / truth.clamp_min(1e-12)
    assert float(error.median()) < 2e-4


@needs_notes
def test_the_inverse_of_notes_is_as_near_as_measured(notes):
    """Median spectral convergence of 16 notes: the dual window reaches .13 in 16 iterations, the legacy one stays at .27."""
    truth = analyse(torch.nn.functional.pad(notes[:, 0], (0, 128)), 256, 128)
    exact = synthesise(truth, 256, 128)[:, 128:16384]
    assert all(snr(note, made) > 100 for note, made in zip(notes[:, 0, 128:], exact, strict=True))
    legacy = synthesise(truth, 256, 128, legacy=True)[:, 128:16384]
    assert float(np.median([snr(n, m) for n, m in zip(notes[:, 0, 128:], legacy, strict=True)])) == pytest.approx(
        10.3, abs=0.2
    )
    dual = [float(convergence(truth.abs(), n).median()) for n in (0, 1, 16)]
    old = [float(convergence(truth.abs(), n, legacy=True).median()) for n in (0, 1, 16)]
    np.testing.assert_allclose(dual, [0.795, 0.428, 0.132], atol=0.02)
    np.testing.assert_allclose(old, [0.867, 0.498, 0.287], atol=0.03)


# contracts and recipes --------------------------------------------------

RECIPE = """
name: small
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 1}
data: {normalise: null}
representation: {use: log_spectrogram, iterations: 2}
generator: {use: specgan, dim: 2, latent: 8, frames: 32, bins: 128, layers: 3}
discriminators: {critic: {use: specgan, dim: 2, frames: 32, bins: 128, layers: 3, shuffle: 1}}
objective: {use: wgan}
regularisers: {penalty: {use: gradient_penalty, weight: 10}}
validation: {metrics: [], every: 12, clips: 1, audio: 0}
plan: {steps: 12, segment: 4096, batch_size: 2, generator_every: 3, fresh_fake: true, log_every: 6, save_every: 4}
optimisers: {generator: {use: adam, epsilon_form: tensorflow}, discriminators: {use: adam, epsilon_form: tensorflow}}
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """What is installed, and SpecGAN whether it is or not."""
    found = Plugins()
    if not found.manager.has_plugin("specgan"):
        found.add_module("specgan", gansemble_plugins.specgan)
    monkeypatch.setattr(loading, "registry", lambda: found.registry)
    return found.registry


def refused(folder: Path, registry: Registry, *changes: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE)
    with pytest.raises(RecipeError) as caught:
        check.load(path, changes, registry)
    return str(caught.value)


def test_a_map_of_another_length_is_refused_with_one_that_fits(tmp_path, registry):
    message = refused(tmp_path, registry, "generator.frames=64")
    assert "generator (specgan) works on [B, 1, 64, 128]" in message and "gives [B, 1, 32, 128]" in message
    assert "--set generator.frames=32" in message


def test_samples_are_refused_with_the_representation_that_fits(tmp_path, registry):
    message = refused(tmp_path, registry, "representation=null")
    assert "generator (specgan) works on log_spectrogram" in message


def test_a_segment_that_is_no_multiple_of_the_hop_is_refused(tmp_path, registry):
    assert "multiples of 128 samples, got 4160" in refused(tmp_path, registry, "plan.segment=4160")


@pytest.mark.parametrize(
    ("part", "parameters", "message"),
    [
        (SpecGan, {"frames": 100}, "multiples of 2.layers = 32, got 100 x 128"),
        (SpecGan, {"layers": 0}, "multiples of 2.layers = 1"),
        (SpecGan, {"latent": 0}, "latent must be at least 1, got 0"),
        (SpecGan, {"classes": 0}, "classes must be at least 1 or null, got 0"),
        (SpecGanCritic, {"bins": 16}, "multiples of 2.layers = 32, got 128 x 16"),
        (SpecGanCritic, {"shuffle": 8}, "less than the 8 frames of each shuffled layer, got 8"),
        (SpecGanCritic, {"shuffle": -1}, "shuffle must be at least 0, got -1"),
        (SpecGanCritic, {"dim": 0}, "dim must be at least 1, got 0"),
    ],
)
def test_networks_that_cannot_be_are_refused(part, parameters, message):
    defaults = {name: p.default for name, p in types.signature(part).items()}
    with pytest.raises(ValueError, match=message):
        part.contract(defaults | parameters)


def test_a_run_that_is_stopped_goes_on_bit_for_bit_with_its_shifts_and_statistics(tmp_path, registry):
    """From audio to clips: statistics, training with a shuffled critic, a stop in the middle, and a sample."""
    from gansemble.data import prepare
    from gansemble.errors import Interrupted
    from gansemble.inference import loading
    from gansemble.training.components import Components, Options
    from gansemble.training.trainer import Trainer

    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "corpus").mkdir()
    for index, wave in enumerate(tones(5, 6000)[:, 0].numpy()):
        soundfile.write(tmp_path / "corpus" / f"{index}.wav", wave, 16000)
    recipe = check.load(tmp_path / "recipe.yaml", (), registry)
    prepare.prepare(recipe, tmp_path / "corpus", tmp_path / "dump", 1, lambda text: None)
    states = []
    for name, stops in (("straight", [None]), ("stopped", [5, None])):
        for stop in stops:
            trainer = Trainer(Components.build(recipe, tmp_path / name, tmp_path / "dump", Options(stop_after=stop)))
            if stop is None:
                assert trainer.run() == 12
            else:
                with pytest.raises(Interrupted):
                    trainer.run()
        networks = {"generator": trainer.components.parts.generator, "critics": trainer.components.parts.discriminators}
        states.append({f"{side}.{key}": v for side, net in networks.items() for key, v in net.state_dict().items()})
    straight, stopped = states
    assert [name for name in straight if not torch.equal(straight[name], stopped[name])] == []
    sampler = loading.load(tmp_path / "stopped").sampler()
    assert sampler.representation.fitted and sampler.representation.frames == 32 * 4
    clip = sampler.one(0).audio
    assert clip.shape == (4096,) and np.isfinite(clip).all()
    assert np.array_equal(clip, sampler.one(0).audio)


# the conformance kit ----------------------------------------------------


def variant(kind: str, name: str, target: str, **example: Any) -> Entry:
    return Entry(kind, name, f"{HERE}.{target}", "", "specgan_variants", example)


VARIANTS = [
    variant("generator", "plain", "generator:SpecGan", **SMALL, latent=8),
    variant("generator", "labelled", "generator:SpecGan", **SMALL, classes=3),
    variant("discriminator", "plain", "critic:SpecGanCritic", **SMALL),
    variant("discriminator", "shuffled", "critic:SpecGanCritic", **SMALL, classes=3, shuffle=1),
    variant("discriminator", "spectral", "critic:SpecGanCritic", **SMALL, classes=3, norm="spectral"),
    variant("representation", "plain", "representation:LogSpectrogram", segment=8192),
    variant("representation", "fast", "representation:LogSpectrogram", segment=8192, n_fft=512, momentum=0.9),
    variant("representation", "legacy", "representation:LogSpectrogram", segment=8192, legacy=True),
]


def test_every_variant_keeps_its_kinds_promises():
    faults = [result for result in conformance.examine(VARIANTS) if result.fault]
    assert not faults, [f"{r.entry.kind} {r.entry.name} {r.name}: {r.fault}" for r in faults]
