"""Real items in the representation's domain, encoded once where each clip has one crop."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from gansemble.abilities import Growable, works_on_waveforms
from gansemble.interfaces import Batch, Representation
from gansemble.recipe.sections import Plan

log = logging.getLogger(__name__)
#: Items are kept where all of them take no more than this [bytes].
LIMIT = 1 << 30


class Encoder:
    """``representation.encode`` of a batch's audio, from memory where a clip was seen before.

    With ``plan.crop: start`` a clip's crop is the same in every epoch, and a transform that costs more than a step of the
    networks is made once for each clip. Items are encoded one by one then, so that they are the same bits in whatever
    batch they come first, and a resumed run sees what the uninterrupted one saw.

    Args:
        representation: that does not grow, else nothing is kept.
        plan: where crops begin.
        clips: of the training split.
    """

    def __init__(self, representation: Representation, plan: Plan, clips: int) -> None:
        self.representation, self.clips = representation, clips
        trivial = works_on_waveforms(representation)
        self.keeps = plan.crop == "start" and not trivial and not isinstance(representation, Growable)
        self._kept: dict[int, Tensor] = {}  # by the clip's place in the training split

    def __call__(self, batch: Batch) -> Tensor:
        """[B, ...] of the batch's audio [B, C, T]."""
        if not self.keeps:
            return self.representation.encode(batch.audio)
        items = []
        for place, (_, clip) in enumerate(batch.draws.items):
            item = self._kept.get(clip)
            if item is None:
                item = self.representation.encode(batch.audio[place : place + 1])
                if not self._kept and item.numel() * item.element_size() * self.clips > LIMIT:
                    log.info("items take more than %.1f GB: each batch is encoded anew", LIMIT / 1e9)
                    self.keeps = False
                    return self(batch)
                self._kept[clip] = item
            items.append(item)
        return torch.cat(items)
