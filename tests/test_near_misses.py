"""Mistyped names: which known name a word most likely stands for."""

from __future__ import annotations

import pytest

from gansemble.errors import near, nearest

COMMANDS = ("check", "describe", "matrix", "train", "evaluate", "report", "run", "status")
OPTIONS = ("--stage", "--stop-stage", "--set", "--data", "--dump", "--dry-run", "--jobs", "--force", "--force-unlock")
KINDS = ("generator", "discriminator", "metric", "corpus", "loss", "optimiser")


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("trian", COMMANDS, "train"),
        ("tain", COMMANDS, "train"),
        ("statsu", COMMANDS, "status"),
        ("rn", ("run", "report"), "run"),
        ("--stge", OPTIONS, "--stage"),
        ("--stages", OPTIONS, "--stage"),
        ("--stop", OPTIONS, "--stop-stage"),
        ("--dry_run", OPTIONS, "--dry-run"),
        ("--fource", OPTIONS, "--force"),
        ("generatr", KINDS, "generator"),
        ("metrc", KINDS, "metric"),
        ("Metric", KINDS, "metric"),
        ("optimizer", KINDS, "optimiser"),
        ("smal", ("v1", "v2", "small", "mini"), "small"),
        ("eat", ("ear", "nose"), "ear"),
        ("v9", ("v1", "v2"), None),
        ("zzzz", KINDS, None),
        ("me", KINDS, None),
        ("", KINDS, None),
        ("x" * 101, ("x" * 100,), None),
        ("distance_mel", ("mel_distance", "snr"), "mel_distance"),
    ],
)
def test_the_name_that_a_word_stands_for(word, known, meant):
    assert nearest(word, known) == meant


def test_of_two_as_near_the_first_is_meant_and_a_nearer_one_goes_before_it():
    assert nearest("cat", ("car", "cap")) == "car" and nearest("cap", ("car", "cap")) == "cap"
    assert nearest("stag", ("stages", "stage")) == "stage"


def test_the_end_of_a_message_names_it_or_is_empty():
    assert near("trian", iter(COMMANDS)) == "; did you mean 'train'?" and near("zzzz", COMMANDS) == ""
