"""run.sh finds itself and its recipe wherever it is called from, by whatever link, in folders of any name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gansemble.recipe import packages
from gansemble.scaffold import recipes

EGS = Path(__file__).parents[2] / "egs"
#: What the help of the recipe lists.
LISTED = "configurations: mini.yaml small.yaml v1.yaml"
NAMES = [
    "plain",
    "with space",
    'it\'s "quoted"',
    "a\nline",
    "ends\n",
    "$(touch made)`touch made`",
    "-rf",
    "ünï",
    "*?[a]",
]


def helps(script: str | Path, cwd: Path) -> str:
    """What run.sh prints as its help, with the configurations beside it, called by this path from this folder."""
    environment = os.environ | {"CDPATH": str(cwd), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--", str(script), "--help"],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def tree(tmp_path):
    """``tree(name)`` makes a folder of this name with a recipe of ours in it, and returns the recipe's folder."""

    def made(name: str) -> Path:
        folder = tmp_path / name / "egs" / "fsdd" / "wavegan"
        shutil.copytree(EGS / "fsdd" / "wavegan", folder)
        shutil.copytree(EGS / "_shared", folder.parents[1] / "_shared")
        return folder

    return made


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_it_runs_in_a_folder_of_any_name(tree, tmp_path, name):
    folder = tree(name)
    assert LISTED in helps(folder / "run.sh", tmp_path)
    assert not list(tmp_path.rglob("made")), "no part of a name is run"


def test_it_runs_by_links_of_its_file_and_of_its_folder_from_anywhere(tree, tmp_path):
    folder, elsewhere = tree("with space"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file.sh").symlink_to(folder / "run.sh")
    (elsewhere / "relative.sh").symlink_to(os.path.relpath(folder / "run.sh", elsewhere))
    (elsewhere / "again.sh").symlink_to("file.sh")
    (elsewhere / "folder").symlink_to(folder, target_is_directory=True)
    expected = helps(folder / "run.sh", tmp_path)
    assert helps("./run.sh", folder) == helps("run.sh", folder) == expected
    for script in ("file.sh", "./relative.sh", "again.sh", "folder/run.sh", "../elsewhere/file.sh"):
        assert helps(script, elsewhere) == expected, script


def test_every_run_sh_finds_itself_in_the_same_way():
    lines = {path: path.read_text().splitlines()[2] for path in EGS.glob("*/*/run.sh")}
    assert len(lines) > 20 and len(set(lines.values())) == 1
    made = recipes.RUN_SH.format(header="# A recipe.", default="conf/v1.yaml")
    assert lines.popitem()[1] in made.splitlines(), "that of a copied recipe, too"


def test_the_run_sh_of_a_copied_recipe_runs_by_a_link(tmp_path):
    target = tmp_path / "my recipe"
    recipes.copy(packages.find("wavegan:fsdd"), target)
    (tmp_path / "link.sh").symlink_to(target / "run.sh")
    assert LISTED in helps("link.sh", tmp_path)
