"""Names on a page: of files, clips and experiments, which may hold markup or be written from right to left."""

from __future__ import annotations

import html
import unicodedata

#: Classes of characters that have text run from right to left, or that turn its direction on purpose.
_TURNING = frozenset({"R", "AL", "AN", "RLE", "RLO", "LRE", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"})
_FIRST_STRONG_ISOLATE, _POP_DIRECTIONAL_ISOLATE = "\u2068", "\u2069"


def isolated(name: str) -> str:
    """A name that may stand in a sentence, or in an attribute: one from right to left is set apart, so that it cannot turn what is around it.

    Other names stay as they are. An isolate that the name itself closes or leaves open would let it out, so its own isolates
    are left out.
    """
    if not _turns(name):
        return name
    kept = "".join(sign for sign in name if unicodedata.bidirectional(sign) not in ("RLI", "LRI", "FSI", "PDI"))
    return f"{_FIRST_STRONG_ISOLATE}{kept}{_POP_DIRECTIONAL_ISOLATE}"


def named(name: str) -> str:
    """A name as HTML, to stand by itself; what is copied of it from the page is the name and nothing else."""
    escaped = html.escape(name)
    return f"<bdi>{escaped}</bdi>" if _turns(name) else escaped


def in_attribute(name: str) -> str:
    """A name as HTML, for an attribute in quotation marks that is read aloud or shown."""
    return html.escape(isolated(name))


def _turns(name: str) -> bool:
    return any(unicodedata.bidirectional(sign) in _TURNING for sign in name)
