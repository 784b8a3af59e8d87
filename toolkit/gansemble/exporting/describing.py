"""Facts of a trained generator for the metadata of an exported file."""

from __future__ import annotations

from typing import cast

from gansemble import __version__, abilities
from gansemble.contract import DEGRADED
from gansemble.exporting.metadata import FORMAT, MEANINGS
from gansemble.exporting.plain import Inputs
from gansemble.inference.trained import TrainedGenerator


def facts_of(trained: TrainedGenerator, inputs: Inputs, licence: str | None) -> dict[str, object]:
    """What a file says of the generator in it, without what depends on the file's format.

    Args:
        trained: the generator.
        inputs: what it reads.
        licence: of the model, as its owner states it; None is unknown.
    """
    contract = trained.recipe.generator_contract
    upsampling = 1 if DEGRADED in inputs.channels else contract.upsampling or trained.spec.hop
    return {
        "format": FORMAT,
        "gansemble": __version__,
        "task": trained.task.value,
        "recipe": trained.recipe.name,
        "generator": trained.recipe.single["generator"].use,
        "step": trained.step,
        "checkpoint": trained.identity,
        "licence": licence,
        "audio": trained.spec.as_dict(),
        "audio_hash": trained.spec.digest(),
        "inputs": _inputs(inputs),
        "main": None if not inputs.channels else trained.main_signal,
        "whole": sorted(trained.recipe.data.embeddings.keys() & inputs.channels.keys()),
        "latent": None if inputs.latent is None else {"size": inputs.latent, "law": inputs.law, "truncation": None},
        "labels": inputs.labels,
        "first_pitch": contract.pitches[0] if contract.pitches else None,
        "classes": list(trained.names),
        "hop": upsampling if inputs.channels else None,
        "context_frames": abilities.context_frames(trained.generator),
        "alignment": abilities.alignment(trained.generator),
        "mel": cast("object", trained.mel),
    }


def _inputs(inputs: Inputs) -> dict[str, dict[str, object]]:
    shapes: dict[str, list[object]] = {"latent": ["batch", inputs.latent], "label": ["batch"]}
    shapes |= {name: ["batch", channels, inputs.length_name] for name, channels in inputs.channels.items()}
    return {
        name: {
            "shape": shapes[name],
            "type": "int64" if name == "label" else "float32",
            "meaning": MEANINGS.get(name, "a conditioning signal with a value for each frame"),
            **({"codes": inputs.codes[name]} if name in inputs.codes else {}),
        }
        for name in inputs.names
    }
