"""Checks every recipe and matrix below egs/ and the syntax of every script; exits 1 when any fails."""

import subprocess
import sys
from pathlib import Path

from gansemble.errors import GansembleError
from gansemble.matrix.expand import expand
from gansemble.recipe import check

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Prints a line for each failure."""
    failed = 0
    recipes = sorted(ROOT.glob("egs/*/*/conf/**/*.yaml"))
    for path in recipes:
        try:
            check.load(path)
        except GansembleError as error:
            failed += 1
            print(f"{path.relative_to(ROOT)}:\n{error}\n")
    matrices = sorted(ROOT.glob("egs/*/*/matrix/*.yaml"))
    for path in matrices:
        try:
            possible = [cell for cell in expand(path).cells if cell.possible]
        except GansembleError as error:
            failed += 1
            print(f"{path.relative_to(ROOT)}:\n{error}\n")
        else:
            if not possible:
                failed += 1
                print(f"{path.relative_to(ROOT)}: no cell is possible\n")
    scripts = sorted([*ROOT.glob("egs/*/*/run.sh"), *ROOT.glob("egs/_shared/*.sh"), ROOT / ".ci/run"])
    for script in scripts:
        if subprocess.run(["bash", "-n", str(script)]).returncode:
            failed += 1
    print(f"{len(recipes)} recipes, {len(matrices)} matrices and {len(scripts)} scripts checked, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
