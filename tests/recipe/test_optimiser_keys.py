"""What is said of optimisers and schedules before anything is built, and how they are filled in."""

from __future__ import annotations

import pytest
import yaml

from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry
from gansemble.recipe import check, fill
from gansemble.recipe.document import RecipeError
from gansemble.recipe.optimiser_keys import RATE_KEYS
from gansemble.recipe.plan_length import ends_with_the_plan
from gansemble.training.saving import blocking_differences

MPD = "optimisers.mpd={use: adamw, lr: 1e-4, parameters: [discriminators.mpd]}"
MSD = "discriminators.msd={use: multi_scale}"
SLOW = "optimisers.generator.groups={slow: {parameters: [generator.ups], lr: 1e-5, betas: [0, 0.9]}}"


def said(base, *sets) -> str:
    with pytest.raises(RecipeError) as caught:
        check.load(base, sets)
    return str(caught.value)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["optimisers.mpd={use: adamw}"], "must say what it takes, such as parameters: [discriminators.mpd], got 'mpd'"),
        (
            ["optimisers.mpd={use: adamw, parameters: [mpd]}"],
            "optimisers.mpd.parameters[0]: a parameter's name begins with generator or discriminators, got 'mpd'; did you "
            "mean 'discriminators.mpd'?",
        ),
        (["optimisers.g={use: adamw, parameters: [generater.ups]}"], "did you mean 'generator'?"),
        (
            ["optimisers.mpd={use: adamw, parameters: [discriminators.mpt]}"],
            "this recipe has no discriminator 'mpt'; did you mean 'mpd'?",
        ),
        (
            ["optimisers.mpd={use: adamw, parameters: [discriminators.mpd, generator.ups]}"],
            "optimisers.mpd.parameters[1]: the parameters of an optimiser must lie on one side, whose turn it steps in: "
            "optimisers.mpd is of the discriminators, got 'generator.ups'",
        ),
        (
            ["optimisers.generator.parameters=[discriminators.mpd]"],
            "optimisers.generator is of the generator, got 'discriminators.mpd'",
        ),
        (
            ["optimisers.generator.groups={slow: {parameters: [discriminators.mpd], lr: 1}}"],
            "optimisers.generator.groups.slow.parameters[0]: the parameters of an optimiser must lie on one side",
        ),
        (
            [MSD, MPD, "optimisers.two={use: adamw, parameters: [discriminators.msd, discriminators.mpd.convs]}"],
            "optimisers.two.parameters[1]: optimisers.mpd and optimisers.two both take 'discriminators.mpd.convs'",
        ),
        (
            ["optimisers.generator.groups={a: {parameters: [generator.ups], lr: 1}, b: {parameters: [generator.*], lr: 2}}"],
            "optimisers.generator.groups.a and optimisers.generator.groups.b both take",
        ),
        (
            [MPD],
            "nothing is left for optimisers.discriminators: the other optimisers take all of discriminators.mpd; leave it out",
        ),
        ([MSD, MPD, "optimisers.discriminators=null"], "no optimiser takes discriminators.msd: add it to the parameters"),
        (["optimisers.generator.parameters=generator.ups"], "expected the beginnings of parameters' names"),
        (["optimisers.generator.parameters=[]"], "expected the beginnings of parameters' names"),
        (["optimisers.generator.groups=[slow]"], "expected groups of parameters by name"),
        (["optimisers.generator.groups={slow: {lr: 1e-5}}"], "a group needs parameters: [PATTERN, …] and settings"),
        (["optimisers.generator.groups={slow: {parameters: [generator]}}"], "a group needs parameters: [PATTERN, …]"),
        (
            ["optimisers.generator.groups={slow: {parameters: [generator.ups], lrr: 1}}"],
            "optimisers.generator.groups.slow.lrr: a group of adamw takes no such parameter; did you mean 'lr'?",
        ),
        (
            ["optimisers.generator.groups={slow: {parameters: [generator.ups], lr: fast}}"],
            "optimisers.generator.groups.slow.lr: expected float, got text 'fast'",
        ),
        (
            ["optimisers.generator.groups={slow: {parameters: [generator.ups], epsilon_form: tensorflow}}"],
            "adamw has epsilon_form for all its parameters alike; a group may have betas, eps, lr, weight_decay",
        ),
        (["schedules.generators={use: one_cycle}"], "there is none called 'generators'; did you mean 'generator'?"),
        (["schedules.generator={use: one_cycles}"], "did you mean 'one_cycle'?"),
        (["schedules.generator={use: warmup_cosine, warmup: -1}"], "schedules.generator.warmup: must be from 0 to 10^12, got -1"),
        (["schedules.generator={use: one_cycle, rising: 1}"], "schedules.generator.rising: must be above 0 and below 1, got 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_built(base, sets, message):
    assert message in said(base, *sets)


def test_an_emptied_optimiser_and_an_unknown_schedule_come_with_a_fix(base):
    assert "fix: --set optimisers.discriminators=null" in said(base, MPD)
    assert "fix: --set schedules.generators=null" in said(base, "schedules.generators={use: one_cycle}")


@pytest.mark.parametrize(
    "sets",
    [
        [MSD, MPD],
        [MPD, "optimisers.discriminators=null"],
        [MSD, MPD, "optimisers.discriminators=null", "optimisers.msd={use: sgd, parameters: [discriminators.m*.x]}"],
        [SLOW],
        [
            "optimisers.generator={use: muon, adamw: [generator.conv_post], groups: {a: {parameters: [generator.ups], lr: 1}}}"
        ],
        ["optimisers.generator.groups={slow: null}"],
        [MSD, MPD, "schedules.mpd={use: one_cycle}"],
    ],
)
def test_what_can_be_is_let_pass(base, sets):
    check.load(base, sets)


@pytest.mark.parametrize("key", [*RATE_KEYS, "groups"])
def test_an_optimiser_with_a_parameter_that_is_a_key_of_the_recipe_is_refused(base, monkeypatch, key):
    """The recipe's key of this name would never reach it. Other kinds have no such key."""
    import gansemble_plugins.basics.optimisers as place

    odd = eval(f"lambda parameters, *, {key}=1: None")  # a signature of a name that is only known here
    monkeypatch.setattr(place, "odd", odd, raising=False)
    registry = Plugins().registry
    registry.add(Entry("optimiser", "odd", "gansemble_plugins.basics.optimisers:odd", "", "theirs"))
    with pytest.raises(RecipeError) as caught:
        check.load(base, [f"optimisers.generator={{use: odd, {key}: 1}}"], registry)
    assert "optimisers.generator.use: optimiser theirs/odd: gansemble_plugins.basics.optimisers:odd: " in str(
        caught.value
    )
    words = (
        f"parameter '{key}' is reserved by the recipe, whose key of this name for every optimiser would never reach it"
    )
    assert words in str(caught.value) and f"such as own_{key}" in str(caught.value)
    Entry("loss", "odd", "gansemble_plugins.basics.optimisers:odd", "", "basics").load()


def test_a_filled_recipe_reads_back_the_same(base, write):
    sets = [MSD, MPD, SLOW, "schedules.mpd={use: step, milestones: [3, 5]}", "optimisers.mpd.warmup=3"]
    recipe = check.load(base, sets)
    filled = fill.fill(recipe)
    assert filled["optimisers"]["mpd"]["parameters"] == ["discriminators.mpd"]
    slow = {"parameters": ["generator.ups"], "lr": 1e-5, "betas": [0.0, 0.9]}
    assert filled["optimisers"]["generator"]["groups"] == {"slow": slow}
    assert filled["schedules"] == {"mpd": {"use": "step", "milestones": [3, 5], "factor": 0.1, "by": "step"}}
    again = check.load(write(again=fill.dump(filled)))
    assert fill.fill(again) == filled == yaml.safe_load(fill.dump(filled))
    assert again.many["optimisers"]["generator"].groups == recipe.many["optimisers"]["generator"].groups


def test_what_differs_between_two_recipes_is_told_key_by_key(base):
    """As `gansemble diff` shows it, and a resumed run that is refused."""
    plain, other = (
        fill.fill(check.load(base, sets)) for sets in ([MSD], [MSD, MPD, SLOW, "schedules.mpd={use: one_cycle}"])
    )
    told = {key: (a, b) for key, a, b in fill.differences(plain, other)}
    assert told["optimisers.mpd.parameters"] == ("(absent)", ["discriminators.mpd"])
    assert told["optimisers.generator.groups.slow.lr"] == ("(absent)", 1e-5)
    assert told["schedules.mpd.use"] == ("(absent)", "one_cycle")
    blocking = {key for key, _, _ in blocking_differences(fill.flatten(plain), fill.flatten(other))}
    assert {"optimisers.mpd.parameters", "optimisers.generator.groups.slow.lr", "schedules.mpd.use"} <= blocking
    without = {key: value for key, value in plain.items() if key != "schedules"}  # as before there were any
    assert fill.differences(without, plain) == []
    assert blocking_differences(fill.flatten(without), fill.flatten(plain)) == []


def test_one_without_patterns_or_groups_is_filled_as_before(base):
    """So that runs begun before these keys were there go on."""
    filled = fill.fill(check.load(base))["optimisers"]["generator"]
    assert not {"parameters", "groups"} & filled.keys()


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (lambda step, steps: 1 - 2 * step / steps, "one_cycle gives a factor of -0.8 at step 9 of 10"),
        (lambda step, steps: 1 / step, "one_cycle fails at step 0 of 10: ZeroDivisionError: division by zero"),
        (lambda step, steps: float("inf") if step == 5 else 1.0, "one_cycle gives a factor of inf at step 5 of 10"),
        (lambda step, steps: None, "one_cycle fails at step 0 of 10: "),
    ],
)
def test_a_schedule_is_tried_at_the_first_the_middle_and_the_last_step(base, monkeypatch, factor, message):
    from gansemble_plugins.basics.schedules import OneCycle

    monkeypatch.setattr(OneCycle, "__call__", lambda self, step, epoch, steps: factor(step, steps))
    assert f"schedules.generator.use: {message}" in said(base, "schedules.generator={use: one_cycle}")


@pytest.mark.parametrize(
    ("sets", "ends"),
    [
        ([], False),
        (["optimisers.generator.cosine=true"], True),
        (["schedules.generator={use: one_cycle}"], True),
        (["schedules.generator={use: basics/one_cycle}"], True),
        (["schedules.generator={use: warmup_cosine, warmup: 2}"], True),
        (["schedules.generator={use: warmup_cosine, warmup: 2, end: 9}"], False),
        (["schedules.generator={use: step, milestones: [3]}"], False),
        (["schedules.generator={use: exponential}", "schedules.discriminators={use: one_cycle}"], True),
        (["schedules.generator={use: inverse_square_root}"], False),
    ],
)
def test_another_number_of_steps_is_another_training_where_a_schedule_asks_for_it(base, sets, ends):
    """Which is known from the schedule's contract, and holds for a recipe that is resumed."""
    one, other = (fill.flatten(fill.fill(check.load(base, [*sets, f"plan.steps={steps}"]))) for steps in (10, 20))
    assert ends_with_the_plan(one) is ends
    found = [key for key, _, _ in blocking_differences(one, other)]
    assert found == (["plan.steps"] if ends else [])


def test_a_schedule_that_is_not_installed_counts_as_ending_with_the_plan():
    """A checkpoint's recipe may name what is gone: better refused than another training."""
    assert ends_with_the_plan({"schedules.generator.use": "gone", "schedules.generator.x.y": 1})
    assert ends_with_the_plan({"schedules.generator.use": "step", "schedules.generator.milestones": [1]}) is False
    assert ends_with_the_plan({"schedules": {}, "optimisers.generator.use": "adamw"}) is False
