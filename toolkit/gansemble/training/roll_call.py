"""The first process calls the roll of a run: who has come, whether they belong together, how far their clocks are apart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from torch.distributed import Store

from gansemble.training.meeting_place import Arrival, Place

POLL_SECONDS = 0.05
REMIND_SECONDS = 30.0
#: Clocks that differ by more are told of [s]; what is measured is right within a fraction of a second.
CLOCKS_SECONDS = 60.0
#: How long the others have to tell their clocks [s].
CLOCK_ANSWER_SECONDS = 2.0
#: How long the first process stays for the others to read its verdict [s].
READ_SECONDS = 10.0


def judged(store: Store, place: Place, mine: Arrival, say: Callable[[str], None]) -> str:
    """What the first process finds of all: an empty text if they are all there and of one run."""
    begun = said = time.monotonic()
    there = {0: mine}
    while True:
        for rank in range(1, place.world):
            if rank not in there and store.check([place.key("arrival", rank, 1)]):
                there[rank] = json.loads(store.get(place.key("arrival", rank, 1)))
        fault = _at_odds(store, place, there)
        if fault or len(there) == place.world:
            if not fault:
                _compare_clocks(store, place, there, say)
            return fault
        now = time.monotonic()
        if now - begun > place.limit:
            return _absent(place, [rank for rank in range(place.world) if rank not in there])
        if now - said > REMIND_SECONDS:
            said = now
            say(
                f"waiting at {place}: {len(there)} of {place.world} processes have come ({now - begun:.0f} of {place.limit:.0f} s)"
            )
        time.sleep(POLL_SECONDS)


def _absent(place: Place, missing: list[int]) -> str:
    listed = ", ".join(map(str, missing[:8])) + (", …" if len(missing) > 8 else "")
    return (
        f"only {place.world - len(missing)} of {place.world} processes came to {place} within {place.limit:.0f} s; missing: "
        f"{listed}. Start the same command on every machine, each with its own --machine-rank, and see that the others can reach "
        "this address and port"
    )


def _at_odds(store: Store, place: Place, there: Mapping[int, Arrival]) -> str:
    """What is wrong with those that have come: other numbers of processes, or two with one number."""
    starters: dict[int, Arrival] = {}
    for rank, one in sorted(there.items()):
        if one["world"] != place.world:
            return (
                f"machine {one['machine']} ({one['host']}) was told --num-processes {one['world']}, machine 0 {place.world}; give "
                "all the same"
            )
        other, again = starters.setdefault(one["machine"], one), place.key("arrival", rank, 2)
        if store.check([again]):
            other = json.loads(store.get(again))
        if other["started"] != one["started"]:
            return (
                f"two runs came as machine {one['machine']}, on {one['host']} and on {other['host']}: each machine needs a "
                "--machine-rank of its own, and a run that was started twice has to be ended once"
            )
    return ""


def _compare_clocks(store: Store, place: Place, there: Mapping[int, Arrival], say: Callable[[str], None]) -> None:
    """Tells of machines whose clocks differ by a minute or more from this one's; training does not depend on them."""
    store.set(place.key("clock"), "?")
    left, until = {rank for rank in there if rank}, time.monotonic() + CLOCK_ANSWER_SECONDS
    apart: dict[str, float] = {}
    while left and time.monotonic() < until:
        for rank in sorted(left):
            if store.check([place.key("clock", rank)]):
                left.discard(rank)
                apart[there[rank]["host"]] = float(store.get(place.key("clock", rank))) - time.time()
        time.sleep(POLL_SECONDS / 5)
    for host, seconds in apart.items():
        if abs(seconds) > CLOCKS_SECONDS:
            way = "ahead of" if seconds > 0 else "behind"
            say(
                f"note: the clock of {host} is {abs(seconds):.0f} s {way} this machine's; training does not depend on it, times in "
                "logs and records do"
            )


def let_read(store: Store, place: Place) -> None:
    """Gives those that have come time to read the verdict, as the store ends with this process."""
    until = time.monotonic() + READ_SECONDS
    came = sum(store.add(place.key("count", rank), 0) for rank in range(place.world))
    while store.add(place.key("read"), 0) < came - 1 and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
