"""What an exported file says of itself: one JSON text. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping

#: Key of the text in a file's metadata.
KEY = "gansemble"
#: Of the text; a reader refuses newer ones.
FORMAT = 1
#: What an input is, by its name, in words.
MEANINGS = {
    "latent": "latent vectors",
    "label": "index of a class or pitch, from 0",
    "mel": "natural-log mel spectrogram, as audio describes it",
    "degraded": "the recording to restore, full scale 1, each channel as an item",
}


def text(facts: Mapping[str, object]) -> str:
    """The facts of a file as JSON."""
    return json.dumps(facts, ensure_ascii=True)
