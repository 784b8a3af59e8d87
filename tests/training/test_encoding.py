"""Clips with one crop are encoded once; all others each time they are met."""

from __future__ import annotations

import torch

from gansemble.interfaces import Batch
from gansemble.random import Draws
from gansemble.recipe.sections import Plan
from gansemble.training import encoding
from gansemble.training.encoding import Encoder


class Squares:
    domain = "squares"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def encode(self, audio):
        self.calls.append(len(audio))
        return audio.square()

    def decode(self, x):
        return x.sqrt()


class Growing(Squares):
    def set_progress(self, progress):
        pass


def batch(*numbers: int) -> Batch:
    audio = torch.tensor([[[float(number)] * 4] for number in numbers])
    return Batch(audio, ("one name",) * len(numbers), Draws(0, [(0, number) for number in numbers]))


def test_each_clip_is_encoded_once_where_crops_begin_at_the_start():
    """One by one, so that its bits do not depend on the batch it comes first in."""
    representation = Squares()
    encode = Encoder(representation, Plan(crop="start"), 3)
    first, second = encode(batch(1, 2)), encode(batch(3, 1))
    assert representation.calls == [1, 1, 1]
    assert first[:, 0, 0].tolist() == [1, 4] and second[:, 0, 0].tolist() == [9, 1]


def test_random_crops_and_growing_representations_are_encoded_each_time():
    """What a clip is encoded to changes there."""
    for representation, crop in ((Squares(), "random"), (Growing(), "start")):
        encode = Encoder(representation, Plan(crop=crop), 3)
        encode(batch(1, 2)), encode(batch(1, 2))
        assert representation.calls == [2, 2]


def test_items_that_take_too_much_memory_are_not_kept(monkeypatch):
    """Three items of 16 bytes are more than 40."""
    monkeypatch.setattr(encoding, "LIMIT", 40)
    representation = Squares()
    encode = Encoder(representation, Plan(crop="start"), 3)
    assert encode(batch(1, 2))[:, 0, 0].tolist() == [1, 4]
    encode(batch(1, 2))
    assert representation.calls == [1, 2, 2]


def test_items_are_kept_up_to_a_gibibyte_and_at_it(monkeypatch):
    """Three items of four float32 numbers take 48 bytes."""
    assert encoding.LIMIT == 1024**3
    for limit, calls in ((47, [2, 2]), (48, [1, 1])):
        monkeypatch.setattr(encoding, "LIMIT", limit)
        representation = Squares()
        encode = Encoder(representation, Plan(crop="start"), 3)
        for _ in range(2):
            assert encode(batch(1, 2))[:, 0, 0].tolist() == [1, 4]
        assert representation.calls[-2:] == calls and encode.keeps == (limit == 48)
