"""Keyed random numbers: every key is its own, and the same on every machine."""

from __future__ import annotations

import itertools

import torch

from gansemble.random import Draws, generator, key


def test_keys_whose_numbers_join_to_the_same_digits_differ():
    """(1, 12) and (11, 2), (1, 1, 2) and (11, 2): an epoch and a clip are never read as one number."""
    keys = [(1, 12), (11, 2), (112,), (1, 1, 2), (2, 11), (12, 1), (1, "12"), ("1", 12, "")]
    alike = [(one, other) for one, other in itertools.combinations(keys, 2) if key(*one) == key(*other)]
    assert alike == [((1, 12), (1, "12"))], "a number and its digits are the same part of a key"


def test_all_items_of_many_epochs_have_keys_of_their_own():
    items = list(itertools.product(range(30), range(200)))
    assert len({key(7, *item, "noise") for item in items}) == len(items)


def test_a_key_is_the_same_on_every_machine():
    """Pinned: another value would be other data order and other noise for every resumed run."""
    assert key(1234, 0, "order") == 7247076299478259917
    assert 0 <= key(0) < 2**63


def test_items_draw_their_own_numbers_whatever_batch_they_are_in():
    items = [(1, 12), (11, 2), (0, 5)]
    whole = Draws(3, items)
    for draw in (lambda draws: draws.normal("a", 4), lambda draws: draws.uniform("a", 4)):
        rows = draw(whole)
        assert not torch.equal(rows[0], rows[1])
        assert torch.equal(draw(whole.select([2, 0])), rows[[2, 0]])
    assert not torch.equal(whole.normal("a", 4), whole.normal("b", 4))
    assert not torch.equal(whole.normal("a", 4), Draws(4, items).normal("a", 4))
    expected = torch.randn(4, generator=generator(3, 11, 2, "a"))
    assert torch.equal(whole.normal("a", 4)[1], expected)


def test_integers_take_every_value_below_the_bound_and_no_other():
    drawn = Draws.plain(0, 400).integers("label", 5)
    assert sorted(set(drawn.tolist())) == [0, 1, 2, 3, 4]
    assert drawn.bincount().min() > 50
