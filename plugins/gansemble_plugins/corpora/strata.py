"""A split by hash within each class, so that no class is left out of a split by chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from gansemble_plugins.corpora.listing import place, split_by_hash


def stratified(ids: Sequence[str], classes: Sequence[str], validation: float, test: float) -> dict[str, str]:
    """A split for each id that depends on the id alone, but for the few that fill up what a class would lack.

    Of a class, one id at least is for training; of two, one is for validation, and of three, one is for the test, where
    these shares are not 0.

    Args:
        ids: of the clips, or of the recordings they were cut from.
        classes: that each id belongs to.
        validation: share of each class held out for validation.
        test: share of each class held out for the test.
    """
    of: dict[str, list[str]] = defaultdict(list)
    for id_, name in zip(ids, classes, strict=True):
        of[name].append(id_)
    splits: dict[str, str] = {}
    for members in of.values():
        splits |= _filled(split_by_hash(members, validation, test, minimum=1 if validation > 0 else 0), test)
    return splits


def _filled(splits: dict[str, str], test: float) -> dict[str, str]:
    """With one id for the test where there are three and the test has none: of training, or else of validation."""
    if test > 0 and len(splits) >= 3 and "test" not in splits.values():
        ordered = sorted(splits, key=lambda id_: (place(id_), id_))
        train = [id_ for id_ in ordered if splits[id_] == "train"]
        held_out = [id_ for id_ in ordered if splits[id_] == "validation"]
        # The nearest by hash: the first of training, whose places follow the test's, or the last of validation's.
        splits[train[0] if len(train) > 1 else held_out[-1]] = "test"
    return splits
