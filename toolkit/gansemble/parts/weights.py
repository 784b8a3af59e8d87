"""Gives a network weights that come from a file, after a check that they are finite and the network's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gansemble.abilities import Stateful
from gansemble.errors import CheckpointError, first_few

#: Put before every name by wrappers of several processes and by compilation.
PREFIXES = ("module.", "_orig_mod.")
#: Tensors that a message names.
SHOWN = 4


def load(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Loads weights into a network, in place.

    Names that all begin with ``module.`` or ``_orig_mod.``, as wrapped networks are saved, are taken without that.

    Args:
        network: whose weights they are.
        state: its parameters and buffers by name.
        source: of the weights, such as a file, for messages.

    Raises:
        CheckpointError: naming the tensors, if some are missing, unknown, of another shape or kind of number, or hold NaN or
            Inf, where the network itself does not.
    """
    state = without_prefix(state)
    own = network.state_dict()
    odd = {name: type(value).__name__ for name, value in state.items() if not isinstance(value, Tensor)}
    if odd:
        name = next(iter(odd))
        raise CheckpointError(f"{source}: expected a tensor for each name, got {odd[name]} for {name!r}")
    demand_finite(state, source, own)
    kinds = [
        f"{name} is {_number(tensor)}, expected {_number(own[name])}"
        for name, tensor in state.items()
        if name in own and _number(tensor) != _number(own[name])
    ]
    if kinds:
        raise CheckpointError(
            f"{source}: {len(kinds)} tensors are of another kind of number: {first_few(kinds, SHOWN)}"
        )
    try:
        network.load_state_dict(dict(state))
    except Exception as error:  # whatever a network's own loading makes of tensors that are not its own
        raise CheckpointError(f"{source}: {_difference(own, state, error)}") from error
    _demand_computed_finite(network, source)


def _demand_computed_finite(network: nn.Module, source: str) -> None:
    """Refuses weights of which a parametrisation, such as weight normalisation, computes NaN or Inf: a direction of zeros."""
    for name, module in network.named_modules():
        for own, chain in getattr(module, "parametrizations", {}).items():
            modes = [(each, each.training) for each in chain.modules()]
            for each, _ in modes:
                each.training = False  # spectral normalisation refines its vectors in training mode
            with torch.no_grad():
                computed = getattr(module, own)
            for each, mode in modes:
                each.training = mode
            if isinstance(computed, Tensor) and not _finite(computed):
                raise CheckpointError(
                    f"{source}: the weight computed of {name}.parametrizations.{own} holds NaN or Inf, as where a direction is all "
                    "zeros; take another checkpoint"
                )


def restore(part: object, state: Mapping[str, object], source: str) -> None:
    """Gives a part that is no network, such as a representation, what it knew, in place.

    Args:
        part: with ``load_state_dict``.
        state: what its ``state_dict`` gave.
        source: of that, for messages.

    Raises:
        CheckpointError: if it is not the part's, or tensors in it hold NaN or Inf.
    """
    if not isinstance(part, Stateful):
        raise CheckpointError(f"{source}: {type(part).__name__} keeps nothing, but there is something of it")
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"{source}: expected what {type(part).__name__} keeps by name, got {type(state).__name__}"
        )
    own = {name: value for name, value in part.state_dict().items() if isinstance(value, Tensor)}
    demand_finite({name: value for name, value in state.items() if isinstance(value, Tensor)}, source, own)
    try:
        part.load_state_dict(dict(state))
    except Exception as error:
        raise CheckpointError(f"{source}: not those of {type(part).__name__} ({error})") from error


def without_prefix(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Weights by the names that they have in a network that is not wrapped."""
    for prefix in PREFIXES * 2:  # a compiled network may be wrapped, and a wrapped one compiled
        if state and all(str(name).startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def demand_finite(state: Mapping[str, Tensor], source: str, own: Mapping[str, Tensor] | None = None) -> None:
    """Refuses weights with NaN or Inf, also those that only become so as numbers of the network's precision.

    Args:
        state: tensors by name.
        source: of them, for messages.
        own: the network's tensors before; one that is not finite there, such as a mask, may be so here.

    Raises:
        CheckpointError: naming the first tensors that are not finite.
    """
    wrong = []
    for name, tensor in state.items():
        mine = None if own is None else own.get(name)
        converted = tensor if mine is None or not tensor.is_floating_point() else tensor.to(mine.dtype)
        if _finite(converted) or (mine is not None and not _finite(mine)):
            continue
        bad = int((~torch.isfinite(converted)).sum())
        wrong.append(f"{name} ({bad:,} of {tensor.numel():,} numbers)")
    if wrong:
        raise CheckpointError(
            f"{source}: {len(wrong)} of {len(state)} tensors hold NaN or Inf: {first_few(wrong, SHOWN)}; take another checkpoint, or copy the "
            "file again"
        )


def _finite(tensor: Tensor) -> bool:
    counted = tensor.is_floating_point() or tensor.is_complex()
    return not counted or tensor.device.type == "meta" or bool(torch.isfinite(tensor).all())


def _number(tensor: Tensor) -> str:
    if tensor.is_complex():
        return "complex numbers"
    return "real numbers" if tensor.is_floating_point() else "whole numbers"


def _difference(own: Mapping[str, Tensor], state: Mapping[str, Tensor], error: Exception) -> str:
    """How weights differ from a network's own, in words."""
    shapes = [
        f"{name} is {list(state[name].shape)}, expected {list(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    missing = [name for name in own if name not in state]
    unknown = [str(name) for name in state if name not in own]
    said = [f"{len(shapes)} tensors of another shape ({first_few(shapes, SHOWN)})"] if shapes else []
    said += [f"{len(missing)} missing ({first_few(missing, SHOWN)})"] if missing else []
    said += [f"{len(unknown)} unknown ({first_few(unknown, SHOWN)})"] if unknown else []
    return f"these are not this network's weights: {'; '.join(said) or error}"
