"""Hooks of runs: each plugin is told, one that fails is contained and named, and they can be switched off."""

from __future__ import annotations

import logging
import types
from collections.abc import Callable, Sequence

import pytest

from gansemble import hookimpl
from gansemble.errors import TrainingError
from gansemble.plugins import loading
from gansemble.plugins.loading import Plugins
from gansemble.training.run_hooks import RunHooks


class Told:
    """Plugins with both hooks, and what they were told."""

    def __init__(self) -> None:
        self.plugins, self.seen = Plugins(discover=False), list[tuple[str, str, object]]()

    def add(self, name: str, fails: str = "", error: BaseException | None = None) -> None:
        """A plugin whose hook of this name raises."""
        module = types.ModuleType(name)

        @hookimpl
        def gansemble_register(register: Callable[..., None]) -> None: ...

        @hookimpl
        def gansemble_run_start(run: object) -> None:
            self.seen.append((name, "start", run))
            if fails == "start":
                raise error or OSError("the server is gone")

        @hookimpl
        def gansemble_run_end(error: BaseException | None) -> None:
            self.seen.append((name, "end", error))
            if fails == "end":
                raise OSError("the server is gone")

        for each in (gansemble_register, gansemble_run_start, gansemble_run_end):
            setattr(module, each.__name__, each)
        self.plugins.add_module(name, module)

    def of(self, name: str) -> list[str]:
        """What a plugin was told, in order."""
        return [what for plugin, what, _ in self.seen if plugin == name]


@pytest.fixture
def told() -> Told:
    made = Told()
    made.add("sound")
    return made


def warnings(records: Sequence[logging.LogRecord]) -> list[str]:
    return [record.getMessage() for record in records if record.levelno == logging.WARNING]


def test_each_plugin_is_told_of_the_run_and_of_its_end(told: Told) -> None:
    told.add("other")
    hooks, error = RunHooks(told.plugins), ValueError("x")
    hooks.start("the run")
    hooks.end("the run", error)
    assert {(name, what, of) for name, what, of in told.seen} == {
        (name, what, of) for name in ("sound", "other") for what, of in (("start", "the run"), ("end", error))
    }


@pytest.mark.parametrize("fails", ["start", "end"])
def test_one_that_fails_is_named_and_the_others_are_told(told: Told, caplog, fails: str) -> None:
    told.add("torn", fails)
    hooks = RunHooks(told.plugins)
    hooks.start("the run")
    hooks.end("the run", None)
    (said,) = warnings(caplog.records)
    assert said.startswith(
        f"plugin 'torn': its hook gansemble_run_{fails} failed (OSError: the server is gone, {__file__}:"
    )
    assert said.endswith("the run goes on without the plugin's hooks")
    assert told.of("sound") == ["start", "end"]
    assert told.of("torn") == (["start"] if fails == "start" else ["start", "end"])


def test_a_plugin_may_refuse_a_run_and_nobody_can_hold_up_its_interruption(told: Told) -> None:
    for error in (TrainingError("no licence for this corpus"), KeyboardInterrupt()):
        told.add(type(error).__name__, "start", error)
        with pytest.raises(type(error)):
            RunHooks(told.plugins).start("the run")
        told.plugins.manager.unregister(name=type(error).__name__)


@pytest.mark.parametrize(("choice", "names"), [("", []), ("sound", ["sound"]), (" other , sound", ["other", "sound"])])
def test_the_environment_names_the_plugins_whose_hooks_are_called(
    told: Told, monkeypatch, caplog, choice: str, names: list[str]
) -> None:
    told.add("other")
    monkeypatch.setenv("GANSEMBLE_HOOKS", choice)
    RunHooks(told.plugins).start("the run")
    assert sorted({name for name, _, _ in told.seen}) == names and not warnings(caplog.records)


def test_a_misspelt_name_is_told_with_those_that_there_are(told: Told, monkeypatch, caplog) -> None:
    monkeypatch.setenv("GANSEMBLE_HOOKS", "sounds")
    RunHooks(told.plugins).start("the run")
    assert told.seen == []
    assert warnings(caplog.records) == ["GANSEMBLE_HOOKS names sounds; plugins with hooks of runs: sound"]


def test_a_run_goes_on_to_its_end_with_a_plugin_whose_hooks_fail(workshop, told: Told, monkeypatch, tmp_path) -> None:
    told.add("torn", "start")
    told.add("late", "end")
    trainer = workshop.trainer(tmp_path / "exp", "plan.steps=2")
    monkeypatch.setattr(loading, "load", lambda: told.plugins)
    assert trainer.run() == 2
    assert told.of("torn") == ["start"] and told.of("late") == ["start", "end"] and told.of("sound") == ["start", "end"]
