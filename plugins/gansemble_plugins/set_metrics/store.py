"""Keeps what a metric has learnt from a corpus, in a folder named after everything that decides it."""

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
from gansemble.stages import json_files

log = logging.getLogger(__name__)
FACTS, WEIGHTS = "facts.json", "weights.safetensors"
Learnt = tuple[dict[str, Tensor], dict[str, Any]]


def digest(decides: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of a SHA-256 hash of values that JSON can hold."""
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]


def kept(folder: Path, kind: str, decides: Mapping[str, Any], learn: Callable[[], Learnt]) -> Learnt:
    """What a metric has learnt: loaded if it is there, else learnt and written in one go.

    It is learnt again, with a warning, if what is there cannot be read or is not what was written.

    Args:
        folder: of everything that is learnt from the corpus.
        kind: the result lies in ``folder/<kind>-<digest>``.
        decides: everything that decides the result, which the digest is computed from.
        learn: gives tensors and facts by name.

    Returns:
        (tensors, facts) by name; facts also hold the digest and what decides it.

    Raises:
        DataError: if the result cannot be put in place.
    """
    mark = digest(decides)
    place = folder / f"{kind}-{mark}"
    if place.exists():
        try:
            return _read(place)
        except (OSError, DataError, ValueError, safetensors.SafetensorError) as error:
            log.warning("%s: %s; learning it again", place, error)
            shutil.rmtree(place)
    tensors, facts = learn()
    facts = {"digest": mark, "decided_by": dict(decides)} | facts
    try:
        with staged(place) as temporary:
            safetensors.torch.save_file(tensors, temporary / WEIGHTS)
            files.give_usual_mode(temporary / WEIGHTS)  # safetensors makes it readable by its owner alone
            facts["weights_sha256"] = files.sha256(temporary / WEIGHTS)
            json_files.write(temporary / FACTS, facts)
            files.sync(temporary / WEIGHTS)
    except DataError:
        if not place.exists():
            raise
        return _read(place)  # another process was faster
    return tensors, facts


def _read(place: Path) -> Learnt:
    facts = json_files.read(place / FACTS, dict[str, Any], "it is learnt again")
    content = (place / WEIGHTS).read_bytes()
    if hashlib.sha256(content).hexdigest() != facts.get("weights_sha256"):
        raise ValueError(f"{WEIGHTS} is not what {FACTS} was written for")
    return safetensors.torch.load(content), facts
