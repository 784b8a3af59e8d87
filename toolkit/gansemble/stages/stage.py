"""The seven stages: which keys of the recipe each one reads, and which stages' results it builds on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        number, name: as ``--stage`` takes them.
        title: what it does.
        version: raised when its code makes something else of the same input, so that earlier results become stale.
        keys: the recipe sections and keys that it reads.
        quiet: keys among them that do not change its result.
        after: the stages whose results it builds on.
        splits: those splits of the packed data that it reads; None is all.
        shared: its record lies with the packed data, which several experiments may use.
        settled: it stays done while a stage before it is stale, as long as the result that it was made from is still
            the same. A trained run is not trained again because the corpus was looked at.
        listed: what a list of all stages says of it, where that is more than the title.
    """

    number: int
    name: str
    title: str
    version: int
    keys: tuple[str, ...]
    quiet: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    splits: tuple[str, ...] | None = None
    shared: bool = False
    settled: bool = False
    listed: str = ""


STAGES = (
    Stage(0, "fetch", "find or download the corpus", 1, ("corpus",), shared=True),
    Stage(
        1,
        "prepare",
        "examine and pack the audio",
        2,
        ("corpus", "audio.sample_rate", "data", "augmentations"),
        # Applied when clips are read; and where and how they lie, which is not what they are.
        quiet=("data.normalise", "data.label", "data.pack_gigabytes", "data.cache", "data.cache_gigabytes"),
        shared=True,
    ),
    Stage(
        2,
        "statistics",
        "measure the training split",
        1,
        ("audio", "representation", "data.normalise"),
        after=("prepare",),
        shared=True,
    ),
    Stage(
        3,
        "train",
        "train the networks",
        1,
        (
            "audio",
            "representation",
            "generator",
            "discriminators",
            "objective",
            "noise_injector",
            "degradation",
            "perturbations",
            "losses",
            "regularisers",
            "plan",
            "init",
            "teacher",
            "optimisers",
            "schedules",
            "features",
            "data",
        ),
        quiet=(
            "plan.workers",
            "plan.log_every",
            "plan.save_every",
            "plan.keep",
            "plan.on_nan",
            "plan.on_collapse",
            "data.pack_gigabytes",
            "data.cache",
            "data.cache_gigabytes",
        ),
        after=("prepare",),
        splits=("train", "validation"),
        settled=True,
        listed="train, or go on training",
    ),
    Stage(
        4,
        "synthesise",
        "generate the held-out clips",
        1,
        ("synthesis", "test_degradations", "baselines"),
        after=("prepare", "train"),
    ),
    Stage(
        5,
        "evaluate",
        "score them",
        2,
        ("metrics", "evaluation.bootstrap", "evaluation.confidence"),
        after=("prepare", "synthesise"),
    ),
    Stage(6, "report", "write the listening page", 1, ("evaluation", "name"), after=("prepare", "evaluate")),
)
BY_NAME = {stage.name: stage for stage in STAGES}


def parse(word: str) -> Stage | None:
    """A stage by number or name; None if there is no such stage."""
    return next((stage for stage in STAGES if word in (str(stage.number), stage.name)), None)
