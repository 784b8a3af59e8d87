"""HiFi-GAN's discriminators on a CPU compute their convolutions otherwise than written; the values are those of torch's convolutions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble_plugins.hifigan import discriminators
from gansemble_plugins.hifigan.discriminators import FoldedConv1d, MultiPeriod, MultiScale, TimeConv2d
from gansemble_plugins.hifigan.folding import folded_conv1d


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("length", [1, 2, 39, 40, 67, 128])
@pytest.mark.parametrize(
    ("channels", "outs", "taps", "stride", "padding", "groups", "fold"),
    [
        (8, 16, 41, 2, 20, 4, 4),
        (8, 16, 41, 4, 20, 8, 4),
        (8, 8, 41, 4, 20, 2, 8),
        (1, 8, 15, 1, 7, 1, 8),
        (4, 8, 3, 1, 1, 2, 2),
        (4, 4, 1, 3, 0, 1, 6),
        (4, 4, 6, 2, 5, 1, 4),
    ],
)
def test_folded_convolutions_and_their_first_and_second_derivatives_are_torchs(
    channels: int, outs: int, taps: int, stride: int, padding: int, groups: int, fold: int, length: int
) -> None:
    x = drawn(2, channels, length).requires_grad_()
    weight, bias = drawn(outs, channels // groups, taps, seed=1).requires_grad_(), drawn(outs, seed=2).requires_grad_()
    given, found = (x, weight, bias), []
    for convolve in (
        lambda: F.conv1d(x, weight, bias, stride, padding, groups=groups),
        lambda: folded_conv1d(x, weight, bias, stride, padding, groups, fold),
    ):
        y = convolve()
        first = torch.autograd.grad(y.square().sum(), given, create_graph=True)
        second = torch.autograd.grad(first[0].square().sum(), given)
        found.append((y, *first, *second))
    for expected, got in zip(*found, strict=True):
        assert got.shape == expected.shape
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-10 * float(expected.detach().abs().max()))


def test_a_folded_convolution_without_bias_is_torchs() -> None:
    x, weight = drawn(1, 4, 30), drawn(8, 1, 5, seed=1)
    torch.testing.assert_close(folded_conv1d(x, weight, None, 2, 2, 4, 4), F.conv1d(x, weight, None, 2, 2, groups=4))


def as_written(network: nn.Module, x: Tensor, period: int | None) -> DiscriminatorOutput:
    """A sub-discriminator by torch's own convolutions, as the paper writes it."""
    plain = nn.Conv1d if period is None else nn.Conv2d
    if period is not None:
        x = F.pad(x, (0, -x.shape[-1] % period), "reflect")
        x = x.view(len(x), 1, -1, period)
    maps = []
    for layer in network.convs:
        x = F.leaky_relu(plain.forward(layer, x), discriminators.SLOPE)
        maps.append(x)
    x = plain.forward(network.conv_post, x)
    return DiscriminatorOutput(x.flatten(1), (*maps, x))


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["multi_period", "multi_scale"])
def test_maps_scores_and_gradients_are_those_of_the_layers_as_written(name: str, precision: torch.dtype) -> None:
    """Up to rounding: 1e-5 of the largest in float32, 1e-13 in float64, for every map, parameter and the signal."""
    torch.manual_seed(3)
    made = MultiPeriod(channels=(4, 8, 16)) if name == "multi_period" else MultiScale(scales=2, width=1 / 8)
    made = made.to(precision).eval()  # evaluation leaves spectral norm's vectors alone
    signal = drawn(2, 1, 1021).to(precision).requires_grad_()
    found = []
    for ours in (True, False):
        outputs = made(signal, Condition()) if ours else written(made, signal)
        loss = sum(output.score.square().mean() for output in outputs)
        loss = loss + sum(each.abs().mean() for output in outputs for each in output.features)
        gradients = torch.autograd.grad(loss, (signal, *made.parameters()))
        maps = [each.detach() for output in outputs for each in (output.score, *output.features)]
        found.append([*maps, *gradients])
    tolerance = 1e-5 if precision == torch.float32 else 1e-13
    for got, expected in zip(*found, strict=True):
        assert got.shape == expected.shape
        assert float((got - expected).abs().max()) <= tolerance * float(expected.abs().max())


def written(made: nn.Module, x: Tensor) -> list[DiscriminatorOutput]:
    outputs = []
    for index, part in enumerate(made.discriminators):
        if isinstance(made, MultiPeriod):
            outputs.append(as_written(part, x, part.period))
        else:
            x = F.avg_pool1d(x, 4, 2, padding=2) if index else x
            outputs.append(as_written(part, x, None))
    return outputs


def test_only_grouped_strided_layers_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def note(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, groups: int, fold: int) -> Tensor:
        seen.append((stride, groups, fold))
        return folded_conv1d(x, weight, bias, stride, padding, groups, fold)

    monkeypatch.setattr(discriminators, "folded_conv1d", note)
    MultiScale(scales=1, width=1 / 16)(drawn(1, 1, 256).float(), Condition())
    assert seen == [(2, 4, 4), (2, 16, 4), (4, 16, 4), (4, 16, 4)]


@pytest.mark.parametrize("layer", [FoldedConv1d(8, 8, 5, 2, 2, groups=2), TimeConv2d(8, 8, (5, 1), (3, 1), (2, 0))])
def test_layers_off_the_cpu_are_torchs_own(layer: nn.Module) -> None:
    """On the meta device, as anywhere but on a CPU, a map of the period discriminator is not turned."""
    plain, shape = (nn.Conv1d, (2, 8, 32)) if isinstance(layer, nn.Conv1d) else (nn.Conv2d, (2, 8, 32, 3))
    expected = plain.forward(layer, torch.zeros(shape)).shape
    assert layer.to("meta")(torch.zeros(shape, device="meta")).shape == expected
