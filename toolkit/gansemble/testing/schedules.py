"""What every schedule of a learning rate must do."""

from __future__ import annotations

import math

from gansemble.contract import ScheduleContract
from gansemble.testing import drawn
from gansemble.testing.subject import Subject, demand

#: Lengths of plans [steps]; a plan of a single step is one, too.
PLANS = (1, 2, 7, 1000, 1_000_000)
#: Steps of an epoch, for the epochs that go with the steps.
EPOCH = 37


def _places(steps: int) -> list[tuple[int, int, int]]:
    """(step, epoch, steps) at the beginning, in between and at the end of a plan."""
    chosen = {0, 1, 2, 10, 36, 37, steps // 4, steps // 3, steps // 2, steps - 2, steps - 1}
    return [(step, step // EPOCH, steps) for step in sorted(chosen) if 0 <= step < steps]


PLACES = [place for steps in PLANS for place in _places(steps)]


def _shown(place: tuple[int, int, int]) -> str:
    step, epoch, steps = place
    return f"step {step} of {steps}, epoch {epoch}"


def gives_a_factor(subject: Subject) -> None:
    """A plain float, finite and not negative, at every step of a plan of 1 step, of a few, and of a million."""
    schedule = subject.make()
    for place in PLACES:
        factor = schedule(*place)
        demand(type(factor) is float, f"{_shown(place)}: expected a float, got {type(factor).__name__}; say float(x)")
        demand(math.isfinite(factor), f"{_shown(place)}: its factor is {factor}")
        demand(factor >= 0, f"{_shown(place)}: its factor is {factor:g}, and a negative rate unlearns")


def lets_something_be_learnt(subject: Subject) -> None:
    """The factor is above zero in some step of plans of 1,000 and of a million steps.

    Shorter plans may be over before a schedule that begins at zero has begun.
    """
    schedule = subject.make()
    for steps in PLANS[-2:]:
        demand(
            any(schedule(*place) > 0 for place in _places(steps)),
            f"in a plan of {steps} steps its factor is 0 wherever it was asked: nothing would be learnt",
        )


def is_the_same_in_any_order(subject: Subject) -> None:
    """The same arguments give the same factor, whatever was asked before, and of another object: it keeps nothing."""
    schedule = subject.make()
    forwards = {place: schedule(*place) for place in PLACES}
    backwards = {place: schedule(*place) for place in reversed(PLACES)}
    for place in PLACES:
        alone = subject.make(1)(*place)
        same = forwards[place] == backwards[place] == alone
        demand(
            same,
            f"{_shown(place)}: {forwards[place]!r}, asked again {backwards[place]!r}, of a new object {alone!r}; compute it of "
            "step, epoch and steps alone, as a resumed run asks from the middle on",
        )


def draws_no_numbers(subject: Subject) -> None:
    """It draws from no generator: the run would be another with it."""
    schedule = subject.make()
    before = drawn.state()
    for place in PLACES:
        schedule(*place)
    demand(before == drawn.state(), "it draws from torch's or NumPy's generator")


def says_whether_it_ends_with_the_plan(subject: Subject) -> None:
    """One whose contract says that it does not end with the plan gives the same factors, however many steps are planned."""
    if subject.stated(ScheduleContract).ends_with_the_plan:
        return
    schedule = subject.make()
    for step, epoch, _ in PLACES:
        found = {steps: schedule(step, epoch, steps) for steps in (step + 1, 2 * step + 5, 2_000_000)}
        demand(
            len(set(found.values())) == 1,
            f"step {step}: its contract says ends_with_the_plan=False, but of plans of {', '.join(map(str, found))} steps it "
            f"makes {', '.join(f'{factor:g}' for factor in found.values())}; a run that is made longer would be another",
        )


SCHEDULE = (
    gives_a_factor,
    lets_something_be_learnt,
    is_the_same_in_any_order,
    draws_no_numbers,
    says_whether_it_ends_with_the_plan,
)
