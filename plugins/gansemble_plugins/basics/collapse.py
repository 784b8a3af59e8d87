"""Watching for collapse: whether fakes still differ from each other as real items do, and whether both sides still learn.

What is measured is the usual advice in numbers (Brock et al. 2018, section 4: collapse; Arora and Zhang 2017: repeats in
a batch). The rules and every threshold here are our own.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

from gansemble import numbers
from gansemble.interfaces import Alarm, Step
from gansemble.numbers import Count, Positive, Range, Steps

#: An item is kept as at most so many numbers, on a grid of about SIDE by SIDE.
NUMBERS, SIDE = 256, 16
#: Power below which a waveform counts as silent: 80 dB below white noise of unit variance.
LEAST_POWER = 1e-8
#: Ratios and distances are cut off here, so that curves and their logarithms stay finite.
LEAST, MOST = 1e-4, 1e6
#: Pairs of one class that a batch must have for its diversity within classes.
LEAST_PAIRS = 8
#: A history shorter than this share of the window says nothing yet.
ENOUGH = 0.5
#: What counts as no change: a tenth of a ratio's logarithm, half of a distance.
LEAST_SCALE, LEAST_SHARE = 0.1, 0.5
#: The discriminators have won where they win so much, and did not before.
WON, NOT_WON = 0.999, 0.95

#: Ratios of fakes to real items, which fall when modes are lost; 1 is as it should be.
LOW = {
    "diversity": "fakes are {now} times as far apart as real items ({before} before)",
    "diversity_closest": "the closest tenth of pairs of fakes is {now} times as far apart as that of real items ({before} before)",
    "diversity_neighbour": "a fake is {now} times as far from its nearest neighbour as a real item ({before} before)",
    "diversity_within": "fakes of one class are {now} times as far apart as real ones ({before} before)",
    "level_spread": "the levels of fakes spread {now} times as far as real ones ({before} before)",
}
#: Distances, which grow when training runs away.
HIGH = {
    "level_distance": "the levels of fakes are {now} standard deviations away from real ones ({before} before)",
    "score_gap": "the gap of mean scores is {now} ({before} before)",
    "separation": "scores are {now} of their standard deviations apart ({before} before)",
}


class CollapseMonitor:
    """Says when fakes have become alike, or the discriminators' scores have run away, after both were well.

    Each item becomes at most 256 numbers: of waveforms the power in dB on a grid of about 16 times by 16 bands, floored at
    -80 dB (white noise of unit variance has 0 dB), so that another phase is no other item; of anything else averages over a
    grid of its last two axes. Over the whole batch these are logged:

    * ``diversity``: mean distance of two fakes over that of two real items; ``diversity_closest``: the same of the closest
      tenth of pairs, which k modes of equal share bring to nought for k < 10; ``diversity_neighbour``: of each item's
      nearest other one; ``diversity_within``: of pairs of one class, where there are labels and enough pairs.
    * ``level_gap``, ``level_distance``, ``level_spread``: of an item's mean number (waveforms: its mean level [dB]) the
      difference of means and the 1-Wasserstein distance, in standard deviations of real items, and the ratio of standard
      deviations.
    * ``win_rate``, ``score_gap``, ``separation``: the share of items whose real score exceeds the fake's, the difference of
      mean scores, and the same over their standard deviation.
    * ``nonfinite``: the share of items with a number or a score that is NaN or infinite; the rest is of the others.

    Each look is held against the median of the healthy ones before it, in units of 1.4826 times their median absolute
    deviation (at least 0.1 of a ratio's logarithm, and half of a distance, whose sign does not count). A sign of collapse is
    a ratio ``threshold`` units below its median and below twice ``floor``, or below ``floor`` after a median of twice as much;
    a distance ``threshold`` units above its median; a win rate of 1 where the median was below 0.95. Two signs at once make a
    look suspicious, and ``patience`` such looks in a row an alarm, whose onset is the last look before. A value that is not
    finite is two signs. A run that never was well gives no such alarm: fakes of an untrained generator are all alike. It gives
    one after ``stuck`` looks in a row in all of which the discriminators won every item and the diversity was below ``floor``.

    Args:
        every: steps between looks.
        warm_up: steps of training in which nothing is judged.
        window: healthy looks that a look is held against; judged from half as many on.
        patience: suspicious looks in a row that make an alarm.
        threshold: units of the healthy looks' deviation.
        floor: ratio to real items at which fakes count as alike.
        stuck: looks in a row, all lost and alike, after which a run that never was well has failed; None: never.
        items: items that a look is about at least; a smaller batch is joined with those of the looks before.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        *,
        every: Steps = 50,
        warm_up: numbers.Step = 1000,
        window: Annotated[int, Range(at_least=4, at_most=1_000_000)] = 20,
        patience: Count = 3,
        threshold: Positive = 6.0,
        floor: Annotated[float, Range(above=0, at_most=0.5)] = 0.25,
        stuck: Count | None = 100,
        items: Annotated[int, Range(at_least=2, at_most=1_000_000)] = 16,
    ) -> None:
        for name, value, least in (
            ("every", every, 1),
            ("warm_up", warm_up, 0),
            ("window", window, 4),
            ("patience", patience, 1),
            ("stuck", patience if stuck is None else stuck, patience),
            ("items", items, 2),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not (0 < threshold < math.inf and 0 < floor <= 0.5):
            raise ValueError(f"threshold must be above 0 and floor in (0, 0.5], got {threshold:g} and {floor:g}")
        self.every, self.warm_up, self.window, self.patience = every, warm_up, window, patience
        self.threshold, self.floor, self.stuck, self.items = threshold, floor, stuck, items
        self.healthy_until = 0
        self._history: dict[str, list[float]] = {}
        self._risen: list[str] = []
        self._suspicious = self._calm = self._lost = self._lost_from = 0
        self._alarmed = False
        self._ring: list[dict[str, Tensor]] = []

    @torch.no_grad()
    def item_values(self, step: Step) -> dict[str, Tensor]:
        """Numbers of each real and fake item [B, D], and where they are known scores, wins and labels [B]."""
        domain = getattr(step.representation, "domain", "waveform")
        waveform = domain == "waveform" and step.real.dim() == 3
        with torch.autocast(step.real.device.type, enabled=False):
            values = {"real": numbers_of(step.real, waveform), "fake": numbers_of(step.fake, waveform)}
            if step.real_output:
                pairs = [(real.score.detach().float(), fake.score.detach().float()) for _, real, fake in step.pairs()]
                real, fake = (torch.stack([pair[side].mean(1) for pair in pairs]) for side in (0, 1))
                values |= {"real_score": real.mean(0), "fake_score": fake.mean(0)}
                values["won"] = (real > fake).float().mean(0)
        labels = {"real_label": step.real_condition.label, "fake_label": step.fake_condition.label}
        if all(label is not None and label.dim() == 1 for label in labels.values()):
            values |= {name: label.detach().float() for name, label in labels.items() if label is not None}
        return values

    @torch.no_grad()
    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Numbers by name of a whole batch, joined with those before where it is small."""
        joined = self._joined({name: each.detach().cpu() for name, each in values.items()})
        good = torch.stack([torch.isfinite(each.reshape(len(each), -1)).all(1) for each in joined.values()]).all(0)
        found = {"nonfinite": 1.0 - float(good.double().mean())}
        whole = {name: each[good].double() for name, each in joined.items()}
        if int(good.sum()) < 2:
            return found
        return found | _diversities(whole) | _levels(whole["real"].mean(1), whole["fake"].mean(1)) | _scores(whole)

    def _joined(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch, or as many batches as it takes to have ``items`` items."""
        if len(values["real"]) >= self.items:
            self._ring = []
            return values
        same = bool(self._ring) and {k: v.shape[1:] for k, v in self._ring[-1].items()} == {
            k: v.shape[1:] for k, v in values.items()
        }
        self._ring = [*(self._ring if same else []), values]
        while sum(len(each["real"]) for each in self._ring[1:]) >= self.items:
            self._ring = self._ring[1:]
        return {name: torch.cat([each[name] for each in self._ring]) for name in values}

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        """An alarm at the ``patience``-th suspicious look in a row; none again until as many looks were healthy."""
        failed = self._failed(steps, values)
        if failed is not None:
            return failed
        signs = self._signs(values) if steps > self.warm_up else []
        if len(signs) >= 2:
            self._suspicious, self._calm = self._suspicious + 1, 0
            if self._alarmed or self._suspicious < self.patience:
                return None
            self._alarmed = True
            return Alarm(", ".join(signs), self.healthy_until)
        self._suspicious, self._calm = 0, self._calm + 1
        if self._alarmed and self._calm < self.patience:
            return None
        self._alarmed, self.healthy_until = False, self._lost_from if self._lost else steps
        if steps > self.warm_up:
            self._remember(values)
        return None

    def _failed(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        """The alarm of a run that never was well."""
        lost = values.get("win_rate", 0.0) >= WON and values.get("diversity", 1.0) < self.floor
        if self.stuck is None or self._risen or steps <= self.warm_up or not lost:
            self._lost, self._lost_from = 0, steps
            return None
        self._lost += 1
        if self._lost != self.stuck:
            return None
        return Alarm(
            f"the discriminators have won every item of the last {self.stuck} looks, and fakes have not been more than "
            f"{self.floor:g} times as far apart as real items",
            self._lost_from,
        )

    def _signs(self, values: Mapping[str, float]) -> list[str]:
        """What speaks for collapse, each in words."""
        bad = values.get("nonfinite", 0.0)
        signs = [f"{100 * bad:.3g} % of items are not finite", "nothing else can be said of them"] if bad > 0 else []
        if values.get("score_gap") == 0.0 and values.get("win_rate") == 0.0:
            signs += ["every item has one and the same score", "the discriminators tell nothing from anything"]
        for name, words in (LOW | HIGH).items():
            past = self._history.get(name, [])
            if name not in values or len(past) < ENOUGH * self.window:
                continue
            now, past = (values[name], past) if name in LOW else (abs(values[name]), [abs(value) for value in past])
            before = statistics.median(past)
            if self._has_fallen(name, now, past) if name in LOW else self._has_grown(now, past):
                signs.append(words.format(now=f"{now:.3g}", before=f"{before:.3g}"))
        wins = self._history.get("win_rate", [])
        if len(wins) >= ENOUGH * self.window and values.get("win_rate", 0.0) >= WON:
            before = statistics.median(wins)
            if before < NOT_WON:
                signs.append(f"the discriminators win every item ({100 * before:.0f} % before)")
        return signs

    def _has_fallen(self, name: str, now: float, past: Sequence[float]) -> bool:
        if now < self.floor and name in self._risen:
            return True
        logs = [math.log(max(LEAST, value)) for value in past]
        drop = statistics.median(logs) - math.log(max(LEAST, now))
        return now < 2 * self.floor and drop > self.threshold * max(_deviation(logs), LEAST_SCALE)

    def _has_grown(self, now: float, past: Sequence[float]) -> bool:
        median = statistics.median(past)
        return now - median > self.threshold * max(_deviation(past), LEAST_SHARE * abs(median), LEAST)

    def _remember(self, values: Mapping[str, float]) -> None:
        for name in (*LOW, *HIGH, "win_rate"):
            if name not in values:
                continue
            past = [*self._history.get(name, []), float(values[name])][-self.window :]
            self._history[name] = past
            risen = len(past) >= ENOUGH * self.window and statistics.median(past) >= 2 * self.floor
            if name in LOW and risen and name not in self._risen:
                self._risen.append(name)

    def state_dict(self) -> dict[str, Any]:
        """What it remembers of the looks so far."""
        return {
            "healthy_until": self.healthy_until,
            "history": {name: list(past) for name, past in self._history.items()},
            "risen": list(self._risen),
            "counts": [self._suspicious, self._calm, self._lost, self._lost_from],
            "alarmed": self._alarmed,
            "ring": [dict(each) for each in self._ring],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.healthy_until, self._alarmed = int(state["healthy_until"]), bool(state["alarmed"])
        self._history = {name: list(past)[-self.window :] for name, past in state["history"].items()}
        self._risen = list(state["risen"])
        self._suspicious, self._calm, self._lost, self._lost_from = state["counts"]
        self._ring = [{name: value.cpu() for name, value in each.items()} for each in state["ring"]]


def numbers_of(x: Tensor, waveform: bool) -> Tensor:
    """At most 256 numbers of each item [B, D]: levels of waveforms [B, C, T], averages of anything else [B, ...]."""
    x = x.detach()
    x = (x.abs() if x.is_complex() else x).float()
    if waveform:
        return _levels_of(x)
    planes = x.flatten(3) if x.dim() > 3 else x[:, None] if x.dim() == 3 else x.reshape(len(x), 1, 1, -1)
    budget = max(1, NUMBERS // planes.shape[1])
    width = planes.shape[3] if planes.shape[2] == 1 else max(1, int(budget**0.5))
    height = min(planes.shape[2], width)
    size = (height, min(planes.shape[3], max(1, budget // height)))
    return functional.adaptive_avg_pool2d(planes, size).flatten(1)[:, :NUMBERS]


def _levels_of(x: Tensor) -> Tensor:
    """Power [dB] of waveforms [B, C, T] on a grid of times and bands, summed over nothing but phase and channels."""
    length = x.shape[-1]
    n = 1 << max(5, min(9, (length // SIDE).bit_length()))
    frames = functional.pad(x, (0, max(0, n - length))).unfold(-1, n, n // 2)
    taper = torch.hann_window(n, device=x.device)
    # White noise of unit variance has power 1 at every frequency.
    power = torch.fft.rfft(frames * taper).abs().square().mean(1) / taper.square().sum()
    size = (min(SIDE, power.shape[1]), min(SIDE, power.shape[2]))
    pooled = functional.adaptive_avg_pool2d(power[:, None], size)
    return 10 * pooled.clamp(min=LEAST_POWER).log10().flatten(1)


def _diversities(whole: Mapping[str, Tensor]) -> dict[str, float]:
    """How far apart fakes are, over how far apart real items are."""
    means, closest, nearest, within = [], [], [], []
    for side in ("fake", "real"):
        # Exact differences: the fast formula leaves a distance where two items are equal.
        apart = torch.cdist(whole[side], whole[side], compute_mode="donot_use_mm_for_euclid_dist")
        upper = torch.ones_like(apart, dtype=torch.bool).triu(1)
        pairs = apart[upper]
        means.append(pairs.mean())
        closest.append(pairs.kthvalue(max(1, len(pairs) // 10)).values)
        nearest.append(apart.masked_fill(torch.eye(len(apart), dtype=torch.bool), math.inf).min(1).values.mean())
        label = whole.get(f"{side}_label")
        if label is not None:
            within.append(apart[upper & (label[:, None] == label[None])])
    found = {
        "diversity": _ratio(*means),
        "diversity_closest": _ratio(*closest),
        "diversity_neighbour": _ratio(*nearest),
    }
    if within and min(map(len, within)) >= LEAST_PAIRS:
        found["diversity_within"] = _ratio(*(pairs.mean() for pairs in within))
    return found


def _levels(real: Tensor, fake: Tensor) -> dict[str, float]:
    """How far the fakes' levels [N] are from the real ones'."""
    spread = real.std()
    return {
        "level_gap": _bounded((fake.mean() - real.mean()) / spread),
        "level_distance": _bounded((fake.sort().values - real.sort().values).abs().mean() / spread),
        "level_spread": _ratio(fake.std(), spread),
    }


def _scores(whole: Mapping[str, Tensor]) -> dict[str, float]:
    """What the discriminators make of them."""
    if "won" not in whole:
        return {}
    real, fake = whole["real_score"], whole["fake_score"]
    gap, deviation = real.mean() - fake.mean(), ((real.var() + fake.var()) / 2).sqrt()
    return {
        "win_rate": float(whole["won"].mean()),
        "score_gap": float(gap),
        "separation": _bounded(gap / deviation),
    }


def _ratio(fake: Tensor, real: Tensor) -> float:
    """Their ratio, within bounds; 1 where both are nought."""
    if float(real) == float(fake):
        return 1.0
    return min(MOST, max(LEAST, float(fake / real.clamp(min=1e-12))))


def _bounded(value: Tensor) -> float:
    """A number within bounds; 0 where it was nought over nought."""
    return float(value.nan_to_num(0.0).clamp(-MOST, MOST))


def _deviation(values: Sequence[float]) -> float:
    """1.4826 times the median absolute deviation, a standard deviation that a few odd values do not move."""
    median = statistics.median(values)
    return 1.4826 * statistics.median([abs(value - median) for value in values])
