"""The commands of the guides, run as they are shown: in order, in one folder, but for the changes that a page declares.

A guide is a page of ``docs/guides``. What becomes of its commands is said in comments, which the site does not show:

``<!-- before: COMMAND -->``
    a command that is not shown, such as one that makes recordings; anywhere on the page. ``$ROOT`` is this
    tree, ``$PORT`` a free port
``<!-- runs -->``
    above a block of ``sh`` or ``python``: it runs, and ends with 0
``<!-- runs with THIS => THAT; … -->``
    the same with THAT in place of each THIS, such as fewer steps
``<!-- fails with WORDS -->``
    it ends with another code than 0, and WORDS are in what it says
``<!-- not run: REASON -->``
    it does not run
``<!-- writes FILE -->``, ``<!-- writes FILE with THIS => THAT; … -->``
    above any block: it becomes a file

Every block of ``sh`` has one of them above it.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
PAGES = sorted(GUIDES.glob("*.md"))
#: A comment to the reader of this file, or a block, whose fence may be indented as in a list.
TOKEN = re.compile(
    r"^(?P<comment><!-- (?P<mark>before:|runs|fails|not run|writes)(?P<rest>.*?)-->)"
    r"|^(?P<indent> *)```(?P<language>\w*)(?P<head>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
#: Blocks that hold commands under another name would be passed over.
LANGUAGES = {"sh", "python", "yaml", "json", "toml", "text", "csv"}
#: Longest time of a block [s].
TIMEOUT = 600


class GuideError(Exception):
    """A guide's marks are wrong, or a block does not do what its mark says."""


@dataclass(frozen=True)
class Step:
    """What is done with a block, or with a hidden command.

    Args:
        line: of the page.
        mark: ``runs``, ``fails``, ``not run`` or ``writes``.
        language: ``sh`` or ``python``; of a file, any.
        text: with the changes that the mark declares.
        detail: the words of a failure, the reason or the file's name.
    """

    line: int
    mark: str
    language: str
    text: str
    detail: str = ""


def steps_of(page: str) -> list[Step]:
    """The steps of a page, in order.

    Raises:
        GuideError: with the line, if a block has no mark, a mark no block, or either cannot be read.
    """
    steps: list[Step] = []
    waiting: tuple[int, int, str, str] | None = None  # a mark without its block: end, line, mark, rest
    for token in TOKEN.finditer(page):
        line = page.count("\n", 0, token.start()) + 1
        if waiting and (token["comment"] or page[waiting[0] : token.start()].strip()):
            raise GuideError(f"line {waiting[1]}: a mark stands right above its block, and none follows")
        if token["mark"] == "before:":
            steps.append(Step(line, "runs", "sh", token["rest"].strip()))
        elif token["comment"]:
            waiting = token.end(), line, token["mark"], " ".join(token["rest"].split())
        elif waiting:
            steps.append(_marked(waiting[1], waiting[2], waiting[3], token))
            waiting = None
        elif token["language"] == "sh":
            raise GuideError(f"line {line}: say above this block <!-- runs --> or <!-- not run: REASON -->")
        elif token["language"] not in LANGUAGES:
            raise GuideError(f"line {line}: a block of {token['language'] or 'no language'}; commands are ```sh")
    if waiting:
        raise GuideError(f"line {waiting[1]}: a mark stands right above its block, and none follows")
    return steps


def _marked(line: int, mark: str, rest: str, block: re.Match[str]) -> Step:
    """A block with its mark.

    Raises:
        GuideError: if the mark lacks something, or changes what is not there.
    """
    text = re.sub(f"^{block['indent']}", "", block["body"], flags=re.MULTILINE)
    if mark in ("fails", "not run"):
        opening = "with " if mark == "fails" else ": "
        detail = f"{rest} ".removeprefix(opening.strip()).strip()
        if not rest.startswith(opening.strip()) or not detail:
            raise GuideError(f"line {line}: expected <!-- {mark}{' with WORDS' if mark == 'fails' else ': REASON'} -->")
        return Step(line, mark, block["language"], text, detail)
    name, _, changes = f" {rest}".partition(" with ")
    if (mark == "writes") != bool(name.strip()):
        raise GuideError(f"line {line}: expected <!-- runs --> or <!-- writes FILE -->, got {mark} {name.strip()}")
    for change in filter(None, (each.strip() for each in changes.split("; "))):
        this, arrow, that = (part.strip() for part in change.partition("=>"))
        if not arrow or not this or this not in text:
            raise GuideError(f"line {line}: {change!r}: expected THIS => THAT with THIS in the block")
        text = text.replace(this, that)
    return Step(line, mark, block["language"], text, name.strip())


def free_port() -> str:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def follow(steps: list[Step], work: Path, page: str = "the page") -> None:
    """Runs steps in a folder, which its user is in.

    Raises:
        GuideError: with the page's line, the block and the end of what it said, if a step does not do what its mark says.
    """
    programs = work.parent / f"{work.name}-programs"
    programs.mkdir()
    for name, words in (("python", ""), ("gansemble", "-P -m gansemble ")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    environment |= {"VIRTUAL_ENV": sys.prefix, "HOME": str(work), "ROOT": str(ROOT), "PORT": free_port()}
    for step in steps:
        if step.mark == "writes":
            (work / step.detail).write_text(step.text, encoding="utf-8")
        elif step.mark != "not run":
            _run(step, work, environment, page)


def _run(step: Step, work: Path, environment: dict[str, str], page: str) -> None:
    command = ["python", "-c"] if step.language == "python" else ["bash", "-euo", "pipefail", "-c"]
    done = subprocess.run(
        [*command, step.text], cwd=work, env=environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    said = done.stdout + done.stderr
    told = f"{page}, line {step.line}:\n{step.text}\nexit {done.returncode}; it said:\n{said[-4000:]}"
    if step.mark == "runs" and done.returncode:
        raise GuideError(told)
    if step.mark == "fails" and (not done.returncode or step.detail not in " ".join(said.split())):
        raise GuideError(f"expected a failure with {step.detail!r}: {told}")


@pytest.mark.end_to_end
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_commands_of_a_guide_do_what_it_says(page: Path, tmp_path: Path) -> None:
    steps = steps_of(page.read_text(encoding="utf-8"))
    if not any(step.mark in ("runs", "fails") for step in steps):
        pytest.skip("it has no command, or none that runs here")
    work = tmp_path / "work"
    work.mkdir()
    follow(steps, work, page.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_command_of_a_guide_runs_or_says_why_not(page: Path) -> None:
    steps_of(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_guide_is_found_in_the_navigation(page: Path) -> None:
    assert f"guides/{page.name}" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def block(mark: str, text: str, language: str = "sh") -> str:
    """A piece of a page: a mark, and the block below it."""
    return f"Words.\n\n{mark}\n```{language}\n{text}\n```\n"


def test_steps_are_read_in_order_with_their_changes() -> None:
    page = (
        "<!-- before: mkdir here -->\n"
        + block("<!-- runs with steps=900 => steps=2; 4 => 1 -->", "train --set steps=900 --jobs 4")
        + block("<!-- not run: needs a GPU -->", "train")
        + block("<!-- writes a.yaml with 1 => 2 -->", "a: 1", "yaml")
        + block("<!-- fails with no such file -->", "cat absent")
        + block("", "a: 1", "yaml")
    )
    assert [(step.mark, step.text.strip(), step.detail) for step in steps_of(page)] == [
        ("runs", "mkdir here", ""),
        ("runs", "train --set steps=2 --jobs 1", ""),
        ("not run", "train", "needs a GPU"),
        ("writes", "a: 2", "a.yaml"),
        ("fails", "cat absent", "no such file"),
    ]


def test_a_block_in_a_list_loses_its_indent() -> None:
    (step,) = steps_of("1. One\n\n<!-- runs -->\n   ```sh\n   echo 1\n     # two\n   ```\n")
    assert step.text == "echo 1\n  # two\n"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (block("", "train"), "line 4: say above this block"),
        (block("<!-- runs -->\n\nMore words.\n", "train"), "line 3: a mark stands right above its block"),
        (block("<!-- runs -->\n<!-- not run: no -->", "train"), "line 3: a mark stands right above its block"),
        ("<!-- runs -->\nThe end.", "line 1: a mark stands right above its block"),
        (block("<!-- not run -->", "train"), "line 3: expected <!-- not run: REASON -->"),
        (block("<!-- not run:  -->", "train"), "line 3: expected <!-- not run: REASON -->"),
        (block("<!-- fails -->", "train"), "line 3: expected <!-- fails with WORDS -->"),
        (block("<!-- writes -->", "a: 1", "yaml"), "line 3: expected <!-- runs --> or <!-- writes FILE -->"),
        (block("<!-- runs quickly -->", "train"), "line 3: expected <!-- runs --> or <!-- writes FILE -->"),
        (block("<!-- runs with 9 => 1 -->", "train"), "line 3: '9 => 1': expected THIS => THAT"),
        (block("<!-- runs with 9 -->", "train 9"), "line 3: '9': expected THIS => THAT"),
        (block("", "gansemble train", "bash"), "line 4: a block of bash; commands are ```sh"),
        (block("", "gansemble train", ""), "line 4: a block of no language; commands are ```sh"),
    ],
)
def test_a_page_whose_marks_are_wrong_is_refused_with_the_line(page: str, said: str) -> None:
    with pytest.raises(GuideError, match=re.escape(said)):
        steps_of(page)


def test_steps_run_in_one_folder_and_see_each_others_files(tmp_path: Path) -> None:
    page = (
        block("<!-- writes words.txt -->", "one", "text")
        + block("<!-- runs -->", "cat words.txt > copy.txt")
        + block("<!-- runs -->", "open('copy.txt', 'a').write('two')", "python")
    )
    (tmp_path / "work").mkdir()
    follow(steps_of(page), tmp_path / "work")
    assert (tmp_path / "work" / "copy.txt").read_text() == "one\ntwo"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            block("<!-- runs -->", "echo begun\nfalse\necho on"),
            r"the page, line 3:\necho begun\n(?s:.*)said:\nbegun\n$",
        ),
        (block("<!-- runs -->", "false | cat"), "exit 1"),
        (block("<!-- runs -->", "raise SystemExit(3)", "python"), "exit 3"),
        (block("<!-- fails with absent -->", "echo absent"), "expected a failure with 'absent'"),
        (block("<!-- fails with present -->", "cat absent"), "expected a failure with 'present'"),
    ],
)
def test_a_step_that_does_otherwise_fails_with_its_line(page: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with pytest.raises(GuideError, match=said):
        follow(steps_of(page), tmp_path / "work")
