"""The meeting of a run's processes before they are connected: who has come, and whether they belong to one run.

Torch waits half an hour for a process that does not come, and says nothing of which; two machines with one number, or a process
that meets another run at the same port, make it hang or fail in words of its own. So each process reports at the store of the
first one before torch connects them (``MASTER_ADDR``, ``MASTER_PORT``): within a bound, and with a line every 30 s.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, Queue
from typing import TypedDict

from torch.distributed import Store, TCPStore

from gansemble.errors import TrainingError
from gansemble.stages.launch_machines import MACHINE, MEETING, WAIT, WAIT_SECONDS

POLL_SECONDS = 0.05
REMIND_SECONDS = 30.0
#: Clocks that differ by more are told of [s]; what is measured is right within a fraction of a second.
CLOCKS_SECONDS = 60.0
#: How long the others have to tell their clocks [s].
CLOCK_ANSWER_SECONDS = 2.0
#: How long the first process stays for the others to read its verdict [s].
READ_SECONDS = 10.0


class Arrival(TypedDict):
    """What a process says of itself: how many processes it was told of, its host, its machine, and what started it there."""

    world: int
    host: str
    machine: int
    started: str


@dataclass(frozen=True)
class Place:
    """Where and as what a process meets the others.

    Args:
        rank, world: its number, and how many there are.
        address, port: of the first process.
        run: name of the run; empty where whoever started the process gave none.
        machine, started: this machine's number, and a random word of what has started the process there.
        limit: how long the others are waited for [s].
        kept: what starts the processes keeps the store at that place, and this process only calls it.
        attempt: how often the processes were started anew.
    """

    rank: int
    world: int
    address: str
    port: int
    run: str = ""
    machine: int = 0
    started: str = ""
    limit: float = WAIT_SECONDS
    kept: bool = False
    attempt: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Place | None:
        """The place that environment variables tell; None in a run of one process, or where they tell none."""
        if int(environment.get("WORLD_SIZE", "1")) < 2 or not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= set(
            environment
        ):
            return None
        machine, _, rest = environment.get(MACHINE, "0 1 ").partition(" ")
        return cls(
            int(environment["RANK"]),
            int(environment["WORLD_SIZE"]),
            environment["MASTER_ADDR"],
            int(environment["MASTER_PORT"]),
            environment.get(MEETING, ""),
            int(machine),
            rest.partition(" ")[2],
            float(environment.get(WAIT) or WAIT_SECONDS),
            environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
            environment.get("TORCHELASTIC_RESTART_COUNT", ""),
        )

    def __str__(self) -> str:
        return f"{self.address}, port {self.port}"

    def key(self, *words: object) -> str:
        """A key in the store; those of different runs, and of different starts of one, differ."""
        return "/".join(["gansemble", self.run, self.attempt, *map(str, words)])


def meet(place: Place, say: Callable[[str], None]) -> Store:
    """Waits until all processes of the run have come.

    Args:
        place: where they meet, and as what this one does.
        say: called with a line for the user every 30 s while others are missing, and of clocks that differ.

    Returns:
        The store, which the first process has to keep until torch has connected the processes: both use one port.

    Raises:
        TrainingError: naming the place and who has come, if some have not within the limit, two have one number, or they are
            not of one run.
    """
    store = _store(place)
    mine: Arrival = {
        "world": place.world,
        "host": socket.gethostname(),
        "machine": place.machine,
        "started": place.started,
    }
    try:
        number = store.add(place.key("count", place.rank), 1)
        store.set(place.key("arrival", place.rank, number), json.dumps(mine))
        if place.rank == 0 and number == 1:
            store.set("gansemble/run", place.run)
            verdict = _judged(store, place, mine, say)
            store.set(place.key("verdict"), verdict)
            if verdict:
                _let_read(store, place)
        else:
            verdict = _heard(store, place, number, say)
            store.add(place.key("read"), 1)
    except RuntimeError as error:  # torch's, of a store that is gone
        raise TrainingError(f"the first process of the run at {place} ended while this one waited there") from error
    if verdict:
        raise TrainingError(verdict)
    return store


def _store(place: Place) -> Store:
    """The store of the first process: made by it, and called by the others until it answers.

    Raises:
        TrainingError: if there is none within the limit, or something else answers.
    """
    first = place.rank == 0 and not place.kept
    made: Queue[Store | Exception] = Queue()

    def make() -> None:
        try:
            limit = timedelta(seconds=max(1.0, place.limit))
            made.put(
                TCPStore(
                    place.address, place.port, place.world, first, limit, wait_for_workers=False, multi_tenant=True
                )
            )
        except (RuntimeError, ValueError) as error:
            made.put(error)

    # In a thread, as torch waits without end for the answer of a program that listens there and is none of its stores.
    threading.Thread(target=make, daemon=True, name="meeting").start()
    try:
        found = made.get(timeout=place.limit + READ_SECONDS)
    except Empty:
        found = TimeoutError("something that is no run of this toolkit listens there")
    if isinstance(found, Store):
        return found
    line = str(found).splitlines()[0]
    if first:
        raise TrainingError(
            f"--main-port {place.port}: cannot be listened at on this machine ({line}); give another one, the same on every "
            "machine"
        ) from found
    raise TrainingError(
        f"process {place.rank} of {place.world} waited {place.limit:.0f} s for the first one at {place} ({line}); start the "
        "same command on machine 0, see that --main-address and --main-port are its own, and that the port is open"
    ) from found


def _judged(store: Store, place: Place, mine: Arrival, say: Callable[[str], None]) -> str:
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


def _heard(store: Store, place: Place, number: int, say: Callable[[str], None]) -> str:
    """The verdict of the first process, waited for a little longer than that one waits for the others."""
    begun = said = time.monotonic()
    answered = False
    while not store.check([place.key("verdict")]):
        if store.check(["gansemble/run"]) and (run := store.get("gansemble/run").decode()) != place.run:
            return (
                f"at {place} the processes of another run meet ({run or 'without a name'}); give each run a --main-port of its own, "
                "and all machines of one run the same --exp"
            )
        if not answered and store.check([place.key("clock")]):
            answered = True
            store.set(place.key("clock", place.rank), str(time.time()))
        now = time.monotonic()
        if now - begun > place.limit + READ_SECONDS:
            return f"process {place.rank} of {place.world} waited {place.limit:.0f} s at {place}, and heard nothing of the first one"
        if now - said > REMIND_SECONDS:
            said = now
            say(f"waiting at {place} for the other processes ({now - begun:.0f} of {place.limit:.0f} s)")
        time.sleep(POLL_SECONDS)
    verdict = store.get(place.key("verdict")).decode()
    if verdict or number == 1:
        return verdict
    return (
        f"the run at {place} has begun already, with another process {place.rank} of {place.world}; end it first, and give each "
        "machine a --machine-rank of its own"
    )


def _let_read(store: Store, place: Place) -> None:
    """Gives those that have come time to read the verdict, as the store ends with this process."""
    until = time.monotonic() + READ_SECONDS
    came = sum(store.add(place.key("count", rank), 0) for rank in range(place.world))
    while store.add(place.key("read"), 0) < came - 1 and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
