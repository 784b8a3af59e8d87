"""The model card of an experiment, ``report/README.md``, in the form that Hugging Face's hub shows.

It tells what is on record, and says of the rest that it is unknown, so that the experiment can be uploaded with it as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.audio.spec import AudioSpec
from gansemble.evaluation import account as accounts
from gansemble.evaluation import account_words as words
from gansemble.evaluation import index, records
from gansemble.evaluation.account import Account
from gansemble.evaluation.card_metadata import front_matter
from gansemble.evaluation.card_scores import scores
from gansemble.evaluation.markdown import block, plain
from gansemble.evaluation.papers import papers_of
from gansemble.evaluation.records import ScoresSummary
from gansemble.files import write_atomically
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task, listed
from gansemble.stages import Project

#: Stands for the experiment's folder, which lies elsewhere for whoever reads the card.
FOLDER = "EXPERIMENT"
#: How a card names a paper's own number at arXiv, after its year; another's may stand elsewhere in it.
ARXIV = re.compile(r"[0-9]{4}, arXiv ([0-9]{4}\.[0-9]{4,5})\)")
#: Three lines of Python that use a generator, by task.
PYTHON = {
    Task.VOCODING: ("vocoder", "audio = vocoder(log_mel)  # [B, mels, L] -> [B, 1, L * hop]"),
    Task.GENERATION: ("generator", "clips = generator.sample(16, seed=0)"),
    Task.ENHANCEMENT: ("enhancer", "restored = enhancer(degraded)  # [B, C, T] -> [B, C, T]"),
}


@dataclass(frozen=True)
class Facts:
    """What a card tells besides the account.

    Args:
        spec: of the audio that the model makes.
        confidence: of the intervals of scores, such as 0.95.
        licence: of the model, as its owner states it; None is unknown.
        corpus_licence: of the corpus, in words, as its part states it; None where it does not.
        reads: names of what the generator reads, such as ``mel``.
        papers: the methods' papers, as the plugins of the recipe's parts name them.
        summary: the scores; None where the experiment was not evaluated.
    """

    spec: AudioSpec
    confidence: float = 0.95
    licence: str | None = None
    corpus_licence: str | None = None
    reads: frozenset[str] = frozenset()
    papers: Sequence[str] = ()
    summary: ScoresSummary | None = None


def write(project: Project, licence: str | None = None) -> Path:
    """Writes ``report/README.md`` of an experiment that has been evaluated, and returns its path.

    Args:
        project: the experiment.
        licence: of the model, as its owner states it: an identifier of the hub's, such as ``cc-by-4.0``, or a name.

    Raises:
        DataError: if the checkpoint that was evaluated, the list of samples or the scores cannot be read.
        OSError: if it cannot be written.
    """
    recipe = project.checked()
    account = accounts.read(project.exp, index.read(project.exp).checkpoint, project.dump, recipe.task)
    facts = Facts(
        recipe.audio,
        recipe.evaluation.confidence,
        licence,
        corpus_licence(recipe),
        recipe.generator_contract.reads or frozenset(),
        papers_of(recipe),
        records.summary(project.exp),
    )
    path = project.exp / "report" / "README.md"
    # Names of files may hold bytes that are no text.
    write_atomically(path, card(account, facts).encode("utf-8", "backslashreplace"))
    return path


def corpus_licence(recipe: Recipe) -> str | None:
    """The licence of a recipe's corpus, in the words of its part's attribute ``licence``; None where it has none."""
    found = getattr(recipe.single["corpus"].target, "licence", None) if "corpus" in recipe.single else None
    return found if isinstance(found, str) and found.strip() else None


def card(account: Account, facts: Facts) -> str:
    """The whole card: metadata, then the sections in Markdown."""
    sections = [
        (plain(account.name), _model(account)),
        ("Intended use and limits", _use(account, facts)),
        ("How to use it", _how(account)),
        ("Training data", _data(account, facts)),
        ("Training procedure", _training(account)),
        ("Evaluation", scores(facts.summary, facts.confidence)),
        ("Hardware and hours", _hardware(account)),
        ("Versions", _versions(account, facts)),
        ("Citation", _citation(facts)),
    ]
    text = "\n\n".join(f"{'#' if place == 0 else '##'} {head}\n\n{body}" for place, (head, body) in enumerate(sections))
    return f"{front_matter(account, facts.summary, facts.licence)}\n{text}\n"


def _model(account: Account) -> str:
    toy, what = words.toy(account), words.what(account)
    said = [f"> **{plain(toy)}**"] if toy else []
    return "\n\n".join([*said, plain(what)])


def _use(account: Account, facts: Facts) -> str:
    spec = facts.spec
    mel = (
        f"Mel spectrograms must be natural logarithms of mel magnitudes, with {spec.filters}: {spec.mels} bands "
        f"from {spec.fmin:g} to {spec.top:g} Hz, at {spec.sample_rate:,} Hz, FFT of {spec.n_fft}, Hann window of {spec.window}, "
        f"hop of {spec.hop}, magnitudes of at least {spec.log_floor:g}. Others sound wrong."
    )
    reads = f"It reads {listed(facts.reads)}."
    made_for = {
        Task.VOCODING: f"{reads} {mel}" if "mel" in facts.reads else reads,
        Task.GENERATION: "It makes clips of the sort that it learnt from.",
        Task.ENHANCEMENT: "It restores recordings that were degraded as those of its training were.",
        None: "What it reads is not on record.",
    }
    lines = "\n".join(f"* {plain(limit)}" for limit in limits(account))
    return "\n\n".join([plain(made_for[account.task]), lines])


def limits(account: Account) -> list[str]:
    """What is not known of a model, as sentences: whoever uses it is to mind that."""
    found = [
        "Sounds unlike those it learnt from have not been tried, unless a score says so.",
        "Whom its training data represent, and whom not, has not been examined.",
        "Whether the people heard in its training data agreed to such a use is not on record; do not pass off what it makes as "
        "somebody's real voice or playing.",
    ]
    return ["Its training had not reached the end of its plan.", *found] if account.finished is False else found


def _how(account: Account) -> str:
    if account.task is None:
        return "How to call it depends on its task, which is not on record; see `gansemble describe`."
    name, call = PYTHON[account.task]
    lines = f'import gansemble\n{name} = gansemble.load("{FOLDER}")\n{call}'
    return "\n\n".join(
        [
            f"With gansemble installed, and `{FOLDER}` standing for the folder that has `checkpoints/` in it:",
            block(lines, "python"),
            block(account.task.command(FOLDER), "bash"),
        ]
    )


def _data(account: Account, facts: Facts) -> str:
    if account.imported:
        return "Not on record here: the weights were imported; see where they were published."
    if account.stand_in:
        return plain(
            f"{words.data(account)} No clip of the corpus itself is in it, so the corpus' licence does not apply."
        )
    licence = (
        f"Its licence, as the toolkit knows it: {facts.corpus_licence.rstrip('.')}."
        if facts.corpus_licence
        else "Its licence is unknown to the toolkit."
    )
    return plain(f"{words.data(account)} {licence}")


def _training(account: Account) -> str:
    if account.imported:
        return plain(words.imported(account))
    return plain(words.amount(account)) + "\n\nThe recipe with every value is `recipe.yaml` in the checkpoint's folder."


def _hardware(account: Account) -> str:
    hours = "unknown" if account.seconds is None else f"{account.seconds / 3600:.2g}"
    stints = [
        f"* {stint['environment'].get('machine', 'unknown machine')}: {words.counted(stint['processes'], 'process', 'processes')} "
        f"on {stint['device']}, {stint['seconds'] / 3600:.2g} hours"
        for stint in account.stints
    ]
    lines = [f"* Hours of training: {hours}", *("* " + plain(line.removeprefix("* ")) for line in stints)]
    return "\n".join([*lines, "* Energy and emissions: not measured"])


def _versions(account: Account, facts: Facts) -> str:
    lines = [plain(words.code(account))] if not account.imported else []
    if facts.summary is not None:
        shown = ", ".join(f"{name} {value}" for name, value in facts.summary["environment"].items())
        lines.append(plain(f"Scores were computed with: {shown or 'unknown versions'}."))
    return "\n\n".join(lines) or "Unknown."


def _citation(facts: Facts) -> str:
    if not facts.papers:
        return "The plugins of this recipe name no paper."
    lines = "\n".join(f"* {plain(paper)}{_link(paper)}" for paper in facts.papers)
    return f"The papers of the methods, as the plugins that implement them name them:\n\n{lines}"


def _link(paper: str) -> str:
    """The link by which the hub shows a paper beside the model; empty without an arXiv number."""
    found = ARXIV.search(paper)
    return f" <https://arxiv.org/abs/{found.group(1)}>" if found else ""
