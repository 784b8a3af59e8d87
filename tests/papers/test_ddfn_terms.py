"""The DDFN regulariser and its monitor: losses against written-out values, statistics, state, and hostile input."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor, nn

from gansemble.abilities import Adaptive, FittedItems, PooledTerm
from gansemble.interfaces import Batch, Condition, Step
from gansemble.random import Draws
from gansemble_plugins.ddfn.departure import departure_from_normality_squared as exact
from gansemble_plugins.ddfn.monitor import DepartureFromNormality
from gansemble_plugins.ddfn.regulariser import EXACT_REALS, DifferenceDepartureFromNormality
from gansemble_plugins.ddfn.statistics import RealStatistics, Thinned, noise_floor
from gansemble_plugins.ddfn.surrogates import asymmetry

SIDE = 6


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def maps(count: int, seed: int = 0, side: int = SIDE, channels: int = 1, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(seed))


def step(fake: Tensor, index: int = 0, label: Tensor | None = None, real: Tensor | None = None) -> Step:
    count, network = len(fake), nn.Identity()
    condition = Condition(label=label)
    batch = Batch(torch.zeros(count, 1, 8), tuple(map(str, range(count))), Draws.plain(0, count), label=label)
    real = torch.zeros_like(fake) if real is None else real
    return Step(index, batch, real, fake, condition, condition, real, fake, network, network, {})


def fitted(
    reals: Tensor | None = None, labels: Tensor | None = None, **parameters: Any
) -> DifferenceDepartureFromNormality:
    term = DifferenceDepartureFromNormality(**parameters)
    x = maps(200, 1) if reals is None else reals
    term.fit_items((x[i : i + 16], None if labels is None else labels[i : i + 16]) for i in range(0, len(x), 16))
    return term


def values_of(x: Tensor) -> Tensor:
    return asymmetry(x).mean(1).double() / x.shape[-1] ** 2


def moved(sds: float, count: int = 64, reals: Tensor | None = None) -> Tensor:
    """Fake maps whose mean value is ``sds`` real deviations above the real mean."""
    real = values_of(maps(200, 1) if reals is None else reals)
    x = maps(count, 2)
    wanted = real.mean() + sds * real.std(correction=0)
    return (x * (wanted / values_of(x).mean()).sqrt()).float()


# losses -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "sds", "expected"),
    [
        ("hinge", 0.05, 0.0), ("hinge", -0.09, 0.0), ("hinge", 0.4, 0.3), ("hinge", -0.4, 0.3),
        ("squared", 0.05, 0.0), ("squared", 0.4, 0.045), ("squared", -0.4, 0.045),
        ("absolute", 0.05, 0.05), ("absolute", -0.4, 0.4),
        ("adaptive", 0.4, 2 * 0.4 + 0.5 * 3 * 0.09), ("adaptive", 0.05, 2 * 0.05),
    ],
)  # fmt: skip
def test_losses_are_as_written(loss: Any, sds: float, expected: float) -> None:
    term = fitted(loss=loss, epsilon=0.1, curvature=3.0)
    term.multiplier = 2.0
    value = term(step(moved(sds)), "generator")
    assert value.shape == () and value.dtype == torch.float32
    assert float(value) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("sds", [0.5, -0.5])
def test_the_slope_leads_towards_the_real_mean_and_is_nothing_within_the_bound(sds: float) -> None:
    term, size = fitted(), torch.ones((), requires_grad=True)
    (slope,) = torch.autograd.grad(term(step(moved(sds) * size), "generator"), size)
    assert float(slope) * sds > 0
    (none,) = torch.autograd.grad(term(step(moved(0.05) * size), "generator"), size)
    assert float(none) == 0


def test_the_loss_of_distributions_is_the_distance_transport_has_to_go() -> None:
    """Nothing for a copy of the real values; for the real mean in every item, the real values' mean deviation from it."""
    term = fitted(loss="distribution")
    real = values_of(maps(200, 1))
    assert term.reals is not None
    copies = float(term.pool(real, step(maps(2)), "generator"))
    one_value = float(term.pool(torch.full((64,), float(real.mean())).double(), step(maps(2)), "generator"))
    assert copies < 0.01
    assert one_value == pytest.approx(float((real - real.mean()).abs().mean() / real.std(correction=0)), rel=0.02)
    assert float(fitted().pool(torch.full((64,), float(real.mean())).double(), step(maps(2)), "generator")) == 0


@pytest.mark.parametrize("count", [1, 3, 64, 3000])
def test_the_distance_is_that_of_scipy(count: int) -> None:
    real, values = values_of(maps(200, 1)), values_of(maps(count, 8, scale=1.1))
    expected = wasserstein_distance(values.numpy(), real.numpy())
    assert float(RealStatistics.of(real).distance(values)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("loss", ["hinge", "squared", "absolute", "adaptive", "distribution"])
def test_a_pool_knows_neither_order_nor_copies(loss: Any) -> None:
    term = fitted(loss=loss)
    term.multiplier = 0.7
    values, here = values_of(moved(0.7, 24)), step(maps(2))
    once = float(term.pool(values, here, "generator"))
    assert once > 0
    for other in (values.flip(0), values.repeat(3), values.repeat_interleave(2)):
        assert float(term.pool(other, here, "generator")) == pytest.approx(once, rel=1e-9)


@pytest.mark.parametrize("loss", ["hinge", "squared", "distribution"])
def test_micro_batches_pooled_are_the_large_batch(loss: Any) -> None:
    """Each adds the pooled loss with a gradient through its own items; the mean of their losses would be another number."""
    term, x = fitted(loss=loss), moved(-0.4, 16)
    x = x[values_of(x).argsort(descending=True)]
    whole = x.clone().requires_grad_()
    expected = term(step(whole), "generator")
    (slope,) = torch.autograd.grad(expected, whole)
    parts = [x[:4], x[4:]]
    known = [term.item_values(step(part), "generator") for part in parts]
    for place, part in enumerate(parts):
        own = part.clone().requires_grad_()
        values = [each if i != place else term.item_values(step(own), "generator") for i, each in enumerate(known)]
        value = term.pool(torch.cat(values), step(own), "generator")
        (found,) = torch.autograd.grad(value, own)
        assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
        assert torch.allclose(found, slope[:4] if place == 0 else slope[4:], rtol=1e-5, atol=1e-9)
    apart = [float(term(step(part), "generator")) for part in parts]
    assert abs((4 * apart[0] + 12 * apart[1]) / 16 - float(expected.detach())) > 1e-3


@pytest.mark.parametrize("form", ["asymmetry", "upper_bound", "exact", "symmetric_part"])
def test_training_with_each_form_reaches_the_bound(form: Any) -> None:
    """Steps of 0.02 against the slope's sign, on maps in tanh range, from too large a departure and from none."""
    real = torch.tanh(maps(200, 1, scale=0.5))
    term = fitted(real, form=form, epsilon=0.1)
    for x in (maps(32, 5, scale=1.2), maps(32, 5, scale=0.01)):
        first = float(term(step(torch.tanh(x)), "generator"))
        for _ in range(90):
            x.requires_grad_()
            loss = term(step(torch.tanh(x)), "generator")
            (slope,) = torch.autograd.grad(loss, x)
            x = x.detach() - 0.02 * slope.sign()
        assert first > 0.5 and float(loss.detach()) < 0.25  # one step more or less


def test_the_term_rises_over_its_warm_up() -> None:
    term, fake = fitted(warm_up=10), moved(0.6)
    ramp = [float(term(step(fake, index), "generator")) for index in (0, 4, 9, 50)]
    assert ramp == pytest.approx([0.05, 0.25, 0.5, 0.5], rel=1e-4)


# the multiplier ---------------------------------------------------------


def test_the_multiplier_follows_the_distance_from_the_bound() -> None:
    term = fitted(loss="adaptive", epsilon=0.1, rate=0.5, multiplier_max=0.4)
    assert isinstance(term, Adaptive) and term.statistic_turn == "generator" and term.reals is not None
    here = step(moved(0.5))
    statistic = term.statistic(here)
    assert statistic.shape == (64,) and torch.allclose(statistic.double(), values_of(here.fake), rtol=1e-6)
    steps = []
    for value in (statistic.double().mean(), statistic.double().mean(), statistic.double().mean(), term.reals.mean):
        term.adapt(float(value))
        steps.append(term.multiplier)
    assert steps == pytest.approx([0.2, 0.4, 0.4, 0.35], abs=1e-4)
    term.adapt(math.nan)
    assert term.multiplier == pytest.approx(0.35, abs=1e-4)
    for _ in range(20):
        term.adapt(term.reals.mean)
    assert term.multiplier == 0


def test_the_statistic_is_not_computed_twice_for_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    term, here = fitted(form="exact"), step(moved(0.5))
    values = term.item_values(here, "generator")
    monkeypatch.setattr(term, "_quantity", None)
    assert torch.equal(term.statistic(here), values.detach()) and not term.statistic(here).requires_grad
    monkeypatch.undo()
    assert not torch.equal(term.statistic(step(moved(0.1))), values.detach())


def test_other_losses_have_no_multiplier() -> None:
    term = fitted()
    term.adapt(100.0)
    assert term.multiplier == 0 and "multiplier" not in term.monitors()


# real statistics --------------------------------------------------------


def test_statistics_are_those_of_all_items_whatever_the_batches() -> None:
    real = values_of(maps(200, 1))
    found = fitted().reals
    assert found is not None and found.count == 200
    assert (found.mean, found.sd) == pytest.approx((float(real.mean()), float(real.std(correction=0))), rel=1e-6)
    assert (found.least, found.largest) == pytest.approx((float(real.min()), float(real.max())), rel=1e-6)
    assert len(found.quantiles) == 1024 and float(found.quantiles.mean()) == pytest.approx(found.mean, rel=1e-3)
    assert float(found.quantiles[512]) == pytest.approx(float(real.median()), rel=0.02)


def test_silent_clips_are_legal_and_nothing_else_is_an_error() -> None:
    term = fitted(torch.cat([torch.full((20, 1, SIDE, SIDE), -1.0), maps(40)]))
    assert term.reals is not None and term.reals.least == 0 and term.reals.count == 60
    value = term(step(torch.full((4, 1, SIDE, SIDE), -1.0).requires_grad_()), "generator")
    assert math.isfinite(float(value.detach()))


@pytest.mark.parametrize(
    ("real", "says"),
    [
        (torch.full((20, 1, SIDE, SIDE), -1.0), r"all 20 training items have one departure.*silent"),
        (maps(1), r"all 1 training items"),
        (maps(20).mT + maps(20), r"all 20 training items.*symmetric"),
        (maps(0), "at least one item, got none"),
        (torch.cat([maps(3), torch.full((2, 1, SIDE, SIDE), torch.nan)]), r"2 of 5 training items.*number 3, 4"),
        (maps(4)[..., :3], "must be square"),
        (maps(4)[:, 0], r"\[B, C, H, W\]"),
    ],
)
def test_real_items_that_say_nothing_are_named(real: Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fitted(real)


def test_normal_maps_have_no_exact_deviation_to_measure_in_though_rounding_gives_one() -> None:
    """Skew-symmetric maps are normal, but their asymmetry is not nothing: with it alone they can be trained on."""
    x = 100 * (maps(20) - maps(20).mT)
    with pytest.raises(ValueError, match="all 20 training items"):
        fitted(x, form="exact")
    with pytest.raises(ValueError, match="all 20 training items"):
        DepartureFromNormality().fit_items(iter([(x, None)]))
    for form in ("upper_bound", "symmetric_part"):
        with pytest.raises(ValueError, match="all 20 training items"):
            fitted(
                (maps(20, side=3) + maps(20, side=3).mT).repeat_interleave(2, -1).repeat_interleave(2, -2), form=form
            )
    term = fitted(x)
    assert term.reals is not None and term.exact_reals is None
    term(step(maps(4)), "generator")
    assert "exact_gap" not in term.monitors()


def test_each_class_has_its_own_mean() -> None:
    """Fakes at their classes' means are worth nothing though all means differ; class by class, also as a mixture."""
    labels = torch.arange(200) % 2
    real = maps(200, 1) * torch.where(labels == 0, 1.0, 2.0)[:, None, None, None]
    term = fitted(real, labels, per_class=True)
    assert term.reals is not None and term.reals.class_means is not None
    own = torch.stack([values_of(real[labels == k]).mean() for k in (0, 1)])
    assert torch.allclose(term.reals.class_means, own, rtol=1e-6)
    spread = torch.cat([values_of(real[labels == k]) - own[k] for k in (0, 1)]).std(correction=0)
    assert term.reals.sd == pytest.approx(float(spread), rel=1e-6)
    fake = real[labels == 1]
    right = float(term(step(fake, label=torch.ones(100, dtype=torch.long)), "generator"))
    wrong = float(term(step(fake, label=torch.zeros(100, dtype=torch.long)), "generator"))
    mixed = torch.tensor([0.5, 0.5]).expand(100, 2)
    between = float(term(step(fake, label=mixed), "generator"))
    assert right == 0 and wrong == pytest.approx(2 * between + 0.1, rel=1e-5) and between > 0.5
    assert math.isfinite(float(term(step(fake, label=torch.full((100,), 7)), "generator")))
    assert term.reals.centred(term.reals.class_means[:1], torch.tensor([[1.0, 0, 0]])).item() == pytest.approx(
        term.reals.mean
    )


def test_classes_without_labels_are_named() -> None:
    with pytest.raises(ValueError, match="per_class needs labels"):
        fitted(per_class=True)
    term = fitted(labels=torch.arange(200) % 2, per_class=True)
    with pytest.raises(ValueError, match="per_class must be given labels"):
        term(step(maps(4)), "generator")
    with pytest.raises(ValueError, match="class indices"):
        fitted(labels=torch.rand(200), per_class=True)


@pytest.mark.parametrize("total", [5, 16, 31, 32, 100, 1000])
def test_a_thinned_stream_is_spread_over_all_of_it(total: int) -> None:
    thinned, seen = Thinned(16, lambda x: x[:, 0]), 0
    for begin in range(0, total, 7):
        items = torch.arange(begin, min(total, begin + 7)).float()[:, None]
        thinned.add(items)
        seen += len(items)
    kept = torch.stack(thinned.values)
    assert seen == total and min(total, 16) <= len(kept) <= 31
    apart = kept.diff()
    assert kept[0] == 0 and len(set(apart.tolist())) == 1 and total - float(kept[-1]) <= float(apart[0])


# what is shown ----------------------------------------------------------


def test_monitors_show_the_whole_batch_beside_the_real_items() -> None:
    term, fake = fitted(), moved(0.5)
    assert term.monitors() == {}
    term(step(fake), "generator")
    shown, values = term.monitors(), values_of(fake)
    assert term.reals is not None
    assert shown["gap"] == pytest.approx(0.5, abs=1e-5)
    assert shown["fake_mean"] == pytest.approx(float(values.mean()), rel=1e-6)
    assert shown["log_sd_ratio"] == pytest.approx(math.log(float(values.std(correction=0)) / term.reals.sd), rel=1e-5)
    assert shown["noise_floor"] == pytest.approx(math.sqrt(2 / math.pi / 64))
    assert shown["wasserstein"] >= 0.5 - 1e-6


def test_the_noise_floor_is_the_gap_of_a_perfect_generator() -> None:
    gaps = torch.randn(4000, 64, generator=torch.Generator().manual_seed(0)).mean(1).abs()
    assert float(gaps.mean()) == pytest.approx(noise_floor(64), rel=0.03)


def test_the_exact_departure_is_shown_now_and_then() -> None:
    term, fake = fitted(log_exact_every=10, exact_items=4), moved(0.5)
    real = exact(maps(200, 1).double()).mean(1) / SIDE**2
    shown = []
    for index in (0, 5, 9, 10, 19, 35):
        term(step(fake, index), "generator")
        shown.append("exact_gap" in term.monitors())
    assert shown == [True, False, False, True, False, True]
    term(step(fake, 40), "generator")
    found = float(exact(fake[:4].double()).mean()) / SIDE**2
    assert term.monitors()["exact_gap"] == pytest.approx(
        (found - float(real.mean())) / float(real.std(correction=0)), rel=1e-4
    )
    never = fitted(log_exact_every=0)
    never(step(fake), "generator")
    assert never.exact_reals is None and "exact_gap" not in never.monitors()


def test_many_real_items_are_thinned_for_the_exact_departure_only() -> None:
    x = maps(2 * EXACT_REALS + 40, 3, side=2)
    term = fitted(x)
    assert term.reals is not None and term.exact_reals is not None
    assert term.reals.count == len(x) and EXACT_REALS <= term.exact_reals.count < 2 * EXACT_REALS


@pytest.mark.parametrize(
    ("loss", "count", "warns"), [("hinge", 63, True), ("hinge", 64, False), ("absolute", 4, False)]
)
def test_a_bound_below_the_noise_is_warned_of_once(
    loss: Any, count: int, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    term = fitted(loss=loss, epsilon=0.1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            term(step(moved(0.5, count)), "generator")
    assert len(caplog.records) == warns
    if warns:
        assert "below the noise" in caplog.text and "a batch of 64" in caplog.text


# state ------------------------------------------------------------------


def kept(state: Any) -> Any:
    held = io.BytesIO()
    torch.save(state, held)
    held.seek(0)
    return torch.load(held, weights_only=True)


def test_a_restored_term_goes_on_as_the_first() -> None:
    labels = torch.arange(200) % 3
    condition = {"loss": "adaptive", "per_class": True}
    term, other = fitted(labels=labels, **condition), DifferenceDepartureFromNormality(**condition)  # type: ignore[arg-type]
    assert isinstance(term, FittedItems) and isinstance(term, PooledTerm) and term.fitted and not other.fitted
    term.adapt(5.0)
    other.load_state_dict(kept(term.state_dict()))
    here = step(moved(0.7), label=torch.arange(64) % 3)
    assert other.fitted and other.multiplier == term.multiplier > 0
    assert torch.equal(term(here, "generator"), other(here, "generator"))
    assert term.monitors() == other.monitors()
    empty = DifferenceDepartureFromNormality(**condition)  # type: ignore[arg-type]
    empty.load_state_dict(kept(DifferenceDepartureFromNormality(**condition).state_dict()))  # type: ignore[arg-type]
    assert not empty.fitted


def test_statistics_of_another_quantity_are_refused() -> None:
    with pytest.raises(ValueError, match="measure them anew"):
        DifferenceDepartureFromNormality(form="exact").load_state_dict(fitted().state_dict())
    with pytest.raises(RuntimeError, match="call fit_items"):
        DifferenceDepartureFromNormality()(step(maps(2)), "generator")
    with pytest.raises(ValueError, match="measured at 6 x 6, but the generator makes 8 x 8"):
        fitted()(step(maps(4, side=8)), "generator")


# hostile input ----------------------------------------------------------


@pytest.mark.parametrize("form", ["asymmetry", "upper_bound", "exact", "symmetric_part"])
@pytest.mark.parametrize("loss", ["hinge", "squared", "absolute", "adaptive", "distribution"])
def test_a_number_that_is_not_finite_is_told_of_by_the_loss(form: Any, loss: Any) -> None:
    """The toolkit's guard then names clip and step; nothing ends the process and nothing hides it."""
    term, fake = fitted(form=form, loss=loss), maps(4)
    term.multiplier = 1.0
    fake[1, 0, 2, 3] = torch.nan
    here = step(fake.requires_grad_())
    values = term.item_values(here, "generator")
    assert torch.isnan(values).tolist() == [False, True, False, False]
    value = term.pool(values, here, "generator")
    value.backward()
    assert math.isnan(float(value.detach()))
    assert isinstance(term.monitors()["gap"], float)


@pytest.mark.parametrize("loss", ["hinge", "distribution"])
def test_one_item_half_precision_and_autocast(loss: Any) -> None:
    term = fitted(loss=loss)
    for fake in (maps(1), maps(3).half(), maps(3).bfloat16()):
        plain = term(step(fake.float()), "generator")
        with torch.autocast("cpu", torch.bfloat16):
            cast = term(step(fake), "generator")
        assert cast.dtype == torch.float32 and torch.equal(plain, cast)
        assert all(math.isfinite(value) for value in term.monitors().values())


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"epsilon": -0.1}, "epsilon must be at least 0, got -0.1"), ({"epsilon": math.nan}, "epsilon"),
        ({"warm_up": -1}, "warm_up"), ({"rate": -1.0}, "rate"), ({"curvature": -1.0}, "curvature"),
        ({"multiplier_max": 0.0}, "multiplier_max"), ({"exact_items": 0}, "exact_items"),
        ({"kappa_max": 0.0}, "kappa_max must be at least 1, got 0"), ({"log_exact_every": -1}, "log_exact_every"),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DifferenceDepartureFromNormality(**parameters)


@pytest.mark.parametrize("squares", ["resize_shorter", "resize_longer", "crop", "pad"])
def test_maps_that_are_not_square_are_made_so(squares: Any) -> None:
    x = torch.randn(200, 2, 6, 9, generator=torch.Generator().manual_seed(0))
    term = fitted(x, squares=squares, channels="average_first")
    fake = x[:32].clone().requires_grad_()
    (slope,) = torch.autograd.grad(term(step(3 * fake), "generator"), fake)
    assert float(slope.abs().sum()) > 0
    condition = DifferenceDepartureFromNormality.contract({"squares": squares})
    assert not condition.square and DifferenceDepartureFromNormality.contract({}).square


# the monitor ------------------------------------------------------------


class Inside(nn.Module):
    """A generator with two layers of square maps and one without."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 5, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(5, 3, 1), nn.ReLU())
        self.flat = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        made = self.block(self.first(x))
        self.flat(made)
        return made[:, :1]


def watching(**parameters: Any) -> DepartureFromNormality:
    monitor = DepartureFromNormality(**{"every": 1, **parameters})
    monitor.fit_items((x, None) for x in maps(200, 1).split(16))
    return monitor


def test_the_monitor_shows_exact_departures_of_fakes_beside_reals() -> None:
    monitor, fake = watching(), maps(8, 5, scale=1.5)
    values = monitor.item_values(step(fake))
    assert {name: tuple(each.shape) for name, each in values.items()} == {"fake": (8,)}
    shown = monitor.summarise(values)
    known = exact(maps(200, 1).double()).mean(1) / SIDE**2
    found = exact(fake.double()).mean(1) / SIDE**2
    assert shown["fake_mean"] == pytest.approx(float(found.mean()), rel=1e-5)
    assert shown["real_mean"] == pytest.approx(float(known.mean()), rel=1e-5)
    assert shown["gap"] == pytest.approx(float((found.mean() - known.mean()) / known.std(correction=0)), rel=1e-5)
    assert monitor.judge(1, shown) is None


def test_the_monitor_looks_into_named_layers() -> None:
    generator, monitor = Inside(), watching(layers=["first", "block.0"], layer_channels=2)
    monitor.attach(generator, nn.Identity())
    x = maps(8, 5)
    values = monitor.item_values(step(generator(x)))
    made = generator.first(x)
    expected = exact(made[:, [0, 2]].double()).mean(1) / SIDE**2
    assert torch.allclose(values["layer/first"].double(), expected, rtol=1e-5)
    assert set(monitor.summarise(values)) >= {"layer/first", "layer/block.0", "gap"}
    assert not any(each.requires_grad for each in values.values())
    with torch.no_grad():
        plain = Inside()
        plain.load_state_dict(generator.state_dict())
        assert torch.equal(plain(x), generator(x))


def test_a_share_of_the_items_is_looked_at_each_by_its_own_number() -> None:
    """Whatever batch an item is in; nothing looked at is no number and no error."""
    monitor, x = watching(share=0.3), maps(40, 5)
    whole = step(x)
    values = monitor.item_values(whole)["fake"]
    looked_at = ~values.isinf()
    assert 4 <= int(looked_at.sum()) <= 20
    assert torch.equal(looked_at, whole.batch.draws.uniform("departure_from_normality") < 0.3)
    shown = monitor.summarise({"fake": values})
    assert shown["fake_mean"] == pytest.approx(float(exact(x[looked_at].double()).mean()) / SIDE**2, rel=1e-5)
    assert set(monitor.summarise({"fake": torch.full((3,), torch.inf)})) == {"real_mean"}


def test_attaching_again_listens_once_and_copies_of_the_network_do_not_copy_the_monitor() -> None:
    import copy

    generator, monitor = Inside(), watching(layers=["first"])
    monitor.attach(generator, nn.Identity())
    monitor.attach(generator, nn.Identity())
    assert len(generator.first._forward_hooks) == 1
    average = copy.deepcopy(generator)
    average(maps(2))
    assert len(monitor._seen["first"]) == 2


@pytest.mark.parametrize(
    ("layer", "says"),
    [("blok.0", r"no module 'blok.0'; near it: .*block\.0"), ("", "no module ''"), ("xyz", "near it: first, block")],
)
def test_a_layer_that_is_not_there_is_named_with_its_neighbours(layer: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        watching(layers=[layer]).attach(Inside(), nn.Identity())


def test_a_layer_without_square_maps_is_named() -> None:
    generator, monitor = Inside(), watching(layers=["flat"])
    monitor.attach(generator, nn.Identity())
    with pytest.raises(ValueError, match=r"flat of the generator must give square maps.*it gave \(4, 108\)"):
        generator(maps(4))
    with pytest.raises(RuntimeError, match="flat has not run"):
        monitor.item_values(step(maps(4)))


def test_a_jump_of_a_layer_raises_an_alarm_where_that_is_asked_for() -> None:
    quiet, monitor = watching(layers=["a"]), watching(layers=["a"], jump=3.0, history=4)
    calm = [1.0, 1.2, 0.9, 1.1, 2.9, 0.4, math.nan]
    for number, value in enumerate(calm):
        assert monitor.judge(100 * number, {"layer/a": value}) is None
    other = watching(layers=["a"], jump=3.0, history=4)
    other.load_state_dict(kept(monitor.state_dict()))
    for each in (monitor, other):
        alarm = each.judge(700, {"layer/a": 40.0})
        assert alarm is not None and alarm.onset == 600 and "of a is 40 per pixel" in alarm.reason
    assert monitor.judge(800, {}) is None
    assert quiet.judge(0, {"layer/a": 1.0}) is None and quiet.judge(1, {"layer/a": 1e9}) is None
    fallen = watching(layers=["a"], jump=3.0, history=1)
    assert fallen.judge(1, {"layer/a": 1.0}) is None and fallen.judge(2, {"layer/a": 0.3}) is not None


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"every": 0}, "every must be at least 1"), ({"share": 0.0}, "share"), ({"share": 1.5}, "share"), ({"jump": 1.0, "layers": ["a"]}, "jump must be above 1"),
        ({"jump": 2.0}, "layers names none"), ({"history": 0}, "history"),
    ],
)  # fmt: skip
def test_a_monitors_numbers_out_of_range_are_refused(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DepartureFromNormality(**parameters)


def test_a_monitor_keeps_its_statistics_and_survives_what_is_not_finite() -> None:
    monitor, other = watching(), DepartureFromNormality(every=1)
    assert isinstance(monitor, FittedItems) and not other.fitted
    with pytest.raises(RuntimeError, match="call fit_items"):
        other.summarise(monitor.item_values(step(maps(4))))
    other.load_state_dict(kept(monitor.state_dict()))
    fake = maps(4)
    shown = [each.summarise(each.item_values(step(fake))) for each in (monitor, other)]
    assert shown[0] == shown[1]
    fake[2] = torch.nan
    shown = monitor.summarise(monitor.item_values(step(fake)))  # type: ignore[assignment]
    assert set(shown) == {"real_mean", "noise_floor"}
    with pytest.raises(ValueError, match="measure them anew"):
        DepartureFromNormality(squares="pad").load_state_dict(monitor.state_dict())


def test_statistics_need_something_to_be_of() -> None:
    with pytest.raises(ValueError, match="got none"):
        DepartureFromNormality().fit_items(iter(()))
    assert RealStatistics.of(torch.tensor([1.0, 2.0])).sd == 0.5
