"""States the licence of a bundle that was made without one."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import yaml

from gansemble.bundle import layout, sealed
from gansemble.bundle.sealed import Bundle
from gansemble.errors import BundleError
from gansemble.evaluation.card_metadata import licence_entries
from gansemble.files import write_atomically
from gansemble.publishing.making import seal

#: The lines of a model card's metadata that tell its licence.
_LINES = re.compile(r"^license:.*\n(?:license_name:.*\n)?", re.MULTILINE)


def relicensed(bundle: Bundle, output: Path, licence: str) -> Bundle:
    """A copy of a bundle that states another licence of the model, in ``bundle.json`` and in the model card.

    Args:
        bundle: which is left as it is.
        output: the folder of the copy, which must not be there.
        licence: an identifier of the hub's, such as ``cc-by-4.0``, or a name.

    Raises:
        BundleError: if the model card has no place for it.
        OSError: if it cannot be written.
    """
    for name in bundle.facts["files"]:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        _copy(bundle.folder / name, output / name)
    card = (bundle.folder / "README.md").read_text("utf-8")
    told = yaml.safe_dump(licence_entries(licence), sort_keys=False, allow_unicode=True, width=1_000_000)
    changed, count = _LINES.subn(lambda _: told, card, count=1)
    if count != 1:
        raise BundleError(
            f"{bundle.folder / 'README.md'}: its metadata have no line license: that could be changed; make the bundle anew with "
            f"gansemble bundle EXP --licence {licence}"
        )
    write_atomically(
        output / "README.md", changed
    )  # renamed into place: the other name of a linked file keeps its content
    seal(output, {**bundle.facts, "licence": licence})
    return sealed.verify(output)


def _copy(source: Path, target: Path) -> None:
    """The same file by a second name where the disk allows, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def demand(bundle: Bundle) -> None:
    """Refuses a bundle that states no licence of the model.

    Raises:
        BundleError: saying how to state one.
    """
    if not (bundle.facts["licence"] or "").strip():
        raise BundleError(
            f"{bundle.folder / layout.FACTS}: states no licence of the model, without which nobody may use it; state one that its "
            f"training data allow (their licence: {bundle.facts['data']['licence'] or 'unknown'}) with --licence, such as "
            "--licence cc-by-4.0"
        )
