"""What is read of a command line here. The classes that hold it lie above, with the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gansemble.stages import Stage


class Program(Protocol):
    """How the run was called."""

    @property
    def command(self) -> tuple[str, ...]:
        """The words that call it again, before those of the user."""


class Options(Protocol):
    """The options of ``gansemble run`` that jobs depend on."""

    @property
    def words(self) -> list[str]:
        """Those that are no options."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages to run, in their order."""

    @property
    def mini(self) -> bool:
        """Whether the small corpus is used, and made where it is missing."""

    @property
    def force(self) -> bool:
        """Whether the stages are run even if they are up to date."""

    @property
    def dry_run(self) -> bool:
        """Whether it is only said what would be done."""

    @property
    def yes(self) -> bool:
        """Whether anything is downloaded without asking."""

    @property
    def overrides(self) -> list[str]:
        """``KEY=VALUE`` of the ``--set`` options."""

    @property
    def data(self) -> Path | None:
        """The corpus."""

    @property
    def exp(self) -> Path | None:
        """The experiment."""

    @property
    def dump(self) -> Path | None:
        """The packed data."""

    @property
    def jobs(self) -> int | None:
        """Number of worker processes."""

    @property
    def processes(self) -> int:
        """Number of training processes."""

    @property
    def machines(self) -> int:
        """Number of machines that train together."""

    @property
    def plugins(self) -> list[Path]:
        """Single-file plugins."""

    @property
    def compare(self) -> list[Path]:
        """Experiments to show on the report's page."""
