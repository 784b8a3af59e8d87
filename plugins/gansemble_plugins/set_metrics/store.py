"""What a metric learnt from a corpus, in a folder named after all that decides it: made once, loaded ever after."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from gansemble import files
from gansemble.data.download import staged
from gansemble.errors import DataError

log = logging.getLogger(__name__)
FACTS, WEIGHTS = "facts.json", "weights.safetensors"
Learnt = tuple[dict[str, Tensor], dict[str, Any]]


def digest(decides: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that stand for values JSON can hold."""
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]


def kept(folder: Path, kind: str, decides: Mapping[str, Any], learn: Callable[[], Learnt]) -> Learnt:
    """Tensors and facts of ``folder/<kind>-<digest>``, or those of ``learn``, which are written there in one go.

    What is there and cannot be read, or is not what was written, is learnt again, with a warning. Facts gain the digest
    and all that decides it.

    Raises:
        DataError: if they cannot be put in place, or facts lie there that another program wrote.
    """
    mark = digest(decides)
    place = folder / f"{kind}-{mark}"
    if place.exists():
        try:
            return _read(place)
        except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
            log.warning("%s: %s; learning it again", place, error)
            shutil.rmtree(place)
    tensors, facts = learn()
    facts = {"digest": mark, "decided_by": dict(decides)} | facts
    try:
        with staged(place) as temporary:
            safetensors.torch.save_file(tensors, temporary / WEIGHTS)
            facts["weights_sha256"] = files.sha256(temporary / WEIGHTS)
            files.write_atomically(temporary / FACTS, json.dumps(facts, indent=1) + "\n")
            files.sync(temporary / WEIGHTS)
    except DataError:
        if not place.exists():
            raise
        return _read(place)  # another process was faster
    return tensors, facts


def _read(place: Path) -> Learnt:
    facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
    content = (place / WEIGHTS).read_bytes()
    if hashlib.sha256(content).hexdigest() != facts["weights_sha256"]:
        raise ValueError(f"{WEIGHTS} is not what {FACTS} was written for")
    return safetensors.torch.load(content), facts
