"""The promise that weights which never learn are in no checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from gansemble.testing.subject import Subject, demand, state_of


def saves_no_weights_that_never_learn(subject: Subject) -> None:
    """What a checkpoint holds of it are no weights of a network: these never learn, and are the same in every checkpoint."""
    part = subject.make()
    state = state_of(part)
    if state is None:
        return
    modules = [part] if isinstance(part, nn.Module) else [x for x in vars(part).values() if isinstance(x, nn.Module)]
    weights = {p.data_ptr(): name for module in modules for name, p in module.named_parameters() if p.numel()}
    kept = [x for x in _leaves(state.state_dict()) if isinstance(x, Tensor) and x.data_ptr() in weights]
    size = sum(tensor.numel() * tensor.element_size() for tensor in kept)
    named = ", ".join(weights[tensor.data_ptr()] for tensor in kept[:3])
    demand(
        not kept,
        f"every checkpoint would hold {size:,} bytes of weights that never learn ({named}); wrap the network, as in "
        "self.net = gansemble.Frozen(net), and make it again in the constructor, such as from a gansemble.File",
    )


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(item)
    else:
        yield value
