"""Which names a pattern chooses, and what is said of one that chooses none."""

from __future__ import annotations

import pytest

from gansemble.recipe.parameter_names import chooses_nothing, chosen, matches, overlap, side_of

NAMES = ("generator.ups.0.weight", "generator.ups.0.bias", "generator.ups2.weight", "discriminators.mpd.convs.0.bias")


@pytest.mark.parametrize(
    ("pattern", "indices"),
    [
        ("generator", [0, 1, 2]),
        ("generator.ups", [0, 1]),
        ("generator.ups.0.weight", [0]),
        ("generator.up", []),
        ("generator.up*", [0, 1, 2]),
        ("generator.ups*.weight", [0, 2]),
        ("*.bias", [1, 3]),
        ("generator.*.bias", [1]),
        ("generator.ups.?.bias", []),
        ("generator.ups.[0].bias", []),
        ("ups", []),
        ("*", [0, 1, 2, 3]),
    ],
)
def test_a_pattern_is_the_beginning_of_names_up_to_a_dot(pattern, indices):
    """A star stands for any text, dots included; no other character means anything but itself."""
    assert chosen([pattern], NAMES) == [NAMES[index] for index in indices]
    assert [matches(pattern, name) for name in NAMES] == [index in indices for index in range(4)]


def test_names_are_chosen_once_and_in_their_order():
    assert chosen(["generator.ups.0.bias", "generator"], NAMES) == list(NAMES[:3])
    assert chosen([], NAMES) == []


@pytest.mark.parametrize(
    ("one", "other", "certainly"),
    [
        ("generator.ups", "generator.ups.0", True),
        ("generator.ups", "generator.ups2", False),
        ("generator.*", "generator.ups", True),
        ("generator.*.bias", "generator.ups", False),
        ("generator.*.bias", "generator.*.weight", False),
    ],
)
def test_an_overlap_is_known_without_the_names_or_not_at_all(one, other, certainly):
    assert overlap(one, other) is overlap(other, one) is certainly


def test_a_near_name_of_any_depth_is_proposed():
    assert "'generator.ups.0.weihgt'; did you mean 'generator.ups.0.weight'?" in chooses_nothing(
        "generator.ups.0.weihgt", NAMES
    )
    assert chooses_nothing("zzz", NAMES).endswith("such as discriminators, discriminators.mpd, discriminators.mpd.convs, "
                                                  "generator, generator.ups, generator.ups.0")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "patterns", "side"),
    [("generator", (), "generator"), ("mpd", ("discriminators.mpd", "x"), "discriminators"), ("mpd", (), "mpd")],
)
def test_an_optimiser_is_of_the_side_of_its_name_or_of_its_patterns(name, patterns, side):
    assert side_of(name, patterns) == side
