"""The promises of monitors."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from gansemble.abilities import FittedItems, NetworkMonitor, Stateful, SuspiciousMonitor
from gansemble.interfaces import Alarm, Monitor, Step
from gansemble.plugins.signatures import lacking
from gansemble.testing.frozen import saves_no_weights_that_never_learn
from gansemble.testing.subject import Fault, Subject, demand, demand_no_device_of_its_own, on_meta, saved
from gansemble.testing.terms import _modes, _tensors, is_no_network_by_accident

ITEMS = 8
#: Steps at which it is asked to judge, beyond any reasonable warm-up.
LATE = 1_000_000


def ready(subject: Subject, step: Step | None = None, seed: int = 0) -> Monitor:
    """The monitor as training has it: fitted to a few items and attached to the networks, where it asks for that.

    Args:
        subject: the part under test.
        step: gives the networks; None attaches none.
        seed: the monitor is built from.
    """
    monitor = subject.make(seed)
    missing = lacking(monitor, FittedItems)
    demand(
        "fit_items" in missing or not missing,
        f"it has fit_items() but no {', '.join(missing)}: the toolkit would never fit it",
    )
    if isinstance(monitor, FittedItems) and not monitor.fitted:
        label = subject.labels(4)
        monitor.fit_items(iter([(subject.x(2), label[:2]), (subject.x(4)[2:], label[2:])]))
        demand(monitor.fitted, "after fit_items, it must say fitted = True")
    if step is not None and isinstance(monitor, NetworkMonitor):
        monitor.attach(step.generator, step.discriminators)
    return monitor


def _looked(subject: Subject) -> Mapping[str, Tensor]:
    step = subject.step("discriminator", ITEMS)
    values = ready(subject, step).item_values(step)
    demand(isinstance(values, Mapping), f"item_values must give tensors by name, got {type(values).__name__}")
    return values


def _summary(monitor: Monitor, values: Mapping[str, Tensor]) -> dict[str, float]:
    """The numbers that the monitor logs, by name, of item values that are joined as training joins them."""
    # Whole batches come from all processes: on the CPU and in float32, whatever they were.
    numbers = monitor.summarise({name: value.detach().float().cpu() for name, value in values.items()})
    demand(isinstance(numbers, Mapping), f"summarise must give numbers by name, got {type(numbers).__name__}")
    for name, value in numbers.items():
        demand(isinstance(name, str), f"summarise must name its numbers by text, got {name!r}")
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        demand(plain, f"{name}: expected a number, got {type(value).__name__}; say float(x)")
    return {name: float(value) for name, value in numbers.items()}


def looks_every_few_steps(subject: Subject) -> None:
    """Its attribute ``every`` is a whole number of steps, at least 1."""
    monitor = subject.make()
    every = None if "every" in lacking(monitor, Monitor) else monitor.every
    demand(isinstance(every, int) and every >= 1, f"every must be a number of steps, at least 1, got {every!r}")


def gives_values_of_each_item(subject: Subject) -> None:
    """``item_values`` gives tensors by name, batch first and without gradients, with the same names for every batch."""
    names = set()
    for size in (ITEMS, 2):
        step = subject.step("discriminator", size)
        values = ready(subject, step).item_values(step)
        demand(isinstance(values, Mapping), f"item_values must give tensors by name, got {type(values).__name__}")
        demand(len(values) > 0, "item_values gives nothing of a step with outputs")
        for name, value in values.items():
            demand(isinstance(value, Tensor), f"{name}: expected a Tensor, got {type(value).__name__}")
            good = value.dim() >= 1 and value.shape[0] == size
            demand(good, f"{name}: expected one entry per item first, [{size}, ...], got {list(value.shape)}")
            demand(not value.requires_grad, f"{name} has a gradient, which keeps the graph alive; detach it")
        names.add(frozenset(values))
    demand(len(names) == 1, "item_values gives other names for another batch size; processes could not be joined")


def measures_items_apart(subject: Subject) -> None:
    """What it measures of an item does not depend on the batch: two processes' halves, joined, equal the whole."""
    whole = _looked(subject)
    halves = []
    for first in (0, ITEMS // 2):
        step = subject.step("discriminator", ITEMS // 2, first=first)
        halves.append(ready(subject, step).item_values(step))
    for name, value in whole.items():
        joined = torch.cat([half[name] for half in halves])
        demand(
            joined.shape == value.shape and torch.allclose(joined.float(), value.float(), rtol=1e-3, atol=1e-4),
            f"{name}: in two halves items measure otherwise than together; leave what is of all items to summarise",
        )


def monitor_leaves_the_step_alone(subject: Subject) -> None:
    """It changes nothing of the step: neither tensors nor weights, gradients, or train and eval modes."""
    step = subject.step("discriminator", ITEMS)
    monitor = ready(subject, step)
    tensors, modes = _tensors(step), _modes(step)
    before = {name: (value.detach().clone(), value._version, value.requires_grad) for name, value in tensors.items()}
    monitor.item_values(step)
    for name, value in tensors.items():
        content, version, learns = before[name]
        same = value._version == version and torch.equal(value.detach(), content)
        demand(same, f"it writes into step.{name}; use x = x + y, not x += y")
        demand(value.requires_grad == learns, f"it changes requires_grad of step.{name}; work on x.detach()")
        demand(not value.is_leaf or value.grad is None, f"it adds to the gradient of step.{name}")
    demand(modes == _modes(step), "it puts a network into train or eval mode and leaves it there")


def draws_nothing(subject: Subject) -> None:
    """It draws nothing from torch's global generator, and its numbers do not depend on any random generator."""
    seen = []
    for seed in (1, 2):
        step = subject.step("discriminator", ITEMS)
        monitor = ready(subject, step)
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        seen.append(_summary(monitor, monitor.item_values(step)))
        demand(
            torch.equal(before, torch.get_rng_state()),
            "it draws from torch's generator, so training with it is another training; draw from step.batch.draws",
        )
    demand(_same(*seen), "its numbers depend on torch's, numpy's or Python's generator; draw from step.batch.draws")


def summarises_in_finite_numbers(subject: Subject) -> None:
    """Its numbers are finite for ordinary items, silence, fakes equal to real items, NaN, and a single item."""
    x = subject.x(ITEMS)
    silence = torch.zeros_like(x)
    cases: dict[str, tuple[Tensor | None, Tensor | None]] = {
        "a batch": (None, None),
        "silence": (silence, silence),
        "silent fakes": (None, silence),
        "a perfect fake": (x, x.clone()),
        "fakes that are not finite": (None, x * math.nan),
    }
    for name, (real, fake) in cases.items():
        step = subject.step("discriminator", ITEMS, real, fake)
        monitor = ready(subject, step)
        numbers = _summary(monitor, monitor.item_values(step))
        demand(len(numbers) > 0 or name != "a batch", "summarise gives no number of a batch")
        odd = [key for key, value in numbers.items() if not math.isfinite(value)]
        demand(not odd, f"of {name}, {', '.join(odd)} is not finite; leave out what cannot be computed")
    step = subject.step("discriminator", 1)
    monitor = ready(subject, step)
    numbers = _summary(monitor, monitor.item_values(step))
    odd = [key for key, value in numbers.items() if not math.isfinite(value)]
    demand(not odd, f"of one item, {', '.join(odd)} is not finite; leave out what cannot be computed")


def does_not_mind_the_order_of_items(subject: Subject) -> None:
    """Its numbers do not depend on the order of the items, because processes are joined in any order."""
    values = _looked(subject)
    order = torch.arange(ITEMS).flip(0).roll(3)
    ours = _summary(ready(subject), values)
    theirs = _summary(ready(subject), {name: value[order] for name, value in values.items()})
    differ = [name for name in ours.keys() | theirs.keys() if not _close(ours.get(name), theirs.get(name))]
    demand(not differ, f"with the items in another order, {', '.join(sorted(differ))} differs")


def judges(subject: Subject) -> None:
    """``judge`` gives None or an Alarm with a reason and an onset not in the future; at first it gives None."""
    step = subject.step("discriminator", ITEMS)
    monitor = ready(subject, step)
    numbers = _summary(monitor, monitor.item_values(step))
    first = monitor.judge(monitor.every, numbers)
    demand(
        first is None,
        f"its first look at all is an alarm ({first.reason if isinstance(first, Alarm) else first}): nothing was better before",
    )
    well, nought, vast = numbers, dict.fromkeys(numbers, 0.0), dict.fromkeys(numbers, 1e6)
    done = LATE
    for shown in [well] * 12 + [nought] * 8 + [vast] * 8:
        done += monitor.every
        alarm = monitor.judge(done, shown)
        if alarm is None:
            continue
        demand(isinstance(alarm, Alarm), f"judge must give None or Alarm, got {type(alarm).__name__}")
        demand(isinstance(alarm.reason, str) and alarm.reason != "", "its alarm gives no reason")
        sound = isinstance(alarm.onset, int) and 0 <= alarm.onset <= done
        demand(sound, f"at step {done} its alarm says that all was well at {alarm.onset!r}")
    until = monitor.healthy_until if isinstance(monitor, SuspiciousMonitor) else 0
    demand(isinstance(until, int) and 0 <= until <= done, f"after step {done}, healthy_until is {until!r}")


def judges_what_it_can(subject: Subject) -> None:
    """``judge`` raises no error without any numbers, such as before the discriminators have started."""
    monitor = ready(subject)
    try:
        monitor.judge(LATE, {})
    except Exception as error:
        raise Fault(f"of no numbers judge raises {type(error).__name__} ({error}); use values.get(name)") from error


def monitor_keeps_its_state(subject: Subject) -> None:
    """Restored from its state dict in the middle of a run, it gives the numbers and alarms of an uninterrupted run."""
    missing = lacking(subject.make(), Stateful)
    demand(not missing, f"it has no {', '.join(missing)}, so a resumed run would judge without its past")
    for turning in (4, 9):
        step = subject.step("discriminator", 3)
        monitor = ready(subject, step)
        kept: dict[str, object] = {}
        said: list[tuple[dict[str, float], Alarm | None]] = []
        for look in range(12):
            if look == turning:
                kept = saved(monitor.state_dict())
                said = []
            said.append(_look(subject, monitor, look))
        other = subject.make(1)
        other.load_state_dict(kept)
        if isinstance(other, NetworkMonitor):
            other.attach(step.generator, step.discriminators)
        demand(
            not isinstance(other, FittedItems) or other.fitted, "loaded from a fitted state, it must say fitted = True"
        )
        again = [_look(subject, other, look) for look in range(turning, 12)]
        demand(
            again == said,
            "restored from its state dict it says other things than the uninterrupted monitor; keep all that it remembers",
        )


def _look(subject: Subject, monitor: Monitor, look: int) -> tuple[dict[str, float], Alarm | None]:
    """Numbers and alarm of the ``look``-th look at a run whose fakes are silent from the ninth look on."""
    x = subject.x(3 + look)[look:]
    fake = 0.7 * x.flip(-1) if look < 8 else torch.zeros_like(x)
    numbers = _summary(monitor, monitor.item_values(subject.step("discriminator", 3, real=x, fake=fake)))
    return numbers, monitor.judge(LATE + look * monitor.every, numbers)


def monitor_works_on_other_devices(subject: Subject) -> None:
    """Tensors that it creates are on the device of the step's tensors."""
    monitor, step = on_meta(ready(subject)), subject.step("discriminator", ITEMS, device="meta")
    demand_no_device_of_its_own(lambda: monitor.item_values(step))


def _close(ours: float | None, theirs: float | None) -> bool:
    return ours is not None and theirs is not None and math.isclose(ours, theirs, rel_tol=1e-4, abs_tol=1e-5)


def _same(ours: Mapping[str, float], theirs: Mapping[str, float]) -> bool:
    return ours.keys() == theirs.keys() and all(ours[name] == theirs[name] for name in ours)


MONITOR = (
    looks_every_few_steps,
    gives_values_of_each_item,
    measures_items_apart,
    monitor_leaves_the_step_alone,
    draws_nothing,
    summarises_in_finite_numbers,
    does_not_mind_the_order_of_items,
    judges,
    judges_what_it_can,
    monitor_keeps_its_state,
    monitor_works_on_other_devices,
    is_no_network_by_accident,
    saves_no_weights_that_never_learn,
)
