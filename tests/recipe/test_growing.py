"""Phases of growth: what does not add up is said before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from gansemble.recipe import check
from gansemble.recipe.document import RecipeError

EGS = Path(__file__).parents[2] / "egs"
MINI = EGS / "nsynth" / "gansynth" / "conf" / "mini.yaml"  # five blocks: grown at 4
WAVEGAN = EGS / "fsdd" / "wavegan" / "conf" / "mini.yaml"


def phases(*progress: tuple[float, float]) -> str:
    """40 steps in all."""
    each = [f"{{steps: {40 // len(progress)}, progress: [{first}, {last}]}}" for first, last in progress]
    return f"plan.phases=[{', '.join(each)}]"


def told(recipe: Path, *sets: str) -> str:
    with pytest.raises(RecipeError) as caught:
        check.load(recipe, sets)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            phases((0, 9)),
            "phase 1: progress goes from 0 to 9, but must stay within 0 and 4, where generator (gansynth)",
        ),
        (phases((-1, 4)), "plan.phases[0].progress[0]: must be from 0 to 1000, got -1"),
        (phases((3, 0)), "phase 1: progress goes from 3 to 0, but must stay within 0 and 4"),
        (phases((0, 1), (4, 4)), "phase 2: progress leaves out a resolution: it leaps from 1 to 4"),
        (phases((0, 2), (1, 4)), "phase 2: progress falls from 2 to 1"),
        ("plan.phases=[{steps: 45}, {steps: -5}]", "plan.phases[1].steps: must be from 1 to 10^12, got -5"),
        ("plan.phases=[{steps: 40, batch_size: -8}]", "plan.phases[0].batch_size: must be from 1 to 1000000, got -8"),
    ],
)
def test_phases_that_do_not_add_up(given, message):
    assert message in told(MINI, given)


def test_the_networks_own_size_is_named():
    """v1's phases are of seven blocks."""
    said = told(EGS / "nsynth" / "gansynth" / "conf" / "v1.yaml", "generator.blocks=6", "plan.segment=16384")
    assert (
        "phase 12: progress goes from 5 to 6, but must stay within 0 and 5, where generator (gansynth) is grown" in said
    )


def test_micro_batches_divide_every_phases_batch():
    given = "plan.phases=[{steps: 20, batch_size: 8}, {steps: 20, batch_size: 6}]"
    said = told(MINI, given, "plan.accumulate=4", "plan.batch_size=8")
    assert "must divide every phase's batch_size, got 4 and phase 2's 6" in said


def test_growth_where_nothing_grows():
    assert "the phases state progress, but no part of this recipe grows" in told(
        WAVEGAN, phases((0, 1)), "plan.steps=40"
    )


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (phases((0, 1), (1, 3)), "progress ends at 3, but generator (gansynth) is grown at 4"),
        ("plan.phases=[]", "no phase of plan.phases states progress: it is trained at its full size from the start"),
        (phases((0, 0), (1, 1), (2, 2), (3, 4)), None),  # switched, not blended
    ],
)
def test_what_is_odd_but_may_be_meant_is_a_note(given, note):
    advice = [str(each) for each in check.load(MINI, (given,)).notes]
    assert advice == [] if note is None else any(note in each for each in advice)


def test_a_label_that_nothing_teaches_is_a_note():
    """Conditioning in the generator alone; a critic with as many classes, or a term that needs labels, teaches it."""
    note = "reads a label, but no discriminator judges classes and no term needs labels"

    def noted(recipe: Path, *sets: str) -> bool:
        return any(note in str(each) for each in check.load(recipe, sets).notes)

    assert noted(WAVEGAN, "generator.classes=10")
    assert not noted(WAVEGAN, "generator.classes=10", "discriminators.critic.classes=10") and not noted(WAVEGAN)
    assert noted(MINI, "regularisers.pitch=null") and not noted(MINI)


def test_networks_are_built_for_the_same_pitches():
    """Labels count from the lowest pitch: of other ranges, one network's note is another to the other."""
    check.load(MINI, ("generator.pitches=[20, 90]", "discriminators.critic.pitches=[20, 90]"))
    for side, change in (("generator", "[0, 84]"), ("discriminators.critic", "[24, 90]")):
        said = told(MINI, f"{side}.pitches={change}")
        assert "is built for pitches" in said and "all networks count labels from their lowest pitch" in said
