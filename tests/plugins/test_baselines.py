"""What the baselines of super-resolution leave, remove and fill in, whole and in chunks."""

import copy

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Condition
from gansemble_plugins.superres.baselines import BandReplication, Identity, SincLowpass, find_cutoff

torch.set_num_threads(1)
RATE = 44100
SPEC = AudioSpec(sample_rate=RATE)
CUTOFF = 4000.0


def noise(samples: int = RATE, batch: int = 1, seed: int = 0) -> Tensor:
    """White noise [B, 1, T]."""
    return 0.1 * torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(seed))


def pink(samples: int = 2 * RATE, seed: int = 0) -> Tensor:
    """Noise whose power falls by 6 dB an octave from 200 Hz on [1, 1, T]."""
    frequencies = torch.fft.rfftfreq(samples, 1 / RATE)
    spectrum = torch.fft.rfft(noise(samples, seed=seed)) * 200 / frequencies.clamp_min(200)
    return torch.fft.irfft(spectrum, samples)


def cut(audio: Tensor, cutoff: float = CUTOFF, family: str = "brick") -> Tensor:
    """Low-passed without phase."""
    if family == "brick":
        spectrum = torch.fft.rfft(audio)
        spectrum[..., torch.fft.rfftfreq(audio.shape[-1], 1 / RATE) >= cutoff] = 0
        return torch.fft.irfft(spectrum, audio.shape[-1])
    design = {"cheby1": (signal.cheby1, 8, 0.05), "butter": (signal.butter, 6)}[family]
    sections = design[0](*design[1:], cutoff, fs=RATE, output="sos")
    return torch.from_numpy(signal.sosfiltfilt(sections, audio.numpy()).astype(np.float32))


def heard(network, x: Tensor) -> Tensor:
    with torch.no_grad():
        return network(Condition(signals={"degraded": x}))


def level(audio: Tensor, low: float, high: float) -> float:
    """The mean power between two frequencies [dB], the recording's ends faded."""
    window = torch.kaiser_window(audio.shape[-1], True, 14.0, dtype=torch.float64)
    power = torch.fft.rfft(audio[0, 0].double() * window).abs().square()
    frequencies = torch.fft.rfftfreq(audio.shape[-1], 1 / RATE)
    return float(10 * torch.log10(power[(frequencies >= low) & (frequencies < high)].mean() + 1e-30))


def chunked(network, x: Tensor, core: int) -> Tensor:
    """In cores with the context that the network says it needs, cut off at the recording's ends."""
    pieces, length, context = [], x.shape[-1], network.context_frames
    for start in range(0, length, core):
        first, last = max(0, start - context), min(length, start + core + context)
        pieces.append(heard(network, x[..., first:last])[..., start - first : min(length, start + core) - first])
    return torch.cat(pieces, -1)


def every_baseline() -> dict:
    return {
        "identity": Identity(),
        "sinc": SincLowpass(audio=SPEC, cutoff=CUTOFF),
        "sinc, any": SincLowpass(audio=SPEC),
        "replication": BandReplication(audio=SPEC, cutoff=CUTOFF),
        "replication, any": BandReplication(audio=SPEC),
    }


BASELINES = every_baseline()
baselines = pytest.mark.parametrize("name", BASELINES)


@baselines
@pytest.mark.parametrize("length", [1, 2, 511, 512, 4097, 30001])
def test_any_length_comes_back_as_long_and_finite(name, length):
    made = heard(BASELINES[name], noise(length, batch=2))
    assert made.shape == (2, 1, length) and made.dtype == torch.float32 and torch.isfinite(made).all()


@baselines
def test_silence_stays_silence_and_a_call_repeats_itself(name):
    network, x = BASELINES[name], cut(noise(9001, batch=2))
    assert not heard(network, torch.zeros(2, 1, 9001)).any()
    kept = x.clone()
    first = heard(network, x)
    assert torch.equal(first, heard(network, x)) and torch.equal(x, kept)
    assert torch.equal(first, heard(copy.deepcopy(network), x))


@baselines
def test_channels_are_folded_into_the_batch_and_do_not_touch(name):
    x = torch.cat([cut(noise(20000), 3000), 0.01 * cut(noise(20000, seed=1), 6000)])
    alone = torch.cat([heard(BASELINES[name], item[None]) for item in x])
    torch.testing.assert_close(heard(BASELINES[name], x), alone, atol=1e-7, rtol=1e-5)


@baselines
def test_there_is_nothing_to_learn_and_the_contract_says_what_it_reads(name):
    network = BASELINES[name]
    assert not list(network.parameters()) and not network.state_dict()
    contract = type(network).contract({"audio": SPEC, "cutoff": None})
    assert contract.reads == {"degraded"} and contract.domain == "waveform" and contract.shape == (1, None)
    for signal_ in (torch.zeros(1, 2, 100), torch.zeros(1, 100)):
        with pytest.raises(ValueError, match=r"the signal 'degraded' must be a recording \[B, 1, T\], got"):
            network(Condition(signals={"degraded": signal_}))
    with pytest.raises(ValueError, match="the condition has no signal 'degraded'; signals: mel"):
        network(Condition(signals={"mel": torch.zeros(1, 20, 4)}))


def test_the_identity_gives_what_it_was_given():
    x = 3 * noise(1001)
    assert torch.equal(heard(Identity(), x), x)


@pytest.mark.parametrize(
    "name, core", [("identity", 777), ("sinc", 5003), ("replication", 512), ("replication", 512 * 19)]
)
def test_chunks_with_their_context_are_the_whole(name, core):
    network, x = BASELINES[name], noise(60011)
    assert core % network.alignment == 0 and network.context_frames % network.alignment == 0
    whole = heard(network, x)
    torch.testing.assert_close(chunked(network, x, core), whole, atol=1e-6, rtol=0)
    if name != "identity":  # without a context they are not
        bare = copy.deepcopy(network)
        bare.context_frames = 0
        assert (chunked(bare, x, core) - whole).abs().max() > 1e-2


def test_copies_are_exact_at_multiples_of_the_hop_only():
    network, x = BASELINES["replication"], noise(20000)
    whole = heard(network, x)
    for start, same in ((512 * 10, True), (512 * 10 + 100, False)):
        part = heard(network, x[..., start - 512 * 8 :])[..., 512 * 8 :]
        assert (float((part - whole[..., start:]).abs().max()) < 1e-6) == same


def test_chunks_need_a_cutoff_that_is_given():
    assert SincLowpass(audio=SPEC).context_frames is None
    assert BandReplication(audio=SPEC).context_frames is None


def test_the_sinc_leaves_what_is_below_and_removes_what_is_above():
    x = noise()
    for network in (BASELINES["sinc"], SincLowpass(audio=SPEC)):
        made = heard(network, x if network.cutoff else cut(x))
        assert level(made, CUTOFF * 1.03, 22000) < level(x, 100, 22000) - 75
        assert level(made - x, 100, 0.95 * CUTOFF) < level(x, 100, 0.95 * CUTOFF) - 75
    assert level(heard(BASELINES["sinc"], x), CUTOFF, 22000) < level(x, 100, 22000) - 95
    network, far = BASELINES["sinc"], torch.zeros(1, 1, 20001)
    far[..., 10000] = 1
    made = heard(network, far)[0, 0]
    assert int(made.argmax()) == 10000
    torch.testing.assert_close(made, made.flip(0), atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", ["replication", "replication, any"])
@pytest.mark.parametrize("family", ["brick", "cheby1"])
def test_replication_fills_what_is_above_and_leaves_what_is_below(name, family):
    x = cut(pink(), CUTOFF, family)
    made = heard(BASELINES[name], x)
    assert level(made - x, 50, 3700) < level(x, 50, 3700) - 45
    for low, high in ((4500, 6000), (8000, 11000), (12000, 15000), (18000, 22000)):
        assert level(x, low, high) < level(pink(), low, high) - 25
        assert level(made, low, high) == pytest.approx(level(pink(), low, high), abs=4)  # the tilt goes on


def test_what_is_copied_is_never_louder_than_what_it_was_copied_from():
    rising = torch.fft.irfft(torch.fft.rfft(noise()) * torch.fft.rfftfreq(RATE, 1 / RATE) / 4000, RATE)
    made = heard(BASELINES["replication"], cut(rising))
    assert level(made, 4300, 22000) <= level(made, 2000, 3900) + 0.5


def test_a_partial_is_copied_in_phase_from_frame_to_frame():
    """A tone in the octave below comes back an octave's width higher as one tone, not as a comb of frames."""
    time = torch.arange(RATE) / RATE
    x = 0.1 * torch.sin(2 * torch.pi * 3000 * time)[None, None] + 1e-3 * cut(noise())
    made = heard(BASELINES["replication"], x)
    first = int(np.ceil(CUTOFF * 2048 / RATE))
    moved = 3000 + first // 2 // 4 * 4 * RATE / 2048
    assert level(made, moved - 8, moved + 8) > level(made, moved - 100, moved - 30) + 30
    assert level(made, moved - 8, moved + 8) > level(made, moved + 30, moved + 100) + 30


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("family, within", [("brick", 0.03), ("cheby1", 0.12), ("butter", 0.2)])
def test_the_cutoff_is_found(share, family, within):
    cutoff = share * RATE / 2
    found = find_cutoff(cut(pink(), cutoff, family)[0, 0], RATE)
    assert found == pytest.approx(cutoff, rel=within)


def test_what_was_not_cut_has_no_cutoff_and_stays_as_it_is():
    for x in (noise(), pink(), torch.zeros(1, 1, 5000), noise(3)):
        assert find_cutoff(x[0, 0], RATE) is None
        assert torch.equal(heard(BASELINES["replication, any"], x), x)
        assert torch.equal(heard(BASELINES["sinc, any"], x), x)


@pytest.mark.parametrize("part, cutoff, message", [
    (SincLowpass, 30000.0, r"half the sample rate \(22050 Hz\), got 30000 Hz"),
    (SincLowpass, 0.0, "cutoff must be above 0 Hz"),
    (BandReplication, 22050.0, r"half the sample rate \(22050 Hz\), got 22050 Hz"),
    (BandReplication, 100.0, "cutoff must be above 344.531 Hz"),
])  # fmt: skip
def test_a_cutoff_that_cannot_be_is_refused_by_the_contract_and_by_the_constructor(part, cutoff, message):
    with pytest.raises(ValueError, match=message):
        part(audio=SPEC, cutoff=cutoff)
    with pytest.raises(ValueError, match=message):
        part.contract({"audio": SPEC, "cutoff": cutoff})


def test_they_run_under_autocast_and_let_gradients_through():
    x = cut(noise(8192)).requires_grad_()
    for name, network in BASELINES.items():
        with torch.autocast("cpu", torch.bfloat16):
            made = network(Condition(signals={"degraded": x}))
        assert made.dtype == torch.float32, name
        (gradient,) = torch.autograd.grad(made.square().mean(), x)
        assert torch.isfinite(gradient).all(), name
