"""Runs every recipe's run.sh --mini in a temporary folder, twice: all stages, then a second run that finds all done."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(recipe: Path, work: Path) -> tuple[float, str]:
    """(seconds, output) of one run; raises when it fails."""
    command = [
        str(recipe),
        "--mini",
        "--exp",
        str(work / "exp"),
        "--data",
        str(work / "data"),
        "--dump",
        str(work / "dump"),
    ]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, cwd=work, timeout=1200)
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:])
        raise SystemExit(f"{recipe.relative_to(ROOT)} --mini failed with exit code {done.returncode}")
    return time.monotonic() - begun, done.stdout


def main() -> None:
    """Prints a line for each recipe and a closing count."""
    recipes = sorted(ROOT.glob("egs/*/*/run.sh"))
    for recipe in recipes:
        with tempfile.TemporaryDirectory() as folder:
            first, _ = run(recipe, Path(folder))
            again, output = run(recipe, Path(folder))
            skipped = output.count("up to date")
            if skipped != 7:
                raise SystemExit(
                    f"{recipe.relative_to(ROOT)}: the second run found {skipped} of 7 stages up to date:\n{output}"
                )
            print(
                f"{recipe.parent.relative_to(ROOT)}: all stages in {first:.0f} s, again in {again:.1f} s",
                flush=True,
            )
    print(f"{len(recipes)} passed, 0 failed")


if __name__ == "__main__":
    sys.exit(main())
