"""What parts return, looked at where it is used: types and shapes, which cost nothing beside a training step.

Numbers that are not finite are found by the run's watchdog.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
from torch import Tensor

from gansemble.interfaces.at_work import AtWork, wrong
from gansemble.interfaces.data import Score
from gansemble.interfaces.networks import Condition, DiscriminatorOutput, Representation, as_outputs


def demand_items(who: str, made: object, like: Tensor, shape: Sequence[int] | None = None) -> Tensor:
    """A part's output as items of a batch: floating point, one for each item of ``like``, on its device.

    Args:
        who: the part.
        made: its output.
        like: the batch that it was made of or for [B, ...].
        shape: the whole shape; None where only the number of items is known.

    Raises:
        PartError: if it is anything else.
    """
    good = isinstance(made, Tensor) and made.is_floating_point() and made.dim() >= 2
    good = good and cast("Tensor", made).device.type == like.device.type
    fits = good and (
        len(cast("Tensor", made)) == len(like) if shape is None else list(cast("Tensor", made).shape) == list(shape)
    )
    if not fits:
        expected = ", ".join(map(str, shape)) if shape is not None else f"{len(like)}, …"
        place = f" on {like.device}" if like.device.type != "cpu" else ""
        raise wrong(who, f"a floating-point tensor [{expected}]{place}", made)
    return cast("Tensor", made)


def demand_scalar(who: str, made: object, like: Tensor) -> Tensor:
    """A part's output as one number that a loss can be made of: a floating-point tensor [] on a device of the kind of ``like``'s.

    Raises:
        PartError: if it is anything else; a mean over the batch is a scalar, values of each item are not.
    """
    good = isinstance(made, Tensor) and made.dim() == 0 and made.is_floating_point()
    if not good or cast("Tensor", made).device.type != like.device.type:
        raise wrong(who, "a scalar, a floating-point tensor [] such as a mean over the batch", made)
    return cast("Tensor", made)


def demand_outputs(who: str, answer: object, items: int) -> tuple[DiscriminatorOutput, ...]:
    """A discriminator's answer, one output for each of its sub-discriminators.

    Args:
        who: the discriminator.
        answer: what it returned.
        items: number of items that it was given.

    Raises:
        PartError: if it is no DiscriminatorOutput or sequence of them, or has not a row of scores for each item.
    """
    try:
        outputs = as_outputs(cast("DiscriminatorOutput", answer))
    except TypeError:
        raise wrong(who, "a DiscriminatorOutput or a sequence of them", answer) from None
    for output in outputs:
        score, features = output.score, output.features
        if not (isinstance(score, Tensor) and score.dim() == 2 and len(score) == items and score.is_floating_point()):
            raise wrong(who, f"scores [{items}, N], a row for each item", score)
        if not all(isinstance(each, Tensor) and each.dim() and len(each) == items for each in features):
            raise wrong(who, f"features [{items}, …], each a tensor with an entry for each item", tuple(features))
    return outputs


def demand_found(who: str, found: object) -> Mapping[str, Score]:
    """What a metric returned: at least one Score by key, each with a number.

    Raises:
        PartError: if it is anything else.
    """
    good = isinstance(found, Mapping) and found and all(isinstance(key, str) for key in found)
    if not good:
        raise wrong(who, "scores by key, such as {'snr': Score(12.5)}", found)
    for key, score in cast("Mapping[str, object]", found).items():
        if (
            not isinstance(score, Score)
            or not isinstance(score.value, int | float | np.number)
            or isinstance(score.value, bool)
        ):
            got = score.value if isinstance(score, Score) else score
            raise wrong(who, f"a Score with a number as {key!r}", got)
    return cast("Mapping[str, Score]", found)


def generated(
    generator: Callable[[Condition], object], condition: Condition, like: Tensor, who: str | None = None
) -> Tensor:
    """What a generator makes of conditions, in float32 [B, ...].

    Args:
        generator: in eval mode.
        condition: of B items.
        like: a tensor of as many items, on the generator's device.
        who: the generator in messages; None names it by its class.

    Raises:
        PartError: if it fails, or returns no floating-point tensor of B items.
    """
    who = who or f"generator ({type(generator).__name__})"
    with AtWork(who):
        made = generator(condition)
    return demand_items(who, made, like).float()


def decoded(representation: Representation, made: Tensor) -> Tensor:
    """The audio [B, C, T] that a representation decodes items [B, ...] to.

    Raises:
        PartError: naming the representation by its class, if it fails or returns anything else.
    """
    who = f"representation ({type(representation).__name__})"
    with AtWork(who, "to decode"):
        audio = representation.decode(made)
    if demand_items(who, audio, made).dim() != 3:
        # What is given back as it was is the generator's.
        raise wrong("the generator" if audio is made else who, f"audio [{len(made)}, C, T]", audio)
    return audio
