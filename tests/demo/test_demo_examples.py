"""Held-out clips of an experiment's own data, as stage 1 packed them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from demo_parts import RATE, RECIPES, tone, write

from gansemble.cli import group
from gansemble.demo.demonstration import Demonstration
from gansemble.demo.examples import OFFERED, Examples


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """An experiment whose recipe's ten clips lie beside it, of which some are held out."""
    tmp_path = tmp_path_factory.mktemp("prepared")
    (tmp_path / "data").mkdir()
    for number in range(10):
        soundfile.write(tmp_path / "data" / f"tone-{number}.wav", tone(0.6, 200 + 50 * number), RATE, "PCM_16")
    recipe = RECIPES["vocoding"].replace("{use: folder}", "{use: folder, minimum_validation: 6}")
    (tmp_path / "r.yaml").write_text(recipe)
    words = [str(tmp_path / "r.yaml"), "--exp", str(tmp_path / "exp"), "--data", str(tmp_path / "data")]
    words += ["--dump", str(tmp_path / "dump")]
    for stage in (["fetch"], ["prepare", "--jobs", "1"]):
        done = CliRunner().invoke(group, [*stage, *words])
        assert done.exit_code == 0, done.output
    write(tmp_path / "exp", "vocoding")
    return tmp_path


def test_some_are_offered_as_they_were_packed_and_none_of_the_training_split(prepared):
    demo = Demonstration.of(prepared / "exp", "best", 60.0, lambda text: None)
    names = demo.examples.names
    assert len(names) == OFFERED == len(set(names)) and demo.examples.why_not == ""
    assert {entry.split for entry in demo.examples.packed.entries} == {"validation"}
    for number, name in enumerate(names):
        wanted, _ = soundfile.read(prepared / "data" / f"{name}.wav", dtype="float32")
        np.testing.assert_array_equal(demo.examples.recording(number, 60.0).audio[0], wanted)


def test_altered_data_are_told_and_nothing_is_offered(prepared):
    packs = {path: path.read_bytes() for path in (prepared / "dump").glob("*.i16")}
    assert packs
    for path, content in packs.items():
        path.write_bytes(bytes(len(content)))
    said: list[str] = []
    demo = Demonstration.of(prepared / "exp", "best", 60.0, said.append)
    for path, content in packs.items():
        path.write_bytes(content)
    assert demo.examples.names == [] and "the recipe's data are not at hand" in demo.examples.why_not
    assert len(said) == 1 and str(prepared / "dump") in said[0]


def test_a_recipe_that_holds_nothing_out_offers_nothing(prepared):
    demo = Demonstration.of(prepared / "exp", "best", 60.0, lambda text: None)
    recipe = replace(demo.trained.recipe, synthesis=replace(demo.trained.recipe.synthesis, split="train"))
    found = Examples.of(prepared / "exp", replace(demo.trained, recipe=recipe), lambda text: None)
    assert found.names == [] and "its recipe holds none out" in found.why_not


def test_data_that_were_packed_anew_at_another_rate_are_not_offered(prepared):
    demo = Demonstration.of(prepared / "exp", "best", 60.0, lambda text: None)
    recipe = replace(demo.trained.recipe, audio=replace(demo.trained.recipe.audio, sample_rate=22050))
    said: list[str] = []
    assert Examples.of(prepared / "exp", replace(demo.trained, recipe=recipe), said.append).names == []
    assert len(said) == 1 and "is at 16,000 Hz by now, and the generator works at 22,050 Hz" in said[0]
