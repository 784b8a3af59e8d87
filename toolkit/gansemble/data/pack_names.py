"""A name for what a pack holds, by what the manifest says of its clips, without reading the pack."""

from __future__ import annotations

import hashlib
import json

from gansemble.data.index import Entries


def content_of(clips: Entries, name: str) -> str:
    """A hash over what a manifest says of the clips in a pack, of 32 hexadecimal digits.

    Args:
        clips: all of the manifest.
        name: of the pack.
    """
    digest = hashlib.sha256(json.dumps(name.rpartition("/")[2]).encode())
    chosen = clips.of_pack(name)
    for column in ("offset", "frames", "partner"):
        digest.update(chosen.column(column).tobytes())
    for text in ("sha256", "partner_sha256"):
        digest.update("\n".join(chosen.texts(text)).encode())
    for signal in chosen.table.columns.signals:
        digest.update(chosen.column(f"signal.{signal}")[:, 1:].tobytes())
    return digest.hexdigest()[:32]
