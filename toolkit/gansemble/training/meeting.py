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
from collections.abc import Callable
from datetime import timedelta
from queue import Empty, Queue

from torch.distributed import Store, TCPStore

from gansemble.errors import TrainingError
from gansemble.training.meeting_place import Arrival, Place
from gansemble.training.roll_call import POLL_SECONDS, READ_SECONDS, REMIND_SECONDS, judged, let_read

__all__ = ["Place", "meet"]


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
            verdict = judged(store, place, mine, say)
            store.set(place.key("verdict"), verdict)
            if verdict:
                let_read(store, place)
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
