"""Every number of every shipped recipe, set to what it cannot be: refused by the check, or trained with.

``GANSEMBLE_SEED`` repeats the slice that is trained with unmarked.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gansemble.data import prepare
from gansemble.errors import DataError, GansembleError, Interrupted
from gansemble.recipe import check, fill
from gansemble.recipe.compose import compose
from gansemble.recipe.document import Document, KeyPath, dotted
from gansemble.recipe.schema import MANY, SINGLE, Recipe
from gansemble.stages import Project
from gansemble.training.components import Components, Options
from gansemble.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(ROOT.glob("egs/*/*/conf/*.yaml"))
MINIS = [path for path in RECIPES if path.name == "mini.yaml"]
VALUES = (math.nan, math.inf, -math.inf, -1, 0, 1e300)
#: Of these no key takes one, whatever it is.
NEVER = (math.nan, math.inf, -math.inf, 1e300)
#: A recipe whose corpus is made, and whose networks are trained, in a second or two.
QUICK = ROOT / "egs" / "birds" / "wavegan" / "conf" / "mini.yaml"
#: Sections whose values decide what is packed.
PACKED = ("corpus", "audio", "data", "augmentations")


@dataclass(frozen=True)
class Case:
    """A number of a recipe, and what it is set to.

    Args:
        recipe: that has the number.
        path: of the number.
        value: that it is set to.
        same: what makes two cases one: the part with the parameter, or the section's key, and the value.
    """

    recipe: Path
    path: KeyPath
    value: float
    same: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.recipe.relative_to(ROOT / 'egs')}: {dotted(self.path)}={self.value!r}"


def numbers(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths of all numbers within a value, and of what may be null in the place of one."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from numbers(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers(item, (*path, index))
    elif (isinstance(value, int | float) and not isinstance(value, bool)) or value is None:
        yield path


@functools.cache
def read(path: Path) -> tuple[Recipe, Document]:
    """A recipe, and its document with every default written out."""
    recipe = check.load(path, files=False)
    document = compose(path)
    return recipe, Document(fill.fill(recipe), document.marks, document.keys)


def cases(paths: list[Path]) -> list[Case]:
    """Each number of the recipes with each value, once for each part and parameter."""
    found: dict[tuple[str, ...], Case] = {}
    for recipe_path in paths:
        recipe, document = read(recipe_path)
        parts = {part.path: part for part in recipe.parts()}
        for path in numbers(document.value):
            if len(path) < 2:
                continue
            part = next((parts[path[:count]] for count in (1, 2) if path[:count] in parts), None)
            if part is None and path[0] in (*SINGLE, *MANY):
                continue
            inner = path if part is None else path[len(part.path) :]
            names = tuple("#" if isinstance(each, int) else str(each) for each in inner)
            for value in VALUES:
                same = (part.entry.target if part is not None else "", *names, repr(value))
                found.setdefault(same, Case(recipe_path, path, value, same))
    return list(found.values())


def changed(case: Case) -> Document:
    """The recipe's document with the one number changed."""
    document = read(case.recipe)[1]
    value = copy.deepcopy(document.value)
    held: object = value
    for key in case.path[:-1]:
        held = held[key]  # type: ignore[index]
    held[case.path[-1]] = case.value  # type: ignore[index]
    return Document(value, document.marks, document.keys)


def refused(case: Case) -> list[str]:
    """What the check says of a case, at its number or at what holds it; empty if it is let through.

    A part that is looked for under another key, and files that are not there, are no matter of numbers.
    """
    _, problems = check.inspect(changed(case), case.recipe)
    return [f"{dotted(problem.path)}: {problem.message}" for problem in problems]


def names_it(said: list[str], case: Case) -> bool:
    """Whether the key of the number, or its section or part, is named beside what is expected."""
    key = next(str(each) for each in reversed(case.path) if isinstance(each, str))
    inside = [each for each in said if key in each or each.startswith(dotted(case.path[:1]))]
    return bool(inside)


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """Those of the mini recipes."""
    return tuple(cases(MINIS))


def all_at_once(path: Path, value: float) -> list[str]:
    """The numbers of a recipe that the check does not refuse, when they are set to a value that none may have.

    Some at a time, as a check stops after a hundred problems.
    """
    wanted = [each for each in numbers(read(path)[1].value) if len(each) > 1]
    return [
        left for first in range(0, len(wanted), 60) for left in some_at_once(path, value, wanted[first : first + 60])
    ]


def some_at_once(path: Path, value: float, wanted: Sequence[KeyPath]) -> list[str]:
    document = read(path)[1]
    changed = copy.deepcopy(document.value)
    for each in wanted:
        held: object = changed
        for key in each[:-1]:
            held = held[key]  # type: ignore[index]
        held[each[-1]] = value  # type: ignore[index]
    _, problems = check.inspect(Document(changed, document.marks, document.keys), path)
    told = {problem.path for problem in problems if "must" in problem.message or "expected" in problem.message}
    # Of a list of whole numbers only the first that is none is told; and a mapping that is none is told as a whole.
    keys = [tuple(key for key in each if isinstance(key, str)) for each in wanted]
    known = {tuple(key for key in each if isinstance(key, str)) for each in told}
    return [dotted(each) for each, key in zip(wanted, keys, strict=True) if not {key, key[:-1]} & known]


@pytest.mark.parametrize("value", NEVER)
def test_no_number_of_a_recipe_may_be_infinite_or_no_number(value):
    """Whatever takes a number is told at its place, with what it takes."""
    assert len(MINIS) > 10
    assert {str(path): left for path in MINIS if (left := all_at_once(path, value))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("value", NEVER)
def test_no_number_of_a_full_recipe_may_be_infinite_or_no_number(value):
    assert {str(path): left for path in RECIPES if (left := all_at_once(path, value))} == {}


def unnamed(chosen: Sequence[Case]) -> list[tuple[str, list[str]]]:
    """(case, what is said) of refusals that do not name the number, its section or its part."""
    return [(str(case), said) for case in chosen if (said := refused(case)) and not names_it(said, case)]


def test_a_refusal_of_a_negative_number_or_zero_names_its_place():
    whole = [case for case in all_cases() if case.value in (-1, 0)]
    assert len(whole) > 400 and unnamed(drawn(whole, 20)) == []


@pytest.mark.slow
def test_every_refusal_names_its_place():
    assert unnamed(all_cases()) == []


def drawn(whole: Sequence[Case], count: int) -> list[Case]:
    """Some of the cases, by a seed that is printed."""
    seed = int(os.environ.get("GANSEMBLE_SEED") or random.randrange(2**32))
    print(f"GANSEMBLE_SEED={seed}")
    return random.Random(seed).sample(list(whole), min(count, len(whole)))


# training ---------------------------------------------------------------


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, tuple[Path, Path]]:
    """Folders (corpus, packed data) of recipes, filled as they are asked for."""
    return {}


def packed(case: Case, dumps: dict[Path, tuple[Path, Path]], folder: Path) -> tuple[Path, Path]:
    """The corpus of a case's recipe, small and made here, and its packed data; made once for each recipe."""
    if case.recipe not in dumps:
        recipe, place = read(case.recipe)[0], folder / str(len(dumps))
        prepare.corpus_of(recipe).mini(place / "corpus")
        (place / "dump").mkdir()
        prepare.prepare(recipe, place / "corpus", place / "dump", 1, lambda text: None)
        dumps[case.recipe] = (place / "corpus", place / "dump")
    return dumps[case.recipe]


def override(case: Case) -> str:
    """The change as an option ``--set``; of a list the whole list is given."""
    document, keys = changed(case), [each for each in case.path]
    count = next((at for at, each in enumerate(keys) if isinstance(each, int)), len(keys))
    value: object = document.value
    for key in keys[:count]:
        value = value[key]  # type: ignore[index]
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
    return f"{'.'.join(map(str, keys[:count]))}={text}"


def train(case: Case, dumps: dict[Path, tuple[Path, Path]], folder: Path, exp: Path) -> str | None:
    """What is wrong with three steps of a run; None if nothing is."""
    corpus, dump = packed(case, dumps, folder)
    try:
        project = Project.of(case.recipe, (override(case), "validation.audio=0"), exp, corpus, dump)
        recipe = project.checked()
        if case.path[0] in PACKED:
            dump = exp / "dump"
            dump.mkdir(parents=True)
            prepare.prepare(recipe, corpus, dump, 1, lambda text: None)
        Trainer(Components.build(recipe, exp, dump, Options(stop_after=3))).run()
    except Interrupted:
        return None
    except DataError as error:  # such as an empty split, which only the data can tell
        return None if case.path[0] in PACKED else f"DataError: {error}"
    except GansembleError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"a traceback: {type(error).__name__}: {error}"
    return None


def allowed() -> list[Case]:
    """The cases that the check lets through, but for those in the place of a null that is none of a number's."""
    return [case for case in all_cases() if case.value in (-1, 0) and not refused(case)]


def trained(chosen: list[Case], dumps: dict[Path, tuple[Path, Path]], folder: Path) -> list[tuple[str, str]]:
    """(case, what went wrong) of those that cannot be trained with."""
    found = []
    for number, case in enumerate(chosen):
        said = train(case, dumps, folder, folder / f"exp{number}")
        found += [(str(case), said)] if said is not None else []
    return found


def test_some_numbers_that_the_check_lets_through_are_trained_with(dumps, tmp_path):
    """A few recipes that are trained quickly; which numbers is drawn."""
    quick = [case for case in all_cases() if case.recipe == QUICK and case.value in (-1, 0)]
    chosen = list(itertools.islice((case for case in drawn(quick, len(quick)) if not refused(case)), 1))
    assert len(chosen) == 1 and trained(chosen, dumps, tmp_path) == []


@pytest.mark.slow
def test_every_number_that_the_check_lets_through_is_trained_with(dumps, tmp_path):
    assert trained(allowed(), dumps, tmp_path) == []
