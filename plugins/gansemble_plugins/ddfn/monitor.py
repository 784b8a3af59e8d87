"""Watches the exact departure from normality of what the generator makes, and of maps inside it."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from gansemble import numbers
from gansemble.contract import TermContract
from gansemble.interfaces import Alarm, Step
from gansemble.numbers import Count, Range, Steps
from gansemble_plugins.ddfn.departure import departure_from_normality_squared
from gansemble_plugins.ddfn.squares import Channels, Policy, per_pixel
from gansemble_plugins.ddfn.statistics import RealStatistics, Thinned, energy


class DepartureFromNormality:
    """Departures per pixel of fake and real maps, and of square maps inside the generator (the paper's figure 1).

    Logged are the means, and of the fake values beside the real ones: the difference of means, the logarithm of the ratio of
    deviations and the Wasserstein distance, in real standard deviations. The difference of means alone misses many
    collapses onto few maps; the other two see them. What is inside the generator has no real counterpart: the mean over
    channels and items is logged, and where ``jump`` is set, an alarm is raised when a layer's mean is more than ``jump``
    times the median of its last ``history`` looks, or less than a ``jump``-th of it.

    Args:
        every: steps between looks.
        share: of the items that are looked at, each chosen or left out by its own random number.
        reals: real items that the statistics are of, at least, where there are as many; taken at equal distances.
        layers: modules of the generator, by name, that give square maps [B, C, n, n].
        layer_channels: channels of each layer that are looked at, taken at equal distances.
        jump: factor of the alarm; null: never.
        history: looks that a new one is compared with.
        squares: what becomes of maps that are not square; those inside the generator have to be.
        channels: the mean over channels of their departures, or the departure of the channels' mean.
        on_cpu: whether eigenvalues are computed on the CPU.

    Shape: step.fake [B, C, H, W].

    Raises:
        ValueError: if a number is out of range, or ``jump`` is set without layers.
    """

    def __init__(
        self,
        *,
        every: Steps = 1000,
        share: Annotated[float, Range(above=0, at_most=1)] = 1.0,
        reals: Count = 512,
        layers: list[str] | None = None,
        layer_channels: numbers.Channels = 8,
        jump: Annotated[float, Range(above=1, at_most=1e6)] | None = None,
        history: Count = 8,
        squares: Policy = "error",
        channels: Channels = "mean",
        on_cpu: bool = False,
    ) -> None:
        counts = {"every": every, "reals": reals, "layer_channels": layer_channels, "history": history}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}")
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share:g}")
        if jump is not None and not jump > 1:
            raise ValueError(f"jump must be above 1, a factor up or down, or null, got {jump:g}")
        if jump is not None and not layers:
            raise ValueError("jump is a factor of maps inside the generator, but layers names none")
        self.every, self.share, self.reals_wanted = every, share, reals
        self.layers, self.layer_channels = list(layers or ()), layer_channels
        self.jump, self.history = jump, history
        self.squares, self.channels = squares, channels
        self._exact = functools.partial(departure_from_normality_squared, device="cpu" if on_cpu else None)
        self.reals: RealStatistics | None = None
        self._looks: dict[str, list[float]] = {name: [] for name in self.layers}
        self._last_look = 0
        self._seen: dict[str, Tensor] = {}
        self._handles: list[Any] = []

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> TermContract:
        """Works on maps [C, H, W]; square ones unless told what to do with others."""
        square = parameters.get("squares", "error") == "error"
        return TermContract(shape=(None, None, None), square=square, because={"square": "squares"})

    @property
    def fitted(self) -> bool:
        """Whether real items have been measured."""
        return self.reals is not None

    def fit_items(self, items: Iterator[tuple[Tensor, Tensor | None]]) -> None:
        """Measures some of the real items [B, C, H, W].

        Raises:
            ValueError: if there are none, or their departures are not finite or all equal.
        """
        thinned, loudest = Thinned(self.reals_wanted, self._of), 0.0
        for x, _ in items:
            thinned.add(x)
            loudest = max(loudest, energy(x))
        values = torch.stack(thinned.values) if thinned.values else torch.zeros(0)
        self.reals = RealStatistics.of(values, energy=loudest)

    @torch.no_grad()
    def _of(self, x: Tensor) -> Tensor:
        return per_pixel(x, self._exact, self.squares, self.channels)

    def attach(self, generator: nn.Module, discriminators: nn.Module) -> None:
        """Listens to the named layers of the bare generator.

        Raises:
            ValueError: if it has no module of such a name.
        """
        for handle in self._handles:
            handle.remove()
        modules = dict(generator.named_modules())
        for name in self.layers:
            if name not in modules or not name:
                known = [each for each in modules if each]
                close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:10]
                raise ValueError(f"layers: the generator has no module {name!r}; near it: {', '.join(close) or 'none'}")
        self._handles = [modules[name].register_forward_hook(self._listener(name)) for name in self.layers]

    def _listener(self, name: str) -> Callable[..., None]:
        """A hook that keeps some maps; a plain function, which copies of the network (a moving average) can hold too."""

        def listen(module: nn.Module, given: Any, made: Any) -> None:
            if not isinstance(made, Tensor) or made.dim() != 4 or made.shape[-1] != made.shape[-2]:
                shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
                raise ValueError(
                    f"layers: {name} of the generator must give square maps [B, C, n, n], it gave {shape}; name a "
                    "module that does"
                )
            places = evenly(made.shape[1], self.layer_channels).to(made.device)
            self._seen[name] = made.detach()[:, places]  # a copy: the whole of it is let go

        return listen

    def item_values(self, step: Step) -> dict[str, Tensor]:
        """δ of each fake item, and of each layer's maps as a mean over channels, [B] each; infinite for what is left out."""
        looked_at = step.batch.draws.uniform("departure_from_normality") < self.share
        found = {"fake": self._chosen(step.fake.detach(), looked_at, self._of)}
        for name in self.layers:
            if name not in self._seen:
                raise RuntimeError(f"layers: {name} has not run; call attach with the generator before training")
            inside = functools.partial(per_pixel, quantity=self._exact)
            found[f"layer/{name}"] = self._chosen(self._seen[name], looked_at, inside)
        return found

    @staticmethod
    def _chosen(x: Tensor, looked_at: Tensor, measure: Callable[[Tensor], Tensor]) -> Tensor:
        values = torch.full((len(x),), torch.inf, device=x.device)
        values[looked_at] = measure(x[looked_at]).float()
        return values

    def summarise(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Fake beside real values (see :meth:`RealStatistics.compare`), the real mean, each layer's mean; only what is finite.

        Raises:
            RuntimeError: if real items have not been measured.
        """
        if self.reals is None:
            raise RuntimeError(
                "departure_from_normality knows no real statistics: call fit_items with the training split, or load a state"
            )
        found = {"real_mean": self.reals.mean}
        for name, each in values.items():
            looked_at = each[~each.isposinf()]
            if looked_at.numel():
                found |= self.reals.compare(looked_at) if name == "fake" else {name: float(looked_at.mean())}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    @property
    def healthy_until(self) -> int:
        """The last look: a jump of a layer is seen at the next."""
        return self._last_look

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None:
        """An alarm when a layer's mean has jumped, where ``jump`` is set."""
        onset, self._last_look = self._last_look, steps
        alarm = None
        for name in self.layers if self.jump is not None else ():
            looks, now = self._looks[name], values.get(f"layer/{name}")
            if now is None or not math.isfinite(now):  # training's own guard tells of numbers that are not finite
                continue
            if len(looks) == self.history and alarm is None:
                alarm = self._jumped(name, sorted(looks)[len(looks) // 2], now, onset)
            self._looks[name] = [*looks, now][-self.history :]
        return alarm

    def _jumped(self, name: str, usual: float, now: float, onset: int) -> Alarm | None:
        assert self.jump is not None
        if usual <= 0 or usual / self.jump <= now <= usual * self.jump:
            return None
        return Alarm(
            f"the departure from normality of {name} is {now:.3g} per pixel after a median of {usual:.3g} over "
            f"{self.history} looks, a factor beyond jump = {self.jump:g}",
            onset,
        )

    def state_dict(self) -> dict[str, Any]:
        """Real statistics with what they are of, and the last looks."""
        return {
            "of": self._description(),
            "reals": None if self.reals is None else self.reals.state(),
            "looks": {name: list(looks) for name, looks in self._looks.items()},
            "last_look": self._last_look,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores it; looks of layers that are not named any more are dropped.

        Raises:
            ValueError: if the statistics are of other maps than this monitor's.
        """
        if dict(state["of"]) != self._description():
            raise ValueError(
                f"the real statistics are of {dict(state['of'])}, but this monitor is of {self._description()}: measure them anew"
            )
        self.reals = None if state["reals"] is None else RealStatistics.restored(state["reals"])
        self._looks = {name: list(state["looks"].get(name, ())) for name in self.layers}
        self._last_look = int(state["last_look"])

    def _description(self) -> dict[str, Any]:
        return {"squares": self.squares, "channels": self.channels}


def evenly(count: int, wanted: int) -> Tensor:
    """At most ``wanted`` of ``count`` places, at equal distances from the first."""
    wanted = min(count, wanted)
    return torch.arange(wanted) * count // wanted
