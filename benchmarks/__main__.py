"""``python -m benchmarks [NAME…]``: runs the benchmarks and prints their rows."""

import importlib
import sys
import time

import torch

from gansemble.scoring.environment import environment

NAMES = (
    "startup",
    "data",
    "million",
    "perturbations",
    "identity",
    "synthesis",
    "synthesis_table",
    "metrics",
    "injection",
    "training_step",
    "released_step",
    "latent",
    "normality",
    "wavelets",
    "suite",
    "streaming",
)


def main() -> None:
    """Runs the benchmarks named on the command line, or all."""
    facts = environment()
    print(
        f"{facts['machine']}; torch {facts['torch']}, {torch.get_num_threads()} threads; {facts['commit']}; {facts['date']}"
    )
    for name in sys.argv[1:] or NAMES:
        begun = time.monotonic()
        print(f"\n{name}")
        for row in importlib.import_module(f"benchmarks.{name}").run():
            print("  " + row, flush=True)
        print(f"  ({time.monotonic() - begun:.0f} s)")


if __name__ == "__main__":
    main()
