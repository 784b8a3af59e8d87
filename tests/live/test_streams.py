"""Streams of trained generators: equal to the whole, no later than they say, and what they refuse."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import gansemble
from gansemble.errors import GansembleError
from gansemble.live.stream import StreamWarning

VOCOS = "{use: vocos, dim: 8, hidden: 16, blocks: 2}"
HIFIGAN = (
    "{use: hifigan, channels: 16, upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3, 5], "
    "dilations: [[1, 3], [1, 2]]}"
)
LAYERED = {
    "hifigan": HIFIGAN,
    "hifigan_causal": HIFIGAN.replace("{use: hifigan,", "{use: hifigan, causal: true,"),
    "vocos": VOCOS,
    "vocos_causal": VOCOS.replace("{use: vocos,", "{use: vocos, causal: true,"),
    "vocos_with_prior": "{use: vocos, dim: 8, hidden: 16, blocks: 1, amplitude: corrected, prior: pseudo_inverse}",
    "bigvgan": "{use: bigvgan, channels: 16, upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3], dilations: [[1]]}",
    "istftnet": "{use: istftnet, channels: 16, upsample_rates: [8], upsample_kernels: [16], kernels: [3], dilations: [[1]], "
    "n_fft: 32, hop: 8}",
}
UNET = "{use: inception_unet, blocks: 3, widths: [4, 4], kernels: [3, 9], dropout: 0.0}"


def mel(frames, seed=0):
    return torch.randn(20, frames, generator=torch.Generator().manual_seed(seed)) - 4


def noise(channels, samples):
    return 0.3 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(2))


def pushed(live, signal, sizes):
    """All that a stream gives for a signal pushed in pieces of these sizes, again and again."""
    made, place, turn = [], 0, 0
    while place < signal.shape[1]:
        size = sizes[turn % len(sizes)]
        made.append(live.push(signal[:, place : place + size]))
        place, turn = place + size, turn + 1
    return torch.cat([*made, live.close()], 1)


@pytest.fixture(scope="module")
def loaded(trained, restorer):
    """``loaded(name)``: a generator of LAYERED, or the U-Net."""
    made = {}

    def of(name):
        if name not in made:
            line = UNET if name == "unet" else LAYERED[name]
            made[name] = trained(line, restorer) if name == "unet" else trained(line)
        return made[name]

    return of


@pytest.fixture(scope="module")
def live_of(loaded):
    """``live_of(name)``: a stream of such a generator with blocks of 20 ms, begun anew."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = gansemble.stream(loaded(name))
        made[name].reset()
        return made[name]

    return of


def close_to_the_whole(made, whole):
    assert made.shape == whole.shape
    return float((made - whole).abs().max()) <= 1e-5 * max(1.0, float(whole.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERED)
def test_frames_pushed_in_any_number_give_the_whole(loaded, live_of, name):
    vocoder, live = loaded(name), live_of(name)
    assert not live.reason
    for frames in (1, 2, 37):
        whole = vocoder(mel(frames))
        for sizes in ((1,), (3, 0, 5), (100,)):
            live.reset()
            assert close_to_the_whole(pushed(live, mel(frames), sizes), whole)


@pytest.mark.slow
def test_samples_of_two_channels_pushed_in_any_number_are_restored_as_the_whole(loaded):
    restorer = loaded("unet")
    for block in (None, 1, 100):
        live = gansemble.stream(restorer, block, channels=2)
        assert not live.reason and live.block % 8 == 0
        for samples in (1, 7, 1000):
            live.reset()
            whole = restorer(noise(2, samples))
            assert close_to_the_whole(pushed(live, noise(2, samples), (1, 160, 33)), whole)


@pytest.mark.parametrize("name", ["hifigan", "vocos", "istftnet", "hifigan_causal", "vocos_causal"])
def test_the_look_ahead_is_what_a_sample_needs_and_no_more(loaded, live_of, name):
    """Frames that change behind a sample and its look-ahead leave it as it is; those within it do not."""
    vocoder = loaded(name)
    live, hop = live_of(name), vocoder.spec.hop
    ahead = round(live.look_ahead * vocoder.spec.sample_rate)
    one, other = mel(40), mel(40)
    other[:, 20:] = mel(40, seed=1)[:, 20:]
    changed = (vocoder(one) - vocoder(other))[0].abs() > 0
    first = int(changed.nonzero()[0])
    assert 20 * hop - ahead <= first <= 20 * hop - ahead + hop


def test_a_causal_hifigan_has_no_look_ahead_and_a_causal_vocos_that_of_its_frames_overlap(live_of):
    live = live_of("hifigan_causal")
    assert live.look_ahead == 0 and live.look_ahead_frames == 0
    assert live.latency == live.block * 64 / 16000
    # Frames of 256 samples every 64 reach (256 - 64) / 2 beyond their own.
    assert live_of("vocos_causal").look_ahead == 96 / 16000


def test_a_block_of_20_ms_is_taken_and_the_latency_is_a_block_and_the_look_ahead(live_of):
    live = live_of("vocos")
    assert live.block == 5  # frames of 4 ms
    # Three frames for the first convolution, three for each block, and the overlap.
    assert live.look_ahead == (9 * 64 + 96) / 16000 and live.look_ahead_frames == 11
    assert live.latency == pytest.approx(5 * 0.004 + live.look_ahead)
    assert "by layers" in repr(live) and "latency 62.0 ms" in repr(live)


def test_samples_come_as_soon_as_the_latency_allows(loaded):
    live = gansemble.stream(loaded("vocos"), block=2)
    given = 0
    for pushes in range(1, 30):
        given += live.push(mel(1)).shape[1]
        assert given == max(0, pushes // 2 * 2 * 64 - round(live.look_ahead * 16000))


def test_memory_does_not_grow(loaded):
    live = gansemble.stream(loaded("hifigan"), block=4)
    sizes = {live.held_bytes for _ in range(50) if live.push(mel(4)) is not None}
    live.push(mel(5000))
    live.push(mel(4000))
    assert len(sizes) == 1 and live.held_bytes in sizes


def test_an_unknown_operation_is_streamed_by_overlap_and_named(trained):
    vocoder = trained("{use: griffin_lim, rounds: 1}")
    with pytest.warns(StreamWarning, match=r"griffin_lim .*as_strided; a block of 5 frames costs as much as 21"):
        live = gansemble.stream(vocoder)
    assert "as_strided" in live.reason and live.look_ahead_frames == 8
    assert close_to_the_whole(pushed(live, mel(33), (1, 4)), vocoder(mel(33)))
    live.reset()
    assert close_to_the_whole(pushed(live, mel(3), (100,)), vocoder(mel(3)))


def test_a_generator_that_depends_on_the_whole_signal_is_refused(trained):
    line = "{use: hnsf, channels: 16, upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3], dilations: [1], harmonics: 2}"
    source = trained(line, **{"losses:": "features: {f0: {use: f0}}\nlosses:"})
    with pytest.raises(GansembleError, match=r"hnsf cannot be streamed: .*whole signal .*context_frames is None"):
        gansemble.stream(source)


def test_a_generator_that_reads_no_signal_is_refused(trained):
    changes = {
        "losses: {mel: {use: mel_l1}}": "discriminators: {critic: {use: wavegan, dim: 2}}\nobjective: {use: wgan}",
        "metrics: {mel_distance: {use: mel_distance}}": "",
        "segment: 1024": "segment: 4096",
        "generator: {use: adamw}": "generator: {use: adam}, discriminators: {use: adam}",
    }
    clips = trained("{use: wavegan, dim: 2, latent: 4}", **changes)
    with pytest.raises(GansembleError, match=r"wavegan reads no signal .* use sample\(count\)"):
        gansemble.stream(clips)


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (mel(4).T, r"expected frames \[20, L\], got shape \[4, 20\]; it is transposed"),
        (mel(4)[:19], r"expected frames \[20, L\], got shape \[19, 4\]"),
        (mel(4)[None], r"expected frames \[20, L\], got shape \[1, 20, 4\]"),
        (mel(4).int(), "expected floating-point numbers, got int32"),
        (mel(4) / 0, "holds NaN or Inf"),
        ([[0.0]], "expected a torch tensor or a NumPy array, got a list"),
    ],
)
def test_frames_of_another_kind_are_refused_and_the_stream_goes_on(loaded, live_of, signal, words):
    vocoder, live = loaded("vocos"), live_of("vocos")
    first = live.push(mel(9)[:, :6].numpy())
    with pytest.raises(GansembleError, match=words):
        live.push(signal)
    made = torch.cat([first, live.push(mel(9)[:, 6:].double()), live.close()], 1)
    assert close_to_the_whole(made, vocoder(mel(9)))


def test_signals_that_are_not_read_are_named(live_of):
    live = live_of("vocos")
    with pytest.raises(GansembleError, match="the stream reads mel, and no f0"):
        live.push(mel(3), f0=mel(3))


def test_what_is_pushed_may_be_changed_afterwards(loaded, live_of):
    vocoder, buffer = loaded("vocos"), np.zeros((20, 1), np.float32)
    live, made = live_of("vocos"), []
    for frame in mel(12).T:
        buffer[:, 0] = frame
        made.append(live.push(torch.from_numpy(buffer)))
    assert close_to_the_whole(torch.cat([*made, live.close()], 1), vocoder(mel(12)))


def test_a_closed_stream_gives_nothing_more_and_takes_nothing(loaded, live_of):
    vocoder, live = loaded("vocos"), live_of("vocos")
    assert live.close().shape == (1, 0)  # nothing was pushed
    with pytest.raises(GansembleError, match=r"the stream is closed; reset\(\) begins another"):
        live.push(mel(1))
    live.reset()
    assert close_to_the_whole(pushed(live, mel(4), (1,)), vocoder(mel(4)))
    assert live.close().shape == (1, 0)
    live.reset()
    with live as again:
        again.push(mel(7))
    with pytest.raises(GansembleError, match="closed"):
        again.push(mel(1))


@pytest.mark.parametrize(("name", "value"), [("block", 0), ("block", 2.5), ("channels", -1), ("block", True)])
def test_arguments_are_looked_at(loaded, name, value):
    with pytest.raises(GansembleError, match=f"{name}={value!r}: expected a whole number of at least 1"):
        gansemble.stream(loaded("vocos"), **{name: value})


def test_a_label_holds_for_the_whole_stream(trained):
    vocoder = trained(
        HIFIGAN.replace("{use: hifigan,", "{use: hifigan, classes: 3,"), **{"{use: folder}": "{use: labelled_folder}"}
    )
    for label in (0, 2):
        live = gansemble.stream(vocoder, label=label)
        assert not live.reason
        assert close_to_the_whole(pushed(live, mel(11), (4,)), vocoder(mel(11), label=label))
    with pytest.raises(GansembleError, match="label is missing"):
        gansemble.stream(vocoder)
    with pytest.raises(GansembleError, match="label 3: must be"):
        gansemble.stream(vocoder, label=3)


def test_an_experiments_folder_is_loaded(loaded):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        live = gansemble.stream(loaded("vocos").source.parent.parent, device="cpu")
    assert live.push(mel(20)).shape[1] > 0
