"""The sections of a recipe that describe no parts, as dataclasses.

Their fields are the keys of the section, and the defaults of the fields are the values of keys that are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Literal

from gansemble.numbers import (
    BatchSize,
    Count,
    CountOrZero,
    InnerShare,
    Positive,
    Range,
    Samples,
    Seconds,
    Seed,
    Step,
    Steps,
)
from gansemble.plugins.registry import Entry
from gansemble.recipe.healing import Healing
from gansemble.recipe.weights import Schedule

#: How a page of results holds its sounds.
PageSound = Literal["auto", "flac", "opus", "wav"]
#: How far a network has grown, in resolutions.
Progress = Annotated[float, Range(at_least=0, at_most=1000)]
#: What a learning rate is multiplied by, over and over: it does not grow.
Decay = Annotated[float, Range(at_least=1e-6, at_most=1)]


#: A size on a disk [10⁹ bytes].
Gigabytes = Annotated[float, Range(at_least=1e-6, at_most=1e9)]


@dataclass(frozen=True)
class Phase:
    """A stretch of training.

    Args:
        steps: its length [steps].
        batch_size: clips in one optimiser step; null is the plan's.
        progress: how far networks that grow have grown at its beginning and at its end, in resolutions: from 0, the
            smallest, to the ``grows_to`` of their contract; linear in between. Null leaves growth out.
        fresh_optimisers: begin it with optimisers that have lost their state, such as running means of gradients.
    """

    steps: Steps
    batch_size: BatchSize | None = None
    progress: tuple[Progress, Progress] | None = None
    fresh_optimisers: bool = False


@dataclass(frozen=True)
class Plan:
    """How long and in which order the networks are trained.

    Args:
        steps: training steps in all; from ``discriminators_from`` on, the discriminators learn at each of them.
        batch_size: clips in one optimiser step, over all processes and micro-batches, so that training is the same
            whatever the number of GPUs.
        segment: length of a training crop [samples].
        crop: where a crop begins: anywhere in its clip, or at the clip's start, where notes and hits differ from their
            ends.
        drop_last: leave out the clips at an epoch's end that are too few for a batch, as the ``drop_last`` of torch's
            data loader does, so that an epoch is a whole number of steps. Otherwise batches cross from one epoch into
            the next, and no clip is left out. A learning rate that decays by the epoch decays at another step: 12,950
            clips in batches of 16 are 809 steps, or 809.375.
        generator_every: the generator learns at every n-th step, so that there are n discriminator updates for each of
            its own.
        discriminators_from: before this step only the generator learns, from losses that need no discriminator.
        fresh_fake: generate another fake, from a new condition, for the generator's turn, instead of the one that the
            discriminators saw.
        ema: decay per step of an exponential moving average of the generator's weights, which is used to validate and
            to synthesise; null is none.
        ema_from: number of steps during which the average is just the generator, as its first weights are not worth
            remembering.
        accumulate: micro-batches in one optimiser step (gradient accumulation); the result equals that of the large
            batch.
        precision: of autocast in the networks; mel spectrograms and losses stay in float32.
        clip: largest norm of the gradient, of the generator and of the discriminators apart; null does not clip.
        seed: of initial weights, order of clips, crops and noise.
        workers: data-loading processes; they change nothing but speed.
        log_every: steps between two reports.
        save_every: steps between two checkpoints.
        keep: how many of the newest checkpoints are kept beside the best ones.
        on_nan: what to do about a loss that is not finite: stop, or go back to the last checkpoint and on with other
            clips.
        on_collapse: what to do when one of the ``monitors`` says that training has collapsed: note it and go on, stop,
            or go back to the last checkpoint from before and on with other clips.
        deterministic: let torch use deterministic algorithms only.
        phases: stretches of training with settings of their own; empty is one phase of ``steps``.
    """

    steps: Steps = 1_000_000
    batch_size: BatchSize = 16
    segment: Samples = 8192
    crop: Literal["random", "start"] = "random"
    drop_last: bool = False
    generator_every: Steps = 1
    discriminators_from: Step = 0
    fresh_fake: bool = False
    ema: InnerShare | None = None
    ema_from: Step = 0
    accumulate: BatchSize = 1
    precision: Literal["no", "bf16", "fp16"] = "no"
    clip: Positive | None = None
    seed: Seed = 1234
    workers: Annotated[int, Range(at_least=0, at_most=1024)] = 0
    log_every: Steps = 100
    save_every: Steps = 5000
    keep: Count = 2
    on_nan: Literal["stop", "rollback"] = "stop"
    on_collapse: Literal["go_on", "stop", "rollback"] = "go_on"
    deterministic: bool = False
    phases: tuple[Phase, ...] = ()


@dataclass(frozen=True)
class Validation:
    """What is measured while training.

    Args:
        every: interval [steps]; it is also done before the first step and after the last.
        clips: how many clips are generated: imitations of as many validation clips, or, by a generator that imitates
            none, clips of its own, which are compared with all validation clips; null is as many as there are.
        seconds: clips are cut to this length [s]; null leaves them whole.
        metrics: names of the ``metrics`` section; left out, the first one there.
        best: the metric that chooses the best checkpoints; left out, the first of ``metrics``.
        keep: how many of the best checkpoints are kept.
        audio: how many clips are written to TensorBoard, with their spectrograms.
    """

    every: Steps = 5000
    clips: Count | None = 32
    seconds: Seconds | None = None
    metrics: tuple[str, ...] = ()
    best: str = ""
    keep: CountOrZero = 1
    audio: CountOrZero = 4


@dataclass(frozen=True)
class Init:
    """What a run begins with instead of random weights, as for fine-tuning. It looks at this once, before its first step.

    Args:
        exp: an experiment's folder, one that ``gansemble import`` made as well, or a bundle; it is only read. Relative to
            where the command is, which for a ``run.sh`` is the recipe's folder. Null begins with random weights.
        checkpoint: of that experiment: the last one, or the best by its validation.
        networks: whose weights are taken. The generator's are those of its moving average where this recipe keeps none.
        optimisers: take the state of their optimisers, too; learning rates are this recipe's.
        freeze: parameters that do not learn, by the beginning of their names, such as ``generator.ups`` or
            ``discriminators.mpd``, where ``*`` stands for any text; running statistics of batch norm are not parameters.
    """

    exp: str | None = None
    checkpoint: Literal["last", "best"] = "last"
    networks: tuple[Literal["generator", "discriminators"], ...] = ("generator", "discriminators")
    optimisers: bool = False
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class Teacher:
    """A trained generator of another experiment, whose output terms compare fakes with.

    It is given the conditions of the fakes, learns nothing, and is in no checkpoint: when the run begins, its recipe and
    weights are copied to ``teacher/`` in the run's folder, from where a run that goes on reads them. Its moving average is
    taken where it has one.

    Args:
        exp: the experiment's folder, one that ``gansemble import`` made as well, or a bundle; it is only read. Relative to
            where the command is, which for a ``run.sh`` is the recipe's folder. Null is no teacher.
        checkpoint: of that experiment: the last one, or the best by its validation.
    """

    exp: str | None = None
    checkpoint: Literal["last", "best"] = "last"


@dataclass(frozen=True)
class Data:
    """How a corpus becomes packed audio.

    Args:
        normalise: peak that every clip is scaled to when it is cropped for training, where 1 is full scale; null leaves
            levels alone.
        rate: what to do about files of another sample rate: refuse them, or resample.
        channels: what to do about files of several channels: refuse them, mix them down, or take the first channel.
        samples: how packed samples are stored: as 16-bit integers, each clip with a power of two as factor, so that quiet and
            loud clips keep at least 95 dB below their peak; as 32-bit floating point, which takes twice the room; ``auto``:
            in 32 bits if a clip has more than 16 bits, as 24-bit and floating-point files may.
        short: what to do about clips shorter than a training crop: refuse, pad or drop them.
        broken: what to do about files that are unreadable, truncated, empty or not finite: refuse or drop them.
        label: which of the corpus' labels networks are conditioned on, such as ``speaker``. Names count from 0 in
            alphabetical order, over all splits.
        signals: conditioning signals in files, by name, such as ``{mel: mels}``: the folder, absolute or below the corpus, of
            a ``.npy`` file [C, L] for each clip, called as the clip's id or as its audio file. L is a frame for each
            ``audio.hop``, up to two more or fewer.
        embeddings: likewise signals that hold for a whole clip [C], such as a speaker embedding; a file may also be called as
            the clip's ``label``.
        pack_gigabytes: clips are packed into files of this size, one behind the other, so that a corpus may be larger than a file
            should be; variants that augmentations make come on top. It holds for what is packed from now on. Null is one file.
        cache: a folder on a local disk for copies of packs, where the packed data lie on a network: they are copied in the
            background when they are first read, and shared by all processes of the machine. Null reads them where they are.
        cache_gigabytes: the copies' largest size together; those that were not used for longest are removed.
    """

    normalise: Annotated[float, Range(at_least=0.001, at_most=1)] | None = 0.95
    rate: Literal["error", "resample"] = "error"
    channels: Literal["error", "mix", "first"] = "error"
    samples: Literal["auto", "pcm16", "float32"] = "auto"
    short: Literal["error", "pad", "drop"] = "error"
    broken: Literal["error", "drop"] = "error"
    label: str = "label"
    signals: dict[str, str] = field(default_factory=dict)
    embeddings: dict[str, str] = field(default_factory=dict)
    pack_gigabytes: Gigabytes | None = 10.0
    cache: str | None = None
    cache_gigabytes: Gigabytes = 100.0


@dataclass(frozen=True)
class Synthesis:
    """How stage 4 generates audio.

    Args:
        split: of which clips.
        clips: how many; null is all.
        chunk_seconds: how much of a clip is generated at a time [s].
        format: sample format of the WAV files.
        checkpoint: the best one by ``validation.best``, or the last one.
    """

    split: Literal["train", "validation", "test"] = "validation"
    clips: Count | None = None
    chunk_seconds: Seconds = 10.0
    format: Literal["pcm16", "pcm24", "float"] = "pcm16"
    checkpoint: Literal["best", "last"] = "best"


@dataclass(frozen=True)
class Evaluation:
    """How stage 5 scores the generated clips, and what stage 6 shows.

    Args:
        bootstrap: resamples that confidence intervals of mean scores are computed from; 0 computes none.
        confidence: share of the resampled means that an interval holds, between 0 and 1.
        shown: clips on the report's page.
        seconds: of a longer clip, only its middle is shown, of this length [s]; null shows it whole.
        sound: how the page holds sounds: ``flac``, exactly as they are; ``opus``, a tenth of that; ``wav``, for browsers that
            decode neither; ``auto`` takes FLAC, and Opus where the page would else exceed its size.
        page_megabytes: largest size of the page, which ``auto`` keeps to.
    """

    bootstrap: Annotated[int, Range(at_least=0, at_most=100_000)] = 1000
    confidence: InnerShare = 0.95
    shown: CountOrZero = 8
    seconds: Seconds | None = 12.0
    sound: PageSound = "auto"
    page_megabytes: Annotated[float, Range(at_least=0.1, at_most=10_000)] = 25.0


@dataclass(frozen=True)
class LearningRate:
    """How an optimiser's learning rate changes during training.

    Args:
        decay: it is multiplied by this after every epoch, or after every ``decay_every`` steps.
        decay_every: [steps]; null is an epoch.
        warmup: it grows linearly over so many first steps.
        cosine: it falls towards zero at the end of the plan, along half a period of a cosine.
    """

    decay: Decay = 1.0
    decay_every: Steps | None = None
    warmup: Step = 0
    cosine: bool = False

    def factor(self, step: int, epoch: int, steps: int) -> float:
        """What the base learning rate is multiplied by; a pure function, so that resuming needs no scheduler state.

        Args:
            step: number of steps done.
            epoch: number of epochs done.
            steps: the plan's.
        """
        import math

        factor = self.decay ** (epoch if self.decay_every is None else step // self.decay_every)
        if self.warmup:
            factor *= min(1.0, (step + 1) / self.warmup)  # + 1, as a first step at a rate of 0 would be lost
        if self.cosine:
            factor *= 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
        return factor


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters of an optimiser with settings of their own.

    Args:
        parameters: beginnings of names, see :mod:`gansemble.recipe.parameter_names`.
        settings: values by the name of the optimiser's parameter, such as ``lr``.
    """

    parameters: tuple[str, ...]
    settings: dict[str, object]


SECTIONS: dict[str, type[Plan | Init | Teacher | Healing | Validation | Data | Synthesis | Evaluation]] = {
    "plan": Plan,
    "init": Init,
    "teacher": Teacher,
    "healing": Healing,
    "validation": Validation,
    "data": Data,
    "synthesis": Synthesis,
    "evaluation": Evaluation,
}


def defaults() -> dict[str, object]:
    """The value of each key of the sections that a recipe leaves out, by dotted key."""
    found: dict[str, object] = {}
    for name, section in SECTIONS.items():
        for each in fields(section):
            made = each.default if each.default_factory is MISSING else each.default_factory()
            found[f"{name}.{each.name}"] = made
    return found


#: Keys that do not change what training computes, but how long it goes on and what is recorded: a resumed run may
#: differ in them.
BENIGN = frozenset(
    {
        "plan.steps",
        "plan.workers",
        "plan.log_every",
        "plan.save_every",
        "plan.keep",
        "validation",
        "synthesis",
        "evaluation",
        "metrics",
        "test_degradations",
        "baselines",
        "name",
        "plugins",
        "plan.on_nan",
        "plan.on_collapse",
        "healing",
        "monitors",
        "observers",
        "data.pack_gigabytes",
        "data.cache",
        "data.cache_gigabytes",
    }
)
#: Keys of the ``data`` section that decide where and how packed audio lies, and not what it is.
OF_PLACE = ("pack_gigabytes", "cache", "cache_gigabytes")


@dataclass
class Part:
    """One part that a recipe names.

    Args:
        kind: such as ``generator``.
        path: of its mapping in the recipe.
        use: its name there.
        entry: what the registry knows of it.
        target: the class, or the function that makes it.
        arguments: of the constructor, as far as the recipe gives them.
        weight: of parts that are weighted.
        learning_rate: of optimisers.
        probability: of parts that are applied or left out by chance.
        prior: of generators, what they read in place of the mel spectrogram; None is the mel spectrogram itself.
        parameters: of optimisers, the beginnings of the names of what they take; empty takes the rest of its side.
        groups: of optimisers, parameters with settings of their own, by name.
    """

    kind: str
    path: tuple[str | int, ...]
    use: str
    entry: Entry
    target: Callable[..., object]
    arguments: dict[str, object] = field(default_factory=dict)
    weight: Schedule = field(default_factory=lambda: Schedule.of(1.0))
    learning_rate: LearningRate = field(default_factory=LearningRate)
    probability: float = 1.0
    prior: Literal["pseudo_inverse"] | None = None
    parameters: tuple[str, ...] = ()
    groups: dict[str, ParameterGroup] = field(default_factory=dict)
