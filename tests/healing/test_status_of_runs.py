"""``status`` of a training: running, interrupted and finished, with a reference and without, narrow, and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gansemble.cli import status_advice
from gansemble.evaluation import reference_curves
from gansemble.recipe import fill
from gansemble.recipe.document import read
from gansemble.scoring.curves import read_curves
from gansemble.stages import Project
from gansemble.stages.locks import FolderLock

SETS = ("plan.accumulate=1", "plan.log_every=2", "noise_injector=null", "validation.every=2")


def said(exp: Path, width: int = 100) -> str:
    return " ".join(" ".join(status_advice.lines(Project.recall(exp), width)).split())


@pytest.fixture(scope="module")
def exp(workshop, tmp_path_factory) -> Path:
    """An experiment of a recipe in a folder ``conf/``, interrupted after 8 of 12 steps."""
    place = tmp_path_factory.mktemp("status")
    (place / "conf").mkdir()
    recipe = place / "conf" / "tiny.yaml"
    recipe.write_text(workshop.recipe.read_text())
    workshop.train(place / "exp", *SETS, stop_after=8)
    project = Project.of(recipe, SETS, place / "exp", workshop.folder / "corpus", workshop.dump)
    project.remember()
    return place / "exp"


@pytest.fixture
def with_reference(exp):
    """The run itself is its reference."""
    folder = next(iter(sorted((exp / "checkpoints").glob("step-*"), reverse=True)))
    rows, scores = (read_curves(exp / "logs" / f"{name}.jsonl") for name in ("train", "validation"))
    steps, validated = ([int(row["step"] or 0) for row in each] for each in (rows, scores))
    found = {
        "recipe": "tiny",
        "made": "today",
        "seeds": [1, 2, 3],
        "clips": 400,
        "planned": 12,
        "settings": reference_curves.settings(fill.flatten(read(folder / "recipe.yaml").value))
        | {"plan.batch_size": 16},
        "levels": list(reference_curves.LEVELS),
        "steps": steps,
        "curves": {
            name: reference_curves.bands([rows], name, steps) for name in rows[-1] if name.startswith("generator/")
        },
        "validated": validated,
        "validation": {
            name: reference_curves.bands([scores], name, validated) for name in scores[-1] if name != "step"
        },
    }
    path = exp.parent / "reference" / "tiny.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found))
    yield path
    path.unlink()


def test_an_interrupted_run_is_told_how_far_it_is_and_what_is_left(exp):
    text = said(exp)
    assert "step 8 of 12, interrupted" in text and "would take another" in text
    assert "there are no reference curves of tiny; tools/reference_curves.py makes them" in text
    assert "mel_distance" in text and "too early to say how it will end" in text


def test_a_running_one_is_told_by_its_lock(exp):
    with FolderLock(exp, False):
        text = said(exp)
    assert "step 8 of 12, running" in text and " left" in text and "would take" not in text


def test_a_finished_one_has_no_forecast(workshop, exp, tmp_path):
    workshop.train(tmp_path / "exp", *SETS)
    Project.of(exp.parent / "conf" / "tiny.yaml", SETS, tmp_path / "exp", workshop.folder, workshop.dump).remember()
    text = said(tmp_path / "exp")
    assert "step 12 of 12, finished; it took " in text and "starts" not in text
    assert "at the end" not in text and "too early" not in text


def test_the_time_of_a_finished_run_is_that_since_its_first_start(workshop, tmp_path):
    exp = tmp_path / "exp"
    workshop.train(exp, *SETS, stop_after=6)
    workshop.train(exp, *SETS)
    Project.of(workshop.recipe, SETS, exp, workshop.folder, workshop.dump).remember()
    manifest = sorted((exp / "checkpoints").glob("step-*"))[-1] / "manifest.json"
    found = json.loads(manifest.read_text())
    found["work"].append(found["work"][0] | {"seconds": 2200.0, "starts": 1})
    found["work"][0]["seconds"] = 5000.0
    manifest.write_text(json.dumps(found))
    assert "step 12 of 12, finished; it took 2 h 0 min in 3 starts" in " ".join(said(exp).split())


def test_a_run_is_compared_with_its_reference_and_told_where_its_recipe_differs(exp, with_reference):
    text = said(exp)
    assert "3 runs of tiny on 400 clips, yours 5; yours has plan.batch_size 4 (reference: 16)" in text
    assert "mel " in text and "of them (" in text and "(reference: " in text


def test_a_damaged_reference_is_named_and_nothing_else_fails(exp, with_reference):
    with_reference.write_text("{}")
    assert "make it anew with tools/reference_curves.py" in said(exp) and "step 8 of 12" in said(exp)


def test_a_reference_whose_curves_have_too_few_values_is_not_read(exp, with_reference):
    found = json.loads(with_reference.read_text())
    for damaged in (
        found | {"steps": found["steps"][1:]},
        found | {"levels": [0.5]},
        found | {"validation": {"x": []}},
    ):
        with_reference.write_text(json.dumps(damaged))
        assert "tiny.json: curves and steps do not match; make it anew" in said(exp)


@pytest.mark.parametrize("width", [60, 40, 100])
def test_no_line_is_wider_than_the_terminal(exp, with_reference, width):
    for line in status_advice.lines(Project.recall(exp), width):
        assert len(line) <= width, line


def test_an_experiment_without_a_training_is_told_nothing_of_one(workshop, tmp_path):
    project = Project.of(workshop.recipe, (), tmp_path / "exp", workshop.folder / "corpus", workshop.dump)
    assert status_advice.lines(project, 80) == [] and status_advice.as_json(project) is None


def test_programs_are_told_the_same_at_the_stage_of_training(exp, with_reference):
    from click.testing import CliRunner

    from gansemble.cli import Lazy

    command = Lazy().get_command(None, "status")  # type: ignore[arg-type]
    result = CliRunner().invoke(command, [str(exp), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.output)
    assert [row["name"] for row in rows if "training" in row] == ["train"]
    told = rows[3]["training"]
    assert (told["state"], told["step"], told["steps"]) == ("interrupted", 8, 12) and told["seconds_left"] > 0
    assert told["reference"]["curves"]["generator/losses.mel"]["share_below"] == pytest.approx(0.5, abs=0.5)
    assert told["scores"]["mel_distance"]["step"] == 8 and isinstance(told["findings"], list)
    shown = CliRunner().invoke(command, [str(exp)])
    assert shown.exit_code == 0 and "step 8 of 12, interrupted" in shown.output


def test_no_torch_is_needed_to_tell_of_a_run(exp):
    import subprocess
    import sys

    code = f"""
import sys
from pathlib import Path
from gansemble.cli import status_advice
from gansemble.stages import Project
assert status_advice.lines(Project.recall(Path({str(exp)!r})), 80)
assert "torch" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
