"""All discriminators of a recipe as one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gansemble.abilities import items_apart
from gansemble.errors import PartError
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.interfaces.at_work import AtWork
from gansemble.interfaces.demands import demand_outputs


class Discriminators(nn.Module):
    """All discriminators of a recipe in one module, so that one optimiser and one distributed wrapper serve them all.

    Args:
        discriminators: by name.
        uses: what each is called in messages besides its name, by name; None takes its class.

    Raises:
        PartError: if torch keeps a name for itself.
    """

    def __init__(self, discriminators: dict[str, nn.Module], uses: Mapping[str, str] | None = None) -> None:
        super().__init__()
        for name in discriminators:
            if hasattr(nn.ModuleDict(), name):
                raise PartError(f"discriminators.{name}: torch keeps the name {name!r} for itself; choose another")
        self.parts = nn.ModuleDict(discriminators)
        given = uses or {}
        self.who = {
            name: f"discriminators.{name} ({given.get(name, type(part).__name__)})"
            for name, part in discriminators.items()
        }

    def forward(self, *pairs: tuple[Tensor, Condition]) -> tuple[dict[str, tuple[DiscriminatorOutput, ...]], ...]:
        """Judges each pair (x [B, ...], condition) with every discriminator.

        A discriminator with ``items_apart = True``, whose output on an item does not depend on the rest of the batch,
        is given all pairs concatenated along the batch axis. Its outputs are the same, but it runs forward and backward
        only once.

        Args:
            *pairs: items in the representation's domain, each with its condition.

        Returns:
            For each pair, the outputs by discriminator name, one for each of its sub-discriminators.
        """
        whole = _joined(pairs)
        found: tuple[dict[str, tuple[DiscriminatorOutput, ...]], ...] = tuple({} for _ in pairs)
        for name, part in self.parts.items():
            if whole is not None and items_apart(part):
                sizes = [x.shape[0] for x, _ in pairs]
                shares = [_split(output, sizes) for output in self._judged(name, *whole)]
                for place, outputs in enumerate(zip(*shares, strict=True)):
                    found[place][name] = outputs
            else:
                for place, (x, condition) in enumerate(pairs):
                    found[place][name] = self._judged(name, x, condition)
        return found

    def _judged(self, name: str, x: Tensor, condition: Condition) -> tuple[DiscriminatorOutput, ...]:
        with AtWork(self.who[name], "to judge items"):
            answer = self.parts[name](x, condition)
        return demand_outputs(self.who[name], answer, len(x))


def _joined(pairs: Sequence[tuple[Tensor, Condition]]) -> tuple[Tensor, Condition] | None:
    """All pairs as one batch along the first axis.

    None for a single pair, and where pairs differ in shape or in which conditions they have.
    """
    if len(pairs) < 2 or len({x.shape[1:] for x, _ in pairs}) > 1:
        return None
    conditions = [condition for _, condition in pairs]
    if len({(c.latent is None, c.label is None, *sorted(c.signals)) for c in conditions}) > 1:
        return None
    others = [iter(condition.tensors()) for condition in conditions[1:]]
    joined = conditions[0].map(lambda value: torch.cat([value, *(next(other) for other in others)]))
    return torch.cat([x for x, _ in pairs]), joined


def _split(output: DiscriminatorOutput, sizes: list[int]) -> list[DiscriminatorOutput]:
    """Splits the output on a joined batch into the outputs on its pairs, of the given batch sizes."""
    scores = output.score.split(sizes)
    features = [feature.split(sizes) for feature in output.features]
    logits = [None] * len(sizes) if output.logits is None else output.logits.split(sizes)
    return [DiscriminatorOutput(scores[i], tuple(f[i] for f in features), logits[i]) for i in range(len(sizes))]
