"""Settings that several parts share, given as one mapping: checked, filled in and shown as any parameter is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from gansemble.cli import group
from gansemble.recipe import check, fill, types
from gansemble.recipe.document import Document, Problem, RecipeError
from gansemble_plugins.set_metrics.settings import ClassifierSettings

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "egs" / "fsdd" / "wavegan" / "conf" / "small.yaml"


def refused(tmp_path: Path, text: str) -> str:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"include: [{RECIPE}]\n{text}")
    with pytest.raises(RecipeError) as caught:
        check.load(recipe)
    return str(caught.value)


def test_a_misspelt_key_is_shown_at_its_place_with_the_near_one(tmp_path):
    said = refused(tmp_path, "metrics:\n  fid: {classifier: {widht: 8}}\n")
    assert (
        "recipe.yaml:3:22: metrics.fid.classifier.widht: classifier takes no such parameter; did you mean 'width'?"
        in said
    )
    assert "    3 |   fid: {classifier: {widht: 8}}\n      |                      ^^^^^" in said


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{lr: true}", "3:26: metrics.fid.classifier.lr: expected float, got bool true"),
        ("{width: 0}", "3:29: metrics.fid.classifier.width: must be from 1 to 65536, got 0"),
        ("{hears: picture}", "3:29: metrics.fid.classifier.hears: hears: picture needs picture"),
        ("12", "3:21: metrics.fid.classifier: expected a mapping with width, blocks, steps"),
    ],
)
def test_a_value_that_cannot_be_is_shown_at_its_place(tmp_path, given, says):
    assert says in refused(tmp_path, f"metrics:\n  fid: {{classifier: {given}}}\n")


def test_several_faults_are_told_at_once(tmp_path):
    said = refused(
        tmp_path, "metrics:\n  fid: {classifier: {width: 0}}\n  kid: {size: 0.5, classifier: {steps: 1.5}}\n"
    )
    assert "3 problems in the recipe" in said


def test_one_key_can_be_set_and_the_others_stay():
    recipe = check.load(RECIPE, ["metrics.fid.classifier.width=8"])
    assert recipe.many["metrics"]["fid"].arguments["classifier"] == ClassifierSettings(width=8, steps=600, lr=0.002)
    assert recipe.many["metrics"]["kid"].arguments["classifier"] == ClassifierSettings(width=16, steps=600, lr=0.002)


def test_every_key_stands_in_the_filled_recipe_which_reads_back_equal(tmp_path):
    filled = fill.fill(check.load(RECIPE, ["metrics.kid.classifier=null"]))
    assert filled["metrics"]["fid"]["classifier"] == asdict(ClassifierSettings(width=16, steps=600, lr=0.002))
    assert filled["metrics"]["kid"]["classifier"] == asdict(ClassifierSettings())
    written = tmp_path / "recipe.yaml"
    written.write_text(fill.dump(filled))
    assert fill.fill(check.load(written)) == filled


def test_describe_lists_every_key_with_its_default_and_meaning():
    shown = CliRunner().invoke(group, ["describe", "metric", "fid"]).output
    assert "classifier: ClassifierSettings\n" in shown
    assert "classifier.width: int from 1 to 65536 = 128\n      channels of every convolution." in shown
    facts = json.loads(CliRunner().invoke(group, ["describe", "metric", "fid", "--json"]).output)
    assert facts["parameters"][0]["default"] == asdict(ClassifierSettings())
    assert {row["name"]: row.get("default") for row in facts["parameters"]}["classifier.steps"] == 5000


@dataclass(frozen=True)
class Reach:
    """How far.

    Args:
        near: metres.
        far: metres.
    """

    near: float
    far: float = 9.0


def part(*, reach: Reach = Reach(1.0, 5.0), other: Reach | None = None) -> tuple[Reach, Reach | None]:
    return reach, other


def checked(given: dict[str, object]) -> tuple[dict[str, object], list[Problem]]:
    problems: list[Problem] = []
    found = types.check_arguments(part, given, (), Document(), problems, what="part")
    return found, problems


def test_keys_that_are_not_given_keep_the_parameters_own_default():
    assert checked({"reach": {"near": 2}}) == ({"reach": Reach(2.0, 5.0)}, [])
    assert checked({"reach": {"far": 2}}) == ({"reach": Reach(1.0, 2.0)}, [])


def test_settings_that_may_be_left_out_are_read_as_well():
    assert checked({"other": None}) == ({"other": None}, [])
    assert checked({"other": {"near": 2}}) == ({"other": Reach(2.0)}, [])
    _, problems = checked({"other": {"fra": 2}})
    assert "did you mean 'far'?" in problems[0].message


def test_an_example_is_read_as_a_recipe_is():
    assert types.convert({"near": 2}, Reach) == Reach(2.0)
    assert types.convert({"fra": 2}, Reach) == {"fra": 2} and types.convert({}, Reach) == {}
