"""The first lines to type that the README shows lead one to the other."""

from __future__ import annotations

import re
from pathlib import Path

from gansemble.stages.recipe_place import RecipePlace

ROOT = Path(__file__).parents[2]


def test_what_is_used_is_the_experiment_that_the_line_before_makes():
    first = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    (trained,) = re.findall(r"^gansemble run (\S+) --config (\S+) ", first, re.MULTILINE)
    (used,) = re.findall(r"^gansemble synthesise --exp (\S+) ", first, re.MULTILINE)
    assert RecipePlace.of("/".join(trained), ROOT).exp == ROOT / used
