"""The account of a trained experiment in plain English, for its report and its model card. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gansemble.evaluation.account import Account, TrainedClips, Used
from gansemble.pages.names import isolated
from gansemble.recipe.task import Task
from gansemble.training.work import Stint

#: What the trained network is, by task.
KINDS = {
    Task.VOCODING: "a vocoder: it makes the waveform of a mel spectrogram",
    Task.GENERATION: "a generator: it makes clips of its own from random numbers",
    Task.ENHANCEMENT: "an enhancer: it makes the clean recording of a degraded one",
}
#: How many stints are told one by one.
SHOWN = 3


def sentences(account: Account) -> list[str]:
    """What the record tells of an experiment, as paragraphs of plain text without markup.

    They tell, in this order: that it is a toy, if it is one; what was trained; on what; how much and how long; where and
    by which code. What is not on record is said to be unknown.
    """
    if account.imported:
        told = [toy(account), what(account), imported(account)]
    else:
        told = [toy(account), what(account), data(account), amount(account), code(account)]
    return [text for text in told if text]


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it: ``0.37 s``, ``12 s``, ``3.5 min``, ``2.1 h``, ``12.5 days``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.2g} s"
    if seconds < 3570:
        return f"{seconds / 60:.0f} min" if seconds >= 597 else f"{seconds / 60:.1f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def part(used: Used) -> str:
    """A part with its name in the recipe, and its weight where it says something: ``mel (mel_l1, weight 45)``."""
    weight = [] if used.weight in (None, 1.0) else [f"weight {used.weight:g}"]
    if used.name and used.name != used.use:
        return f"{used.name} ({', '.join([used.use, *weight])})"
    return f"{used.use} ({weight[0]})" if weight else used.use


def counted(number: int, word: str, plural: str = "") -> str:
    """A number of things: ``1 step``, ``1,200 steps``."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def parameters(number: int) -> str:
    """A number of parameters, rounded where it is large: ``13.9 million parameters``."""
    return f"{number / 1e6:.1f} million parameters" if number >= 1_000_000 else counted(number, "parameter")


def toy(account: Account) -> str:
    """That an experiment is a toy; empty where it is none, or that is not known."""
    if not account.toy:
        return ""
    why = f"it learnt from {corpus(account)}" if account.stand_in else "its recipe is one that is there to be tried"
    return f"This is a toy, made to try the tools: {why}. How it sounds, and every number here, tells nothing of the method."


def what(account: Account) -> str:
    """What was trained, by which losses, and what it began with."""
    generator = account.generator.use if account.generator else "unknown"
    sizes: Mapping[str, int] = account.parameters or {}
    size = parameters(sizes["generator"]) if "generator" in sizes else "number of parameters unknown"
    kind = (
        KINDS[account.task] if account.task else "a trained generator, of which the record does not tell what it reads"
    )
    said = [
        f"{isolated(account.name)} is {kind}, at {account.sample_rate:,} Hz. Its generator is {generator} ({size})."
    ]
    if account.task is Task.VOCODING and account.highest is not None and 2 * account.highest < account.sample_rate:
        said[0] += (
            f" What it reads tells nothing above {account.highest:,.0f} Hz: what is there in its sounds is its own."
        )
    if account.imported:
        return said[0]
    if account.discriminators:
        size = f" ({parameters(sizes['discriminators'])})" if sizes.get("discriminators") else ""
        many = "discriminators" if len(account.discriminators) > 1 else "discriminator"
        objective = f", under the objective {account.objective.use}" if account.objective else ""
        said.append(
            f"It was trained against the {many} {listed([part(each) for each in account.discriminators])}{size}{objective}."
        )
    else:
        said.append("It was trained without a discriminator.")
    for word, used in (("loss", account.losses), ("regulariser", account.regularisers)):
        if used:
            plural = word + ("es" if word == "loss" else "s") if len(used) > 1 else word
            said.append(f"The {plural} beside: {listed([part(each) for each in used])}.")
    if account.noise_injector:
        said.append(f"What the discriminators see is noised by {account.noise_injector.use}.")
    return " ".join([*said, *_beginning(account)])


def _beginning(account: Account) -> list[str]:
    said = []
    if account.origin:
        exp, checkpoint = account.origin
        said.append(f"It is fine-tuned: it began with the weights of {exp}, {checkpoint}.")
    if account.teacher:
        exp, checkpoint = account.teacher
        said.append(f"The generator of {exp}, {checkpoint}, taught it.")
    return said


def imported(account: Account) -> str:
    """That the weights are published ones."""
    code = f"gansemble {account.toolkit}" if account.toolkit else "an unknown version of gansemble"
    return (
        f"Its weights were published elsewhere and imported by {code}; they were not trained here. On what, how long and under "
        "which terms they were trained is not on record here: see where they were published."
    )


def data(account: Account) -> str:
    """What it was trained on."""
    clips = account.data
    if clips is None:
        return "What it was trained on is unknown: this checkpoint does not tell."
    length = f"{duration(clips.seconds)} of audio" if clips.seconds is not None else "their length is unknown"
    said = [f"It learnt from {counted(clips.clips, 'clip')} ({length}) of {corpus(account)}{_classes(clips)}."]
    if clips.validation:
        said.append(f"{counted(clips.validation, 'other clip')} chose the best checkpoint.")
    if clips.seconds is None:
        said.append("The packed data are not at hand, or are others by now.")
    if clips.changed:
        said.append("Other data were trained on before; these are the last.")
    return " ".join(said)


def corpus(account: Account) -> str:
    """The corpus in words; a small one that stands in for it is not called by its name."""
    name = account.data.corpus if account.data else "unknown"
    return f"a small synthesised stand-in for the corpus {name}" if account.stand_in else f"the corpus {name}"


def _classes(data: TrainedClips) -> str:
    if not data.classes:
        return ""
    kinds = [f"{name} ({number:,} different)" for name, number in sorted(data.classes.items())]
    return f", labelled by {listed(kinds)}"


def amount(account: Account) -> str:
    """How much, how far and how long was trained."""
    plan = f" of {account.planned:,} planned" if account.planned is not None else ""
    said = [f"This is the checkpoint of step {account.step:,}{plan}."]
    if account.last > account.step:
        said.append(
            f"Training went on to step {account.last:,}; this checkpoint was the better one in validation, or was asked for."
        )
    if account.finished is False:
        said.append(f"Training has not finished: it was interrupted after step {account.last:,}, or is going on.")
    if account.batch_size is not None and account.segment is not None:
        crop = (
            f"{account.segment:,} samples ({duration(account.segment / account.sample_rate)})"
            if account.sample_rate
            else "crops"
        )
        said.append(f"Each step learnt from {counted(account.batch_size, 'crop')} of {crop}.")
    if account.heard is not None:
        often = f", {account.passes:.3g} crops of each clip on average" if account.passes is not None else ""
        said.append(f"Up to there it went through {duration(account.heard)} of audio, repetitions included{often}.")
    if account.seconds is None:
        said.append("How long this took is unknown: this checkpoint does not tell.")
    else:
        said.append(
            f"Up to step {account.last:,} this took {duration(account.seconds)}, validation and saving included."
        )
    return " ".join(said)


def code(account: Account) -> str:
    """Where and by which code was trained."""
    if not account.stints:
        version = f"Its checkpoint was written by gansemble {account.toolkit}; on" if account.toolkit else "On"
        return f"{version} which machine and by which commit it was trained is unknown."
    if len(account.stints) == 1:
        return _stint(account.stints[0])
    shown = [f"From step {stint['from_step']:,}: {_stint(stint)}" for stint in account.stints[-SHOWN:]]
    return f"It was trained in {len(account.stints)} places or versions, last " + " ".join(shown)


def _stint(stint: Stint) -> str:
    facts = stint["environment"]
    many = "es" if stint["processes"] > 1 else ""
    said = (
        f"Trained on {facts.get('machine', 'an unknown machine')}, in {stint['processes']} process{many} on {stint['device']} "
        f"with {counted(stint['threads'], 'thread')}{' each' if many else ''}, by gansemble {facts.get('gansemble', 'of unknown version')}, "
        f"{commit(facts.get('commit', 'unknown'))}, with torch {facts.get('torch', 'of unknown version')} and Python "
        f"{facts.get('python', 'of unknown version')}, begun on {facts.get('date', 'an unknown day')}"
    )
    starts = f", in {stint['starts']} goes" if stint["starts"] > 1 else ""
    healed = stint.get("restarts", 0)
    times = "once" if healed == 1 else f"{healed} times"
    starts += f", started anew {times} by itself after a process or a machine had died" if healed else ""
    others = [f"{name} from {where}" for name, where in sorted(stint.get("plugins", {}).items())]
    return f"{said}{starts}." + (f" Further plugins: {'; '.join(others)}." if others else "")


def commit(found: str) -> str:
    """A commit in words, from what ``git describe`` says of it."""
    if found == "unknown":
        return "at an unknown commit"
    name, changed, _ = found.partition("-dirty")
    return f"at commit {name}" + (" with changes that were not committed" if changed else "")
