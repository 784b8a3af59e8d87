"""What a part of any kind can do. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from gansemble.contract import Contract


@runtime_checkable
class Contracted(Protocol):
    """A class that states what its parts need and give: ``contract`` is a static method, called with the constructor's
    arguments by name."""

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract: ...


@runtime_checkable
class Stateful(Protocol):
    """A part that remembers something: ``state_dict`` gives it as plain containers and tensors, ``load_state_dict`` takes
    it back. Checkpoints hold it."""

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...
