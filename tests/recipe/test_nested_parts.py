"""Parts as parameters of other parts: checked, filled with defaults, written down and built as parts of a section are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import numpy as np
import pytest

from gansemble import File
from gansemble.errors import GansembleError
from gansemble.numbers import Range
from gansemble.plugins import loading
from gansemble.plugins.nested import AnyEmbedder, PartOf, kind_of
from gansemble.plugins.registry import Entry, PluginSource
from gansemble.recipe import check, nested, types
from gansemble.recipe.document import Document
from gansemble.recipe.fill import fill, needed_plugins
from gansemble.recipe.sections import Part

RECIPE = """
audio: {sample_rate: 22050}
corpus: {use: folder}
generator: {use: hifigan}
discriminators: {mpd: {use: multi_period}}
objective: {use: lsgan}
plan: {steps: 10}
optimisers: {generator: {use: adamw}, discriminators: {use: adamw}}
losses: {mel: {use: mel_l1, weight: 45}}
metrics:
  heard: {use: listener, by: {use: ear, gain: 2}}
  usual: {use: listener}
"""


class Ear:
    """Hears levels.

    Args:
        gain: of them.
        notes: a file.
    """

    sample_rate, window, dim, key, definition = 16000, 100, 1, "ear", "levels"

    def __init__(self, *, gain: Annotated[float, Range(above=0, at_most=9)] = 1.0, notes: File | None = None) -> None:
        if gain == 7:
            raise ValueError("gain must not be 7")
        self.gain, self.notes = gain, notes

    def embed(self, audio: np.ndarray) -> np.ndarray:
        return np.abs(audio[None, :1]).astype(np.float32)


class Listener:
    """A metric with an embedder.

    Args:
        by: what hears.
    """

    definition, better = "nothing", "lower"

    def __init__(self, *, by: AnyEmbedder = {"use": "ear"}) -> None:  # noqa: B006
        self.by = by

    def score(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> Mapping[str, object]:
        return {}


@pytest.fixture(autouse=True)
def parts() -> Iterator[None]:
    """A plugin with an embedder, and another with a metric."""
    registry = loading.registry()
    registry.add(Entry("embedder", "ear", f"{__name__}:Ear", "", "ears"))
    registry.add(Entry("metric", "listener", f"{__name__}:Listener", "", "listeners"))
    registry.sources["ears"] = PluginSource("gansemble-ears", "1.2")
    yield
    registry.remove("ears")
    registry.remove("listeners")
    del registry.sources["ears"]


def loaded(tmp_path, text: str = RECIPE, *changes: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return check.load(path, changes, loading.registry())


def test_what_is_given_and_the_default_are_filled_alike(tmp_path):
    recipe = loaded(tmp_path)
    filled = fill(recipe)["metrics"]
    assert filled["heard"]["by"] == {"use": "ear", "gain": 2.0, "notes": None}
    assert filled["usual"]["by"] == {"use": "ear", "gain": 1.0, "notes": None}
    part = recipe.many["metrics"]["heard"]
    assert part.arguments["by"] == {"use": "ear", "gain": 2.0, "notes": None}
    assert nested.build("embedder", part.arguments["by"]).gain == 2.0


def test_a_filled_recipe_is_the_same_recipe(tmp_path):
    from gansemble.recipe.fill import dump

    once = fill(loaded(tmp_path))
    assert fill(loaded(tmp_path, dump(once))) == once


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("metrics.heard.by.gian=3", "metrics.heard.by.gian: ear takes no such parameter; did you mean 'gain'"),
        ("metrics.heard.by.gain=11", "metrics.heard.by.gain: must be above 0 and at most 9, got 11"),
        ("metrics.heard.by.gain=loud", "metrics.heard.by.gain: expected float, got text 'loud'"),
        ("metrics.heard.by={use: eat}", "metrics.heard.by.use: no embedder named 'eat'; did you mean 'ear'"),
        ("metrics.heard.by=3", "metrics.heard.by: expected embedder {use: NAME, …}, got int 3"),
        ("metrics.heard.by.notes=absent.txt", "metrics.heard.by.notes: no such file"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, change, said):
    with pytest.raises(check.RecipeError) as told:
        loaded(tmp_path, RECIPE, change)
    assert said in str(told.value) and "--set" in str(told.value)


def test_files_of_a_nested_part_count_by_their_content(tmp_path):
    (tmp_path / "notes.txt").write_text("a")
    recipe = loaded(tmp_path, RECIPE, f"metrics.heard.by.notes={tmp_path / 'notes.txt'}")
    (found,) = recipe.files(["metrics"]).items()
    assert found[0] == "metrics.heard.by.notes" and found[1].startswith(f"{tmp_path / 'notes.txt'}#sha256=ca978112")


def test_the_plugin_of_a_nested_part_is_needed(tmp_path):
    assert needed_plugins(loaded(tmp_path)) == {"ears": "gansemble-ears>=1.2"}


def test_built_in_python_it_is_held_to_the_same(tmp_path):
    assert nested.build("embedder", {"use": "ear", "gain": 3}).gain == 3.0
    for given, said in (
        ({"use": "ear", "gain": 11}, r"embedder\.gain: must be above 0"),
        ({"use": "ear", "gain": 7}, "embedder ear: gain must not be 7"),
        ({"use": "ear", "notes": str(tmp_path / "absent")}, r"embedder\.notes: no such file"),
        ({"used": "ear"}, "embedder: expected embedder {use: NAME, …}"),
    ):
        with pytest.raises(GansembleError, match=said):
            nested.build("embedder", given)


def test_a_kind_is_shown_in_messages_and_descriptions():
    assert types.show(AnyEmbedder) == "embedder {use: NAME, …}" == PartOf("embedder").words()
    assert kind_of(AnyEmbedder) == "embedder"
    assert kind_of(dict[str, object]) is None and kind_of(Annotated[int, Range(at_least=1)]) is None


def test_a_value_that_is_no_part_becomes_an_empty_mapping_and_a_problem():
    problems: list = []
    assert types.check_part([1], "embedder", ("by",), Document(), problems) == {} and len(problems) == 1


def test_a_part_without_nested_parts_names_none():
    entry = loading.registry().get("embedder", "ear")
    assert list(nested.entries(Part("embedder", ("x",), "ear", entry, Ear, {}))) == []


def test_a_description_shows_the_part_that_is_the_default():
    from click.testing import CliRunner

    from gansemble.cli import group

    said = CliRunner().invoke(group, ["describe", "metric", "listener"]).output
    assert "by: embedder {use: NAME, …} = {'use': 'ear'}" in said
