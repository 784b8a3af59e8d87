"""Which weights a regulariser of weights acts on, and how each is read as a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

from gansemble.interfaces import Turn

#: Which network a regulariser of weights acts on.
On = Literal["generator", "discriminators", "both"]
TURNS: dict[str, frozenset[Turn]] = {
    "generator": frozenset({"generator"}),
    "discriminators": frozenset({"discriminator"}),
    "both": frozenset({"generator", "discriminator"}),
}
#: Their gains and offsets may have two axes, but map nothing.
NORMS = (nn.LayerNorm, nn.RMSNorm)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
LAYERS = (nn.Linear, _ConvNd, *EMBEDDINGS)


@dataclass(frozen=True)
class WeightMatrix:
    """One weight of a network.

    Args:
        name: as the network knows the weight, whatever it is parametrised by: ``blocks.0.conv.weight``.
        raw: the parameter that the optimiser moves, of the weight's shape.
        layer: the module that owns the weight.
        tensor: the weight's name in it.
    """

    name: str
    raw: nn.Parameter
    layer: nn.Module
    tensor: str

    @property
    def parametrised(self) -> bool:
        """Whether the weight is computed from the parameter."""
        return parametrize.is_parametrized(self.layer, self.tensor)

    @property
    def made_of_several(self) -> bool:
        """Whether the weight is computed from further parameters too, as under weight norm, of the new kind or the old."""
        if self.parametrised:
            return len(list(self.layer.parametrizations[self.tensor].parameters(recurse=False))) > 1  # type: ignore[union-attr,index]
        return self.tensor.endswith("_v") and hasattr(self.layer, f"{self.tensor[:-2]}_g")

    def effective(self) -> Tensor:
        """The weight that the layer uses, with a gradient to the parameter; buffers of its parametrisation stay."""
        if not self.parametrised:
            return self.raw
        modules = list(self.layer.parametrizations[self.tensor].modules())  # type: ignore[union-attr,index]
        modes = [module.training for module in modules]
        try:
            for module in modules:  # spectral norm refines its vectors in each reading in train mode
                module.training = False
            return getattr(self.layer, self.tensor)
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode

    def rows(self, weight: Tensor) -> Tensor:
        """A tensor of the weight's shape as [out, rest], one row for each filter; a view where there can be one."""
        return (weight.transpose(0, 1) if isinstance(self.layer, _ConvTransposeNd) else weight).flatten(1)

    def matrix(self) -> Tensor:
        """The parameter as [out, rest] in float32."""
        return self.rows(self.raw).float()

    def shaped(self, rows: Tensor) -> Tensor:
        """[out, rest] in the weight's shape again."""
        if not isinstance(self.layer, _ConvTransposeNd):
            return rows.view_as(self.raw)
        return rows.view(self.raw.shape[1], self.raw.shape[0], *self.raw.shape[2:]).transpose(0, 1)


class WeightMatrices:
    """The learning weights of a network that are matrices: those of linear and convolutional layers, and others alike.

    Left out are embeddings (BigGAN leaves out the shared one), gains of norms, and what ``skip`` names.

    Args:
        on: the networks acted on.
        skip: names of weights, or patterns with ``*`` and ``?``.
        embeddings: whether embeddings are acted on too.
    """

    def __init__(self, on: On, skip: Sequence[str], embeddings: bool) -> None:
        self.turns = TURNS[on]
        self.skip, self.embeddings = tuple(skip), embeddings
        self._unused, self._unseen = set(self.skip), set(self.turns)

    def of(self, network: nn.Module, turn: Turn) -> list[WeightMatrix]:
        """The network's matrices, each once.

        Raises:
            ValueError: if there is none, or an entry of ``skip`` names no weight of any network acted on.
        """
        side = "generator" if turn == "generator" else "discriminators"
        found = [each for each in _matrices(network) if self.embeddings or not isinstance(each.layer, EMBEDDINGS)]
        if turn in self._unseen:
            self._unseen.discard(turn)
            self._unused -= {p for p in self._unused if any(fnmatchcase(each.name, p) for each in found)}
            if self._unused and not self._unseen:
                raise ValueError(
                    f"skip names {', '.join(sorted(self._unused))}, but no weight is called so; weights of the {side} are "
                    f"called {', '.join(each.name for each in found[:3])} and so on"
                )
        kept = [each for each in found if not any(fnmatchcase(each.name, pattern) for pattern in self.skip)]
        if not kept:
            raise ValueError(
                f"there is no weight to act on in the {side}: it has no matrix that learns and is not skipped; "
                "act on the other network, or take the regulariser out"
            )
        return kept


def _matrices(network: nn.Module) -> Iterator[WeightMatrix]:
    seen: set[int] = set()
    for path, module in network.named_modules():
        if isinstance(module, (parametrize.ParametrizationList, *NORMS)):  # the list's owner is asked instead
            continue
        for tensor, raw in _weights(module):
            if raw.requires_grad and id(raw) not in seen and _maps(module, raw):
                seen.add(id(raw))
                yield WeightMatrix(f"{path}.{tensor}" if path else tensor, raw, module, tensor)


def _weights(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """(name, parameter) of the module's own weights; of several that a weight is made of, the one of its shape."""
    own = module._parameters
    for name, raw in own.items():
        gain_of_old_weight_norm = name.endswith("_g") and f"{name[:-2]}_v" in own
        if raw is not None and not gain_of_old_weight_norm:
            yield name, raw
    if parametrize.is_parametrized(module):
        for name, made in module.parametrizations.items():  # type: ignore[union-attr,operator]
            yield name, max(made.parameters(recurse=False), key=torch.numel)


def _maps(layer: nn.Module, raw: Tensor) -> bool:
    """Whether it is a matrix: of two axes at least, and, outside layers known for theirs, of two rows and columns."""
    if raw.dim() < 2:
        return False
    if isinstance(layer, LAYERS):
        return True
    return min(raw.shape[0], raw[0].numel()) > 1
