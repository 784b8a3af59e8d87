"""Shipped recipes with anything done to them: a check gives the recipe, or an error that names the place, in a moment.

``GANSEMBLE_SEED=…`` repeats what a run prints.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gansemble.errors import GansembleError
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError

EGS = Path(__file__).parents[2] / "egs"
FILES = sorted(EGS.glob("*/*/conf/**/*.yaml"))
#: Processor time that a check may take [s]; a sound recipe takes 0.1 once the parts are imported.
MOST_SECONDS = 5.0
VALUES = [
    "null",
    "~",
    "true",
    "yes",
    "on",
    "1",
    "-1",
    "0",
    "010",
    "0x1f",
    "1e400",
    "-1e-400",
    ".nan",
    "-.inf",
    "1_000",
    "1:30",
    "2024-01-01",
    "[]",
    "{}",
    "[[]]",
    "{a:",
    "[1]}",
    "''",
    '"x"',
    '"\\0"',
    '"\\e[2J"',
    "*nowhere",
    "&a",
    "!!python/object/apply:os.system",
    "!foo",
    "${plan.steps}",
    "${nowhere}",
    "${}",
    "|",
    ">",
    "---",
    "...",
    "%",
    "@",
    "`",
    "#",
]
Text = Callable[[str, random.Random], str]


def _line(text: str, draw: random.Random, change: Callable[[str], str]) -> str:
    lines = text.split("\n")
    place = draw.randrange(len(lines))
    lines[place] = change(lines[place])
    return "\n".join(lines)


def value(text: str, draw: random.Random) -> str:
    """Another value behind one of the colons."""
    found = list(re.finditer(r": *[^,{}\[\]\n]+", text))
    if not found:
        return text
    where = draw.choice(found)
    return f"{text[: where.start()]}: {draw.choice(VALUES)}{text[where.end() :]}"


def key(text: str, draw: random.Random) -> str:
    """Another word before one of the colons."""
    found = list(re.finditer(r"(?<![a-z_0-9])[a-z_0-9]+:", text))  # a long word is looked at once, not from each letter
    if not found:
        return text
    where = draw.choice(found)
    words = [
        "",
        "<<",
        "1",
        "true",
        "''",
        "?",
        "- a",
        "a.b",
        "../x",
        "use",
        "generator",
        "include",
        "plan",
        "x" * 2000,
        "é\\u202e",
    ]
    return f"{text[: where.start()]}{draw.choice(words)}:{text[where.end() :]}"


def indent(text: str, draw: random.Random) -> str:
    return _line(text, draw, lambda line: draw.choice([" ", "\t", "    ", "\u00a0"]) + line)


def drop(text: str, draw: random.Random) -> str:
    return _line(text, draw, lambda line: "")


def repeat(text: str, draw: random.Random) -> str:
    return _line(text, draw, lambda line: "\n".join([line] * draw.choice([2, 3, 300])))


def cut(text: str, draw: random.Random) -> str:
    return text[: draw.randrange(len(text) + 1)]


def letter(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text) + 1)
    return text[:place] + draw.choice("{}[]:,&*!|>'\"%@`#\\\t\0\x07\x85\u2028\ufeff\U0001f600-?") + text[place:]


def nest(text: str, draw: random.Random) -> str:
    depth = draw.choice([3, 60, 2000])
    return (
        text
        + "\n"
        + draw.choice(["plan", "losses", "zzz"])
        + ": "
        + draw.choice(["[", "{a: "]) * depth
        + draw.choice(["", "]" * depth])
    )


def alias(text: str, draw: random.Random) -> str:
    width = draw.choice([2, 10, 100])
    chain = "".join(f"q{i}: &q{i} [{', '.join([f'*q{i - 1}'] * width)}]\n" for i in range(1, draw.choice([3, 9])))
    return text + f"\nq0: &q0 [1]\n{chain}"


def reference(text: str, draw: random.Random) -> str:
    chain = "".join(f'r{i}: ["${{r{i - 1}}}", "${{r{i - 1}}}"]\n' for i in range(1, draw.choice([3, 40])))
    return text + f"\nr0: [1]\n{chain}"


def many(text: str, draw: random.Random) -> str:
    count = draw.choice([50, 3000])
    return text + "\n" + "".join(f"{draw.choice(['zz', 'los', '_'])}{i}: {{use: mel_l1}}\n" for i in range(count))


def long(text: str, draw: random.Random) -> str:
    return text + "\nname: " + draw.choice(["x", "é", "1", "[", " a"]) * draw.choice([300, 20_000, 400_000])


CHANGES: list[Text] = [
    value,
    value,
    value,
    key,
    key,
    indent,
    drop,
    repeat,
    cut,
    letter,
    letter,
    nest,
    alias,
    reference,
    many,
    long,
]


def spoil(content: bytes, draw: random.Random) -> bytes:
    """Bytes changed, or the text in another encoding."""
    how = draw.randrange(12)
    if how < 7:
        return content
    text = content.decode("utf-8", "replace")
    if how == 7:
        return text.encode(draw.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp500"]), "replace")
    if how == 8:
        return (text + "\n# é").encode("latin-1", "replace")
    if how == 9:
        return text.replace("\n", draw.choice(["\r\n", "\r"])).encode()
    found = bytearray(content or b"a")
    for _ in range(draw.randrange(1, 6)):
        found[draw.randrange(len(found))] = draw.randrange(256)
    return bytes(found)


def mutated(draw: random.Random) -> bytes:
    """A shipped recipe with one to three changes; what it includes is found from anywhere."""
    path = draw.choice(FILES)
    text = path.read_text(encoding="utf-8")
    text = re.sub(
        r"(?m)(?<=[\[ ,])((?:\.\./)*[\w./-]+\.yaml)", lambda found: str((path.parent / found.group(1)).resolve()), text
    )
    for _ in range(draw.randrange(1, 4)):
        text = draw.choice(CHANGES)(text, draw)
    return spoil(text.encode("utf-8", "surrogatepass"), draw)


def checked(content: bytes, folder: Path) -> str:
    """``sound``, or the kind of the refusal; fails the test for all else."""
    path = folder / "mutated.yaml"
    path.write_bytes(content)
    begun = time.process_time()
    try:
        check.load(path)
        said = "sound"
    except RecipeError as error:
        text = str(error)
        assert all("mutated.yaml" in str(each) or each.mark or each.path for each in error.problems), text
        assert len(text) < 500_000 and "\x1b" not in text and "Traceback" not in text, text[:2000]
        said = "refused"
    except GansembleError as error:
        assert str(error)
        said = "refused"
    took = time.process_time() - begun
    assert took < MOST_SECONDS, f"took {took:.1f} s"
    return said


def fuzz(count: int, folder: Path) -> Counter[str]:
    seed = int(os.environ.get("GANSEMBLE_SEED", random.SystemRandom().randrange(10**9)))
    print(f"GANSEMBLE_SEED={seed}")
    check.load(FILES[0])  # imports are no part of what is measured
    found: Counter[str] = Counter()
    for number in range(count):
        draw = random.Random(f"{seed}/{number}")
        content = mutated(draw)
        try:
            found[checked(content, folder)] += 1
        except BaseException as error:
            error.add_note(f"GANSEMBLE_SEED={seed}, recipe {number}:\n{content[:3000]!r}")
            raise
    print(dict(found))
    return found


def test_forty_mutated_recipes_are_checked_or_refused_with_a_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = fuzz(40, tmp_path)
    assert found["refused"] > 5, "changes that change something"


@pytest.mark.slow
def test_a_thousand_mutated_recipes_are_checked_or_refused_with_a_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = fuzz(1000, tmp_path)
    assert found["refused"] > 300 and found["sound"] > 10
