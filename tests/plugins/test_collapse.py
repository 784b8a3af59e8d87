"""The monitor of collapse: what it measures, when it raises an alarm, and when it does not; and its curves in a report."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansemble.evaluation import onsets
from gansemble.evaluation.systems import System, told_apart
from gansemble.interfaces import Alarm, Batch, Condition, DiscriminatorOutput, Step
from gansemble.pages.pictures import COLOURS
from gansemble.random import Draws
from gansemble_plugins.basics.collapse import CollapseMonitor, numbers_of

RECORDINGS = sorted((Path(__file__).parents[3] / "shared/audio/ESC-50/audio").glob("*.wav"))
EVERY = 50


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def step_of(
    real: Tensor,
    fake: Tensor,
    scores: tuple[Tensor, Tensor] | None = None,
    labels: tuple[Tensor, Tensor] | None = None,
    domain: str = "waveform",
) -> Step:
    class Domain:
        pass

    told = [Condition(label=label) for label in labels or (None, None)]
    representation = Domain()
    representation.domain = domain
    batch = Batch(real, (), Draws.plain(0, len(real)))
    module = nn.Identity()
    step = Step(0, batch, real, fake, *told, real, fake, module, module, {}, representation=representation)
    if scores is not None:
        step.real_output, step.fake_output = ({"one": (DiscriminatorOutput(score),)} for score in scores)
    return step


def stored(state: Any) -> Any:
    """The state as a checkpoint gives it back."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


# what is measured -------------------------------------------------------


def test_another_phase_is_no_other_item() -> None:
    """Noise with its sign turned, and a tone that starts elsewhere, are the same sounds; another tone is not."""
    time = torch.arange(8192) / 8000
    tone, later, other = (torch.sin(2 * math.pi * f * time + p)[None, None] for f, p in ((500, 0), (500, 2), (1500, 0)))
    noise = torch.randn(1, 1, 8192, generator=generator(0))
    assert torch.equal(numbers_of(noise, True), numbers_of(-noise, True))
    same, different = (
        (numbers_of(tone, True) - numbers_of(each, True)).square().mean().sqrt() for each in (later, other)
    )
    assert same < 1 < 10 < different


def test_white_noise_of_unit_variance_has_no_decibels_and_silence_the_least() -> None:
    noise = torch.randn(4, 2, 65536, generator=generator(1))
    assert float(numbers_of(noise[:, :1], True).mean()) == pytest.approx(0, abs=0.2)
    assert torch.equal(numbers_of(noise * 0, True), torch.full((4, 256), -80.0))


@pytest.mark.parametrize("shape", [(1, 8192), (2, 300), (1, 40), (1, 7), (1, 1)])
def test_waveforms_of_any_length_are_at_most_256_numbers(shape: tuple[int, ...]) -> None:
    numbers = numbers_of(torch.randn(3, *shape, generator=generator(0)), True)
    assert numbers.shape[0] == 3 and 1 <= numbers.shape[1] <= 256 and torch.isfinite(numbers).all()


@pytest.mark.parametrize(
    "shape", [(1, 128, 128), (3, 17, 5), (2, 128, 1024), (80, 32), (400, 1, 9), (5,), (), (2, 3, 4, 5), (1, 1, 7)]
)
def test_anything_else_is_averages_that_keep_the_mean(shape: tuple[int, ...]) -> None:
    x = torch.rand(3, *shape, generator=generator(0))
    numbers = numbers_of(x, False)
    assert numbers.shape[0] == 3 and 1 <= numbers.shape[1] <= 256
    if len(shape) < 3 or shape[0] < 4:
        assert torch.allclose(numbers.mean(1), x.reshape(3, -1).mean(1), atol=0.03)
    assert numbers_of(torch.complex(x, x), False).shape == numbers.shape


def corners(modes: int, items: int) -> Tensor:
    """Items spread over equally distant places [N, D]."""
    return torch.eye(max(modes, items))[torch.arange(items) % modes]


@pytest.mark.parametrize("modes", [1, 2, 4])
def test_diversity_is_the_share_of_pairs_that_differ(modes: int) -> None:
    """Real items all equally far apart, fakes in k equal modes: (N/k)² k(k-1)/2 of N(N-1)/2 pairs are apart."""
    items = 16
    found = CollapseMonitor().summarise({"real": corners(items, items), "fake": corners(modes, items)})
    apart = (items / modes) ** 2 * modes * (modes - 1) / (items * (items - 1))
    assert found["diversity"] == pytest.approx(max(apart, 1e-4))
    assert found["diversity_closest"] == found["diversity_neighbour"] == pytest.approx(1e-4)


def test_equal_sets_are_equally_diverse_and_twice_as_wide_ones_twice() -> None:
    real = torch.randn(32, 9, generator=generator(0))
    for factor in (1.0, 2.0):
        found = CollapseMonitor().summarise({"real": real, "fake": factor * real})
        ratios = [value for name, value in found.items() if name.startswith("diversity")] + [found["level_spread"]]
        assert ratios == pytest.approx([factor] * 4)


def test_levels_are_compared_in_standard_deviations_of_real_items() -> None:
    """A shift by three standard deviations is a gap and a distance of three."""
    real = torch.randn(64, 9, generator=generator(0))
    shift = 3 * real.mean(1).std()
    found = CollapseMonitor().summarise({"real": real, "fake": real - shift})
    assert found["level_gap"] == pytest.approx(-3) and found["level_distance"] == pytest.approx(3)
    assert found["level_spread"] == pytest.approx(1)


def test_items_of_one_class_are_compared_with_each_other() -> None:
    """A generator that makes one item for each class is diverse as a whole, and not within classes."""
    label = torch.arange(32) % 4
    centre = 5 * torch.randn(4, 8, generator=generator(0))
    real = centre[label] + torch.randn(32, 8, generator=generator(1))
    labels = {"real_label": label.float(), "fake_label": label.float()}
    found = CollapseMonitor().summarise({"real": real, "fake": centre[label], **labels})
    assert found["diversity"] > 0.8 and found["diversity_within"] == pytest.approx(1e-4)
    few = {name: value[:4] for name, value in labels.items()}
    assert "diversity_within" not in CollapseMonitor().summarise({"real": real[:4], "fake": real[:4], **few})


def test_scores_are_measured_by_item() -> None:
    """Means over opinions and discriminators; a win is a real item's score above its neighbour's."""
    real, fake = torch.tensor([[3.0, 1.0], [0.0, 0.0]]), torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    x = torch.randn(2, 1, 64, generator=generator(0))
    monitor = CollapseMonitor(items=2)
    values = monitor.item_values(step_of(x, x, (real, fake)))
    assert values["real_score"].tolist() == [2, 0] and values["fake_score"].tolist() == [1, 1]
    found = monitor.summarise(values)
    assert (found["win_rate"], found["score_gap"]) == (0.5, 0.0)


def test_a_step_without_outputs_or_labels_is_looked_at_too() -> None:
    x = torch.randn(4, 1, 64, generator=generator(0))
    assert set(CollapseMonitor().item_values(step_of(x, x))) == {"real", "fake"}
    mixture = torch.full((4, 2), 0.5)
    assert set(CollapseMonitor().item_values(step_of(x, x, labels=(mixture, mixture)))) == {"real", "fake"}
    label = torch.arange(4)
    assert "fake_label" in CollapseMonitor().item_values(step_of(x, x, labels=(label, label)))


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    x = torch.randn(20, 6, generator=generator(0))
    broken = x.clone()
    broken[3, 2], broken[7, 0] = math.nan, math.inf
    kept = torch.tensor([index not in (3, 7) for index in range(20)])
    found, clean = (
        CollapseMonitor().summarise({"real": x, "fake": broken}),
        CollapseMonitor(items=2).summarise({"real": x[kept], "fake": x[kept]}),
    )
    assert found["nonfinite"] == pytest.approx(0.1) and clean["nonfinite"] == 0
    assert {**found, "nonfinite": 0} == pytest.approx({**clean, "nonfinite": 0})
    assert CollapseMonitor().summarise({"real": x, "fake": x * math.nan}) == {"nonfinite": 1.0}


def test_small_batches_are_joined_with_those_before() -> None:
    """With items=8, batches of three are looked at three by three; a batch of eight stands alone."""
    x = torch.randn(40, 6, generator=generator(0))
    monitor = CollapseMonitor(items=8)
    for first in (0, 3, 6, 9):
        found = monitor.summarise({"real": x[first : first + 3], "fake": 2 * x[first : first + 3].flip(1)})
    alone = {"real": x[3:12], "fake": 2 * x[3:12].flip(1)}
    assert found == pytest.approx(CollapseMonitor(items=8).summarise(alone))
    assert monitor.summarise({"real": x[:8], "fake": x[:8]})["diversity"] == 1
    assert len(monitor.state_dict()["ring"]) == 0


# when it raises an alarm ------------------------------------------------


def healthy(seed: int) -> Callable[[], dict[str, float]]:
    """Numbers of a run that is well: ratios around 0.7, gaps around 2, with deviations of a third and odd values."""
    draw = np.random.default_rng(seed)

    def look() -> dict[str, float]:
        ratio, gap = (math.exp(0.3 * draw.standard_t(4)) for _ in range(2))
        won = float(np.clip(0.8 + 0.1 * draw.standard_normal(), 0, 1))
        ratios = {name: 0.7 * ratio * math.exp(0.1 * draw.standard_normal()) for name in RATIOS}
        distances = {"level_distance": 0.5 * gap, "score_gap": 2 * gap, "separation": gap}
        return {"nonfinite": 0.0, **ratios, **distances, "win_rate": won}

    return look


RATIOS = ("diversity", "diversity_closest", "diversity_neighbour", "level_spread")
ALIKE = dict.fromkeys(RATIOS, 0.03)
MIDDLING = dict.fromkeys(RATIOS, 0.7) | {"level_distance": 0.5, "score_gap": 2.0, "separation": 1.0, "win_rate": 0.8}


def run(monitor: CollapseMonitor, looks: list[dict[str, float]], first: int = 1) -> list[tuple[int, Alarm]]:
    """(step, alarm) of each alarm."""
    found = [(EVERY * n, monitor.judge(EVERY * n, look)) for n, look in enumerate(looks, first)]
    return [(step, alarm) for step, alarm in found if alarm is not None]


@pytest.mark.parametrize("seed", range(10))
def test_a_run_that_stays_well_raises_none(seed: int) -> None:
    look = healthy(seed)
    monitor = CollapseMonitor()
    assert run(monitor, [look() for _ in range(400)]) == [] and monitor.healthy_until >= 399 * EVERY


@pytest.mark.parametrize("seed", range(10))
def test_fakes_that_become_alike_raise_an_alarm_at_the_third_look(seed: int) -> None:
    look = healthy(seed)
    monitor = CollapseMonitor()
    past = [*(look() for _ in range(59)), MIDDLING]
    ((step, alarm),) = run(monitor, [*past, *({**look(), **ALIKE} for _ in range(20))])
    assert (step, alarm.onset) == (63 * EVERY, 60 * EVERY)
    assert "fakes are 0.03 times as far apart as real items (0." in alarm.reason and " before)" in alarm.reason


def test_an_untrained_generator_that_makes_one_noise_raises_none() -> None:
    """Alike at first, less and less so: nothing was better before."""
    look = healthy(0)
    rises = [min(1, n / 100) ** 2 + 0.01 for n in range(300)]
    rising = [{**(well := look()), **{name: well[name] * rise for name in RATIOS}} for rise in rises]
    assert run(CollapseMonitor(warm_up=0), rising) == []


def test_nothing_is_judged_while_it_warms_up() -> None:
    look = healthy(0)
    bad = [{**look(), **ALIKE, "nonfinite": 0.5} for _ in range(20)]
    assert run(CollapseMonitor(warm_up=20 * EVERY), bad) == []


def test_one_sign_alone_or_two_bad_looks_are_no_alarm() -> None:
    look = healthy(1)
    past = [look() for _ in range(60)]
    monitor = CollapseMonitor()
    assert run(monitor, [*past, *({**look(), "level_spread": 0.01} for _ in range(9))]) == []
    assert run(monitor, [look() for _ in range(30)], 70) == []
    assert run(monitor, [{**look(), **ALIKE}, {**look(), **ALIKE}, look()] * 6, 100) == []


def test_more_variety_than_before_is_no_collapse_nor_is_less_than_too_much() -> None:
    """Fakes twice as far apart as real items that come down to as far are getting well."""
    look = healthy(2)
    wide = [{**look(), **{name: 8 + 0.1 * n % 0.3 for name in RATIOS}} for n in range(60)]
    assert run(CollapseMonitor(), [*wide, *({**look(), **dict.fromkeys(RATIOS, 0.9)} for _ in range(20))]) == []


def test_a_slow_decline_is_seen_at_the_floor_if_there_was_more_before() -> None:
    """By 1.5 % a look, ratios of 0.7 are below 0.25 at the 69th; those that never were 0.5 may be so."""
    falling = [math.exp(-0.015 * n) for n in range(1, 100)]
    slow = [{**MIDDLING, **{name: 0.7 * share for name in RATIOS}} for share in falling]
    ((step, alarm),) = run(CollapseMonitor(warm_up=0), [*[MIDDLING] * 60, *slow])
    assert (step, alarm.onset) == ((60 + 71) * EVERY, (60 + 68) * EVERY)
    low = [{**MIDDLING, **{name: 0.4 * share for name in RATIOS}} for share in falling]
    assert run(CollapseMonitor(warm_up=0), [*[{**MIDDLING, **dict.fromkeys(RATIOS, 0.4)}] * 60, *low]) == []


@pytest.mark.parametrize(("ratio", "alarms"), [(0.38, 1), (0.39, 0)])
def test_a_steady_ratio_that_falls_by_six_tenths_of_its_logarithm_is_a_sign(ratio: float, alarms: int) -> None:
    """A past without deviations counts as one of a tenth: 0.7 exp(-6/10) is 0.384."""
    fallen = {**MIDDLING, **dict.fromkeys(RATIOS, ratio)}
    assert len(run(CollapseMonitor(), [*[MIDDLING] * 60, *[fallen] * 5])) == alarms


def test_scores_that_run_away_either_way_raise_an_alarm() -> None:
    """A generator may outrun its discriminators as well. Where both lead in turn, sizes are compared: 2, 1, then 9, 5."""
    past = [{**MIDDLING, "score_gap": 2.0 * (-1) ** n, "separation": (-1.0) ** n} for n in range(60)]
    for sign in (1, -1):
        away = {**MIDDLING, "score_gap": 9.0 * sign, "separation": 5.0 * sign}
        ((_, alarm),) = run(CollapseMonitor(), [*past, *[away] * 5])
        assert "the gap of mean scores is 9 (2 before)" in alarm.reason and alarm.onset == 60 * EVERY


def test_discriminators_that_win_all_with_scores_that_run_away_raise_an_alarm() -> None:
    look = healthy(3)
    lost = [{**look(), "win_rate": 1.0, "score_gap": 30.0 * 2**n} for n in range(5)]
    ((step, alarm),) = run(CollapseMonitor(), [*(look() for _ in range(60)), *lost])
    assert (step, alarm.onset) == (63 * EVERY, 60 * EVERY)
    assert "the gap of mean scores is 120" in alarm.reason and "win every item (8" in alarm.reason


def test_discriminators_that_always_won_may_go_on_winning() -> None:
    """A Wasserstein critic wins nearly every item in a run that is well: no sign, so another sign is alone."""
    look = healthy(4)
    won = [{**look(), "win_rate": 1.0} for _ in range(300)]
    assert run(CollapseMonitor(), [*won, *({**each, "level_spread": 0.01} for each in won[:9])]) == []


def test_a_run_that_never_was_well_fails_after_so_many_looks() -> None:
    """Lost from step 1,050 on: the 30th look in a row is that of step 2,500."""
    look = healthy(5)
    lost = [{**look(), **ALIKE, "win_rate": 1.0} for _ in range(80)]
    ((step, alarm),) = run(CollapseMonitor(stuck=30), lost)
    assert (step, alarm.onset) == (2500, 1000) and "won every item of the last 30 looks" in alarm.reason
    assert run(CollapseMonitor(stuck=None), lost) == []
    well = [look() for _ in range(60)]
    assert (
        len(run(CollapseMonitor(stuck=30), [*well, *lost])) == 1
    )  # it has collapsed, and is not said to have failed as well
    lost[40]["win_rate"] = 0.9
    assert [step for step, _ in run(CollapseMonitor(stuck=30), lost)] == [71 * EVERY]


def test_numbers_that_are_not_finite_raise_an_alarm_without_a_past() -> None:
    ((step, alarm),) = run(CollapseMonitor(warm_up=0), [{"nonfinite": 0.0}] * 2 + [{"nonfinite": 0.25}] * 6)
    assert (step, alarm.onset) == (5 * EVERY, 2 * EVERY) and "25 % of items are not finite" in alarm.reason


def test_a_run_that_has_recovered_can_collapse_again() -> None:
    """One alarm for each; a single look that is well does not end the first."""
    look = healthy(6)
    bad = [{**look(), **ALIKE} for _ in range(5)]
    looks = [*(look() for _ in range(60)), *bad, look(), *bad, *(look() for _ in range(20)), *bad]
    found = run(CollapseMonitor(), looks)
    assert [(step // EVERY, alarm.onset // EVERY) for step, alarm in found] == [(63, 60), (94, 91)]


def test_suspicion_is_told_before_the_alarm() -> None:
    """A checkpoint written in between is not known to be from before the collapse."""
    look = healthy(7)
    monitor = CollapseMonitor()
    run(monitor, [look() for _ in range(60)])
    monitor.judge(61 * EVERY, {**look(), **ALIKE})
    assert monitor.healthy_until == 60 * EVERY


@pytest.mark.parametrize("turning", [5, 25, 61, 62, 70, 75])
def test_a_resumed_run_is_judged_as_an_uninterrupted_one(turning: int) -> None:
    look = healthy(8)
    bad = [{**look(), **ALIKE} for _ in range(10)]
    looks = [*(look() for _ in range(60)), *bad, *(look() for _ in range(30)), *bad]
    whole, halves = CollapseMonitor(), [CollapseMonitor(), CollapseMonitor()]
    said = run(whole, looks)
    first = run(halves[0], looks[:turning])
    halves[1].load_state_dict(stored(halves[0].state_dict()))
    assert len(said) == 2 and first + run(halves[1], looks[turning:], turning + 1) == said
    assert halves[1].state_dict() == whole.state_dict()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("every", 0), ("window", 3), ("patience", 0), ("stuck", 2), ("items", 1), ("floor", 0.6), ("threshold", 0.0)],
)
def test_arguments_out_of_range_are_refused(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=argument):
        CollapseMonitor(**{argument: value})


# simulated collapses ----------------------------------------------------


def flagged(items: Tensor, modes: int | None, draws: int, size: int, jitter: float = 0.0) -> tuple[int, int]:
    """(draws of a batch of ``modes`` modes that raise an alarm, alarms of the healthy looks before) of so many draws."""
    draw = generator(modes or 0)
    found = before = 0
    state: Mapping[str, Any] = {}

    def some(source: Tensor) -> Tensor:
        return source[torch.randint(len(source), (size,), generator=draw)]

    for number in range(draws):
        monitor = CollapseMonitor(warm_up=0, items=size)
        if number % 25 == 0:
            for look in range(20):
                values = {"real": some(items), "fake": some(items)}
                before += monitor.judge(EVERY * look, monitor.summarise(values)) is not None
            state = monitor.state_dict()
        monitor.load_state_dict(dict(state))
        chosen = items if modes is None else items[torch.randperm(len(items), generator=draw)[:modes]]
        alarms = []
        for look in range(20, 23):
            fake = some(chosen)
            fake = fake + jitter * items.std() * torch.randn(fake.shape, generator=draw)
            alarms.append(monitor.judge(EVERY * look, monitor.summarise({"real": some(items), "fake": fake})))
        found += any(alarm is not None for alarm in alarms)
    return found, before


@pytest.mark.parametrize("modes", [1, 2, 4])
def test_few_modes_are_flagged_in_nineteen_of_twenty_draws(modes: int) -> None:
    """Heavy-tailed items, as real recordings' are: some are nearly silent, a few stand far out."""
    found, before = flagged(heavy_tailed(), modes, 300, 32)
    assert found >= 285 and before == 0


def test_no_collapse_is_flagged_in_less_than_one_of_twenty_draws() -> None:
    found, before = flagged(heavy_tailed(), None, 300, 32)
    assert found <= 15 and before == 0


def heavy_tailed() -> Tensor:
    """200 items [200, 24] with levels of heavy tails, and one in seven nearly all the same, as silence is."""
    draw = np.random.default_rng(0)
    items = draw.standard_normal((200, 24)) * np.exp(0.7 * draw.standard_t(3, (200, 1)).clip(-4, 4))
    items[::7] = -4 + 0.05 * draw.standard_normal((len(items[::7]), 24))
    return torch.from_numpy(items).float()


@pytest.mark.skipif(not RECORDINGS, reason="the shared recordings (../shared/audio) are not here")
def test_few_modes_of_recordings_are_flagged_and_all_of_them_are_not() -> None:
    import soundfile

    clips = []
    for path in RECORDINGS[::2]:
        audio = soundfile.read(path, frames=65536, dtype="float32", always_2d=True)[0][::2, 0]
        clips.append(np.pad(audio, (0, 32768 - len(audio))))
    items = numbers_of(torch.from_numpy(np.stack(clips))[:, None], True)
    for modes in (1, 4):
        assert flagged(items, modes, 25, 32)[0] >= 24
    assert flagged(items, None, 50, 32) == (0, 0)


# real trainings ---------------------------------------------------------


def trained(seed: int, steps: int, shock: int | None = None) -> list[tuple[int, Alarm]]:
    """Alarms of a small adversarial training: pictures of blobs, non-saturating with R1; from ``shock`` on, rates a hundredfold."""
    torch.manual_seed(seed)
    grid = torch.linspace(-1, 1, 8)
    sampler = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh())
    judge = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    optimisers = [torch.optim.Adam(net.parameters(), 1e-3, (0.5, 0.9)) for net in (sampler, judge)]
    monitor, found = CollapseMonitor(every=10, warm_up=150), []
    for index in range(steps):
        for optimiser in optimisers if index == shock else ():
            optimiser.param_groups[0]["lr"] = 0.1
        place = torch.rand(32, 2, 1, 1) * 1.6 - 0.8
        blob = torch.exp(-8 * ((grid[:, None] - place[:, 0]) ** 2 + (grid[None] - place[:, 1]) ** 2))
        real = (2 * blob - 1).flatten(1).requires_grad_()
        fake = sampler(torch.randn(32, 8))
        score = judge(real)
        slope = torch.autograd.grad(score.sum(), real, create_graph=True)[0].square().sum(1).mean()
        told = judge(fake.detach())
        loss = nn.functional.softplus(-score).mean() + nn.functional.softplus(told).mean() + 0.1 * slope
        _learn(optimisers[1], loss)
        _learn(optimisers[0], nn.functional.softplus(-judge(fake)).mean())
        if (index + 1) % monitor.every == 0:
            pictures = (each.detach().view(32, 1, 8, 8) for each in (real, fake))
            step = step_of(*pictures, (score.detach(), told.detach()), domain="pictures")
            alarm = monitor.judge(index + 1, monitor.summarise(monitor.item_values(step)))
            found += [(index + 1, alarm)] if alarm else []
    return found


def _learn(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


@pytest.mark.parametrize("seed", range(2))
def test_a_training_that_goes_well_raises_none(seed: int) -> None:
    assert trained(seed, 400) == []


@pytest.mark.parametrize("seed", [2, 3])
def test_a_training_driven_into_collapse_is_told_within_ten_looks(seed: int) -> None:
    """The onset is near the step at which the rates were raised, and nothing was said before."""
    ((step, alarm), *_) = trained(seed, 400, shock=300)
    assert 320 <= step <= 400 and 290 <= alarm.onset <= 370


# in a report ------------------------------------------------------------


def experiment(folder: Path, name: str, raised: bool, place: int = 0) -> System:
    """A training of 40 looks at two numbers, as the page shows it."""
    import json

    logs = folder / name / "logs"
    logs.mkdir(parents=True)
    rows = [
        {"step": 50 * n, "monitors.collapse/diversity": 0.7, "monitors.collapse/score_gap": 2.0**n} for n in range(40)
    ]
    rows[3]["monitors.collapse/score_gap"] = None  # type: ignore[assignment]  # was not finite
    rows += [{"step": 50 * n, "generator/total": 1.0} for n in range(40)]
    (logs / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"step": 1900, "onset": 1750, "monitor": "collapse", "reason": "0.03 < 0.5 & more", "action": "go_on"}
    if raised:
        (logs / "onsets.jsonl").write_text(json.dumps(told) + '\n{"step": 19')
    return System(name, folder / name, {}, {}, {}, COLOURS[place])


def test_a_panel_for_each_number_and_a_line_at_each_onset(tmp_path: Path) -> None:
    """A panel a number, a curve a run; the growing gap's axis is logarithmic; one run's alarm is in every panel."""
    systems = [experiment(tmp_path, "with", False), experiment(tmp_path, "without", True, 1)]
    runs = {system.name: onsets.rows(system.exp) for system in systems}
    figure = onsets.plot(runs, {system.name: onsets.alarms(system.exp) for system in systems})
    assert figure is not None
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["collapse: diversity", "collapse: score gap"]
    assert [axes.get_yscale() for axes in shown] == ["linear", "symlog"]
    assert shown[1].yaxis.get_transform().linthresh == 1e7, "the power of ten above the median"
    for axes in shown:
        curves = [line for line in axes.lines if line.get_linestyle() == "-"]
        marks = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert [line.get_label() for line in curves] == ["with", "without"]
        assert [list(line.get_xdata()) for line in marks] == [[1750, 1750]] and marks[0].get_color() == COLOURS[1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["with", "without"]


def test_the_page_lists_alarms_and_what_was_done(tmp_path: Path) -> None:
    text = onsets.section([experiment(tmp_path, "a<b>", True)])
    assert text.count("<img") == 1 and "<td>1,750</td><td>1,900</td>" in text
    assert "0.03 &lt; 0.5 &amp; more" in text and "a&lt;b&gt;" in text and "<td class=text>go on</td>" in text


def test_a_page_of_a_run_without_monitors_says_nothing_of_them(tmp_path: Path) -> None:
    system = System("bare", tmp_path, {}, {}, {}, COLOURS[0])
    assert onsets.section([system]) == "" and onsets.plot({"bare": []}) is None


def test_two_experiments_of_one_name_are_told_apart(tmp_path: Path) -> None:
    first, second = experiment(tmp_path / "1", "same", False), experiment(tmp_path / "2", "same", True, 1)
    text = onsets.section(told_apart([first, second]))
    assert text.count("<td>1,750</td>") == 1 and "same · 2/same" in text and "same · 1/same" not in text


@pytest.mark.parametrize("apart", [0.0, 0.5])
def test_discriminators_that_give_every_item_one_score_are_an_alarm(apart: float) -> None:
    """However different the fakes are; scores that differ are none."""
    part = CollapseMonitor(every=10, warm_up=0, window=8, patience=2, items=16)
    alarms = []
    for look in range(1, 7):
        real, fake = (torch.randn(16, 1, 4096, generator=generator(2 * look + side)) for side in (0, 1))
        ones = torch.ones(16, 1)
        spread = apart * torch.randn(16, 1, generator=generator(look))
        step = step_of(real, fake, (ones + spread, ones - spread.flip(0)))
        alarms.append(part.judge(10 * look, part.summarise(part.item_values(step))))
    raised = [alarm for alarm in alarms if alarm is not None]
    assert len(raised) == (apart == 0)
    if raised:
        assert "every item has one and the same score" in raised[0].reason and alarms[1] is raised[0]
