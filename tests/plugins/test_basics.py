"""Objectives and losses in closed form, in float32 whatever they read, and with finite gradients at silence."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step, as_outputs
from gansemble.plugins import loading
from gansemble.random import Draws
from gansemble_plugins.basics.losses import (
    FeatureMatching,
    MelL1,
    MultiResolutionStftLoss,
    MultiScaleMel,
    WaveformL1,
    WaveformL2,
)
from gansemble_plugins.basics.objectives import Hinge, LeastSquares, NonSaturating, Wasserstein
from gansemble_plugins.hifigan.discriminators import MultiPeriod

torch.set_num_threads(1)
SPEC = AudioSpec()
OBJECTIVES = {"lsgan": LeastSquares, "hinge": Hinge, "wgan": Wasserstein, "nonsaturating": NonSaturating}
WAVEFORM_LOSSES = {
    "mel_l1": lambda: MelL1(audio=SPEC),
    "multi_scale_mel": lambda: MultiScaleMel(audio=AudioSpec(sample_rate=24000), windows=(128, 512), mels=(10, 40)),
    "multi_resolution_stft": MultiResolutionStftLoss,
    "waveform_l1": WaveformL1,
    "waveform_l2": WaveformL2,
}


def noise(seed: int = 0, batch: int = 2, samples: int = 4096) -> torch.Tensor:
    return 0.1 * torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(seed))


def step(real: torch.Tensor, fake: torch.Tensor, **outputs) -> Step:
    told = Condition()
    return Step(
        index=0,
        batch=Batch(real, tuple(map(str, range(len(real)))), Draws.plain(0, len(real))),
        real=real,
        fake=fake,
        real_condition=told,
        fake_condition=told,
        seen_real=real,
        seen_fake=fake,
        generator=nn.Identity(),
        discriminators=nn.Identity(),
        weights={"d": 1.0, "e": 0.25},
        **outputs,
    )


def judged(real: torch.Tensor, fake: torch.Tensor, critic: nn.Module) -> Step:
    return step(
        real,
        fake,
        real_output={"d": as_outputs(critic(real, Condition()))},
        fake_output={"d": as_outputs(critic(fake, Condition()))},
    )


# the registry -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["loss", "objective"])
def test_every_registered_part_of_the_kind_can_be_built(kind):
    entries = loading.registry().entries(kind)
    assert {"loss": {"mel_l1", "feature_matching"}, "objective": set(OBJECTIVES)}[kind] <= {e.name for e in entries}
    for entry in entries:
        target = entry.load()
        supplied = {"audio": SPEC, "batch_size": 2, "seed": 0}
        names = inspect.signature(target).parameters
        part = target(**{key: value for key, value in supplied.items() if key in names} | dict(entry.example))
        if kind == "loss":
            assert part.turns and part.turns <= {"generator", "discriminator"}, entry.name
        else:
            scores = torch.zeros(2, 3)
            real = (scores,) if getattr(part, "needs_real_output", False) else ()
            assert part.discriminator(scores, scores).shape == part.generator(scores, *real).shape == (), entry.name


# objectives -------------------------------------------------------------

REAL, FAKE = torch.tensor([[0.5, 2.0], [-1.0, 0.0]]), torch.tensor([[0.25, -2.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    "name, discriminator, generator",
    [
        ("lsgan", (0.25 + 1 + 4 + 1) / 4 + (0.0625 + 4 + 1) / 4, (0.5625 + 9 + 0 + 1) / 4),
        ("hinge", (0.5 + 0 + 2 + 1) / 4 + (1.25 + 0 + 2 + 1) / 4, 0.75 / 4),
        ("wgan", -0.75 / 4 - 1.5 / 4, 0.75 / 4),
        ("nonsaturating",
         sum(math.log1p(math.exp(-x)) for x in (0.5, 2, -1, 0)) / 4
         + sum(math.log1p(math.exp(x)) for x in (0.25, -2, 1, 0)) / 4,
         sum(math.log1p(math.exp(-x)) for x in (0.25, -2, 1, 0)) / 4),
    ],
)  # fmt: skip
def test_objectives_are_their_closed_forms(name, discriminator, generator):
    objective = OBJECTIVES[name]()
    assert objective.discriminator(REAL, FAKE).item() == pytest.approx(discriminator, abs=1e-6)
    assert objective.generator(FAKE).item() == pytest.approx(generator, abs=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_descent_raises_real_scores_lowers_fake_ones_and_the_generator_raises_its_own(name):
    objective = OBJECTIVES[name]()
    real, fake = torch.full((2, 3), 0.5, requires_grad=True), torch.full((2, 3), 0.5, requires_grad=True)
    for_real, for_fake = torch.autograd.grad(objective.discriminator(real, fake), (real, fake))
    (for_generator,) = torch.autograd.grad(objective.generator(fake), fake)
    assert (for_real < 0).all() and (for_fake > 0).all() and (for_generator < 0).all()


def test_hinge_scores_beyond_the_margin_have_no_gradient():
    real, fake = torch.full((1, 2), 1.5, requires_grad=True), torch.full((1, 2), -1.5, requires_grad=True)
    grads = torch.autograd.grad(Hinge().discriminator(real, fake), (real, fake))
    assert all((grad == 0).all() for grad in grads)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_are_float32_for_bfloat16_scores(name):
    objective = OBJECTIVES[name]()
    assert objective.discriminator(REAL.bfloat16(), FAKE.bfloat16()).dtype == torch.float32
    torch.testing.assert_close(objective.generator(FAKE.bfloat16()), objective.generator(FAKE))


def test_the_logistic_objective_is_finite_for_huge_logits():
    scores = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = NonSaturating().discriminator(scores, scores) + NonSaturating().generator(scores)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(scores.grad).all()


def test_undecided_lsgan_discriminators_cost_a_half_each_and_the_generator_a_quarter():
    half = torch.full((4, 102), 0.5)
    assert LeastSquares().discriminator(half, half) == 0.5
    assert LeastSquares().generator(half) == 0.25


# losses -----------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_the_mel_loss_of_a_gain_is_its_logarithm(gain):
    real = noise()
    assert MelL1(audio=SPEC)(step(real, gain * real), "generator").item() == pytest.approx(
        abs(math.log(gain)), abs=1e-3
    )


def test_the_mel_loss_hears_above_the_generators_fmax_unless_told_not_to():
    real = noise()
    tone = 0.1 * torch.sin(2 * math.pi * 10000 / 22050 * torch.arange(4096)).expand(2, 1, -1)
    full, narrow = (MelL1(audio=SPEC, full_band=b)(step(real, real + tone), "generator") for b in (True, False))
    assert full > 0.01 and narrow < full / 10


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_the_multi_scale_mel_loss_of_a_gain_is_its_decimal_logarithm_at_each_scale(gain):
    real = noise()
    loss = WAVEFORM_LOSSES["multi_scale_mel"]()(step(real, gain * real), "generator")
    assert loss.item() == pytest.approx(2 * abs(math.log10(gain)), abs=2e-3)


def test_the_multi_resolution_stft_loss_of_a_gain_is_its_closed_form():
    """Convergence |1 - g| and log magnitude |ln g|, at every resolution."""
    real = noise()
    loss = MultiResolutionStftLoss()(step(real, 2 * real), "generator")
    assert loss.item() == pytest.approx(1 + math.log(2), abs=0.01)
    convergence = MultiResolutionStftLoss(log_magnitude=0.0)(step(real, torch.zeros_like(real)), "generator")
    assert convergence.item() == pytest.approx(1, abs=0.01)


def test_the_multi_resolution_stft_loss_does_not_depend_on_the_batch():
    real, fake = noise(), noise(1)
    real[1] *= 100
    together = MultiResolutionStftLoss()(step(real, fake), "generator")
    apart = [MultiResolutionStftLoss()(step(real[i : i + 1], fake[i : i + 1]), "generator") for i in range(2)]
    torch.testing.assert_close(together, sum(apart) / 2)


def test_waveform_losses_are_mean_absolute_and_mean_square():
    real = noise()
    assert WaveformL1()(step(real, real + 0.5), "generator").item() == pytest.approx(0.5)
    assert WaveformL2()(step(real, real + 0.5), "generator").item() == pytest.approx(0.25)


@pytest.mark.parametrize("name", WAVEFORM_LOSSES)
def test_losses_of_equal_signals_are_zero_with_a_finite_gradient(name):
    real = noise()
    fake = real.clone().requires_grad_()
    loss = WAVEFORM_LOSSES[name]()(step(real, fake), "generator")
    loss.backward()
    assert loss == 0 and torch.isfinite(fake.grad).all()


@pytest.mark.parametrize("name", WAVEFORM_LOSSES)
@pytest.mark.parametrize("quiet", ["both", "real", "fake"])
def test_losses_and_gradients_are_finite_at_silence(name, quiet):
    real = noise() if quiet == "fake" else torch.zeros(2, 1, 4096)
    fake = (noise(1) if quiet == "real" else torch.zeros(2, 1, 4096)).requires_grad_()
    loss = WAVEFORM_LOSSES[name]()(step(real, fake), "generator")
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(fake.grad).all()


@pytest.mark.parametrize("name", WAVEFORM_LOSSES)
def test_losses_are_float32_for_bfloat16_audio_and_under_autocast(name):
    loss = WAVEFORM_LOSSES[name]()
    real, fake = noise().bfloat16(), noise(1).bfloat16()
    expected = loss(step(real.float(), fake.float()), "generator")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(step(real, fake), "generator")
    assert inside.dtype == torch.float32
    assert torch.equal(inside, expected)


@pytest.mark.parametrize("name", WAVEFORM_LOSSES)
def test_losses_send_no_gradient_into_the_real_audio(name):
    real, fake = noise().requires_grad_(), noise(1).requires_grad_()
    WAVEFORM_LOSSES[name]()(step(real, fake), "generator").backward()
    assert real.grad is None and fake.grad.abs().max() > 0


@pytest.mark.parametrize("name", WAVEFORM_LOSSES)
def test_lengths_that_differ_are_refused_with_both_shapes(name):
    with pytest.raises(ValueError, match=r"\(2, 1, 4096\), got \(2, 1, 4095\)"):
        WAVEFORM_LOSSES[name]()(step(noise(), noise()[..., :-1]), "generator")


def test_the_mel_loss_is_the_difference_of_the_log_mels():
    real, fake = noise(), noise(1)
    spec = SPEC.full_band()
    torch.testing.assert_close(
        MelL1(audio=SPEC)(step(real, fake), "generator"), F.l1_loss(log_mel(fake, spec), log_mel(real, spec))
    )


# feature matching -------------------------------------------------------


def offset(amount: float, logits: float = 0.0) -> Step:
    """Two discriminators with three maps each, the last the score map."""
    maps = [torch.randn(2, 4, size, generator=torch.Generator().manual_seed(size)) for size in (9, 5)]
    score = torch.zeros(2, 7)
    real = DiscriminatorOutput(score, (*maps, score[:, None]))
    fake = DiscriminatorOutput(score, (*(m + amount for m in maps), score[:, None] + logits))
    return step(noise(), noise(1), real_output={"d": (real,), "e": (real,)}, fake_output={"d": (fake,), "e": (fake,)})


def test_feature_matching_adds_the_offset_of_every_map_times_its_discriminators_weight():
    assert FeatureMatching()(offset(0.5, 2.0), "generator").item() == pytest.approx((2 * 0.5 + 2.0) * 1.25, rel=1e-5)
    assert FeatureMatching(logits=False)(offset(0.5, 2.0), "generator").item() == pytest.approx(1.25, rel=1e-5)
    assert FeatureMatching()(offset(0.0), "generator") == 0


def test_feature_matching_without_features_is_an_error():
    bare = {"d": (DiscriminatorOutput(torch.zeros(2, 3)),)}
    with pytest.raises(ValueError, match="needs a discriminator that returns features"):
        FeatureMatching()(step(noise(), noise(1), real_output=bare, fake_output=bare), "generator")


def test_feature_matching_is_finite_at_silence_and_float32_for_bfloat16_maps():
    fake = torch.zeros(2, 1, 600, requires_grad=True)
    critic = MultiPeriod(channels=(4, 8), periods=(2, 3))
    FeatureMatching()(judged(torch.zeros(2, 1, 600), fake, critic), "generator").backward()
    assert torch.isfinite(fake.grad).all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen = judged(noise(samples=600), noise(1, samples=600), critic)
        assert seen.fake_output["d"][0].features[0].dtype == torch.bfloat16
        assert FeatureMatching()(seen, "generator").dtype == torch.float32


def test_feature_matching_teaches_the_generator_alone():
    real, fake = noise(samples=600).requires_grad_(), noise(1, samples=600).requires_grad_()
    FeatureMatching()(judged(real, fake, MultiPeriod(channels=(4, 8), periods=(2, 3))), "generator").backward()
    assert real.grad is None and fake.grad.abs().max() > 0


def test_clipped_weights_stay_within_their_bound_after_every_step():
    from gansemble_plugins.basics.optimisers import rmsprop

    weight = torch.nn.Parameter(torch.tensor([0.5, -0.001]))
    optimiser = rmsprop([weight], lr=1e-4, clip_weights=0.01)
    for _ in range(3):
        weight.grad = torch.tensor([1.0, 1.0])
        optimiser.step()
        assert weight.abs().max() <= 0.01 and weight[1] < -0.001
    with pytest.raises(ValueError, match="clip_weights must be positive or null, got 0"):
        rmsprop([weight], clip_weights=0.0)
