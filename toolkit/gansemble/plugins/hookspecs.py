"""The hooks a plugin may implement. What happens at every training step is a part named in YAML, never a hook.

Hooks are called with keywords, and a hook implementation may take fewer arguments, so these can grow.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gansemble import hookspec

if TYPE_CHECKING:
    import click


@hookspec
def gansemble_register(register: Callable[..., None]) -> None:
    """Required: name the plugin's parts.

    Call ``register(kind, name, "package.module:Target", summary, example={...})`` once for each part. Targets are
    strings and are imported on first use; ``example`` holds the smallest sensible constructor arguments.
    """


@hookspec
def gansemble_commands(group: "click.Group") -> None:
    """Add sub-commands to the ``gansemble`` click group; import what they need inside their functions."""


@hookspec
def gansemble_check_recipe(recipe: object) -> list[tuple[str, str]]:
    """Problems of a type-checked recipe as (key path, message), before anything is built."""
    raise NotImplementedError


@hookspec
def gansemble_run_start(run: object) -> None:
    """A training run is about to begin on the main process."""


@hookspec
def gansemble_run_end(run: object, error: BaseException | None) -> None:
    """A training run ended; ``error`` is None when it finished."""
