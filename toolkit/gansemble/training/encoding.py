"""Encodes real audio into the representation's domain, once for each clip where its crop is the same in every epoch."""

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
    """Applies ``representation.encode`` to a batch's audio; a clip that was encoded before is taken from memory.

    With ``plan.crop: start`` the crop of a clip is the same in every epoch, so a costly transform need be computed only
    once for each clip. Items are then encoded one by one: an item has the same bits whatever batch it comes in first,
    and a resumed run sees what an uninterrupted one saw. Nothing is kept with random crops, for plain waveforms, for a
    representation that grows, or when all clips together would take more than ``LIMIT`` bytes.

    Args:
        representation: whose ``encode`` is applied.
        plan: says where crops begin.
        clips: number of clips in the training split.

    Shape:
        - input: batch with audio [B, C, T], B items of C channels and T samples
        - output: [B, ...] in the representation's domain
    """

    def __init__(self, representation: Representation, plan: Plan, clips: int) -> None:
        self.representation, self.clips = representation, clips
        trivial = works_on_waveforms(representation)
        self.keeps = plan.crop == "start" and not trivial and not isinstance(representation, Growable)
        self._kept: dict[int, Tensor] = {}  # by the clip's place in the training split

    def __call__(self, batch: Batch) -> Tensor:
        """Encodes a batch's audio [B, C, T] to items [B, ...]."""
        if not self.keeps:
            return self.representation.encode(batch.audio)
        items = []
        for place, (_, clip) in enumerate(batch.draws.items):
            item = self._kept.get(clip)
            if item is None:
                item = self.representation.encode(batch.audio[place : place + 1])
                # All items are as large as the first one.
                if not self._kept and item.numel() * item.element_size() * self.clips > LIMIT:
                    log.info("items take more than %.1f GB: each batch is encoded anew", LIMIT / 1e9)
                    self.keeps = False
                    return self(batch)
                self._kept[clip] = item
            items.append(item)
        return torch.cat(items)
