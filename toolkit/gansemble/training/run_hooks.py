"""Tells plugins that a training run begins and ends, by their hooks, and contains those that fail."""

from __future__ import annotations

import logging
import os
import traceback
from typing import TYPE_CHECKING

from gansemble.errors import GansembleError

if TYPE_CHECKING:
    from gansemble.plugins.loading import Plugins

log = logging.getLogger(__name__)
#: Names the plugins whose hooks are called, separated by commas; empty is none, and without it all are.
CHOICE = "GANSEMBLE_HOOKS"
START, END = "gansemble_run_start", "gansemble_run_end"


class RunHooks:
    """The hooks ``gansemble_run_start`` and ``gansemble_run_end`` of all plugins, one plugin after the other.

    A hook that raises is named in the log with its error, and its plugin is not called again; the run goes on. Only a
    :class:`gansemble.errors.GansembleError` of a run's start is no accident: by it a plugin refuses the run.

    Args:
        plugins: whose hooks are called.
    """

    def __init__(self, plugins: Plugins) -> None:
        self._manager = plugins.manager
        hooks = (getattr(self._manager.hook, name) for name in (START, END))
        self.names = sorted({hook.plugin_name for each in hooks for hook in each.get_hookimpls()})
        given = os.environ.get(CHOICE)
        if given is None:
            return
        wanted = {name.strip() for name in given.split(",") if name.strip()}
        if unknown := sorted(wanted - set(self.names)):
            known = ", ".join(self.names) or "none"
            log.warning("%s names %s; plugins with hooks of runs: %s", CHOICE, ", ".join(unknown), known)
        self.names = [name for name in self.names if name in wanted]

    def start(self, run: object) -> None:
        """Calls the hooks of a run's start.

        Raises:
            GansembleError: of a plugin that refuses the run.
        """
        self._call(START, refusals=True, run=run)

    def end(self, run: object, error: BaseException | None) -> None:
        """Calls the hooks of a run's end.

        Args:
            run: the trainer.
            error: that ended it, or None.
        """
        self._call(END, refusals=False, run=run, error=error)

    def _call(self, hook: str, refusals: bool, **given: object) -> None:
        everyone = self._manager.get_plugins()
        for name in list(self.names):
            plugin = self._manager.get_plugin(name)
            call = self._manager.subset_hook_caller(hook, [other for other in everyone if other is not plugin])
            try:
                call(**given)
            except Exception as error:
                if refusals and isinstance(error, GansembleError):
                    raise
                self.names.remove(name)
                text = "plugin %r: its hook %s failed (%s: %s, %s); the run goes on without the plugin's hooks"
                log.warning(text, name, hook, type(error).__name__, error, _place(error))


def _place(error: BaseException) -> str:
    """Where an error came from, as ``file:line``."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
