"""The sentences that mini corpora of speech are made of."""

from __future__ import annotations

from pathlib import Path


def mini_sentences(count: int) -> list[str]:
    """The first ``count`` of the 60 sentences in ``mini_sentences.txt``.

    Raises:
        ValueError: if there are not so many.
    """
    written = (Path(__file__).parent / "mini_sentences.txt").read_text(encoding="utf-8").splitlines()
    if count > len(written):
        raise ValueError(f"count must be at most {len(written)}, got {count}")
    return written[:count]
