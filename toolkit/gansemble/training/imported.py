"""An experiment at step 0 whose networks have published weights, for commands that import them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gansemble.data.download import staged
from gansemble.errors import GansembleError
from gansemble.files import write_atomically
from gansemble.parts.build import Parts, build
from gansemble.recipe import check, fill
from gansemble.recipe.schema import Recipe
from gansemble.training import checkpoint


@contextlib.contextmanager
def imported(exp: Path, document: dict[str, Any], described: str) -> Iterator[Parts]:
    """A context manager for a new experiment: gives its networks, and writes the checkpoint with what they hold at the end.

    The experiment appears as a whole; after an exception there is none.

    Args:
        exp: its folder, which must be new or empty.
        document: its recipe.
        described: what the recipe was made of, with what it says, such as ``config.json: describes``, for the message of a
            recipe that no network can be built of.

    Raises:
        CheckpointError: if the folder holds anything already.
        GansembleError: if no network can be built.
    """
    checkpoint.demand_new(exp)
    with staged(exp) as place:
        path = place / "recipe.yaml"
        write_atomically(path, fill.dump(document))
        try:
            recipe = check.load(path)
            parts = build(recipe, torch.device("cpu"))
        except (GansembleError, ValueError, TypeError) as error:
            said = str(error).replace(str(path), "the recipe made of it")
            raise GansembleError(f"{described} no network that can be built: {said}") from error
        yield parts
        _write(checkpoint.Store(place / "checkpoints"), recipe, parts)


def _write(store: checkpoint.Store, recipe: Recipe, parts: Parts) -> None:
    """The checkpoint of step 0."""
    folder = store.begin(0)
    checkpoint.save_network(folder / "generator.safetensors", parts.generator.state_dict())
    if list(parts.discriminators.parameters()):
        checkpoint.save_network(folder / "discriminators.safetensors", parts.discriminators.state_dict())
    counters = {"step": 0, "offset": 0, "rollbacks": 0, "best": {}, "validated": -1}
    torch.save({"counters": counters, "parts": {}, "adaptation": {}}, folder / "state.pt")
    (folder / "recipe.yaml").write_text(fill.dump(fill.fill(recipe)))
    facts: dict[str, object] = {
        "audio": recipe.audio.as_dict(),
        "audio_digest": recipe.audio.digest(),
        "world": 1,
        "best": {},
    }
    networks = {"generator": parts.generator, "discriminators": parts.discriminators}
    sizes = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    facts |= {"name": recipe.name, "task": str(recipe.task), "parameters": sizes}
    store.commit(folder, 0, facts, set())
