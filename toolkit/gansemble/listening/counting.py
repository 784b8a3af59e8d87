"""The results of AB and ABX: preferences and right answers, of all listeners and of each."""

from __future__ import annotations

from collections import defaultdict

from gansemble.listening.answers import Answer, Answers, Test
from gansemble.listening.intervals import holm, share
from gansemble.listening.joined import Row, each_answer, made_by


def _pair(test: Test, answer: Answer) -> tuple[str, str]:
    """The two systems of a trial, in the order of the command that made the test."""
    order = [test.key["reference"], *test.key["systems"]]
    first, second = sorted(
        (made_by(test, name) for name in test.key["trials"][answer["trial"]]["sounds"]), key=order.index
    )
    return first, second


def counts(test: Test, sessions: list[Answers], confidence: float) -> tuple[dict[str, list[Row]], list[str]]:
    """The tables of AB and ABX: of all listeners, and of each."""
    right = test.key["mode"] == "abx"
    votes: dict[tuple[str, str], list[tuple[str, bool]]] = defaultdict(list)
    for listener, answer in each_answer(sessions):
        pair, chosen = _pair(test, answer), made_by(test, answer.get("choice", ""))
        unknown = test.key["trials"][answer["trial"]].get("x")
        wanted = made_by(test, unknown) if right and unknown else pair[0]
        votes[pair].append((listener, chosen == wanted))
    whole = [_count_row(pair, [yes for _, yes in found], right, confidence) for pair, found in sorted(votes.items())]
    for row, p in zip(whole, holm([float(row["p"] or 0) for row in whole]), strict=True):
        row |= {"p_holm": p, "listeners": len({name for name, _ in votes[(str(row["first"]), str(row["second"]))]})}
    each = []
    for pair, found in sorted(votes.items()):
        for name in sorted({listener for listener, _ in found}):
            yes = [vote for listener, vote in found if listener == name]
            each.append({"listener": name, **_count_row(pair, yes, right, confidence)})
    notes = ["p: exact binomial test against one half"]
    notes += ["p_holm: adjusted for the number of comparisons (Holm)"] if len(whole) > 1 else []
    if max((int(row["n"] or 0) for row in each), default=0) > 1 and len({row["listener"] for row in each}) > 1:
        notes.append(
            "all answers count alike: those of one listener are not independent, so see the table of listeners, too"
        )
    return {"answers": whole, "listeners": each}, notes


def _count_row(pair: tuple[str, str], votes: list[bool], right: bool, confidence: float) -> Row:
    found = share(sum(votes), len(votes), "greater" if right else "two-sided", confidence)
    row: Row = {"first": pair[0], "second": pair[1], "n": found.total}
    row |= (
        {"right": found.count} if right else {"prefer_first": found.count, "prefer_second": found.total - found.count}
    )
    row |= {"share": found.count / found.total, "low": found.low, "high": found.high, "p": found.p}
    return row
