"""An observer: is told what a run reports, and cannot change it."""

from collections.abc import Mapping
from pathlib import Path


class AcmeObserver:
    """A line of text for each validation, in ``logs/<name>`` of the experiment.

    Args:
        name: of the file.
    """

    def __init__(self, *, name: str = "acme.txt") -> None:
        self.name = name
        self.path: Path | None = None

    def begin(self, exp: Path, recipe: Mapping[str, object], done: int) -> None:
        """Is told where the run is before its first step, and how many steps were done before."""
        self.path = exp / "logs" / self.name
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def step(self, done: int, logs: Mapping[str, float]) -> None:
        """Every ``plan.log_every`` steps."""

    def validation(self, done: int, scores: Mapping[str, float]) -> None:
        """After each validation."""
        if self.path is not None:
            shown = ", ".join(f"{name} {score:.4g}" for name, score in scores.items())
            with self.path.open("a") as stream:
                stream.write(f"step {done}: {shown}\n")

    def end(self, error: BaseException | None) -> None:
        """Once, with the error that ended the run, or None."""
