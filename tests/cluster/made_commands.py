"""A run's commands, made without a command line."""

import types
from pathlib import Path

from gansemble.cluster.commands import Commands
from gansemble.cluster.settings import Settings
from gansemble.stages.recipe_place import RecipePlace
from gansemble.stages.stage import STAGES


def commands(given=(), settings=None, root=Path("/recipes"), exp=Path("/exp"), **options):
    """The commands of a run of ``conf/v1.yaml`` below a folder."""
    usual = {
        "words": ["conf/v1.yaml"],
        "stages": STAGES,
        "mini": False,
        "force": False,
        "dry_run": False,
        "yes": False,
        "overrides": [],
        "data": Path("/data"),
        "exp": exp,
        "dump": None,
        "jobs": None,
        "processes": 1,
        "machines": 1,
        "plugins": [],
        "compare": [],
    }
    asked = types.SimpleNamespace(**(usual | options))
    place = RecipePlace(root / "conf" / "v1.yaml", root, "v1")
    return Commands(
        ("conf/v1.yaml", *given),
        place,
        asked,
        ["plan.steps=3"],
        settings or Settings(),
        Path("/exp"),
        Path("/exp/jobs"),
    )
