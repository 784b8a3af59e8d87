"""The cost of a matrix: parameters, memory and time of each cell, from a few timed training steps."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.matrix.expand import Cell
from gansemble.recipe.fill import fill
from gansemble.stages import json_files

log = logging.getLogger(__name__)
#: Sections of a recipe that do not change the cost of a training step.
_IDLE = ("name", "metrics", "validation", "synthesis", "evaluation", "plugins", "corpus")


@dataclass(frozen=True)
class Cost:
    """The cost of training one cell.

    Args:
        generator, discriminators: number of parameters.
        memory: of one training step [bytes]; measured on a GPU, estimated elsewhere.
        step: time of one training step [s].
        device: that the step was timed on.
    """

    generator: int
    discriminators: int
    memory: int
    step: float
    device: str


class Costs:
    """Measured costs, kept in a file so that nothing is timed twice.

    Cells whose recipes differ only in keys that do not change the cost of a step, such as the seed, share one entry.

    Args:
        path: of the file; one that is missing or damaged counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, Cost] = {}
        try:
            self.known = json_files.read(path, dict[str, Cost], "what it noted is measured again")
        except json_files.MissingFile:
            pass
        except json_files.DamagedFile as error:
            log.warning("%s", error)

    def get(self, cell: Cell) -> Cost | None:
        """The cost of a cell; None if it was not measured."""
        return self.known.get(_mark(cell))

    def measure(self, cells: Sequence[Cell], steps: int, say: Callable[[str], None]) -> None:
        """Measures the cost of all possible cells for which none is known.

        Args:
            cells: to measure; impossible ones are left out.
            steps: number of training steps to time for each.
            say: called with each line for the user, also for a cell that could not be timed.
        """
        missing: dict[str, Cell] = {}
        for cell in cells:
            if cell.possible and _mark(cell) not in self.known:
                missing.setdefault(_mark(cell), cell)
        if missing:
            say(f"timing {len(missing)} kinds of step, {steps} steps each")
        for mark, cell in missing.items():
            try:
                self.known[mark] = _cost(cell, steps)
            except Exception as error:  # a part that fails, or no memory left: the others are timed all the same
                say(f"{cell.name} could not be timed: {type(error).__name__}: {error}")
                continue
            rows = {mark: dataclasses.asdict(cost) for mark, cost in self.known.items()}
            json_files.write(self.path, rows)


def _mark(cell: Cell) -> str:
    assert cell.recipe is not None
    values = fill(cell.recipe)
    for key in _IDLE:
        values.pop(key, None)
    plan = values["plan"]
    assert isinstance(plan, dict)  # every section is written out
    for key in ("steps", "seed", "log_every", "save_every", "keep", "workers", "on_nan", "phases"):
        plan.pop(key, None)
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _cost(cell: Cell, steps: int) -> Cost:
    from gansemble.parts.device import default_device
    from gansemble.training import profiling

    assert cell.recipe is not None
    device = default_device()
    parts = profiling.parts_of(cell.recipe, device)
    sizes = [sum(p.numel() for p in network.parameters()) for network in (parts.generator, parts.discriminators)]
    speed = profiling.speed(cell.recipe, parts, device, steps)
    # Without a GPU there is no measured peak, and the memory is estimated.
    memory = speed.peak or profiling.memory(cell.recipe, profiling.parts_of(cell.recipe)).total
    return Cost(sizes[0], sizes[1], memory, speed.seconds, speed.device)


def lines(cells: Sequence[Cell], costs: Costs) -> list[str]:
    """The plan as lines of text: a table of possible cells with their costs, then impossible ones with the reason."""
    possible = [cell for cell in cells if cell.possible]
    width = max((len(cell.name) for cell in cells), default=4)
    made = [f"{len(cells)} cells, {len(possible)} possible"]
    total = 0.0
    if possible:
        made.append(f"  {'cell':{width}} {'G':>9} {'D':>9} {'memory':>10} {'steps':>9} {'s/step':>8} {'time':>9}")
    for cell in possible:
        cost = costs.get(cell)
        assert cell.recipe is not None
        count = cell.recipe.plan.steps
        if cost is None:
            made.append(f"  {cell.name:{width}} {'':>9} {'':>9} {'':>10} {count:>9,}")
            continue
        total += cost.step * count
        made.append(
            f"  {cell.name:{width}} {short(cost.generator):>9} {short(cost.discriminators):>9} "
            f"{cost.memory / 2**20:>6.0f} MiB {count:>9,} {cost.step:>8.3f} {span(cost.step * count):>9}"
        )
    if total:
        made.append(
            f"  {'training, one cell after the other':{width}} {'':>9} {'':>9} {'':>10} {'':>9} {'':>8} {span(total):>9}"
        )
        untimed = sum(costs.get(cell) is None for cell in possible)
        if untimed:
            made.append(f"  of {len(possible) - untimed} cells; {untimed} are not timed yet (--timed-steps)")
    for why, names in by_reason(cells).items():
        made += [f"  impossible: {', '.join(names)}", f"    {why}"]
    return made


def reason(cell: Cell) -> str:
    """Why a cell is impossible, on one line; empty for a possible one."""
    return "; ".join(dict.fromkeys(problem.message for problem in cell.problems))


def by_reason(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Names of the impossible cells, grouped by the reason."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        if not cell.possible:
            found.setdefault(reason(cell), []).append(cell.name)
    return found


def short(count: int) -> str:
    """A number in short form, such as ``13.90 M`` for 13 900 000."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return str(count)


def span(seconds: float) -> str:
    """A duration in its largest suitable unit, such as ``2.5 h`` for 9000 s."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
