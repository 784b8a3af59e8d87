"""The batches of a run: crops of packed clips in the order of the schedule, on the run's device."""

from __future__ import annotations

from collections.abc import Generator

import torch

from gansemble.audio.features import log_mel
from gansemble.data.mel_scale import MelStatistics, statistics
from gansemble.data.segments import Collated, Segments, collate
from gansemble.errors import GansembleError
from gansemble.interfaces import Batch
from gansemble.random import Draws
from gansemble.training.components import Components
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


def batches(run: Components, schedule: TrainingSchedule, first: int, stop: int) -> Generator[list[Batch], None, None]:
    """Yields the micro-batches of each training step.

    The order of clips and their crops depend on seed and epoch alone, so a run can begin with any step without reading
    the data of those before it.

    Args:
        run: gives the clips, the plan and the processes.
        schedule: which clips each step uses.
        first: step to begin with.
        stop: step to end before.

    Yields:
        For each step this process's ``plan.accumulate`` micro-batches, with audio [B, 1, T] of B items and T =
            ``plan.segment`` samples.
    """
    plan, device, processes = run.plan, run.device, run.processes
    loader = torch.utils.data.DataLoader(
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
        batch_sampler=StepSampler(schedule, first, stop, processes.rank, processes.world),
        collate_fn=collate,  # type: ignore[arg-type]
        num_workers=plan.workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=patient_worker,
        generator=torch.Generator(),  # else each start of the loader would draw from torch's own, which is resumed
    )
    window: list[Batch] = []
    for raw in _read(loader):
        label = raw["label"].to(device) if raw["label"] is not None else None
        audio = raw["audio"].to(device, non_blocking=True)
        signals = {name: value.to(device, non_blocking=True) for name, value in raw["signals"].items()}
        draws = Draws(plan.seed, raw["items"], device)
        given = {name: value.to(device, non_blocking=True) for name, value in raw["given"].items()}
        window.append(Batch(audio, raw["ids"], draws, label=label, signals=signals, given=given))
        if len(window) == plan.accumulate:
            yield window
            window = []


def _read(loader: torch.utils.data.DataLoader[Collated]) -> Generator[Collated, None, None]:
    """Yields what a loader reads; the error of a loading process comes as it would without loading processes.

    Such an error is raised again without the frames of the loader in its traceback. While these are held, so is the
    loader, its processes are not told to end, and as they ignore a first SIGTERM, Python would wait for them for ever.
    """
    failed: Exception | None = None
    try:
        yield from loader
    except Exception as error:
        if loader.num_workers == 0:
            raise
        failed = _plain(error.with_traceback(None))
    if failed is not None:
        raise failed


def _plain(error: Exception) -> Exception:
    """An error for the user with its own message, which torch puts behind the traceback of the loading process."""
    kind = type(error)
    before, _, message = str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")
    return kind(message.rstrip("\n")) if before and isinstance(error, GansembleError) else error
