"""Where the processes of a run meet before they are connected, and what each says of itself there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from gansemble.stages.launch_machines import MACHINE, MEETING
from gansemble.stages.restarts import WAIT, WAIT_SECONDS


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
