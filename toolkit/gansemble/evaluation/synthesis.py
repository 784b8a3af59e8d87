"""The synthesise stage, for every task: makes clips with a trained generator, and writes them and their index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gansemble.audio import files
from gansemble.data.clip_names import ClipNames
from gansemble.errors import DataError, GansembleError
from gansemble.evaluation import enhancement, generation, vocoding
from gansemble.evaluation.generated import Generated, Work
from gansemble.evaluation.index import GeneratedClip, Index, folder_of
from gansemble.evaluation.speed import Speedometer
from gansemble.files import staged_file
from gansemble.inference.loading import load
from gansemble.inference.trained import TrainedGenerator
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task
from gansemble.stages import Project

#: The function that makes the clips of each task.
CLIPS: Mapping[Task, Callable[[Work], Iterator[Generated]]] = {
    Task.VOCODING: vocoding.clips,
    Task.GENERATION: generation.clips,
    Task.ENHANCEMENT: enhancement.clips,
}


def synthesise(project: Project, say: Callable[[str], None]) -> Index:
    """Makes the clips that the recipe's ``synthesis`` section asks for.

    They are written to ``samples/<split>`` of the experiment, those of baselines to folders below it, and listed in
    ``samples/index.json``.

    Args:
        project: the experiment.
        say: called with each line for the user.

    Returns:
        The index as it was written.

    Raises:
        GansembleError: if the checkpoint was trained with another audio specification than the recipe has.
        DataError: if the packed data were altered, or are not those of the run and hold clips that it was trained on; or, when
            the others are made, if a clip could not be.
    """
    recipe = project.checked()
    trained = load(project.exp, recipe.synthesis.checkpoint, warn=say)
    _demand_one_specification(trained, recipe)
    work, names = Work(project, recipe, trained, say), ClipNames()
    made_files: list[Path] = []
    clips: list[GeneratedClip] = []
    speedometer = Speedometer()
    for made in CLIPS[recipe.task](work):
        name = names.of(made.clip.id)
        clip = replace(made.clip, file=name if name != made.clip.id else "")
        path = folder_of(project.exp, recipe.synthesis.split, made.baseline) / clip.sound
        clipped = work.attempt(clip.id, partial(_write, path, made, recipe))
        if clipped is None:
            continue
        made_files.append(path)
        if not made.baseline:
            clips.append(replace(clip, clipped=clipped))
            speedometer.clip(clip.seconds, clip.took, made.again)
    if work.failed:
        raise DataError(
            f"{len(work.failed)} clips could not be made, as said above, and {len(clips)} were; stage 4 is not done, for scores "
            "would be of some clips only. Remove the cause, or choose another synthesis.checkpoint, and run it again"
        )
    index = replace(_index(recipe, trained, clips), measured_speed=speedometer.speed())
    say(_summary(index))
    return index.write(project.exp, made_files)


def _write(path: Path, made: Generated, recipe: Recipe) -> int:
    """Writes a clip's file, and returns how many samples were clipped.

    Raises:
        DataError: if it holds NaN or Inf.
    """
    wrong = ~np.isfinite(made.audio).reshape(-1, made.audio.shape[-1]).all(axis=0)
    if wrong.any():
        who = f"baseline {made.baseline}" if made.baseline else "the generator"
        first = int(wrong.argmax()) / recipe.audio.sample_rate
        raise DataError(f"{made.clip.id}: {who} made NaN or Inf of it, near {first:.1f} s")
    with staged_file(path) as temporary:
        return files.write(temporary, made.audio, recipe.audio.sample_rate, recipe.synthesis.format)


def _demand_one_specification(trained: TrainedGenerator, recipe: Recipe) -> None:
    if trained.spec.digest() != recipe.audio.digest():
        shown = "\n  ".join(trained.spec.differences(recipe.audio))
        raise GansembleError(f"the checkpoint's audio specification is not the recipe's:\n  {shown}")


def _index(recipe: Recipe, trained: TrainedGenerator, clips: list[GeneratedClip]) -> Index:
    own = recipe.task is Task.GENERATION
    return Index(
        task=recipe.task,
        split=recipe.synthesis.split,
        step=trained.step,
        checkpoint=trained.source.name,
        device=trained.device.type,
        threads=torch.get_num_threads(),
        trained_on=list(trained.history),
        clips=clips,
        baselines=[] if own else list(recipe.many["baselines"]),
        seed=recipe.plan.seed if own else None,
        phase=trained.sampler().phase if own else None,
    )


def _summary(index: Index) -> str:
    took = sum(clip.took for clip in index.clips)
    speed = (
        index.measured_speed.words()
        if index.measured_speed is not None
        else f"{1 / index.real_time_factor:.1f} x real time"
    )
    return (
        f"{len(index.clips)} clips, {index.seconds:.1f} s of audio in {took:.1f} s: {speed} on {index.device}, "
        f"{index.threads} thread{'s' if index.threads != 1 else ''} (step {index.step})"
        + (f"; beside it {', '.join(index.baselines)}" if index.baselines else "")
    )
