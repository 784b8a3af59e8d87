"""Recipes of installed distributions: their addresses, includes by address, and where a run of one puts its folders."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from gansemble.cli import main
from gansemble.errors import GansembleError
from gansemble.recipe import check, packages
from gansemble.recipe.compose import compose
from gansemble.recipe.document import RecipeError
from gansemble.scaffold import recipes as writing
from gansemble.stages import Project
from gansemble.stages.project import RECORD
from gansemble.stages.recipe_place import RecipePlace

EGS = Path(__file__).parents[2] / "egs"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """``installed(**files)`` installs a distribution ``gansemble-tents`` whose recipes are called ``tents``."""
    site = tmp_path / "site"

    def install(files: dict[str, str], value: str = "tents_of_tests.recipes") -> Path:
        info = site / "gansemble_tents-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gansemble-tents\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[gansemble.recipes]\ntents = {value}\n")
        package = site / "tents_of_tests" / "recipes"
        package.mkdir(parents=True)
        for folder in (package.parent, package):
            (folder / "__init__.py").write_text("")
        for name, text in files.items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text)
        monkeypatch.syspath_prepend(site)
        return package

    yield install
    for name in [name for name in sys.modules if name.partition(".")[0] == "tents_of_tests"]:
        del sys.modules[name]


@pytest.fixture
def standing(tmp_path, monkeypatch) -> Path:
    """An empty folder, in which the user stands."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


TENT = {"camp/conf/v1.yaml": "plan: {steps: 7}\n", "camp/conf/mini.yaml": "include: [v1.yaml]\nplan: {steps: 3}\n"}


def test_every_folder_of_egs_has_one_address_and_every_address_a_folder():
    folders = {folder.parent.resolve() for folder in EGS.glob("*/*/conf")}
    found = [recipe for recipe in packages.installed() if recipe.folder.resolve().is_relative_to(EGS.resolve())]
    assert {recipe.folder.resolve() for recipe in found} == folders and len(found) == len(folders)
    for recipe in found:
        assert recipe.address == f"{recipe.folder.name}:{recipe.folder.parent.name}"
        assert packages.default_of(recipe.folder) is not None and "mini" in recipe.configurations()


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("specdiff:ljspeech", "ljspeech/specdiff/conf/v1.yaml"),
        ("specdiff:ljspeech/small", "ljspeech/specdiff/conf/small.yaml"),
        ("specdiff:ljspeech/small.yaml", "ljspeech/specdiff/conf/small.yaml"),
        ("specdiff:ljspeech/ablations/v1_msd", "ljspeech/specdiff/conf/ablations/v1_msd.yaml"),
        ("ddfn:esc50", "esc50/ddfn/conf/small.yaml"),
    ],
)
def test_an_address_is_a_file_and_a_file_has_its_address(address, file):
    found = packages.find(address)
    assert found.file().resolve() == (EGS / file).resolve()
    assert packages.find(packages.address_of(EGS / file) or "").file() == found.file()
    assert check.load(Path(address)) == check.load(found.file())


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("specdif:ljspeech", "no installed distribution has recipes called 'specdif'; did you mean 'specdiff'?"),
        ("specdiff:ljspech", "specdiff has no recipe 'ljspech'; did you mean 'ljspeech'?"),
        ("specdiff:ljspeech/v11", "specdiff:ljspeech has no configuration 'v11'; did you mean 'v1'?"),
        ("specdiff:ljspeech/mini/v1", "specdiff:ljspeech has no configuration 'mini/v1'"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_with_what_is_near(address, said):
    with pytest.raises(GansembleError) as error:
        packages.find(address)
    assert said in str(error.value)
    with pytest.raises(GansembleError, match=r"did you mean|it has"):
        check.load(Path(address))


def test_what_exists_as_a_file_is_no_address(standing):
    assert packages.is_address("specdiff:ljspeech")
    (standing / "specdiff:ljspeech").write_text("plan: {steps: 1}\n")
    assert not packages.is_address("specdiff:ljspeech") and compose(Path("specdiff:ljspeech")).value
    for word in ("v1.yaml", "conf/v1.yaml", "a:", ":b", "a:/b", "a:b//c", "a:../b", "a:b/../c", "http://host/x"):
        assert not packages.is_address(word)


def test_a_wheel_of_a_third_party_has_recipes_and_may_include_those_of_others(installed, tmp_path):
    package = installed(TENT | {"camp/conf/far.yaml": "include: [specdiff:ljspeech/v1]\nplan: {steps: 5}\n"})
    assert "tents:camp" in [recipe.address for recipe in packages.installed()]
    assert packages.find("tents:camp/mini").file() == package / "camp" / "conf" / "mini.yaml"
    assert compose(Path("tents:camp/mini")).value == {"plan": {"steps": 3}}
    ours, theirs = (compose(Path(each)).value for each in ("tents:camp/far", "specdiff:ljspeech/v1"))
    assert ours["plan"]["steps"] == 5 and ours["losses"] == theirs["losses"]
    (tmp_path / "mine.yaml").write_text("include: [tents:camp/v1]\n")
    assert compose(tmp_path / "mine.yaml").value == {"plan": {"steps": 7}}


def test_recipes_may_be_a_mapping_from_names_to_folders(installed):
    package = installed(TENT, "tents_of_tests.recipes:ALL")
    (package / "__init__.py").write_text(f"ALL = {{'by_the_sea': {str(package / 'camp')!r}}}\n")
    assert compose(Path("tents:by_the_sea/mini")).value == {"plan": {"steps": 3}}


def test_a_recipe_without_run_sh_has_a_default_where_there_is_one_file_beside_mini(installed):
    package = installed(TENT)
    assert packages.find("tents:camp").file().name == "v1.yaml"
    (package / "camp" / "conf" / "v2.yaml").write_text("plan: {steps: 9}\n")
    with pytest.raises(GansembleError, match="no default configuration; choose one of tents:camp/mini, tents:camp/v1"):
        packages.find("tents:camp").file()


@pytest.mark.parametrize("value", ["tents_of_tests.gone", "tents_of_tests.recipes:NUMBER"])
def test_a_package_that_cannot_be_loaded_is_named_and_hides_no_other(installed, value):
    package = installed(TENT, value)
    (package / "__init__.py").write_text("NUMBER = 3\n")
    with pytest.raises(
        GansembleError, match=r"the recipes 'tents' of gansemble-tents cannot be loaded from tents_of_tests"
    ):
        packages.find("tents:camp")
    assert "specdiff:ljspeech" in [recipe.address for recipe in packages.installed()]


def test_an_include_that_leads_nowhere_is_told_at_its_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("include: [specdiff:ljspeech/v1,\n  spekdiff:ljspeech/v1]\n")
    with pytest.raises(RecipeError) as error:
        compose(path)
    assert "mine.yaml:2:3: include[1]: spekdiff:ljspeech/v1: no installed distribution" in str(error.value)
    assert "did you mean 'specdiff'?" in str(error.value)


def test_a_recipe_of_a_wheel_works_where_the_user_stands(standing):
    place = RecipePlace.of("specdiff:ljspeech/mini")
    assert (place.root, place.exp) == (standing, standing / "exp" / "specdiff-ljspeech-mini")
    project = Project.of(Path("specdiff:ljspeech/mini"))
    assert project.exp == place.exp and project.data == standing / "data" / "ljspeech"
    assert project.dump.parent == standing / "dump"
    file = Project.of(EGS / "ljspeech" / "specdiff" / "conf" / "mini.yaml")
    assert file.exp == EGS.resolve() / "ljspeech" / "specdiff" / "exp" / "mini" and file.address == ""


def test_two_recipes_in_one_folder_share_no_experiment_and_no_mini_corpus(standing):
    places = [RecipePlace.of(f"{name}/mini") for name in ("specdiff:ljspeech", "hifigan:ljspeech", "ddfn:esc50")]
    assert len({place.exp for place in places}) == len({place.mini_corpus for place in places}) == 3


def test_an_experiment_finds_its_packaged_recipe_again_from_anywhere(standing, tmp_path, monkeypatch):
    project = Project.of(Path("specdiff:ljspeech/mini"), ("plan.steps=9",))
    project.exp.mkdir(parents=True)
    project.remember()
    monkeypatch.chdir(tmp_path)
    known = Project.recall(project.exp)
    assert (known.address, known.overrides, known.dump, known.data) == (
        "specdiff:ljspeech/mini", ("plan.steps=9",), project.dump, project.data,
    )  # fmt: skip
    moved = tmp_path / "moved"
    shutil.move(standing, moved)
    again = Project.recall(moved / "exp" / project.exp.name)
    assert again.root == moved and again.data == moved / "data" / "ljspeech"


def test_an_experiment_whose_recipes_are_gone_says_which(standing):
    project = Project.of(Path("specdiff:ljspeech/mini"))
    project.exp.mkdir(parents=True)
    project.remember()
    facts = json.loads((project.exp / RECORD).read_text())
    (project.exp / RECORD).write_text(json.dumps(facts | {"address": "gone:ljspeech/mini"}))
    with pytest.raises(GansembleError, match="no installed distribution has recipes called 'gone'; install the plugin"):
        Project.recall(project.exp)


def said(capsys, *words) -> tuple[object, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    out = capsys.readouterr()
    return left.value.code or 0, out.out + out.err


def test_a_run_by_address_says_what_it_would_do_and_leaves_the_folder_empty(standing, capsys):
    status, out = said(capsys, "run", "specdiff:ljspeech", "--mini", "--dry-run", "--stop-stage", "0")
    assert status == 0 and "fetch" in out and list(standing.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("specdiff:ljspeech/v1", "--mini"), "--mini chooses a configuration, and specdiff:ljspeech/v1 names one; give specdiff:"),
        (("specdiff:ljspeech/v1", "--config", "v2"), "--config chooses a configuration"),
        (("specdiff:ljspeech", "--config", "v9"), "--config v9: specdiff:ljspeech has no such configuration; it has mini"),
        (("specdif:ljspeech",), "did you mean 'specdiff'?"),
        (("nowhere",), "nowhere: no such recipe; give a recipe file, a recipe's folder, or an address"),
    ],
)  # fmt: skip
def test_a_wrong_address_on_the_command_line_is_misuse(standing, capsys, words, text):
    status, out = said(capsys, "run", *words)
    assert status == 2 and text in out and list(standing.iterdir()) == []


def test_the_list_names_addresses_and_the_default(capsys):
    status, out = said(capsys, "recipes", "list")
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("specdiff:ljspeech ")]
    assert "v1 (default)" in line and "in sub-folders" in line
    rows = json.loads(said(capsys, "recipes", "list", "--json")[1])
    assert {"address", "folder", "configurations"} == set(rows[0])


@pytest.mark.parametrize("address", ["specdiff:ljspeech", "ddfn:esc50", "superres:vctk48"])
def test_a_copied_recipe_says_what_the_installed_one_says(standing, capsys, address):
    status, out = said(capsys, "recipes", "copy", address, "mine")
    source = packages.find(address).recipe.folder
    assert status == 0 and "mine" in out
    ours = sorted(path.relative_to(source / "conf") for path in (source / "conf").rglob("*.yaml"))
    for name in ours:
        text = (standing / "mine" / "conf" / name).read_text()
        assert "../../../" not in text and "../../hifigan" not in text
        assert compose(standing / "mine" / "conf" / name).value == compose(source / "conf" / name).value
    script = (standing / "mine" / "run.sh").read_text()
    assert packages.default_of(standing / "mine") == packages.default_of(source) and "_shared" not in script
    assert (standing / "mine" / "run.sh").stat().st_mode & 0o111
    status, out = said(capsys, "recipes", "copy", address, "mine")
    assert status == 1 and "expected no such folder, or an empty one" in out


def test_a_copy_leaves_out_what_runs_have_made(tmp_path):
    source = tmp_path / "camp"
    for name in ("conf/v1.yaml", "exp/v1/a.txt", "data/b.wav", "dump/c.bin", "conf/data/kept.yaml"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("plan: {steps: 1}\n")
    target = writing.copy(packages.Found(packages.PackagedRecipe("tents", "camp", source), None), tmp_path / "mine")
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()) == [
        "conf/data/kept.yaml", "conf/v1.yaml", "run.sh",
    ]  # fmt: skip


def test_a_copy_of_files_that_nobody_may_write_can_be_changed(tmp_path):
    """Its permissions are those of any new file, and a copy that fails leaves nothing."""
    source = tmp_path / "camp"
    (source / "conf").mkdir(parents=True)
    (source / "conf" / "v1.yaml").write_text("plan: {steps: 1}\n")
    (source / "conf" / "v1.yaml").chmod(0o400)
    (source / "conf").chmod(0o500)
    found = packages.Found(packages.PackagedRecipe("tents", "camp", source), None)
    before = os.umask(0o027)
    try:
        target = writing.copy(found, tmp_path / "mine")
    finally:
        os.umask(before)
    modes = {name: (target / name).stat().st_mode & 0o777 for name in ("conf/v1.yaml", "run.sh")}
    assert modes == {"conf/v1.yaml": 0o640, "run.sh": 0o750} and target.joinpath("conf").stat().st_mode & 0o200
    (source / "conf").chmod(0o700)
    (source / "conf" / "v1.yaml").chmod(0o600)
    (source / "conf" / "v1.yaml").write_text("plan: {")
    with pytest.raises(GansembleError):
        writing.copy(found, tmp_path / "broken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["camp", "mine"]
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(GansembleError, match="expected no such folder"):
        writing.copy(found, tmp_path / "link")
    assert not (tmp_path / "gone").exists()


def test_a_new_recipe_builds_on_another_and_refuses_bad_names(standing, capsys):
    status, _ = said(capsys, "recipes", "new", "louder", "--from", "hifigan:ljspeech/v2")
    assert status == 0
    conf = standing / "louder" / "conf"
    assert compose(conf / "louder.yaml").value == compose(Path("hifigan:ljspeech/v2")).value
    assert compose(conf / "mini.yaml").value == compose(Path("hifigan:ljspeech/mini")).value
    assert packages.default_of(standing / "louder") == "conf/louder.yaml"
    for name in ("../out", "mini", "a/b", ""):
        status, out = said(capsys, "recipes", "new", name, "--from", "hifigan:ljspeech")
        assert status == 1 and "a recipe's name must be of letters" in out
    assert [path.name for path in standing.iterdir()] == ["louder"]
