"""What a recipe is where it says nothing, and how learning rates and weights go with the steps."""

from __future__ import annotations

import dataclasses

import pytest

from gansemble.contract import GeneratorContract
from gansemble.errors import GansembleError
from gansemble.plugins.registry import Entry
from gansemble.recipe import check, fill
from gansemble.recipe.contract import stand_ins
from gansemble.recipe.plan_length import ends_with_the_plan
from gansemble.recipe.sections import (
    SECTIONS,
    LearningRate,
    Part,
    Phase,
)
from gansemble.recipe.task import Task, listed, task_of
from gansemble.recipe.weights import Schedule

DEFAULTS = {
    "plan": {
        "steps": 1_000_000,
        "batch_size": 16,
        "segment": 8192,
        "crop": "random",
        "drop_last": False,
        "generator_every": 1,
        "discriminators_from": 0,
        "fresh_fake": False,
        "ema": None,
        "ema_from": 0,
        "accumulate": 1,
        "precision": "no",
        "clip": None,
        "seed": 1234,
        "workers": 0,
        "log_every": 100,
        "save_every": 5000,
        "keep": 2,
        "on_nan": "stop",
        "on_collapse": "go_on",
        "deterministic": False,
        "phases": (),
    },
    "init": {
        "exp": None,
        "checkpoint": "last",
        "networks": ("generator", "discriminators"),
        "optimisers": False,
        "freeze": (),
    },
    "teacher": {"exp": None, "checkpoint": "last"},
    "healing": {"against": (), "interventions": (), "most": 3, "won_below": 0.25, "won_after": 5000},
    "validation": {
        "every": 5000,
        "clips": 32,
        "seconds": None,
        "metrics": (),
        "best": "",
        "keep": 1,
        "audio": 4,
    },
    "data": {
        "normalise": 0.95,
        "rate": "error",
        "channels": "error",
        "samples": "auto",
        "short": "error",
        "broken": "error",
        "label": "label",
        "signals": {},
        "embeddings": {},
        "pack_gigabytes": 10.0,
        "cache": None,
        "cache_gigabytes": 100.0,
    },
    "synthesis": {
        "split": "validation",
        "clips": None,
        "chunk_seconds": 10.0,
        "format": "pcm16",
        "checkpoint": "best",
    },
    "evaluation": {
        "bootstrap": 1000,
        "confidence": 0.95,
        "shown": 8,
        "seconds": 12.0,
        "sound": "auto",
        "page_megabytes": 25.0,
    },
}


@pytest.mark.parametrize("section", DEFAULTS)
def test_a_section_that_is_left_out_has_these_values(section):
    found = dataclasses.asdict(SECTIONS[section]())
    assert found == DEFAULTS[section]
    assert [type(value) for value in found.values()] == [type(value) for value in DEFAULTS[section].values()]


def test_every_section_is_listed_here():
    assert list(DEFAULTS) == list(SECTIONS)


def test_a_phase_is_of_the_plans_batches_and_keeps_its_optimisers_unless_it_says_otherwise():
    assert dataclasses.asdict(Phase(3)) == {
        "steps": 3,
        "batch_size": None,
        "progress": None,
        "fresh_optimisers": False,
    }


def test_a_learning_rate_does_not_change_unless_it_says_so():
    assert dataclasses.asdict(LearningRate()) == {"decay": 1.0, "decay_every": None, "warmup": 0, "cosine": False}


def test_a_part_has_the_weight_one_and_a_constant_rate_and_shares_neither_with_another():
    one, other = (
        Part("loss", ("losses", name), "mel_l1", Entry("loss", "mel_l1", "x:Y", "", ""), dict) for name in "ab"
    )
    assert one.weight == Schedule(((0, 1.0),)) and one.learning_rate == LearningRate() and one.arguments == {}
    assert one.arguments is not other.arguments


def test_what_stands_in_for_the_recipe_where_there_is_none():
    found = stand_ins()
    assert (found["batch_size"], found["seed"], found["segment"]) == (16, 0, 8192) and "audio" in found


# learning rates ---------------------------------------------------------


@pytest.mark.parametrize(("step", "factor"), [(0, 1.0), (3, 1.0), (4, 0.5), (7, 0.5), (8, 0.25), (12, 0.125)])
def test_a_rate_decays_after_every_so_many_steps_whatever_the_epoch(step, factor):
    assert LearningRate(decay=0.5, decay_every=4).factor(step, epoch=9, steps=100) == factor


@pytest.mark.parametrize(("epoch", "factor"), [(0, 1.0), (1, 0.5), (3, 0.125)])
def test_a_rate_decays_after_every_epoch_whatever_the_step(epoch, factor):
    assert LearningRate(decay=0.5).factor(50, epoch, 100) == factor


@pytest.mark.parametrize(("step", "factor"), [(0, 0.2), (1, 0.4), (3, 0.8), (4, 1.0), (5, 1.0), (50, 1.0)])
def test_a_rate_warms_up_in_equal_steps_of_which_the_first_is_not_zero(step, factor):
    assert LearningRate(warmup=5).factor(step, 0, 100) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("step", "steps", "factor"),
    [
        (0, 8, 1.0),
        (2, 8, 0.8535533906),
        (4, 8, 0.5),
        (6, 8, 0.1464466094),
        (8, 8, 0.0),
        (12, 8, 0.0),
        (0, 1, 1.0),
        (1, 1, 0.0),
        (0, 0, 1.0),
    ],
)
def test_a_cosine_falls_from_one_to_zero_at_the_plans_end_and_stays_there(step, steps, factor):
    assert LearningRate(cosine=True).factor(step, 0, steps) == pytest.approx(factor)


def test_decay_warm_up_and_cosine_are_multiplied():
    rate = LearningRate(decay=0.5, decay_every=2, warmup=10, cosine=True)
    assert rate.factor(4, 0, 8) == pytest.approx(0.25 * 0.5 * 0.5)


@pytest.mark.parametrize(
    ("leaves", "depends"),
    [
        ({}, False),
        ({"optimisers.generator.cosine": True}, True),
        ({"optimisers.generator.cosine": False}, False),
        ({"optimisers.generator.cosine": 1}, False),
        ({"optimisers.generator.cosine": False, "optimisers.discriminators.cosine": True}, True),
        ({"optimisers.generator.warmup": True}, False),
        ({"losses.mel.cosine": True}, False),
    ],
)
def test_a_training_depends_on_its_length_by_an_optimisers_cosine_alone(leaves, depends):
    assert ends_with_the_plan(leaves) is depends


def test_a_filled_recipe_says_whether_its_training_depends_on_its_length(base):
    assert not ends_with_the_plan(fill.flatten(fill.fill(check.load(base))))
    cosine = check.load(base, ["optimisers.discriminators.cosine=true"])
    assert ends_with_the_plan(fill.flatten(fill.fill(cosine)))


# weights ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "weight"),
    [(-1, 1.0), (0, 1.0), (1, 1.75), (2, 2.5), (4, 4.0), (5, 3.5), (10, 1.0), (11, 1.0)],
)
def test_a_weight_goes_straight_from_each_point_to_the_next(step, weight):
    assert Schedule.of({10: 1, 0: 1, 4: 4}).at(step) == weight


def test_a_constant_weight_is_the_same_at_every_step_and_is_written_as_a_number():
    schedule = Schedule.of(2)
    assert schedule.points == ((0, 2.0),)
    assert [schedule.at(step) for step in (-5, 0, 5)] == [2.0, 2.0, 2.0]
    assert schedule.plain() == 2.0 and Schedule.of({3: 1}).plain() == 1.0
    assert Schedule.of({3: 1, 5: 2}).plain() == {3: 1.0, 5: 2.0}


# tasks ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reads", "task"),
    [
        (None, None),
        ((), Task.GENERATION),
        (("latent",), Task.GENERATION),
        (("latent", "label"), Task.GENERATION),
        (("mel",), Task.VOCODING),
        (("f0", "latent", "label"), Task.VOCODING),
        (("degraded",), Task.ENHANCEMENT),
        (("degraded", "mel", "latent"), Task.ENHANCEMENT),
    ],
)
def test_the_task_follows_from_what_the_generator_reads(reads, task):
    assert task_of(GeneratorContract(reads=None if reads is None else frozenset(reads))) is task


@pytest.mark.parametrize(
    ("task", "imitates", "source", "command"),
    [
        (Task.VOCODING, True, "a mel spectrogram", "gansemble synthesise --exp e --input FILES"),
        (Task.GENERATION, False, "a latent vector alone", "gansemble sample --exp e"),
        (Task.ENHANCEMENT, True, "a degraded recording", "gansemble enhance --exp e FILES"),
    ],
)
def test_each_task_has_its_source_and_its_command(task, imitates, source, command):
    assert (task.imitates, task.source, task.command("e")) == (imitates, source, command)


def test_what_a_generator_reads_is_listed_by_name():
    assert listed({"mel", "f0"}) == "f0, mel" and listed(set()) == "nothing"


def test_another_task_than_the_wanted_one_is_refused_with_the_right_command(base):
    recipe = check.load(base)
    recipe.demand_task(Task.VOCODING, "e")
    with pytest.raises(
        GansembleError, match=r"^e: its generator hifigan reads mel, not a latent vector alone; use gan"
    ):
        recipe.demand_task(Task.GENERATION, "e")
