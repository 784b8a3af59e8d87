"""What a model says of itself on its page, and what the page asks for by task."""

from __future__ import annotations

import html
import json
import shutil
from dataclasses import replace

import pytest
from demo_parts import write

from gansemble.demo import facts, page
from gansemble.demo.demonstration import Demonstration
from gansemble.demo.examples import Examples
from gansemble.errors import CheckpointError
from gansemble.evaluation.papers import deviations_of, papers_of


def text(demo, say=lambda text: None):
    return page.files(demo, 1000, say)[""].content.decode()


def of(exp):
    return Demonstration.of(exp, "best", 60.0, lambda text: None)


SCORE = {
    "mean": 0.25,
    "low": 0.2,
    "high": 0.3,
    "n_ok": 4,
    "n_total": 5,
    "definition": "d<b>",
    "metric": "lsd",
    "better": "lower",
}
SUMMARY = {
    "name": "echo",
    "step": 9,
    "split": "test",
    "real_time_factor": 0.1,
    "device": "cpu",
    "threads": 1,
    "environment": {"date": "2026-11-30"},
    "scores": {"lsd": SCORE, "odd": SCORE | {"mean": None, "low": None, "high": None, "n_ok": 0, "reason": "no voice"}},
}


@pytest.fixture
def scored(tmp_path):
    """An experiment with scores of this step."""

    def run(task="vocoding", **changed):
        exp = write(tmp_path / f"exp{len(list(tmp_path.iterdir()))}", task)
        (exp / "scores").mkdir()
        (exp / "scores" / "summary.json").write_text(json.dumps(SUMMARY | changed))
        return exp

    return run


def test_the_page_tells_what_it_was_trained_on_and_its_limits(demos):
    found = text(demos["vocoding"])
    assert "a vocoder: it makes the waveform of a mel spectrogram · vocos · 16,000 Hz · step 9" in found
    assert (
        "Its generator is vocos (1,234 parameters)." in found
        and "This is the checkpoint of step 9 of 9 planned." in found
    )
    assert "It has not been evaluated." in found and "Whom its training data represent" in found


def test_scores_have_intervals_numbers_of_files_and_directions(scored):
    found = text(of(scored()))
    assert "<td>0.25</td><td class=bounds>0.2 … 0.3</td><td>4 of 5</td><td>lower</td>" in found
    assert "<td>–<small>no voice</small></td><td class=bounds>–</td><td>0 of 5</td>" in found
    assert "Fewer than 10 files tell neither" in found and "95 % interval" in found and "d&lt;b&gt;" in found


@pytest.mark.parametrize(("files", "few"), [(9, True), (10, False)])
def test_few_files_are_told(scored, files, few):
    scores = {"lsd": SCORE | {"n_ok": files, "n_total": files}, "odd": SCORE | {"n_ok": 0}}
    assert ("Fewer than 10 files tell neither" in text(of(scored(scores=scores)))) is few


def test_scores_of_another_checkpoint_are_not_shown(scored):
    found = text(of(scored(step=3)))
    assert "It was evaluated at step 3, and this page has the checkpoint of step 9." in found and "0.25" not in found


def test_scores_that_cannot_be_read_are_told_to_who_started_it(scored):
    exp, said = scored(), []
    (exp / "scores" / "summary.json").write_text("{")
    assert "It has not been evaluated." in text(of(exp), said.append)
    assert len(said) == 1 and "summary.json" in said[0]


def test_a_record_that_cannot_be_read_takes_nothing_but_the_account(tmp_path):
    exp, said = write(tmp_path / "exp", "vocoding"), []
    demo = of(exp)
    shutil.rmtree(exp / "checkpoints")
    found = text(demo, said.append)
    assert "What was trained is not on record here" in found and "id=record" in found
    assert len(said) == 1 and said[0].startswith("warning: the page cannot tell what was trained")


def test_a_toy_has_a_banner(demos):
    account = facts.account(demos["vocoding"], lambda text: None)
    assert facts.banner(account) == "" and facts.banner(None) == ""
    shown = facts.banner(replace(account, toy=True))
    assert (
        "<strong>This is a toy, made to try the tools: its recipe is one that is there to be tried.</strong>" in shown
    )


def test_what_is_done_otherwise_than_in_the_papers_is_listed(demos):
    recipe = demos["generation"].trained.recipe
    found = deviations_of(recipe)
    assert found and all(each.source and each.says and each.deviation and each.why for each in found)
    assert len({each.deviation for each in found}) == len(found)
    shown = text(demos["generation"])
    assert "Where this implementation differs from the papers" in shown
    assert {each.paper for each in found} == set(
        papers_of(recipe)
    ) and f"<strong>Here:</strong> {html.escape(found[0].deviation)}" in shown


def test_a_name_with_markup_is_a_name(tmp_path, demos):
    exp = write(tmp_path / "exp", "vocoding", name="<script>alert(1)</script>")
    found = text(of(exp))
    assert "<script>alert" not in found and "&lt;script&gt;alert(1)" in found


def test_each_task_asks_for_what_it_reads(demos):
    shown = {task: text(demo) for task, demo in demos.items()}
    for task, has in {
        "vocoding": ("id=record",),
        "enhancement": ("id=record", "id=degrade data-of-all=true"),
        "generation": ("id=draw", "data-move", "id=way", "&lt;i&gt;dog&lt;/i&gt;", "its first layer changes most"),
    }.items():
        for each in ("id=record", "id=degrade data-of-all=true", "id=draw", "data-move", "id=way"):
            assert (each in shown[task]) is (each in has), (task, each)
        assert all(each in shown[task] for each in has)
        assert ("a recording is deleted from the program&#x27;s disk" in shown[task]) is (task != "generation")
    assert "at most 2 s are taken" in shown["vocoding"]


def test_held_out_clips_are_offered_by_name(demos, packed):
    found = text(replace(demos["vocoding"], examples=Examples(packed, [0, 1])))
    assert '<button type=button data-example="1">clip &lt;1&gt;</button>' in found
    assert "No held-out clips are offered" in text(demos["vocoding"])


def test_a_pair_of_recordings_is_offered_for_held_out_clips_only(demos, packed):
    demo = demos["enhancement"]
    work = replace(demo.work, degrader=replace(demo.work.degrader, degradation=None))
    found = text(replace(demo, work=work, examples=Examples(packed, [0, 1])))
    assert "id=degrade data-of-all=false" in found and "the degraded recording that belongs to a held-out clip" in found


def test_pitches_have_the_names_of_their_tones(demos):
    from gansemble.demo.demonstration import _labels

    trained = demos["generation"].trained
    contract = replace(trained.recipe.generator_contract, classes=None, pitches=(24, 84))
    recipe = type("Recipe", (), {"generator_contract": contract})()
    found = _labels(replace(trained, recipe=recipe))
    assert (len(found), found[0], found[36], found[45]) == (61, "pitch 24 (C1)", "pitch 60 (C4)", "pitch 69 (A4)")


def test_an_experiment_without_checkpoints_is_refused_as_elsewhere(tmp_path):
    with pytest.raises(CheckpointError, match="expected an experiment with checkpoints, found none; train it first"):
        of(tmp_path)
