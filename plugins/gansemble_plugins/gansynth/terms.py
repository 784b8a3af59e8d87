"""GANSynth's auxiliary terms: the pitch classifier's cross-entropy, and consistency of generated spectrograms."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn
from gansemble.numbers import Range, Several


class AuxiliaryClassifier:
    """Cross-entropy of class logits (Odena et al. 2017): real items in the discriminators' turn, generated ones in the
    generator's, so discriminators do not learn to classify what is generated.

    Summed over (sub-)discriminators that return logits. Published weight: 10 in both turns.

    Shape: logits [B, K] and labels [B] -> a scalar.
    """

    turns: ClassVar[frozenset[Turn]] = frozenset({"generator", "discriminator"})

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads the outputs on real items and the batch's labels, or those on generated items and what they were
        asked to be.

        Raises:
            ValueError: if no discriminator returned logits, or there are no labels.
        """
        real = turn == "discriminator"
        outputs = step.real_output if real else step.fake_output
        label = step.batch.label if real else step.fake_condition.label
        logits = [each.logits for found in outputs.values() for each in found if each.logits is not None]
        if not logits:
            raise ValueError("auxiliary_classifier needs a discriminator that returns logits, got none")
        if label is None:
            raise ValueError(f"auxiliary_classifier needs labels of {'real' if real else 'generated'} items, got None")
        with torch.autocast(label.device.type, enabled=False):
            return torch.stack([F.cross_entropy(each.float(), label) for each in logits]).sum()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        """Needs logits and something they should be."""
        return TermContract(needs=frozenset({"outputs", "logits", "labels"}))


class Consistency:
    """mean over pixels of (x - encode(decode(x)))^2 for generated x: an image that no audio has costs.

    After Griffin and Lim 1984, whose iterations make such images consistent. Only some channels are compared; phases
    are not by default, because two that differ by a turn are the same.

    Args:
        channels: which of the representation's channels are compared.

    Shape: step.fake [B, C, ...] -> a scalar.
    """

    turns: ClassVar[frozenset[Turn]] = frozenset({"generator"})

    def __init__(
        self, *, channels: Annotated[tuple[Annotated[int, Range(at_least=0, at_most=65_536)], ...], Several] = (0,)
    ) -> None:
        self.channels = list(channels)

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.fake and step.representation.

        Raises:
            ValueError: if the step does not hold the representation.
        """
        if step.representation is None:
            raise ValueError("consistency needs step.representation, got None")
        with torch.autocast(step.fake.device.type, enabled=False):
            fake = step.fake.float()
            again = step.representation.encode(step.representation.decode(fake))
            return (fake - again)[:, self.channels].square().mean()
