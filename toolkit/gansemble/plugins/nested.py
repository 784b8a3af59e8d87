"""Parts as parameters of other parts, such as the embedder of a metric: said in the parameter's annotation.

``embedder: Annotated[Mapping[str, object], PartOf("embedder")]`` takes ``{use: NAME, …}`` in a recipe, as a section of one part
does. What is given is held to the constructor of the part that it names, files and ranges of numbers included. The constructor
of the outer part is given the mapping, and makes the part of it by :func:`gansemble.recipe.nested.build`. Imports no torch.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class PartOf:
    """Says in an annotation that a parameter takes a part of a kind, described as in a recipe.

    Args:
        kind: of the part, one of the registry's.
    """

    kind: str

    def words(self) -> str:
        """Such as ``embedder {use: NAME, …}``."""
        return f"{self.kind} {{use: NAME, …}}"


#: An embedder as a parameter: ``embedder: {use: NAME, …}``.
AnyEmbedder = Annotated[Mapping[str, object], PartOf("embedder")]


def kind_of(hint: object) -> str | None:
    """The kind of part that a type hint takes; None where it takes no part."""
    if typing.get_origin(hint) is not Annotated:
        return None
    return next((each.kind for each in typing.get_args(hint)[1:] if isinstance(each, PartOf)), None)
