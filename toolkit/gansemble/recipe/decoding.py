"""Whether what is generated can be heard."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.recipe.limits import Finding
from gansemble.recipe.scene import REPRESENTATION, Scene


def decodable(scene: Scene) -> Iterator[Finding]:
    """A representation that makes no sound: validation, stage 4 and every metric listen to what is generated."""
    contract = scene.contracts.get(REPRESENTATION)
    if contract is not None and "no_sound" in contract.gives:
        yield Finding(
            scene.decided_by(REPRESENTATION, "gives"),
            f"{scene.use(REPRESENTATION)} makes no sound, which validation and stage 4 need; have it decode, too",
        )
