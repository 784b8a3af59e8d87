"""kill -9 of a process, of a launcher, of machine 1 and of machine 0 at random moments: training heals, and ends bitwise the same.

One moment each here, with or without accumulation; ``GANSEMBLE_ENDS=10`` tries ten moments of each with and ten without. The
seed is printed, and ``GANSEMBLE_SEED`` repeats it; with ``-s`` the time that each kill cost is printed, too.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from pathlib import Path

import pytest
from elastic_ground import Ground, Launched, curves, differing, free_port, kill, logged, until

from gansemble.training.checkpoint import Store

pytestmark = [pytest.mark.kill, pytest.mark.processes]
ENDS = int(os.environ.get("GANSEMBLE_ENDS", "1"))
SEED = int(os.environ.get("GANSEMBLE_SEED", str(time.time_ns() % 100_000)))
SETTINGS = {"GANSEMBLE_MAX_RESTARTS": "20", "GANSEMBLE_WAIT_FOR_MACHINES": "200"}
STEPS = 60
#: Micro-batches of a step; None is drawn.
ACCUMULATIONS = [None] if ENDS == 1 else [1, 2]


@pytest.fixture(scope="module")
def drawn() -> random.Random:
    return random.Random(SEED)


@pytest.fixture(scope="module", params=ACCUMULATIONS)
def straight(ground: Ground, drawn: random.Random, request: pytest.FixtureRequest) -> tuple[Path, tuple[str, ...]]:
    """A run that nothing happens to, with or without accumulation."""
    sets = (f"plan.accumulate={request.param or drawn.choice([1, 2])}",)
    exp = ground.exp("straight")
    launched = ground.start(exp, *sets)
    assert launched.ended() == 0, launched.said()
    return exp, sets


def there(launched: Launched) -> list[int]:
    """The processes of a launcher, which has none between two starts."""
    limit = time.monotonic() + 90
    while not (ranks := launched.ranks()):
        assert time.monotonic() < limit, launched.said()
        time.sleep(0.05)
    return ranks


def gone(pids: list[int]) -> None:
    """Waits until processes have ended."""
    limit = time.monotonic() + 90
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < limit, pids
        time.sleep(0.02)


@pytest.mark.parametrize("what", ["process", "launcher", "machine 1", "machine 0"])
def test_whatever_is_killed_training_heals_and_ends_the_same(
    ground: Ground, straight: tuple[Path, tuple[str, ...]], drawn: random.Random, what: str
):
    print(f"GANSEMBLE_SEED={SEED}")
    expected, sets = straight
    exp, port = ground.exp("healed"), free_port()
    machines = 1 if what == "process" else 2

    def start(machine: int) -> Launched:
        place = {"machines": machines, "machine": machine, "port": port if machines > 1 else 0}
        return ground.start(exp, *sets, environment=SETTINGS, **place)

    running, lost = [start(machine) for machine in range(machines)], list[float]()
    for step in sorted(drawn.sample(range(1, STEPS - 5), ENDS)):
        until(exp, step, *running)
        time.sleep(drawn.uniform(0, 0.2))
        machine = {"machine 1": 1, "machine 0": 0}.get(what, drawn.randrange(machines))
        ranks = there(running[machine])
        killed = time.monotonic()
        if what == "process":
            kill(drawn.choice(ranks))
        else:
            for pid in [running[machine].process.pid, *(ranks if what != "launcher" else [])]:
                kill(pid)
            running[machine].ended()
            running[machine] = start(machine)
        gone(ranks if what != "process" else [])  # those without a launcher may do a step before they notice
        reached = logged(exp)
        until(exp, min(reached + 1, STEPS), *running)
        lost.append(time.monotonic() - killed)
    print(f"{what}, {sets[0]}: {ENDS} times; lost {statistics.median(lost):.0f} s, at most {max(lost):.0f} s")
    said = "".join(f"--- {each.ended()}\n{each.said()}" for each in running)
    assert [each.process.returncode for each in running] == [0] * machines, said
    assert differing(exp, expected) == [] and curves(exp) == curves(expected), said
    saved = Store(exp / "checkpoints").newest()
    assert saved is not None and saved.step == STEPS
    if what == "process":
        assert sum(stint.get("restarts", 0) for stint in saved.manifest["work"]) == ENDS
        assert said.count("training is started anew from the last checkpoint") == ENDS
