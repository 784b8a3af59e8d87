"""What goes into a bundle beside the networks: scores, samples, fidelity, the model card, and what is known of licences."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import soundfile

from gansemble.bundle.layout import FACTS, TrainingData
from gansemble.errors import DataError, GansembleError
from gansemble.evaluation import index, model_card, records
from gansemble.evaluation.account import Account
from gansemble.evaluation.markdown import block, plain
from gansemble.evaluation.papers import METHOD, card_of, papers_of
from gansemble.evaluation.records import ScoresSummary
from gansemble.recipe import document
from gansemble.recipe.schema import Recipe

Say = Callable[[str], object]
#: Keys of a claim of a fidelity card that a bundle keeps.
CLAIM = ("source", "says", "deviation", "why")


class Fidelity(TypedDict):
    """What a plugin says of the paper that it implements.

    Attributes:
        plugin: its name.
        parts: those of the recipe that are its.
        paper: title, authors, year and number.
        claims: how many claims of the paper its card goes through.
        deviations: those of them that the plugin departs from, each with its source, what the paper says, what differs, and why.
    """

    plugin: str
    parts: list[str]
    paper: str
    claims: int
    deviations: list[dict[str, str]]


def scores(exp: Path, step: int, place: Path, say: Say) -> ScoresSummary | None:
    """Copies an experiment's scores, with their intervals and file by file, into a bundle.

    Returns:
        The scores; None, said in a line, where there are none of this step that can be read.
    """
    source = exp / "scores" / "summary.json"
    if not source.exists():
        say("note: no scores are in the bundle: the experiment was not evaluated (stage 5)")
        return None
    try:
        found = records.summary(exp)
    except DataError as error:
        say(f"note: no scores are in the bundle: {error}")
        return None
    if found["step"] != step:
        say(f"note: no scores are in the bundle: {source} is of step {found['step']:,}, the bundle of step {step:,}")
        return None
    (place / "scores").mkdir()
    for name in ("summary.json", "scores.jsonl"):
        if (exp / "scores" / name).is_file():
            shutil.copyfile(exp / "scores" / name, place / "scores" / name)
    return found


def samples(exp: Path, checkpoint: str, place: Path, most: int, say: Say) -> int:
    """Writes some of the clips that stage 4 made with this checkpoint as FLAC, sample for sample; none of the corpus.

    Args:
        exp: the experiment.
        checkpoint: its name.
        place: the bundle.
        most: how many, evenly spread over all.
        say: called with a line where there are none.

    Returns:
        How many were written.
    """
    try:
        made = index.read(exp)
    except DataError:
        say("note: no samples are in the bundle: the experiment has none (stage 4)")
        return 0
    if made.checkpoint != checkpoint:
        say(
            f"note: no samples are in the bundle: those of {exp} were made with {made.checkpoint}, the bundle is of {checkpoint}"
        )
        return 0
    folder = index.folder_of(exp, made.split)
    there = [path for path in (folder / clip.sound for clip in made.clips) if path.is_file()]
    count = min(most, len(there))
    for number in range(count):
        source = there[number * len(there) // count]
        audio, rate = soundfile.read(source, dtype="int32")
        deep = soundfile.info(source).subtype != "PCM_16"
        (place / "samples").mkdir(exist_ok=True)
        soundfile.write(place / "samples" / f"{number + 1:02d}.flac", audio, rate, "PCM_24" if deep else "PCM_16")
    return count


def fidelity(recipe: Recipe) -> list[Fidelity]:
    """What the plugins of a recipe's parts say of their papers, and where they depart from them."""
    cards: dict[Path, Fidelity] = {}
    for part in recipe.parts():
        path = card_of(part.entry.target.partition(":")[0]) if part.path[0] in METHOD else None
        if path is None:
            continue
        name = ".".join(map(str, part.path))
        if path in cards:
            cards[path]["parts"].append(name)
            continue
        try:
            found = document.read(path).value
        except GansembleError:
            continue
        claims = found.get("claims") if isinstance(found, Mapping) else None
        listed = [each for each in claims if isinstance(each, Mapping)] if isinstance(claims, list) else []
        cards[path] = {
            "plugin": part.entry.plugin,
            "parts": [name],
            "paper": " ".join(str(found.get("paper", "")).split()),
            "claims": len(listed),
            "deviations": [
                {key: str(each.get(key) or "") for key in CLAIM} for each in listed if each.get("deviation") is not None
            ],
        }
    return list(cards.values())


def training_data(recipe: Recipe, account: Account, licence: str | None) -> TrainingData:
    """What a bundle says of its training data; ``licence`` is the one that the user states, None takes the corpus' own."""
    # The recipe made of published weights names a corpus to fine-tune on, not the one that they were trained on.
    corpus = recipe.single["corpus"].use if "corpus" in recipe.single and not account.imported else "unknown"
    own = None if account.stand_in or account.imported else model_card.corpus_licence(recipe)
    return {
        "corpus": corpus if account.data is None else account.data.corpus,
        "licence": licence or own,
        "clips": None if account.data is None else account.data.clips,
        "stand_in": account.stand_in,
    }


def plugins(recipe: Recipe) -> dict[str, str]:
    """What the recipe's parts need besides the toolkit: the plugin's name, and how its recipe says to get it."""
    sources = recipe.registry.sources if recipe.registry else {}
    ours = {name for name, source in sources.items() if source.distribution == "gansemble"}
    foreign = {part.entry.plugin for part in recipe.parts()} - ours
    return {name: recipe.plugins.get(name, "") for name in sorted(foreign)}


def places_named(path: Path) -> list[str]:
    """``key: value`` of each value of a recipe that is a place of this machine, for whoever publishes it to know."""
    found: list[str] = []

    def look(value: object, key: str) -> None:
        if isinstance(value, Mapping):
            for name, item in value.items():
                look(item, f"{key}.{name}" if key else str(name))
        elif isinstance(value, list):
            for item in value:
                look(item, key)
        elif isinstance(value, str) and value.startswith(("/", "~")):
            found.append(f"{key}: {value}")

    look(document.read(path).value, "")
    return found


def card(
    account: Account,
    recipe: Recipe,
    licence: str | None,
    data_licence: str | None,
    summary: ScoresSummary | None,
    holds: Sequence[str],
) -> bytes:
    """The model card of a bundle, with a section on the bundle itself."""
    facts = model_card.Facts(
        recipe.audio,
        recipe.evaluation.confidence,
        licence,
        data_licence,
        recipe.generator_contract.reads or frozenset(),
        papers_of(recipe),
        summary,
    )
    tune = "\n".join(
        ["init:", f"  exp: {model_card.FOLDER}", "  networks: [generator, discriminators]", "  optimisers: true"]
    )
    section = [
        "## What is in this folder",
        f"It is a bundle of gansemble: {plain(', '.join(holds))}. `{FACTS}` lists every file with its size and SHA-256, which are "
        "checked whenever it is read; nothing in it is a pickle, and nothing of it is executed. "
        "`gansemble pull USER/NAME` fetches a bundle from the hub and checks it.",
        f"Licence of the model, as its owner states it: {plain(licence or 'none stated')}. Licence of its training data: "
        f"{plain(data_licence or 'unknown')}.",
    ]
    if {"discriminators", "optimisers"} <= set(holds):
        section += [
            "To fine-tune it with the discriminators and optimisers that it was trained with, in a recipe:",
            block(tune, "yaml"),
        ]
    text = model_card.card(account, facts) + "\n" + "\n\n".join(section) + "\n"
    return text.encode("utf-8", "backslashreplace")  # names of files may hold bytes that are no text
