"""What a checkpoint notes of the work behind it: how long a run has trained, where, and by which versions of the code."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from gansemble.recipe import nested
from gansemble.recipe.schema import Recipe
from gansemble.scoring import environment
from gansemble.stages.group import RESTARTS


class Stint(TypedDict):
    """Training on one machine with one state of the code; a run that goes on elsewhere has several.

    Attributes:
        from_step: number of steps that were done when it began.
        seconds: how long it has trained, validation and saving included [s].
        starts: how often training was started.
        environment: versions, commit of the source, machine and date of the first start, as scores are stored with.
        plugins: distribution, version and commit of each plugin whose parts train, without those of the toolkit.
        device: type of device, such as ``cuda``.
        processes: number of processes that train together.
        threads: CPU threads of each.
        restarts: how often training was started anew by itself, after a process or a machine had died.
    """

    from_step: int
    seconds: float
    starts: int
    environment: dict[str, str]
    plugins: NotRequired[dict[str, str]]
    device: str
    processes: int
    threads: int
    restarts: NotRequired[int]


class Work:
    """Keeps the account of a run's work on its main process, for the manifests of its checkpoints.

    Args:
        recipe: the run's recipe.
        parameters: number of parameters by network.
        before: the stints in the checkpoint that the run goes on from.
        step: of that checkpoint.
        device: type of device.
        processes: number of processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        parameters: Mapping[str, int],
        before: Sequence[Stint],
        step: int,
        device: str,
        processes: int,
    ) -> None:
        import torch

        self.task, self.parameters = str(recipe.task), dict(parameters)
        now: Stint = {
            "from_step": step,
            "seconds": 0.0,
            "starts": 1,
            "environment": _environment(),
            "plugins": plugins(recipe),
            "device": device,
            "processes": processes,
            "threads": torch.get_num_threads(),
        }
        self._stints = list(before)
        if before and _circumstances(before[-1]) == _circumstances(now):
            self._stints[-1] = {**before[-1], "starts": before[-1]["starts"] + 1}
        else:
            self._stints.append(now)
        restarts = self._stints[-1].get("restarts", 0) + _restarts()
        if restarts:
            self._stints[-1] = {**self._stints[-1], "restarts": restarts}
        self._before, self._began = self._stints[-1]["seconds"], time.monotonic()

    def facts(self) -> dict[str, object]:
        """The entries of a checkpoint's manifest: ``task``, ``parameters`` and ``work``, a list of :class:`Stint`."""
        seconds = round(self._before + time.monotonic() - self._began, 1)
        return {
            "task": self.task,
            "parameters": self.parameters,
            "work": [*self._stints[:-1], {**self._stints[-1], "seconds": seconds}],
        }


def plugins(recipe: Recipe) -> dict[str, str]:
    """Where each plugin of a recipe's parts is from, in words, by its name; those that ship with the toolkit are left out."""
    sources = recipe.registry.sources if recipe.registry else {}
    found: dict[str, str] = {}
    for entry in (entry for part in recipe.parts() for entry in (part.entry, *nested.entries(part))):
        source = sources.get(entry.plugin)
        if source is None or source.distribution == "gansemble" or entry.plugin in found:
            continue
        known = source.file if source.distribution is None else f"{source.distribution} {source.version or ''}".strip()
        module = sys.modules.get(entry.target.partition(":")[0])
        file = source.file or getattr(module, "__file__", None)
        commit = environment.commit(Path(file)) if file else "unknown"
        found[entry.plugin] = f"{known or 'of unknown origin'}, commit {commit}"
    return found


def _restarts() -> int:
    """How often training was started anew since the checkpoint that it goes on from was written."""
    found = os.environ.get(RESTARTS, "")
    return int(found) if found.isdecimal() else 0


@functools.cache
def _environment() -> dict[str, str]:
    """Asked once: it starts git, and the code of a process stays what it was when it was read."""
    return environment.environment()


def _circumstances(stint: Stint) -> dict[str, object]:
    """What makes two stints one: all but when and how long."""
    facts = {name: value for name, value in stint["environment"].items() if name != "date"}
    others = ("plugins", "device", "processes", "threads")
    return {"environment": facts, **{name: stint.get(name) for name in others}}
