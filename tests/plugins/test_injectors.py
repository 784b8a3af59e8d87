"""White noise injectors and the diffusion process under them: levels, resuming, and what they leave alone."""

from __future__ import annotations

import io
import math

import pytest
import torch
from torch import Tensor, nn

from gansemble.abilities import Adaptive
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.random import Draws
from gansemble.training.adaptation import Adaptation
from gansemble_plugins.basics.injectors import Gaussian
from gansemble_plugins.specdiff.diffusion import Diffusion
from gansemble_plugins.specdiff.forward_process import ForwardProcess, alpha_bar
from gansemble_plugins.specdiff.injector import SpectralDiffusion
from gansemble_plugins.specdiff.schedule import DiffusionSchedule


def batch_of(audio: Tensor, seed: int = 0) -> Batch:
    return Batch(audio, (), Draws.plain(seed, audio.shape[0]))


def step_of(seen: Tensor, score: Tensor) -> Step:
    told, module = Condition(), nn.Identity()
    outputs = {"only": (DiscriminatorOutput(score),)}
    return Step(0, batch_of(seen), seen, seen, told, told, seen, seen, module, module, {}, real_output=outputs)


def audio(items: int, *shape: int) -> Tensor:
    return 0.1 * torch.randn(items, *shape, generator=torch.Generator().manual_seed(5))


def stored(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state as a checkpoint gives it back."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("shape", [(1, 4000), (2, 50, 40)])
def test_instance_noise_has_its_level(shape: tuple[int, ...]) -> None:
    """Real and fake of any domain get independent noise of standard deviation sigma."""
    real, fake = audio(6, *shape), audio(6, *shape)
    seen = Gaussian(sigma=0.3)(real, fake, batch_of(real))
    noise = torch.stack([seen[0] - real, seen[1] - fake]).flatten(1)
    assert noise.std(1).tolist() == pytest.approx([0.3, 0.3], rel=4 / math.sqrt(2 * noise.shape[1]))
    assert abs(float(torch.corrcoef(noise)[0, 1])) < 4 / math.sqrt(noise.shape[1])


def test_instance_noise_fades_out() -> None:
    """After half of the decay half of sigma is left, after all of it nothing; the count is resumed."""
    part, real = Gaussian(sigma=0.2, decay_steps=1000), audio(2, 1, 64)
    for _ in range(500 // part.adapt_every):
        part.adapt(0.0)
    assert part.level == pytest.approx(0.1) and part.monitors() == {"sigma": pytest.approx(0.1)}
    other = Gaussian(sigma=0.2, decay_steps=1000)
    other.load_state_dict(stored(part.state_dict()))
    assert other.level == part.level
    for _ in range(500 // part.adapt_every):
        part.adapt(0.0)
    assert torch.equal(part(real, real, batch_of(real))[0], real)


@pytest.mark.parametrize("decay_steps", [1, 50, 3000, 10**6])
def test_decay_is_told_often_enough(decay_steps: int) -> None:
    """The level falls in a hundred stages or more, or at every step if there are fewer."""
    part = Gaussian(decay_steps=decay_steps)
    assert part.adapt_every == 1 or decay_steps / part.adapt_every >= 100
    assert part.adapt_every <= 100


def test_white_diffusion_has_its_level() -> None:
    """Items with t > 0 hold sqrt(abar) x plus white noise of sigma sqrt(1 - abar), the others x."""
    part = Diffusion(sigma=0.3, schedule=DiffusionSchedule(fixed_t=1, beta_first=0.4, beta_last=0.4))
    real, fake = audio(24, 1, 2000), audio(24, 1, 2000)
    seen = part(real, fake, batch_of(real))
    noisy = part.process.times(batch_of(real).draws)[0] > 0
    assert 6 < int(noisy.sum()) < 18
    assert all(torch.equal(a[~noisy], x[~noisy]) for a, x in zip(seen, (real, fake), strict=True))
    noise = torch.stack([a - math.sqrt(0.6) * x for a, x in zip(seen, (real, fake), strict=True)])[:, noisy]
    count = noise[0].numel()
    level, error = 0.3 * math.sqrt(0.4), 4 / math.sqrt(2 * count)
    assert noise.flatten(1).std(1).tolist() == pytest.approx([level, level], rel=error)
    lagged = torch.stack([noise[0, :, 0, 1:].flatten(), noise[0, :, 0, :-1].flatten()])
    assert abs(float(torch.corrcoef(lagged)[0, 1])) < 4 / math.sqrt(count)
    assert abs(float(torch.corrcoef(noise.flatten(1))[0, 1])) < 4 / math.sqrt(count)


def test_unshaped_spectral_diffusion_is_the_white_one() -> None:
    """StandardDiff-GAN and SpecDiff-GAN without shaping are one method: a comparison needs but one of them."""
    schedule, real, fake = DiffusionSchedule(t_min=200), audio(12, 1, 1024), audio(12, 1, 1024).flip(0)
    white = Diffusion(schedule=schedule, seed=3)(real, fake, batch_of(real))
    part = SpectralDiffusion(audio=AudioSpec(), shaping="none", schedule=schedule, seed=3)
    for ours, theirs in zip(part(real, fake, batch_of(real)), white, strict=True):
        assert torch.equal(ours, theirs) and not torch.equal(ours, real)


def test_gradient_is_the_signal_share() -> None:
    """d x_t / d fake = sqrt(abar_t) I for each item, on any domain."""
    part, fake = (
        Diffusion(schedule=DiffusionSchedule(fixed_t=3, beta_first=0.2, beta_last=0.5, law="uniform")),
        audio(9, 2, 5, 7),
    )
    fake.requires_grad_()
    batch = batch_of(fake.detach())
    pull = audio(9, 2, 5, 7)
    (gradient,) = torch.autograd.grad((part(fake.detach(), fake, batch)[1] * pull).sum(), fake)
    times = part.process.times(batch.draws)[0]
    assert len(set(times.tolist())) >= 3
    share = alpha_bar(3, 0.2, 0.5)[times].sqrt().float().view(-1, 1, 1, 1)
    assert torch.allclose(gradient, share * pull, rtol=1e-6, atol=0)


def test_separate_t_and_shared_noise() -> None:
    """Diffusion-GAN's own pairing, and a pair that differs in nothing."""
    real = audio(40, 1, 16)
    part = Diffusion(shared_t=False, schedule=DiffusionSchedule(fixed_t=1, beta_first=0.4, beta_last=0.4))
    clean = torch.stack([(seen == real).flatten(1).all(1) for seen in part(real, real, batch_of(real))])
    assert torch.equal(clean, part.process.times(batch_of(real).draws) == 0)
    assert not torch.equal(clean[0], clean[1])
    seen = Diffusion(shared_noise=True, schedule=DiffusionSchedule(fixed_t=50))(real, real, batch_of(real))
    assert torch.equal(*seen) and not torch.equal(seen[0], real)


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_statistic_counts_items_above_the_threshold(threshold: float) -> None:
    """T grows by confidence against 0 for logits, against 0.5 for 0/1 targets."""
    part = Diffusion(threshold=threshold)
    score = torch.tensor([0.9, 0.3, -0.2, 0.6])[:, None].expand(4, 7)
    expected = [1.0, 1.0, -1.0, 1.0] if threshold == 0 else [1.0, -1.0, -1.0, 1.0]
    assert part.statistic(step_of(torch.zeros(4, 1, 8), score)).tolist() == expected


@pytest.mark.parametrize("fixed", [None, 7])
def test_the_confidence_that_t_follows_is_a_curve(fixed: int | None) -> None:
    """Of a fixed T it is measured, too, where the discriminators judged real items, and T stays."""
    part = Diffusion(schedule=DiffusionSchedule(fixed_t=fixed, t_max=10))
    length = 10 if fixed is None else fixed
    assert part.monitors() == {"T": length, "p": 0.0}
    score = torch.tensor([0.9, 0.3, 0.8, 0.6])[:, None].expand(4, 7)
    part.adapt(float(part.statistic(step_of(torch.zeros(4, 2, 8, 3), score)).mean()))
    assert part.monitors()["confidence"] == 0.5 and part.monitors()["T"] == length
    other = Diffusion(schedule=DiffusionSchedule(fixed_t=fixed, t_max=10))
    other.load_state_dict(stored(part.state_dict()))
    assert other.monitors() == part.monitors()
    older = stored(part.state_dict())
    del older["confidence"]  # checkpoints of before it was kept
    other.load_state_dict(older)
    assert "confidence" not in other.monitors()


@pytest.mark.parametrize(
    "part", [Gaussian(), Gaussian(decay_steps=50), Diffusion(), Diffusion(schedule=DiffusionSchedule(fixed_t=7))]
)
def test_every_injector_can_be_adapted(part: Adaptive) -> None:
    """The loop treats all alike: a statistic per item, an update, finite monitors, a state."""
    assert isinstance(part, Adaptive)
    statistic = part.statistic(step_of(torch.zeros(4, 1, 8), torch.ones(4, 3)))
    assert statistic.shape == (4,)
    part.adapt(float(statistic.mean()))
    part.load_state_dict(stored(part.state_dict()))
    assert all(math.isfinite(value) for value in part.monitors().values())


@pytest.mark.parametrize(("items", "least"), [(4, 4), (16, 13), (32, 26), (64, 52)])
def test_t_rises_where_so_many_of_so_few_clips_are_taken_for_real(items: int, least: int) -> None:
    """A target of 0.6 is more than 80 % of the clips since the last update, in whole clips."""
    for taken, direction in ((least, 1), (least - 1, -1)):
        part = Diffusion(schedule=DiffusionSchedule(kwav=1.0))
        part.load_state_dict(part.state_dict() | {"p": torch.tensor(0.5, dtype=torch.float64)})
        part.adapt(float(torch.tensor([1.0] * taken + [-1.0] * (items - taken)).mean()))
        assert part.process.p == pytest.approx(0.5 + direction * part.process.change, abs=1e-12)


@pytest.mark.parametrize("compat", ["principled", "official"])
def test_t_waits_for_the_discriminators_to_learn(compat: str) -> None:
    """Steps without them, such as those before plan.discriminators_from, change nothing in either turn."""
    part = SpectralDiffusion(audio=AudioSpec(), compat=compat)
    loop = Adaptation({"noise_injector": part}, lambda sums: sums)
    silent = step_of(torch.zeros(4, 1, 8), torch.ones(4, 3))
    judged = step_of(torch.zeros(4, 1, 8), torch.ones(4, 3))
    silent.real_output = {}
    for step, updates in ((silent, 0), (judged, 1)):
        for _ in range(part.adapt_every):
            for turn in ("discriminator", "generator"):
                loop.observe(step, turn)
            loop.end_step()
        assert part.process.updates == updates
    assert part.monitors()["confidence"] == 1.0 and part.monitors()["p"] > 0


def test_fixed_length_never_adapts() -> None:
    """With a fixed T an update changes nothing but what is logged of it, and no output is asked for."""
    part = Diffusion(schedule=DiffusionSchedule(fixed_t=7, kwav=0.064))
    before = part.state_dict()
    silent = step_of(torch.zeros(4, 1, 8), torch.ones(4, 3))
    silent.real_output = {}
    assert part.statistic(silent).shape == (0,) and part.monitors() == {"T": 7.0, "p": 0.0}
    part.adapt(1.0)
    assert part.monitors() == {"T": 7.0, "p": 0.0, "confidence": 1.0}
    after = part.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in ("p", "length", "updates", "pool"))


def test_resuming_continues_the_same_pools() -> None:
    """A process stored after five updates goes on as the one that was never stopped."""
    straight = ForwardProcess(DiffusionSchedule(kwav=1.28), seed=3)
    for _ in range(5):
        straight.adapt(1.0)
    resumed = ForwardProcess(DiffusionSchedule(kwav=1.28), seed=3)
    resumed.load_state_dict(stored(straight.state_dict()))
    torch.manual_seed(99)
    for value in (1.0, 1.0, -1.0, 1.0):
        assert torch.equal(straight.pool, resumed.pool) and straight.monitors() == resumed.monitors()
        draws = Draws.plain(1, 8)
        assert torch.equal(straight.times(draws), resumed.times(draws))
        straight.adapt(value)
        resumed.adapt(value)
    assert straight.length > 10 and torch.equal(straight.table, resumed.table)
    assert torch.equal(straight.pool, resumed.pool)


def test_processes_agree_and_seeds_differ() -> None:
    """Two processes told the same draw the same pool without exchanging it; another seed draws another."""
    first, second, other = (ForwardProcess(DiffusionSchedule(t_min=500), seed=seed) for seed in (1, 1, 2))
    torch.rand(3)
    for part in (first, second, other):
        part.adapt(1.0)
    assert torch.equal(first.pool, second.pool) and not torch.equal(first.pool, other.pool)


def test_half_batches_see_what_the_whole_batch_sees() -> None:
    """An item's noise is keyed on the item: two processes with half a batch each equal one with all of it."""
    part, real = Diffusion(schedule=DiffusionSchedule(t_min=300)), audio(8, 1, 32)
    whole = part(real, real, Batch(real, (), Draws(4, [(2, item) for item in range(8)])))
    halves = [
        part(real[rows], real[rows], Batch(real[rows], (), Draws(4, [(2, item) for item in rows])))
        for rows in ([0, 1, 2, 3], [4, 5, 6, 7])
    ]
    for index in (0, 1):
        assert torch.equal(whole[index], torch.cat([half[index] for half in halves]))
        assert not torch.equal(whole[index], real)


def test_range_changed_while_resuming() -> None:
    """p is the state: with another t_max, T and its tables are those of the new range."""
    old = ForwardProcess(DiffusionSchedule(kwav=0.128))
    old.adapt(1.0)
    new = ForwardProcess(DiffusionSchedule(t_max=110))
    new.load_state_dict(stored(old.state_dict()))
    assert (old.length, new.length) == (505, 60)
    assert new.table.shape == (2, 61) and int(new.pool.max()) <= 60


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_output_is_at_least_single_precision(dtype: torch.dtype) -> None:
    """A generator under autocast gives bfloat16; its 8 bits would swallow the first steps' noise."""
    real, fake = audio(4, 1, 64), audio(4, 1, 64).to(dtype)
    for part in (Gaussian(), Diffusion()):
        assert [seen.dtype for seen in part(real, fake, batch_of(real))] == [torch.float32] * 2


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Gaussian, {"sigma": -0.1}),
        (Gaussian, {"decay_steps": 0}),
        (Diffusion, {"sigma": -0.1}),
        (Diffusion, {"batch_size": 0}),
        (DiffusionSchedule, {"t_min": 0}),
        (DiffusionSchedule, {"beta_last": 1.0}),
    ],
)
def test_impossible_numbers_are_refused(kind: type, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        kind(**wrong)


def test_unlike_shapes_are_refused() -> None:
    real = audio(2, 1, 16)
    with pytest.raises(ValueError, match="alike"):
        Diffusion()(real, audio(2, 1, 17), batch_of(real))
