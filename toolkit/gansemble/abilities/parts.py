"""Abilities of parts of any kind. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from gansemble.contract import Contract


@runtime_checkable
class Contracted(Protocol):
    """A class that declares what its parts need and give, see :mod:`gansemble.contract`.

    Methods:
        contract(parameters): a static method; takes the constructor's arguments by name, defaults filled in, and
            returns the contract of its kind. It may raise ValueError for arguments that cannot be.
    """

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract: ...


@runtime_checkable
class Stateful(Protocol):
    """A part with a state that checkpoints must hold.

    Methods:
        state_dict(): the state, of tensors, numbers, texts, lists and dicts only.
        load_state_dict(state): restores it.
    """

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...
