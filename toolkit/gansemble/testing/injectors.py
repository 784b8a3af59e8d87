"""The promises of noise injectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gansemble.abilities import Adaptive
from gansemble.interfaces import NoiseInjector
from gansemble.plugins.signatures import lacking
from gansemble.testing.frozen import saves_no_weights_that_never_learn
from gansemble.testing.subject import (
    Fault,
    Subject,
    demand,
    demand_no_device_of_its_own,
    half_precision,
    on_meta,
    saved,
    state_of,
)
from gansemble.testing.terms import adapts, is_no_network_by_accident, means

#: Steps at which an injector is tried: it may begin late, or end early.
STEPS = (0, 7, 100, 1000, 10_000, 100_000, 1_000_000)
#: After so many updates an adaptive injector is tried, which may begin without any noise.
UPDATES = (10, 100, 1000, 10_000, 100_000)
ITEMS = 16


@dataclass(frozen=True)
class _Working:
    """When an injector injects something: at a step, after its statistic has had one value for so many updates."""

    step: int = 0
    updates: int = 0
    value: float = 0.0

    def make(self, subject: Subject, seed: int = 0) -> NoiseInjector:
        """A new injector, adapted so."""
        part = subject.make(seed)
        if self.updates and isinstance(part, Adaptive):
            value = means(subject, part, self.value)
            for _ in range(self.updates):
                part.adapt(value)
        return part


def _working(subject: Subject) -> _Working:
    """The first state in which real and fake items are changed, else one in which some are, else that of a new part."""
    some = None
    for state in _states(subject):
        changed = _changed(subject, state)
        if all(changed):
            return state
        some = state if any(changed) and some is None else some
    return some or _Working()


def _states(subject: Subject) -> Iterator[_Working]:
    yield from (_Working(step) for step in STEPS)
    if not lacking(subject.make(), Adaptive):
        yield from (_Working(0, updates, value) for value in (1.0, -1.0) for updates in UPDATES)


def _changed(subject: Subject, state: _Working) -> list[bool]:
    """Whether any real item, and any fake, is changed."""
    real = subject.x(ITEMS)
    given = (real, real * 0.5)
    seen = state.make(subject)(*given, subject.batch(ITEMS, index=state.step))
    return [not torch.equal(each, before) for each, before in zip(seen, given, strict=True)]


def _inject(
    subject: Subject, state: _Working, size: int = 2, first: int = 0, part: NoiseInjector | None = None, seed: int = 3
) -> tuple[Tensor, Tensor]:
    injector = state.make(subject) if part is None else part
    real = subject.x(first + size)[first:]
    return injector(real, real * 0.5, subject.batch(size, seed=seed, first=first, index=state.step))


def injector_keeps_shapes(subject: Subject) -> None:
    """It returns two tensors of the shapes that it is given, float32 and finite."""
    seen = _inject(subject, _Working())
    demand(isinstance(seen, tuple) and len(seen) == 2, "expected (seen_real, seen_fake)")
    for each in seen:
        demand(each.shape == subject.x().shape, f"expected {list(subject.x().shape)}, got {list(each.shape)}")
        demand(each.dtype == torch.float32, f"expected float32, got {each.dtype}")
        demand(bool(torch.isfinite(each).all()), "what the discriminators would see is not finite")


def injects_something(subject: Subject) -> None:
    """Of sixteen items it changes at least one real item and at least one fake.

    Noise on one side only is what the discriminators would learn to find. An injector may begin late, at a step up to
    1,000,000, and an adaptive one after up to 100,000 updates with a statistic of 1, or of -1.
    """
    changed = _changed(subject, _working(subject))
    demand(any(changed), "it changes none of sixteen items")
    demand(
        all(changed),
        f"it changes {'real' if changed[0] else 'fake'} items only: noise on one side is what discriminators learn to find",
    )


def injector_draws_only_from_the_batch(subject: Subject) -> None:
    """Its noise depends on ``batch.draws`` and no other random generator, before and after it has adapted."""
    made, adapted, state = [], [], _working(subject)
    for seed in (1, 2):
        part: Any = state.make(subject)
        torch.manual_seed(seed)
        made.append(_inject(subject, state, ITEMS, part=part))
        demand(torch.initial_seed() == seed, "it seeds torch's generator; draw from batch.draws")
        for value in (1.0, 1.0, -1.0) if "adapt" not in lacking(part, Adaptive) else ():
            part.adapt(value if lacking(part, Adaptive) else means(subject, part, value))
        adapted.append(_inject(subject, state, ITEMS, part=part))
    same = all(torch.equal(a, b) for a, b in zip(*made, strict=True))
    demand(same, "its noise depends on torch's, numpy's or Python's generator; draw from batch.draws")
    same = all(torch.equal(a, b) for a, b in zip(*adapted, strict=True))
    demand(same, "adapted alike, its noise differs: adapt() draws, and each process would draw something else")
    other = _inject(subject, state, ITEMS, seed=4)
    differs = any(not torch.equal(a, b) for a, b in zip(made[0], other, strict=True))
    demand(differs, "its noise is the same for other draws; draw from batch.draws")


def two_halves_are_the_whole(subject: Subject) -> None:
    """Two processes with half a batch each get the noise of one with the whole: each item has its own."""
    state = _working(subject)
    whole = _inject(subject, state, 4)
    halves = [_inject(subject, state, 2, first) for first in (0, 2)]
    for index, name in enumerate(("real", "fake")):
        joined = torch.cat([half[index] for half in halves])
        demand(
            torch.allclose(whole[index], joined, atol=1e-6),
            f"in two halves, {name} items see other noise than together; give each item its own from batch.draws",
        )


def injector_leaves_its_inputs_alone(subject: Subject) -> None:
    """It does not write into the real and fake items that it is given."""
    state = _working(subject)
    injector, batch = state.make(subject), subject.batch(ITEMS, index=state.step)
    real, fake = subject.x(ITEMS), subject.x(ITEMS) * 0.5
    before = real.clone(), fake.clone()
    injector(real, fake, batch)
    same = torch.equal(real, before[0]) and torch.equal(fake, before[1]) and not real._version and not fake._version
    demand(same, "it writes into its inputs; use x = x + y, not x += y")


def injector_passes_gradients(subject: Subject) -> None:
    """A finite, non-zero gradient reaches the fake items through the noise, so that the generator can learn."""
    fake, state = (subject.x(ITEMS) * 0.5).requires_grad_(), _working(subject)
    _, seen = state.make(subject)(subject.x(ITEMS), fake, subject.batch(ITEMS, index=state.step))
    demand(seen.requires_grad, "no gradient reaches the fake")
    (gradient,) = torch.autograd.grad(seen.square().sum(), fake)
    demand(
        bool(torch.isfinite(gradient).all() and (gradient.abs().sum() > 0)),
        "the gradient to the fake is zero or not finite",
    )


def injector_takes_silence(subject: Subject) -> None:
    """Of silence it gives finite values."""
    silence = torch.zeros_like(subject.x(4))
    sound, state = silence if subject.waveform else None, _working(subject)
    for each in state.make(subject)(silence, silence, subject.batch(4, audio=sound, index=state.step)):
        demand(bool(torch.isfinite(each).all()), "of silence the discriminators would see what is not finite")


def injector_keeps_its_state(subject: Subject) -> None:
    """If it adapts, it does so without error, and restored from its state dict it gives the same noise."""
    state = _working(subject)
    injector = state.make(subject)
    adapts(subject, injector)
    remembers = state_of(injector)
    if remembers is None:
        return
    other = subject.make(1)
    other.load_state_dict(saved(remembers.state_dict()))
    ours, theirs = (_inject(subject, state, ITEMS, part=part) for part in (injector, other))
    same = all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    demand(same, "restored from its state dict it injects other noise")


def injector_works_on_other_devices(subject: Subject) -> None:
    """Tensors that it creates are on the device of its inputs."""
    state, x = _working(subject), subject.x().to("meta")
    injector, batch = on_meta(state.make(subject)), subject.batch(device="meta", index=state.step)
    demand_no_device_of_its_own(lambda: injector(x, x * 0.5, batch))


def injector_keeps_precision_under_autocast(subject: Subject) -> None:
    """Under bfloat16 autocast it gives the same noise as without, as small noise levels would be rounded away."""
    state = _working(subject)
    plain = _inject(subject, state, 4)
    try:
        with half_precision():
            cast = _inject(subject, state, 4)
    except RuntimeError as error:
        raise Fault(f"it fails under bfloat16 autocast ({str(error).splitlines()[0]})") from error
    close = all(torch.allclose(a, b.float(), atol=1e-4) for a, b in zip(plain, cast, strict=True))
    demand(close, "under bfloat16 autocast it injects other noise; compute it with autocast off")


INJECTOR = (
    injector_keeps_shapes,
    injects_something,
    injector_draws_only_from_the_batch,
    two_halves_are_the_whole,
    injector_leaves_its_inputs_alone,
    injector_passes_gradients,
    injector_takes_silence,
    injector_keeps_its_state,
    injector_works_on_other_devices,
    injector_keeps_precision_under_autocast,
    is_no_network_by_accident,
    saves_no_weights_that_never_learn,
)
