"""The ``gansemble`` command. Commands are imported when they are called; none imports torch at import time."""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import os
import signal
import sys
from pathlib import Path
from traceback import format_exc
from typing import Any, NoReturn

import click

from gansemble import __version__
from gansemble.cli import downloads, examples, terminal
from gansemble.cli.near_misses import hinted
from gansemble.cli.terminal import told
from gansemble.data import consent
from gansemble.errors import GansembleError, near
from gansemble.stages import last_words

#: name -> (module:attribute, help). The order is the order of ``--help``.
COMMANDS = {
    "check": (
        "check:check",
        "Check recipes: types, names and contracts between parts, before anything is built.",
    ),
    "fill": ("check:fill", "Print a recipe with every default written out."),
    "describe": (
        "describe:describe",
        "Show a kind, a part (parameters, contract, paper, size) or a recipe (cost, memory, who set what).",
    ),
    "matrix": ("matrix:matrix", "Combine parts in every way that fits, run each combination and compare them."),
    "diff": ("diff:diff", "Show what differs between two experiments: recipes, scores, versions."),
    "plugins": ("plugins:plugins", "List plugins and parts, and say what is wrong with them."),
    "recipes": ("recipes:recipes", "List the installed recipes, copy one, or begin one that builds on another."),
    "doctor": ("doctor:doctor", "Show versions and the state of this installation."),
    "mini": ("data:mini", "Write a recipe's small offline corpus."),
    "fetch": ("data:fetch", "Stage 0: find or download the corpus."),
    "prepare": ("data:prepare", "Stage 1: examine and pack the audio."),
    "statistics": ("data:statistics", "Stage 2: measure the training split."),
    "train": ("train:train", "Stage 3: train, or go on training."),
    "synthesise": ("synthesise:synthesise", "Stage 4, or any audio or mel spectrograms: generate waveforms."),
    "sample": ("sample:sample", "Make clips from latent vectors, with a generator that imitates none."),
    "truncation": (
        "truncation:truncation",
        "Score a generator over thresholds of the truncation of its latent vectors.",
    ),
    "mels": ("mels:mels", "Write log-mel spectrograms of audio, as a vocoder reads them, for text-to-speech systems."),
    "enhance": ("enhance:enhance", "Restore audio files, with a generator that reads degraded recordings."),
    "demo": ("demo:demo", "Show a page in the browser that demonstrates a trained generator, with a record button."),
    "export": (
        "export:export",
        "Write a trained generator to a file that runs without the toolkit: ONNX, TorchScript.",
    ),
    "evaluate": ("evaluate:evaluate", "Stage 5: score what was generated."),
    "report": ("evaluate:report", "Stage 6: write the listening page."),
    "score": ("score:score", "Score any folders of audio against a folder of references."),
    "metric-card": ("score:metric_card", "Show or measure what else a metric's scores depend on."),
    "listening": (
        "listening:listening",
        "Make a blinded listening test of any folders, show it, evaluate its answers.",
    ),
    "run": ("run:run", "Run the stages of a recipe, each where it is not up to date."),
    "status": ("status:status", "Show every stage of an experiment: done, stale (why) or missing."),
    "cancel": (
        "cancel:cancel",
        "End an experiment's jobs on a cluster: queued ones, and running ones once they have saved.",
    ),
    "import": ("imports:imports", "Turn published checkpoints into experiments."),
    "bundle": (
        "bundle:bundle",
        "Make one folder of an experiment, discriminators included, for others to use and fine-tune.",
    ),
    "push": ("bundle:push", "Put a bundle on the Hugging Face hub."),
    "pull": ("bundle:pull", "Fetch a bundle from the Hugging Face hub, and check it."),
}


class Lazy(click.Group):
    """A group that imports the module of a command when it is used, and suggests a name for an unknown command."""

    _loaded = False

    def list_commands(self, context: click.Context) -> list[str]:
        return [*COMMANDS, *(name for name in super().list_commands(context) if name not in COMMANDS)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            module, _, attribute = COMMANDS[name][0].partition(":")
            return examples.attach(getattr(importlib.import_module(f"gansemble.cli.{module}"), attribute), name)
        self.load_plugin_commands()
        command = super().get_command(context, name)
        if command is None:
            known = self.list_commands(context)
            raise click.UsageError(f"no command {name!r}{near(name, known)}; see gansemble --help")
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, text) for name, (_, text) in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Reads the words before the command; a mistyped option is told with the nearest one that there is."""
        with hinted():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, context: click.Context) -> object:
        """Runs a command; its exit status says if it was interrupted, or nobody reads its output any more.

        The handling by click would end both with status 1, as if the command had failed.
        """
        try:
            with hinted():
                found = super().invoke(context)
        except KeyboardInterrupt:
            terminal.tell("interrupted")
            sys.exit(128 + signal.SIGINT)
        except BrokenPipeError:
            terminal.silence()
        if terminal.unread():
            sys.exit(last_words.UNREAD)
        return found

    def load_plugin_commands(self) -> None:
        """Lets each plugin add its commands, once; a plugin that fails at it is passed over with a warning."""
        if self._loaded:
            return
        self._loaded = True
        from gansemble.plugins import loading

        for name, plugin in loading.load().manager.list_name_plugin():
            if hasattr(plugin, "gansemble_commands"):
                try:
                    plugin.gansemble_commands(group=PluginTarget(self))
                except (Exception, SystemExit) as error:
                    said = f"{type(error).__name__}: {error}"
                    logging.getLogger(__name__).warning("the commands of plugin %r could not be added (%s)", name, said)


class PluginTarget:
    """What the hook ``gansemble_commands`` receives: the root group's ``add_command`` and ``commands``.

    The group ``import`` is among the commands, so that plugins can add formats to it.
    """

    def __init__(self, group: click.Group) -> None:
        from gansemble.cli.imports import imports

        self.add_command = group.add_command
        self.commands = {**group.commands, "import": imports}


@click.group(
    cls=Lazy, epilog=examples.epilog(*examples.EXAMPLES[""]), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="gansemble")
@click.option(
    "--plugin",
    "plugin_files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Load a single-file plugin for this run.",
)
def group(plugin_files: tuple[Path, ...]) -> None:
    """Adversarial audio synthesis from recipes: plugins, training that resumes exactly, and listening pages."""
    if plugin_files or os.environ.get("GANSEMBLE_PLUGIN_FILES"):
        from gansemble.plugins import loading

        loading.add_files((*plugin_files, *loading.files()))  # each is looked for, whoever named it
        if click.get_current_context().invoked_subcommand not in ("plugins", "doctor"):  # which say what is wrong
            loading.demand_files()


def main(arguments: list[str] | None = None) -> object:
    """Runs the command line; an error that is meant for the user is printed without a traceback.

    With ``GANSEMBLE_TRACEBACK=1`` it is printed with one.

    Args:
        arguments: the words after ``gansemble``; None is those that this process was started with.
    """
    # At its end, Python would search all that was imported for unreachable cycles: with torch, 0.4 s for nothing.
    atexit.register(gc.freeze)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.raiseExceptions = False  # a warning that cannot be written, as nobody reads it, is no error of its own
    traceback = os.environ.get("GANSEMBLE_TRACEBACK") == "1"
    try:
        with consent.asking(downloads.ask):
            plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
            return group.main(args=arguments, prog_name="gansemble", color=False if plain else None)
    except SystemExit as end:
        if not end.code:
            last_words.leave("", 0)
        raise
    except GansembleError as error:
        if traceback:
            raise
        _end(f"error: {error}" if error.exit_code == 1 else str(error), error.exit_code)
    except OSError as error:
        if traceback or error.errno is None:
            raise
        _end(f"error: {told(error)} (GANSEMBLE_TRACEBACK=1 shows where)", 1)
    except Exception:
        if not os.environ.get(last_words.PLACE):
            raise
        _end(format_exc(), 1, crash=True)  # of one of several processes: the one that started them shows it, once
    return None


def _end(text: str, status: int, crash: bool = False) -> NoReturn:
    """Ends this process with a message, which the one that started it shows where it is one of several."""
    if not last_words.leave(text, status, crash):
        terminal.tell(text)
    sys.exit(status)
