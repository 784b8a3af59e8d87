"""What a model says of itself, from its record, as HTML: what it learnt from and how long, its scores, its limits, its papers."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from gansemble.demo.demonstration import Demonstration
from gansemble.errors import GansembleError
from gansemble.evaluation import account as accounts
from gansemble.evaluation import account_words, card_scores, model_card, records
from gansemble.evaluation.account import Account
from gansemble.evaluation.papers import Deviation, deviations_of, papers_of
from gansemble.evaluation.records import ScoreRow, ScoresSummary
from gansemble.pages import document
from gansemble.scoring.directions import direction_of


def account(demo: Demonstration, say: Callable[[str], None]) -> Account | None:
    """The account of the checkpoint that is shown; None where its record cannot be read, which is said."""
    try:
        return accounts.read(demo.exp, demo.trained.source.name, task=demo.trained.task)
    except (GansembleError, OSError) as error:
        say(f"warning: the page cannot tell what was trained: {error}")
        return None


def banner(found: Account | None) -> str:
    """A notice that the model is a toy; empty where it is none."""
    told = account_words.toy(found) if found is not None else ""
    heading, _, rest = told.partition(". ")
    return document.banner(f"{heading}.", rest) if told else ""


def sections(demo: Demonstration, found: Account | None, say: Callable[[str], None]) -> str:
    """All that the model says of itself."""
    if found is None:
        return (
            "<section><p>What was trained is not on record here: the experiment's record cannot be read.</p></section>"
        )
    told = [each for each in account_words.sentences(found) if each != account_words.toy(found)]
    recipe = demo.trained.recipe
    pieces = [
        f"<section class=account>{_paragraphs(told)}</section>",
        f"<h3>Scores</h3>{_scores(demo, say)}",
        f"<h3>Limits</h3><section>{_list(model_card.limits(found))}</section>",
        _deviations(deviations_of(recipe)),
        _papers(papers_of(recipe)),
    ]
    return "".join(pieces)


def _paragraphs(told: Sequence[str]) -> str:
    return "".join(f"<p>{html.escape(each)}</p>" for each in told)


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(each)}</li>' for each in lines)}</ul>"


def _scores(demo: Demonstration, say: Callable[[str], None]) -> str:
    """The table of scores with intervals, if they are of this checkpoint; else a sentence."""
    try:
        summary = records.summary(demo.exp)
    except (GansembleError, OSError) as error:
        if (demo.exp / "scores" / "summary.json").is_file():
            say(f"warning: the page cannot show scores: {error}")
        return "<section><p>It has not been evaluated.</p></section>"
    if summary["step"] != demo.trained.step:
        told = f"It was evaluated at step {summary['step']:,}, and this page has the checkpoint of step {demo.trained.step:,}."
        return f"<section><p>{told}</p></section>"
    confidence = demo.trained.recipe.evaluation.confidence
    head = ["score", "mean", f"{100 * confidence:g} % interval", "files", "better"]
    rows = "".join(_row(key, row) for key, row in summary["scores"].items())
    cells = "".join(
        f"<th scope=col{' class=text' if not place else ''}>{html.escape(each)}</th>" for place, each in enumerate(head)
    )
    table = document.scrolling(f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>", "scores")
    return f"{table}{_about(summary)}"


def _row(key: str, row: ScoreRow) -> str:
    low, high = row["low"], row["high"]
    interval = (
        card_scores.NONE if low is None or high is None else f"{card_scores.number(low)} … {card_scores.number(high)}"
    )
    files = f"{row['n_ok']}" if row["n_ok"] == row["n_total"] else f"{row['n_ok']} of {row['n_total']}"
    direction = direction_of(row)
    better = f"at {direction.target:g}" if direction.target is not None else direction.better
    why = f"<small>{html.escape(row.get('reason') or '')}</small>" if row["mean"] is None else ""
    return (
        f"<tr><th scope=row><span>{html.escape(key)}</span></th><td>{card_scores.number(row['mean'])}{why}</td><td class=bounds>{interval}</td>"
        f"<td>{files}</td><td>{html.escape('–' if better == 'none' else better)}</td></tr>"
    )


def _about(summary: ScoresSummary) -> str:
    told = [f"Of the {summary['split']} split, which it was not trained on."]
    few = min((row["n_ok"] for row in summary["scores"].values() if row["n_ok"]), default=0)
    if few and few < card_scores.FEW:
        told.append(
            f"Fewer than {card_scores.FEW} files tell neither how good it is nor whether it is better than another."
        )
    meanings = {key: row.get("meaning") or row["definition"] for key, row in summary["scores"].items()}
    terms = "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(each)}</dd>" for key, each in meanings.items())
    return f"<p class=note>{html.escape(' '.join(told))}</p>" + document.details(
        "What each score is", f"<dl class=meanings>{terms}</dl>"
    )


def _deviations(found: Sequence[Deviation]) -> str:
    """What is done otherwise than claimed, by paper; the cards are of whole methods, of which a recipe may use parts."""
    if not found:
        return ""
    pieces = ["<p class=note>Of each method as a whole, of which this model may use parts.</p>"]
    for paper in dict.fromkeys(each.paper for each in found):
        lines = [
            f"<li>{html.escape(each.source)}: {html.escape(each.says)}<br><strong>Here:</strong> {html.escape(each.deviation)} "
            f"<strong>Why:</strong> {html.escape(each.why)}</li>"
            for each in found
            if each.paper == paper
        ]
        pieces.append(f"<h4>{html.escape(paper)}</h4><ul>{''.join(lines)}</ul>")
    return document.details("Where this implementation differs from the papers", "".join(pieces))


def _papers(found: Sequence[str]) -> str:
    return document.details("The papers of the methods", _list(found)) if found else ""
