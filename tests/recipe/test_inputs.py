"""Files and folders that parts read: they must be there, and a content that changes is a change of the recipe."""

from __future__ import annotations

import copy
import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest

from gansemble import File, Folder, files, hookimpl, inputs
from gansemble.plugins.loading import Plugins, load
from gansemble.recipe import check, fill, types
from gansemble.recipe.construct import construct
from gansemble.recipe.document import RecipeError

HERE = __name__


@dataclass(frozen=True)
class Several:
    """Settings with files in them."""

    named: dict[str, File]
    rest: tuple[File, ...] = ()


class Reader:
    """A loss that reads files. Args: weights, more, all, settings: of it."""

    turns = frozenset({"generator"})

    def __init__(
        self,
        *,
        weights: File,
        more: File | None = None,
        all: Folder | None = None,
        settings: Several | None = None,
    ) -> None:
        self.weights, self.more, self.all, self.settings = weights, more, all, settings

    def __call__(self, step, turn):
        raise AssertionError


class Strict(Reader):
    """A regulariser, whose numbers are tried while a recipe is checked."""

    def __init__(self, *, weights: File) -> None:
        self.content = weights.read_bytes()


class Plugin:
    @hookimpl
    def gansemble_register(self, register):
        register("loss", "reader", f"{HERE}:Reader")
        register("regulariser", "strict", f"{HERE}:Strict")


@pytest.fixture(scope="module")
def registry():
    plugins = Plugins(discover=False)
    for name, plugin in load().manager.list_name_plugin():
        plugins.add_module(name, plugin)
    plugins.add_module("readers", Plugin())
    return plugins.registry


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def reading(base, registry, *sets, **options):
    return check.load(base, ("losses.r={use: reader, weights: w.pt}", *sets), registry, **options)


def test_a_relative_path_begins_where_the_command_is_and_becomes_absolute(base, registry, tmp_path):
    """As that of init.exp does; the recipe may lie elsewhere."""
    (tmp_path / "w.pt").write_bytes(b"one")
    (tmp_path / "elsewhere").mkdir()
    moved = base.rename(tmp_path / "elsewhere" / "base.yaml")
    part = construct(reading(moved, registry).many["losses"]["r"], reading(moved, registry))
    assert type(part.weights) is File and part.weights == tmp_path / "w.pt" and part.weights.is_absolute()
    assert part.weights.read_bytes() == b"one"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("weights: w.pt", "losses.r.weights", "no such file: {here}/w.pt; a relative path begins where the command is"),
        ("weights: sub", "losses.r.weights", "expected a file, but {here}/sub is a folder"),
        ("weights: 3", "losses.r.weights", "expected File, got int 3"),
        ("weights: there.pt, more: gone.pt", "losses.r.more", "no such file: {here}/gone.pt"),
        ("weights: there.pt, all: there.pt", "losses.r.all", "expected a folder, but {here}/there.pt is a file"),
        ("weights: there.pt, all: gone", "losses.r.all", "no such folder: {here}/gone"),
        (
            "weights: there.pt, settings: {named: {a: there.pt, b: gone.pt}}",
            "losses.r.settings.named.b",
            "no such file: {here}/gone.pt",
        ),
        (
            "weights: there.pt, settings: {named: {}, rest: [there.pt, gone.pt]}",
            "losses.r.settings.rest[1]",
            "no such file: {here}/gone.pt",
        ),
        (
            "weights: there.pt#sha256=12",
            "losses.r.weights",
            "is not what is demanded: its SHA-256 is {sha}, expected 12",
        ),
    ],
)
def test_what_is_not_there_is_refused_with_its_place(base, registry, tmp_path, text, place, said):
    (tmp_path / "there.pt").write_bytes(b"one")
    (tmp_path / "sub").mkdir()
    base.write_text(base.read_text().replace("losses:\n", f"losses:\n  r: {{use: reader, {text}}}\n"))
    with pytest.raises(RecipeError) as caught:
        check.load(base, (), registry)
    (problem,) = caught.value.problems
    line = next(number for number, line in enumerate(base.read_text().splitlines(), 1) if "reader" in line)
    assert problem.mark.line == line and problem.mark.column > len("  r: {use: reader, ")
    assert f"base.yaml:{line}:{problem.mark.column}: {place}: " in str(problem)
    assert said.format(here=tmp_path, sha=sha(b"one")) in str(problem)


def test_the_filled_recipe_holds_the_digest_and_reads_back_equal(base, registry, tmp_path, write):
    (tmp_path / "w.pt").write_bytes(b"one")
    filled = fill.fill(reading(base, registry))
    assert filled["losses"]["r"]["weights"] == f"{tmp_path}/w.pt#sha256={sha(b'one')}"
    assert filled["losses"]["r"]["more"] is None
    again = check.load(write(again=fill.dump(filled)), (), registry)
    assert fill.fill(again) == filled
    assert again.many["losses"]["r"].arguments["weights"] == tmp_path / "w.pt"


def test_a_recipe_of_a_checkpoint_is_read_without_the_file_and_built_only_with_it(base, registry, tmp_path, write):
    """A generator is used where the weights of a loss never were; what is built demands the content that was trained with."""
    (tmp_path / "w.pt").write_bytes(b"one")
    filled = fill.fill(reading(base, registry, "regularisers.s={use: strict, weights: w.pt}"))
    path = write(again=fill.dump(filled))
    (tmp_path / "w.pt").unlink()
    recipe = check.load(path, (), registry, files=False)
    assert fill.fill(recipe) == filled
    with pytest.raises(RecipeError, match=r"losses.r.weights: no such file"):
        construct(recipe.many["losses"]["r"], recipe)
    (tmp_path / "w.pt").write_bytes(b"two")
    with pytest.raises(RecipeError, match=rf"its SHA-256 is {sha(b'two')}, expected {sha(b'one')}"):
        construct(recipe.many["losses"]["r"], recipe)
    (tmp_path / "w.pt").write_bytes(b"one")
    assert construct(recipe.many["losses"]["r"], recipe).weights.read_bytes() == b"one"


def test_a_file_is_hashed_once_until_its_size_or_time_is_another(tmp_path, monkeypatch):
    """However often a recipe is checked and filled; a check alone hashes nothing that is not demanded."""
    read = []
    monkeypatch.setattr(inputs, "sha256", lambda path: read.append(path) or files.sha256(path))
    path = tmp_path / "w.pt"
    path.write_bytes(b"one")
    given = inputs.read(File, str(path))
    assert inputs.fault(given) is None and read == []
    assert inputs.identity(given) == inputs.identity(given) and inputs.fault(given) is None and len(read) == 1
    path.write_bytes(b"other")
    assert inputs.identity(given) == f"{path}#sha256={sha(b'other')}" and len(read) == 2


def test_of_a_folder_the_names_and_contents_count_and_nothing_else(tmp_path):
    def made(name, **contents):
        for key, content in contents.items():
            path = tmp_path / name / key.replace("_", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return inputs.digest(inputs.read(Folder, str(tmp_path / name)))

    one = made("one", a=b"1", sub_b=b"2")
    assert made("same", sub_b=b"2", a=b"1") == one
    assert made("renamed", c=b"1", sub_b=b"2") != one
    assert made("moved", a=b"1", b=b"2") != one
    assert made("other", a=b"1", sub_b=b"3") != one
    assert made("swapped", a=b"2", sub_b=b"1") != one
    assert made("fewer", a=b"1") != one


def test_copies_keep_what_is_demanded_and_parents_are_paths(tmp_path):
    given = inputs.read(File, f"{tmp_path}/w.pt#sha256=12")
    for again in (copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        assert type(again) is File and again == given and again.stated == "12"
    assert given.parent == tmp_path and isinstance(given.parent / "x", Path)


def test_values_are_compared_by_content_wherever_it_lies():
    one, moved, other = "/a/w.pt#sha256=12", "/b/v.pt#sha256=12", "/a/w.pt#sha256=34"
    assert inputs.content(one) == inputs.content(moved) != inputs.content(other)
    assert inputs.content([one, 3]) == inputs.content([moved, 3]) != inputs.content([other, 3])
    assert inputs.content("/a/w.pt") == "/a/w.pt" and inputs.content(None) is None


def test_the_first_type_of_a_union_that_fits_is_taken():
    assert types.convert("w.pt", str | File) == "w.pt" and type(types.convert("w.pt", str | File)) is str
    assert type(types.convert("w.pt", File | None)) is File and types.convert(None, File | None) is None


def test_the_files_of_a_recipe_are_those_of_the_sections_that_are_asked_for(base, registry, tmp_path):
    (tmp_path / "w.pt").write_bytes(b"one")
    recipe = reading(base, registry, "regularisers.s={use: strict, weights: w.pt}")
    loss, regulariser = "losses.r.weights", "regularisers.s.weights"
    assert set(recipe.files()) == {loss, regulariser}
    assert set(recipe.files(("losses",))) == {loss} and set(recipe.files(("regularisers", "metrics"))) == {regulariser}
    assert recipe.files(("r", "s", "weights")) == {} and sha(b"one") in recipe.files()[loss]
