"""The metadata of a model card, as the YAML that Hugging Face's hub reads before its text. Imports no torch.

The keys are those of the hub's specification, https://github.com/huggingface/hub-docs/blob/main/modelcard.md. What the hub
would look up there (data sets, base models) is left out: names of corpora and folders of experiments are none of its.
"""

from __future__ import annotations

import re
import unicodedata

import yaml

from gansemble.evaluation.account import Account
from gansemble.evaluation.records import ScoresSummary
from gansemble.recipe.task import Task

#: What the hub calls the task, where it has a name for it; ``pipeline_tag`` by which models are searched.
PIPELINES = {Task.VOCODING: "audio-to-audio", Task.ENHANCEMENT: "audio-to-audio"}
#: By task, what a results entry calls it, which is free text, and the tags by which models of its sort are found.
NAMES = {
    Task.VOCODING: ("Vocoding", ["vocoder", "neural-vocoder"]),
    Task.GENERATION: ("Unconditional audio generation", ["audio-generation"]),
    Task.ENHANCEMENT: ("Audio enhancement", ["audio-enhancement"]),
}
#: Identifiers of licences are like this; another text is the name of one that the hub does not know.
LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]*")
#: What the hub calls a licence that nobody stated.
UNKNOWN = "unknown"


def front_matter(account: Account, summary: ScoresSummary | None, licence: str | None) -> str:
    """The metadata between its lines of dashes.

    Args:
        account: of the experiment.
        summary: its scores; None leaves results out.
        licence: of the model, as its owner states it: an identifier of the hub's, such as ``cc-by-4.0``, or its name; None is
            said to be unknown.
    """
    tags = ["audio", "gan", "gansemble", *(NAMES[account.task][1] if account.task else [])]
    tags += [slug(account.generator.use)] if account.generator else []
    values: dict[str, object] = {"library_name": "gansemble", **licence_entries(licence)}
    if account.task in PIPELINES:
        values["pipeline_tag"] = PIPELINES[account.task]
    values["tags"] = list(dict.fromkeys(tag for tag in tags if tag))
    if summary is not None and (results := _results(account, summary)):
        values["model-index"] = [{"name": account.name, "results": results}]
    # As wide as can be: the hub's parser need not fold lines back.
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"---\n{text}---\n"


def slug(text: str) -> str:
    """A name as tags and types have them: of lower-case letters, digits and single dashes; may be empty."""
    flat = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", flat).strip("-")


def licence_entries(licence: str | None) -> dict[str, object]:
    """The metadata that tell a licence: an identifier of the hub's, a name that the hub does not know, or that it is unknown."""
    if licence is None or not licence.strip():
        return {"license": UNKNOWN}
    if LICENCE.fullmatch(licence):
        return {"license": licence}
    return {"license": "other", "license_name": licence.strip()}


def _results(account: Account, summary: ScoresSummary) -> list[dict[str, object]]:
    """The scores that have a value, as one entry of results; none without a known task or corpus."""
    found = [
        {"type": slug(row["metric"]) or "score", "value": row["mean"], "name": key}
        for key, row in summary["scores"].items()
        if row["mean"] is not None
    ]
    if not found or account.task is None or account.data is None:
        return []
    name = NAMES[account.task][0]
    # A stand-in is not the corpus, and no result on it may be taken for one on the corpus.
    corpus = f"stand-in for {account.data.corpus}" if account.stand_in else account.data.corpus
    dataset = {
        "type": slug(corpus) or "corpus",
        "name": corpus,
        "split": summary["split"],
    }
    return [{"task": {"type": slug(name), "name": name}, "dataset": dataset, "metrics": found}]
