"""Every registered part keeps its kind's promises, so a new part is tested by existing."""

from typing import Any

import pytest
import torch

from gansemble import plugins
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Batch, Condition, as_verdicts
from gansemble.random import Draws
from gansemble.recipe import types
from gansemble.registry import Entry
from gansemble.training.build import Critics

SPEC = AudioSpec()
LENGTH = 8192
SUPPLIED = {"audio": SPEC, "batch_size": 2, "seed": 0}


def entries(kind: str) -> list[Any]:
    """The registered parts of a kind, named in test ids."""
    return [pytest.param(entry, id=f"{entry.plugin}/{entry.name}") for entry in plugins.registry().entries(kind)]


def make(entry: Entry) -> Any:
    """A part from its example, its lists converted as a recipe's are."""
    target = entry.load()
    hints = types.hints(target)
    example = {name: types.convert(value, hints[name]) for name, value in entry.example.items()}
    names = types.signature(target)
    torch.manual_seed(0)
    return target(**{name: value for name, value in SUPPLIED.items() if name in names} | example)


@pytest.fixture(scope="module")
def audio() -> torch.Tensor:
    """Two seconds-long harmonic tones with a little noise [2, 1, T]."""
    time = torch.arange(LENGTH) / SPEC.sample_rate
    tones = torch.stack([sum(torch.sin(2 * torch.pi * f * k * time) / k for k in range(1, 9)) for f in (110.0, 190.0)])
    noise = torch.randn(2, LENGTH, generator=torch.Generator().manual_seed(1))
    return (0.1 * tones + 0.001 * noise)[:, None]


def assert_learns(network: torch.nn.Module, loss: torch.Tensor) -> None:
    """Every parameter gets a finite gradient."""
    loss.backward()
    wrong = [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not wrong, f"no finite gradient: {wrong}"


@pytest.mark.parametrize(
    "kind", ["generator", "discriminator", "loss", "metric", "corpus", "noise_injector", "objective"]
)
def test_built_in_parts_of_every_kind_are_registered(kind: str) -> None:
    """The tests below are not empty."""
    assert entries(kind)


def test_no_plugin_is_broken_or_ambiguous() -> None:
    """What ships loads, and no name is given twice."""
    registry = plugins.registry()
    assert not registry.broken and not registry.ambiguous()


@pytest.mark.parametrize(
    "entry", [e for kind in ("loss", "metric", "corpus", "objective", "regulariser") for e in entries(kind)]
)
def test_a_part_is_built_from_its_example_and_takes_no_hidden_keywords(entry: Entry) -> None:
    """Constructors are checkable: annotated parameters only."""
    make(entry)
    hints = types.hints(entry.load())
    assert all(name in hints for name in types.signature(entry.load()))


@pytest.mark.parametrize("entry", entries("generator"))
def test_a_generator_makes_a_hop_of_samples_of_each_frame(entry: Entry, audio: torch.Tensor) -> None:
    """Shape, dtype, determinism, untouched input, gradients to every parameter, a state that round-trips."""
    network = make(entry)
    mel = log_mel(audio, SPEC)
    before = mel.clone()
    made = network(Condition(signal=mel))
    assert made.shape == (2, 1, mel.shape[-1] * SPEC.hop) and made.dtype == torch.float32
    assert torch.equal(mel, before) and torch.equal(made, network(Condition(signal=mel)))
    assert isinstance(network.context_frames, int)
    assert_learns(network, made.square().mean())
    other = make(entry)
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(Condition(signal=mel)), made)


@pytest.mark.parametrize("entry", entries("discriminator"))
def test_a_discriminator_answers_with_verdicts(entry: Entry, audio: torch.Tensor) -> None:
    """Scores [B, N], items judged apart, silence and full scale finite, gradients to every parameter and the input."""
    network = make(entry).eval()
    heard = audio.clone().requires_grad_()
    verdicts = as_verdicts(network(heard, Condition()))
    assert all(verdict.score.shape[0] == 2 for verdict in verdicts)
    alone = as_verdicts(network(audio[:1], Condition()))
    for both, one in zip(verdicts, alone, strict=True):
        torch.testing.assert_close(both.score[:1], one.score, rtol=1e-4, atol=1e-5)
    assert_learns(network, sum(v.score.square().mean() + sum(f.square().mean() for f in v.features) for v in verdicts))
    assert torch.isfinite(heard.grad).all() and heard.grad.abs().sum() > 0
    for extreme in (torch.zeros_like(audio), torch.ones_like(audio)):
        assert all(torch.isfinite(v.score).all() for v in as_verdicts(network(extreme, Condition())))


@pytest.mark.parametrize("entry", entries("discriminator"))
def test_real_and_fake_in_one_pass_get_the_verdicts_they_get_apart(entry: Entry, audio: torch.Tensor) -> None:
    """``items_apart`` is a promise: scores and features are those of two passes."""
    critics = Critics({"one": make(entry).eval()})
    fake = audio.flip(-1)
    together = critics((audio, Condition()), (fake, Condition()))
    apart = (*critics((audio, Condition())), *critics((fake, Condition())))
    for ours, theirs in zip(together, apart, strict=True):
        for a, b in zip(ours["one"], theirs["one"], strict=True):
            torch.testing.assert_close(a.score, b.score, rtol=1e-4, atol=1e-5)
            for x, y in zip(a.features, b.features, strict=True):
                torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("entry", entries("noise_injector"))
def test_an_injector_keeps_shapes_and_draws_only_from_the_batch(entry: Entry, audio: torch.Tensor) -> None:
    """The same keys give the same noise whatever torch's own generator does; inputs are untouched; silence is finite."""
    injector = make(entry)

    def inject(real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch = Batch(real, ("a", "b"), Draws.plain(3, 2), mel=log_mel(real, SPEC))
        return injector(real, real * 0.5, batch)

    before = audio.clone()
    torch.manual_seed(1)
    first = inject(audio)
    torch.manual_seed(2)
    second = inject(audio)
    assert all(a.shape == audio.shape and torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(audio, before)
    assert all(torch.isfinite(x).all() for x in inject(torch.zeros_like(audio)))


@pytest.mark.parametrize("entry", entries("objective"))
def test_an_objective_teaches_both_sides_in_opposite_directions(entry: Entry) -> None:
    """The discriminators want fake scores down, the generator wants them up."""
    objective = make(entry)
    score = torch.full((2, 3), 0.3, requires_grad=True)
    (down,) = torch.autograd.grad(objective.discriminator(torch.full((2, 3), 0.4), score), score)
    (up,) = torch.autograd.grad(objective.generator(score), score)
    assert (down > 0).all() and (up < 0).all()


@pytest.mark.parametrize("entry", entries("optimiser"))
def test_an_optimiser_moves_its_parameters(entry: Entry) -> None:
    """One step against a gradient."""
    weight = torch.nn.Parameter(torch.ones(3))
    optimiser = entry.load()([weight])
    weight.grad = torch.ones(3)
    optimiser.step()
    assert (weight < 1).all()
