"""Runs recipes' run.sh --mini in temporary folders, each twice: all stages, then a second run that finds all done.

python tools/run_recipes.py                  every recipe, as many at a time as there are processors, a thread each
python tools/run_recipes.py egs/fsdd/ddfn    those that are named
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Longest time of a run of all stages [s].
TIMEOUT = 1200


class RecipeFailed(Exception):
    """A recipe did not do what it should; the message says what it did, and ends with its output."""


def run(recipe: Path, work: Path) -> tuple[float, str]:
    """One run of all stages.

    Args:
        recipe: its run.sh.
        work: a folder for everything that it writes.

    Returns:
        (time that it took [s], what it printed).

    Raises:
        RecipeFailed: if it fails.
    """
    command = [str(recipe), "--mini"]
    for name in ("exp", "data", "dump"):
        command += [f"--{name}", str(work / name)]
    begun = time.monotonic()
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, cwd=work, timeout=TIMEOUT, env=environment)
    if done.returncode:
        raise RecipeFailed(f"exit code {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return time.monotonic() - begun, done.stdout


def twice(recipe: Path) -> tuple[float, float]:
    """The times [s] of a first and a second run.

    Raises:
        RecipeFailed: if one fails, or the second does any stage again.
    """
    with tempfile.TemporaryDirectory() as folder:
        first, _ = run(recipe, Path(folder))
        again, output = run(recipe, Path(folder))
    skipped = output.count("up to date")
    if skipped != 7:
        raise RecipeFailed(f"the second run found {skipped} of 7 stages up to date\n{output}")
    return first, again


def main(names: Sequence[str]) -> int:
    """Prints a line for each recipe and a closing count; returns the exit status."""
    recipes = [ROOT / name / "run.sh" for name in names] or sorted(ROOT.glob("egs/*/*/run.sh"))
    failed = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        running = {pool.submit(twice, recipe): recipe.parent.relative_to(ROOT) for recipe in recipes}
        for done in as_completed(running):
            error = done.exception()
            if error is None:
                first, again = done.result()
                print(f"{running[done]}: all stages in {first:.0f} s, again in {again:.1f} s", flush=True)
            else:
                failed += 1
                print(f"{running[done]} --mini failed: {error}", flush=True)
    print(f"{len(recipes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
