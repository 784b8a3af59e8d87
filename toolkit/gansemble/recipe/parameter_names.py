"""Names of learnable parameters as recipes write them, and patterns that choose among them. Imports no torch.

A name is that of a checkpoint's file with the side in front: ``generator.ups.0.weight`` of ``generator.safetensors``, and
``discriminators.mpd.convs.0.bias``, with the recipe's name of the discriminator. A pattern is the beginning of names up to
a dot or to their end, in which ``*`` stands for any text, dots included: ``generator.ups`` chooses all of ``ups`` and
nothing of ``ups2``, ``generator.*.bias`` every bias of the generator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gansemble.errors import near

SIDES = ("generator", "discriminators")


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))) + r"(\.|$)")


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern chooses a name."""
    return _expression(pattern).match(name) is not None


def chosen(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Those of the names that any of the patterns chooses, in the order of the names."""
    given = list(patterns)
    return [name for name in names if any(matches(pattern, name) for pattern in given)]


def overlap(one: str, other: str) -> bool:
    """Whether two patterns choose a name in common, whatever the names are; False where that depends on them."""
    return ("*" not in other and matches(one, other)) or ("*" not in one and matches(other, one))


def side_of(name: str, patterns: Sequence[str]) -> str:
    """The side on which an optimiser's parameters lie: ``generator`` or ``discriminators``.

    Args:
        name: of the optimiser; one of these two names is that of its side.
        patterns: of an optimiser of another name, of which the first word of the first one counts.
    """
    return name if name in SIDES or not patterns else patterns[0].partition(".")[0]


def chooses_nothing(pattern: str, names: Iterable[str]) -> str:
    """What is said of a pattern that chooses no name, with a similar one and a few that there are.

    Args:
        pattern: that is at fault.
        names: that there are.
    """
    depth = max(3, pattern.count(".") + 1)
    known = sorted({".".join(name.split(".")[:length]) for name in names for length in range(1, depth + 1)})
    shown = ", ".join([name for name in known if name.count(".") < 3][:6]) or "none"
    return f"no parameter's name begins with {pattern!r}{near(pattern, known)}; such as {shown}"
