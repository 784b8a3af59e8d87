"""``synthesise --precision bf16``: convolutions in bf16, float32 out, and no file of another precision taken for it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from gansemble.abilities import context_frames
from gansemble.audio.spec import AudioSpec
from gansemble.inference.precision import in_bf16
from gansemble.interfaces import Condition
from gansemble_plugins.hifigan.generator import HifiGan
from gansemble_plugins.vocos.generator import Vocos

SPEC = AudioSpec(sample_rate=16000, n_fft=256, hop=64, window=256, mels=20, fmax=None)


def hifigan() -> nn.Module:
    return HifiGan(
        audio=SPEC, channels=16, upsample_rates=(8, 8), upsample_kernels=(16, 16), kernels=(3,), dilations=((1, 3),)
    )


def condition() -> Condition:
    return Condition(signals={"mel": torch.randn(1, 20, 30, generator=torch.Generator().manual_seed(1)) - 5})


@pytest.mark.parametrize("make", [hifigan, lambda: Vocos(audio=SPEC, dim=16, hidden=32, blocks=2)])
def test_what_is_made_in_bf16_is_float32_and_near_to_what_float32_makes(make: object) -> None:
    torch.manual_seed(0)
    network = make().eval().requires_grad_(False)  # type: ignore[operator]
    expected = network(condition())
    half = in_bf16(copy.deepcopy(network))
    found = half(condition())
    assert found.dtype == torch.float32 and context_frames(half) == context_frames(network)
    noise = float((found - expected).square().sum() / expected.square().sum())
    assert 1e-8 < noise < 1e-2  # eight bits of mantissa, over several layers; 0 would be float32


def test_convolutions_run_in_bf16() -> None:
    seen: list[torch.dtype] = []
    network = hifigan()

    def note(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        seen.append(made.dtype)

    network.conv_post.register_forward_hook(note)
    in_bf16(network)(condition())
    assert seen == [torch.bfloat16]
