"""The promise of generators that they can be exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.abilities import why_not_exported
from gansemble.contract import GeneratorContract
from gansemble.exporting.graph import NotExportable, demand_onnx
from gansemble.exporting.plain import Inputs, PlainGenerator
from gansemble.exporting.writing import checked_model, demand_exportable
from gansemble.inference.loading import fold
from gansemble.testing.subject import Subject, demand


def can_be_exported(subject: Subject) -> None:
    """It can be exported to ONNX for any number of items and any length, equal to torch within 1e-4 at several lengths.

    One that cannot says why by ``cannot_be_exported``, and is refused with these words. Weights that begin at zero are
    filled for that, since a new network may do nothing.
    """
    demand_onnx()
    network = ready(subject)
    why = why_not_exported(network)
    plain = PlainGenerator(network, Inputs.of(subject.stated(GeneratorContract), subject.spec), as_it_is).eval()
    try:
        checked_model(plain, f"generator {subject.entry.name}")
    except NotExportable as error:
        demand(why is not None, f"{error}. If that cannot be mended, let it say why by cannot_be_exported")
    else:
        demand(why is None, f"it says that it cannot be exported ({why}), but it can; leave cannot_be_exported out")
        return
    try:
        demand_exportable(network, "it")
    except NotExportable as error:
        demand(str(why) in str(error), f"it is refused with other words than its own: {error}")


def ready(subject: Subject) -> nn.Module:
    """The generator as it is exported, folded and in eval mode; weights that begin at zero are filled."""
    network = fold(subject.make()).eval().requires_grad_(False)
    drawn = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.dim() > 1 and not parameter.any():
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=drawn)
    return network


def as_it_is(made: Tensor) -> Tensor:
    """What a generator of waveforms makes, as its representation decodes it."""
    return made


GENERATOR = (can_be_exported,)
