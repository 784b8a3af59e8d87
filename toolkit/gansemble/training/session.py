"""Training from Python, such as in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from gansemble.interfaces import Observer
from gansemble.recipe.schema import Recipe
from gansemble.stages import Project
from gansemble.training.components import Components, Options
from gansemble.training.trainer import Trainer


class Session:
    """A training run that can be started, inspected and continued from Python.

    Args:
        components: what the run is made of.

    Example::

        session = gansemble.Session.open("conf/mini.yaml")
        session.train(observer=Printer())
        session.generator  # the trained network
    """

    def __init__(self, components: Components) -> None:
        self.components = components

    @classmethod
    def open(
        cls,
        recipe: str | Path,
        exp: str | Path | None = None,
        dump: str | Path | None = None,
        overrides: Sequence[str] = (),
        options: Options | None = None,
    ) -> Session:
        """A session of a recipe file whose data are prepared already (stages 0 to 2).

        Args:
            recipe: the YAML file.
            exp: the experiment's folder; None is ``exp/<name>`` beside ``conf/``.
            dump: the packed data; None is where the recipe's stages put them.
            overrides: changes of the recipe, such as ``plan.steps=100``.
            options: of this run.

        Raises:
            RecipeError: with every problem of the recipe.
            DataError: if there are no prepared data.
            TrainingError: if the recipe cannot be trained on these data.
        """
        places = [None if place is None else Path(place) for place in (exp, dump)]
        project = Project.of(Path(recipe), tuple(overrides), places[0], None, places[1])
        return cls(Components.build(project.checked(), project.exp, project.dump, options))

    @property
    def recipe(self) -> Recipe:
        """The checked recipe."""
        return self.components.recipe

    @property
    def generator(self) -> nn.Module:
        """The generator to validate and synthesise with: the average of its weights, where the recipe has one."""
        return self.components.generator

    def train(self, observer: Observer | None = None, begun: Callable[[], None] = lambda: None) -> int:
        """Trains to ``plan.steps``, going on from the newest undamaged checkpoint; returns the number of steps done.

        Args:
            observer: called with each report and validation; it cannot change the run.
            begun: called once all checks have passed, before the first step.

        Raises:
            FolderInUse: if another run is training in the experiment's folder.
            TrainingError: if the loss is not finite, checkpoints cannot be written, or there is nothing left to train.
            CheckpointError: if the folder's checkpoints are of another recipe, audio specification or data.
            DataError: if the packed audio is not what its manifest says.
            Interrupted: after a signal; the state is saved.
        """
        return Trainer(self.components, observer).run(begun)
