"""The ``healing`` section: what of it a recipe is refused for."""

from __future__ import annotations

import pytest

from gansemble.recipe.document import RecipeError
from gansemble.recipe.sections import BENIGN

WATCHED = "monitors.watch={use: collapse}"


def test_nothing_is_healed_unless_the_recipe_says_so(workshop):
    section = workshop.load().healing
    assert section.against == () and section.interventions == () and section.most == 3


def test_a_run_that_goes_on_may_differ_in_it():
    """What was done so far is in the checkpoint."""
    assert "healing" in BENIGN


def test_a_whole_section_is_read(workshop):
    section = workshop.load(
        WATCHED,
        "healing.against=[nan, collapsed, won]",
        "healing.interventions=[{use: lower_rate, factor: 0.3, against: [nan]}, {use: strengthen, terms: [losses.mel]}]",
    ).healing
    assert section.against == ("nan", "collapsed", "won")
    assert [(each.use, each.amount) for each in section.interventions] == [("lower_rate", 0.3), ("strengthen", 2.0)]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["healing.against=[collapsed]"], "collapsed is what a monitor says, and this recipe has none"),
        (["healing.against=[nans]"], "nans"),
        (["healing.interventions=[{use: lower_rates}]"], "lower_rate"),
        (["healing.interventions=[{use: lower_rate, factor: 2}]"], "factor must be below 1 to lower a rate, got 2"),
        (["healing.interventions=[{use: lower_rate, factor: 0}]"], "factor"),
        (["healing.interventions=[{use: strengthen, terms: [losses.mell]}]"], "did you mean 'losses.mel'"),
        (["healing.interventions=[{use: strengthen, terms: [xyzzy]}]"], "those of this recipe are losses.mel"),
        (
            ["healing.against=[nan]", "healing.interventions=[{use: skip_data, against: [won]}]"],
            "won is not in healing.against",
        ),
        (["healing.most=0"], "healing.most"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_place(workshop, sets, said):
    with pytest.raises(RecipeError) as caught:
        workshop.load(*sets)
    assert said in str(caught.value) and "healing" in str(caught.value)


def test_without_discriminators_nothing_can_win_and_noise_has_no_place(workshop):
    with pytest.raises(RecipeError) as caught:
        workshop.load(
            "discriminators=null",
            "objective=null",
            "losses.features=null",
            "noise_injector=null",
            "optimisers.discriminators=null",
            "healing.against=[won]",
            "healing.interventions=[{use: inject_noise}]",
        )
    assert "won is said of discriminators" in str(caught.value)
    assert "inject_noise is for discriminators" in str(caught.value)
