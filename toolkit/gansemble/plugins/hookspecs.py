"""The hooks that a plugin may implement. What happens at every training step is a part named in YAML, never a hook.

Hooks are called with keyword arguments, and an implementation may take fewer of them than a hook has, so that hooks can
get more arguments later.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gansemble import hookspec

if TYPE_CHECKING:
    import click


@hookspec
def gansemble_register(register: Callable[..., None]) -> None:
    """Required: registers the plugin's parts.

    Call ``register(kind, name, "package.module:Target", summary, example={...})`` once for each part. A target is a
    string, and is imported when a recipe first uses the part; ``example`` holds the smallest sensible constructor
    arguments.
    """


@hookspec
def gansemble_commands(group: "click.Group") -> None:
    """Adds sub-commands to the ``gansemble`` command.

    Import what a command needs within its function, so that ``gansemble --help`` stays fast.

    Args:
        group: offers ``add_command``, and ``commands``, in which ``import`` is the group for formats of published
            checkpoints.
    """


@hookspec
def gansemble_check_recipe(recipe: object) -> list[tuple[str, str]]:
    """Finds problems of a recipe whose values fit the types of their parameters, before anything is built.

    Args:
        recipe: a :class:`gansemble.recipe.schema.Recipe`.

    Returns:
        (key, message) for each problem, with keys such as ``discriminators.mpd.periods[2]``.
    """
    raise NotImplementedError


@hookspec
def gansemble_run_start(run: object) -> None:
    """Called on the main process when a training run begins, after a checkpoint was restored and before the first step.

    One that raises is named in the log, its plugin's hooks are not called again, and the run goes on; only a
    :class:`gansemble.errors.GansembleError` refuses the run. The environment variable ``GANSEMBLE_HOOKS`` names the
    plugins whose hooks of runs are called, separated by commas; empty, it turns all of them off.

    Args:
        run: the :class:`gansemble.training.trainer.Trainer`.
    """


@hookspec
def gansemble_run_end(run: object, error: BaseException | None) -> None:
    """Called on the main process when a training run has ended. One that raises is named in the log, and nothing else.

    Args:
        run: the :class:`gansemble.training.trainer.Trainer`.
        error: what ended the run; None if it finished.
    """
