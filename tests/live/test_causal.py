"""Causal forms of hifigan and vocos: the parameters of the published ones, and nothing of later frames."""

from __future__ import annotations

import pytest
import torch

from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Condition
from gansemble.parts.causal import CausalConv1d, CausalConvTranspose1d
from gansemble_plugins.hifigan.generator import HifiGan
from gansemble_plugins.vocos.generator import Vocos

SPEC = AudioSpec(sample_rate=16000, n_fft=256, hop=64, window=256, mels=20, fmax=None)
HIFIGAN = {
    "channels": 16,
    "upsample_rates": (8, 8),
    "upsample_kernels": (16, 16),
    "kernels": (3, 5),
    "dilations": ((1, 3), (1, 2)),
}
MAKERS = {
    "hifigan": lambda causal, residual="1": HifiGan(audio=SPEC, **HIFIGAN, residual=residual, causal=causal),
    "hifigan_of_one_convolution": lambda causal: MAKERS["hifigan"](causal, "2"),
    "vocos": lambda causal: Vocos(audio=SPEC, dim=8, hidden=16, blocks=2, causal=causal),
}


def made(network, mel):
    with torch.no_grad():
        return network(Condition(signals={"mel": mel}))


def mel(frames):
    return torch.randn(1, 20, frames, generator=torch.Generator().manual_seed(0)) - 4


@pytest.mark.parametrize("name", MAKERS)
def test_parameters_are_those_of_the_network_that_looks_to_both_sides(name):
    causal, other = MAKERS[name](True), MAKERS[name](False)
    shapes = {key: value.shape for key, value in other.state_dict().items()}
    assert {key: value.shape for key, value in causal.state_dict().items()} == shapes
    causal.load_state_dict(other.state_dict())
    assert not torch.equal(made(causal.eval(), mel(9)), made(other.eval(), mel(9)))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("frames", [1, 2, 30])
def test_a_hop_of_samples_is_made_of_each_frame(name, frames):
    assert made(MAKERS[name](True).eval(), mel(frames)).shape == (1, 1, 64 * frames)


@pytest.mark.parametrize("name", MAKERS)
def test_the_reach_is_no_more_than_is_said(name):
    """A frame changes samples of frames behind it up to ``context_frames``, and more than half as far."""
    network = MAKERS[name](True).double().eval()
    context, one = network.context_frames, mel(100).double()
    other = one.clone()
    other[..., 30] += 3
    changed = (made(network, one) - made(network, other))[0, 0].abs() > 1e-13
    places = changed.nonzero().flatten() // 64 - 30
    assert context // 2 < int(places.max()) <= context
    assert int(places.min()) == (
        0 if name.startswith("hifigan") else -2
    )  # 96 samples, with the inverse transform's overlap


def test_vocos_with_rounds_of_griffin_lim_is_not_causal():
    parameters = {"audio": SPEC, "kernel": 7, "amplitude": "predicted", "causal": True, "griffin_lim": 3}
    with pytest.raises(ValueError, match="causal: true needs griffin_lim: 0, as each of its 3 rounds looks ahead"):
        Vocos.contract(parameters)


def test_a_causal_convolution_is_torchs_own_of_the_past():
    torch.manual_seed(0)
    conv, x = CausalConv1d(3, 6, 5, dilation=2, groups=3), torch.randn(2, 3, 11)
    made = conv(x)
    for place in range(11):
        past = torch.cat([torch.zeros(2, 3, 8), x[..., : place + 1]], -1)[..., -9:]
        expected = torch.nn.functional.conv1d(past, conv.weight, conv.bias, dilation=2, groups=3)
        torch.testing.assert_close(made[..., place : place + 1], expected)


def test_a_causal_upsampling_makes_samples_of_what_is_there():
    torch.manual_seed(0)
    up, x = CausalConvTranspose1d(3, 2, 10, 4), torch.randn(2, 3, 7)
    whole = up(x)
    assert whole.shape == (2, 2, 28)
    for length in range(1, 8):
        torch.testing.assert_close(up(x[..., :length]), whole[..., : 4 * length])
