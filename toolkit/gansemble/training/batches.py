"""The batches of a run: crops of packed clips in the order of the schedule, on the run's device."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator

import torch

from gansemble.audio.features import log_mel
from gansemble.data.awaited import there
from gansemble.data.manifest import MANIFEST
from gansemble.data.mel_scale import MelStatistics, statistics
from gansemble.data.segments import Segments, collate
from gansemble.interfaces import Batch
from gansemble.random import Draws
from gansemble.training.components import Components
from gansemble.training.loading import Loader, read
from gansemble.training.sampler import StepSampler
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.signals import patient_worker

#: Mel spectrograms of so many training clips, spread over the split, are measured, each of at most so long a stretch [s].
MEASURED, STRETCH = 32, 4.0


def mel_statistics(run: Components) -> MelStatistics | None:
    """Statistics of the mel spectrograms that the generator learns from; None where it reads none."""
    builder, clips, spec = run.parts.condition_builder, run.clips, run.recipe.audio
    if "mel" not in builder.signals:
        return None
    found, longest = [], int(STRETCH * spec.sample_rate) // spec.hop * spec.hop
    for index in range(0, len(clips), max(1, len(clips) // MEASURED)):
        length = min(longest, clips.entries[index].frames // spec.hop * spec.hop)
        given = run.parts.given.of(clips, index, 0, length)
        if length > spec.n_fft and "mel" not in given:  # a shorter one cannot be framed
            given = {"mel": log_mel(torch.from_numpy(clips.read(index, 0, length))[None, None], spec)[0]}
        found += [given["mel"].numpy()] if "mel" in given else []
    return statistics(found) if found else None


def batches(
    run: Components, schedule: TrainingSchedule, first: int, stop: int, asked: Callable[[], bool] = lambda: False
) -> Generator[list[Batch], None, None]:
    """Yields the micro-batches of each training step.

    The order of clips and their crops depend on seed and epoch alone, so a run can begin with any step without reading
    the data of those before it.

    Args:
        run: gives the clips, the plan and the processes.
        schedule: which clips each step uses.
        first: step to begin with.
        stop: step to end before.
        asked: whether the run was asked to stop, so that it no longer waits for processes that bring nothing.

    Yields:
        For each step this process's ``plan.accumulate`` micro-batches, with audio [B, 1, T] of B items and T =
            ``plan.segment`` samples.
    """
    plan, device, processes = run.plan, run.device, run.processes

    def make(done: int, workers: int, limit: float) -> Loader:
        begun, rest = divmod(done, plan.accumulate)
        sampler = StepSampler(schedule, first + begun, stop, processes.rank, processes.world)
        return torch.utils.data.DataLoader(
            Segments(
                run.clips,
                plan.segment,
                plan.seed,
                run.labels,
                run.parts.degrader,
                plan.crop,
                run.parts.given,
                run.parts.perturber,
            ),
            batch_sampler=itertools.islice(sampler, rest, None) if rest else sampler,  # type: ignore[arg-type]
            collate_fn=collate,  # type: ignore[arg-type]
            num_workers=workers,
            timeout=limit if workers else 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=patient_worker,
            generator=torch.Generator(),  # else each start of the loader would draw from torch's own, which is resumed
        )

    window: list[Batch] = []
    for raw in read(make, plan.workers, asked, lambda: not there(run.clips.folder / MANIFEST)):
        label = raw["label"].to(device) if raw["label"] is not None else None
        audio = raw["audio"].to(device, non_blocking=True)
        signals = {name: value.to(device, non_blocking=True) for name, value in raw["signals"].items()}
        draws = Draws(plan.seed, raw["items"], device)
        given = {name: value.to(device, non_blocking=True) for name, value in raw["given"].items()}
        window.append(Batch(audio, raw["ids"], draws, label=label, signals=signals, given=given))
        if len(window) == plan.accumulate:
            yield window
            window = []
