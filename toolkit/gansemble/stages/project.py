"""Where a recipe's things are: experiment, corpus and packed data; and how an experiment finds them again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from gansemble.errors import GansembleError
from gansemble.files import write_atomically
from gansemble.recipe.compose import compose
from gansemble.stages.stage import BY_NAME

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe

RECORD = "project.json"
#: The folders that stages make in an experiment, and move away or write anew.
MADE = ("checkpoints", "logs", "previous", "report", "samples", "scores", "trained-on")


class Place(TypedDict):
    """Where something lies: relative to the experiment, and as it was when that was made."""

    path: str
    absolute: NotRequired[str]


@dataclass
class Project:
    """Where a recipe's things are.

    Args:
        recipe: the YAML file.
        overrides: ``--set`` values.
        exp: experiment folder.
        data: corpus folder.
        dump: packed data.
        values: the recipe's, as composed.
        data_given, dump_given: the user said where they are; otherwise they are in the recipe's folder, packed data under
            a name made of what decides them.
        borrowed: packed data that are found only where they were when the experiment was made, away from it: they are
            read, and not written to, since they may be another's by now.
        recalled: nobody gave overrides now; each stage is looked at under those that it was run with.
    """

    recipe: Path
    overrides: tuple[str, ...]
    exp: Path
    data: Path
    dump: Path
    values: Mapping[str, object] = field(default_factory=dict)
    dump_given: bool = True
    recalled: bool = False
    data_given: bool = True
    borrowed: bool = False
    _checked: Recipe | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        recipe: Path,
        overrides: tuple[str, ...] = (),
        exp: Path | None = None,
        data: Path | None = None,
        dump: Path | None = None,
    ) -> Project:
        """Fills in the folders that were not given, beside ``conf/``: ``exp/<recipe's file name>``, ``data/<corpus>`` and
        ``dump/<set>``.

        Where the experiment was made with a corpus or packed data elsewhere, these are used again.
        """
        values = compose(recipe, overrides).value
        folders = recipe.resolve().parents
        root = next((folder.parent for folder in folders if folder.name == "conf"), folders[0])
        corpus = _text(values, "corpus", "use", "corpus")
        exp = (exp or root / "exp" / recipe.stem).resolve()
        known = _Record.read(exp, corpus)
        data_given, dump_given = data is not None, dump is not None
        if data is None and known is not None and known.given("data"):
            data, data_given = known.place("data"), True
        data = (data or root / "data" / corpus.rpartition("/")[2]).resolve()
        borrowed = False
        if dump is None and known is not None and known.given("dump"):
            dump, dump_given, borrowed = known.place("dump"), True, not known.beside("dump")
        dump = (dump or root / "dump" / _dump_name(values, corpus, data, root)).resolve()
        return cls(
            recipe.resolve(),
            overrides,
            exp,
            data,
            dump,
            values,
            dump_given,
            data_given=data_given,
            borrowed=borrowed,
        )

    def checked(self) -> Recipe:
        """The recipe, read and checked; once, however often it is asked for.

        Raises:
            RecipeError: with every problem found.
        """
        if self._checked is None:
            from gansemble.recipe import check  # brings the parts, and torch

            self._checked = check.load(self.recipe, self.overrides)
        return self._checked

    def remember(self, plugins: Mapping[str, str] | None = None) -> None:
        """Notes in the experiment how it was started, for ``gansemble status``, and which plugins it needs."""
        facts: _Facts = {
            "plugins": dict(plugins or {}),
            "recipe": both(self.recipe, self.exp),
            "overrides": list(self.overrides),
            "corpus": _text(self.values, "corpus", "use", "corpus"),
            "data": both(self.data, self.exp),
            "dump": both(self.dump, self.exp),
            "given": [name for name, given in (("data", self.data_given), ("dump", self.dump_given)) if given],
        }
        write_atomically(self.exp / RECORD, json.dumps(facts, indent=1))

    @property
    def remembered(self) -> bool:
        """Whether the experiment has a note of how it was started."""
        return (self.exp / RECORD).is_file()

    def needed_before(self) -> dict[str, str]:
        """The plugins the experiment needed when a command last ran there, and how to get each."""
        known = _Record.read(self.exp)
        found = known.facts.get("plugins") if known else None
        return found if isinstance(found, dict) else {}

    @classmethod
    def recall(cls, exp: Path) -> Project:
        """The project of an experiment folder, which may have been moved or copied since.

        Raises:
            GansembleError: if no command ever ran there, or its note is damaged.
        """
        if not (exp / RECORD).is_file():
            raise GansembleError(
                f"{exp}: expected an experiment folder, but it has no {RECORD}; run a recipe's run.sh with --exp {exp}"
            )
        known = _Record.read(exp)
        if known is None:
            raise GansembleError(
                f"{exp / RECORD}: damaged; run the recipe's run.sh with --exp {exp} once more, which writes it anew"
            )
        overrides = tuple(str(each) for each in known.facts.get("overrides") or ())
        return replace(cls.of(known.place("recipe"), overrides, exp), recalled=True)

    def demand_apart(self) -> None:
        """Refuses folders that lie in one another, so that nothing that is made becomes a clip of the corpus, and nothing
        that a stage moves away or writes anew takes corpus or packed data with it.

        Raises:
            GansembleError: naming both folders.
        """
        for option, folder in (("--exp", self.exp), ("--dump", self.dump)):
            demand_outside(option, folder, self.data)
        if self.exp == self.dump:
            raise GansembleError(f"--exp and --dump are one folder, {self.exp}; give packed data a folder of their own")
        demand_outside("--data", self.data, self.dump, outer_is="the folder of packed data")
        for name in MADE:
            made = self.exp / name
            for option, folder in (("--data", self.data), ("--dump", self.dump)):
                if not made.is_symlink():
                    demand_outside(option, folder, made, outer_is="which the experiment's stages make and move away")
            demand_outside(f"--exp {self.exp}, its folder", made, self.data)


def demand_outside(what: str, folder: Path, outer: Path, outer_is: str | None = None) -> None:
    """Refuses a folder that is another one, or lies in it: by default, one for results in a corpus folder.

    Args:
        what: the folder is, such as the option that gave it.
        folder: the one refused.
        outer: the one that it must not be in.
        outer_is: what that one is, where it is not the corpus.

    Raises:
        GansembleError: naming both.
    """
    place = folder.resolve()
    if not any(_same(inner, outer) for inner in (place, *place.parents)):
        return
    if outer_is is not None:
        raise GansembleError(f"{what} {folder}: lies in {outer}, {outer_is}; give a folder outside of it")
    where = "is the corpus folder itself" if _same(place, outer) else f"lies in the corpus folder {outer}"
    raise GansembleError(
        f"{what} {folder}: {where}, so what is made there would become clips of the corpus; give a folder outside of it"
    )


def _same(one: Path, other: Path) -> bool:
    """By identity, not by name: mounts and disks without capitals give one folder several names."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one == other.resolve()


def corpus_folder(exp: Path) -> Path | None:
    """Where the corpus of an experiment is, if a command ever ran there."""
    known = _Record.read(exp)
    return known.place("data") if known is not None else None


_Thing = Literal["recipe", "data", "dump"]


class _Facts(TypedDict):
    """How an experiment was started; one that an earlier version wrote may lack what is not required."""

    recipe: Place
    data: Place
    dump: Place
    plugins: NotRequired[dict[str, str]]
    overrides: NotRequired[list[str]]
    corpus: NotRequired[str]
    given: NotRequired[list[str]]


class _Record:
    """What an experiment knows of where it was made."""

    def __init__(self, exp: Path, facts: _Facts) -> None:
        self.exp, self.facts = exp, facts

    @classmethod
    def read(cls, exp: Path, corpus: str | None = None) -> _Record | None:
        """The note of an experiment; None if it has none that can be read, or one of another ``corpus``."""
        try:
            facts = json.loads((exp / RECORD).read_text())
            places = [facts[name]["path"] for name in ("recipe", "data", "dump")]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        sound = all(isinstance(place, str) for place in places) and isinstance(facts.get("given", []), list)
        return cls(exp, facts) if sound and corpus in (None, facts.get("corpus")) else None

    def given(self, name: str) -> bool:
        """Whether the user said where a thing is."""
        return name in self.facts.get("given", [])

    def beside(self, name: _Thing) -> bool:
        """Whether a thing lies as it did relative to the experiment, or the experiment where it did."""
        near, was = self._places(name)
        return near.exists() or near == was

    def place(self, name: _Thing) -> Path:
        """Where a thing is: beside the experiment as it was, as in a tree that was moved or copied; else where it was."""
        near, was = self._places(name)
        return near if near.exists() else was

    def _places(self, name: _Thing) -> tuple[Path, Path]:
        near = Path(os.path.normpath(self.exp / self.facts[name]["path"]))
        return near, Path(self.facts[name].get("absolute") or near)


def both(path: Path, exp: Path) -> Place:
    """A place relative to the experiment, for trees that are moved, and absolute, for experiments that are moved alone."""
    return {"path": os.path.relpath(path, exp), "absolute": str(path)}


def _text(values: Mapping[str, object], section: str, key: str, default: str) -> str:
    """A value of a recipe that is not checked yet: what is wrong with it, the check will say."""
    found = values.get(section)
    value = found.get(key, default) if isinstance(found, dict) else default
    return value if isinstance(value, str) and value else default


def _dump_name(values: Mapping[str, object], corpus: str, data: Path, root: Path) -> str:
    """The default name of packed data: of the corpus and its rate, and a hash of all that decides what is packed."""
    audio = values.get("audio")
    rate = audio.get("sample_rate", 22050) if isinstance(audio, dict) else 22050
    return f"{corpus.rpartition('/')[2]}-{rate}-{content_mark(values, data, root)}"


def content_mark(values: Mapping[str, object], data: Path, root: Path) -> str:
    """A hash of all that decides the packed data: the corpus' folder and parameters, the rate, the policies, the
    augmentations, and the format. A corpus below ``root`` is named relative to it, so that a moved tree finds its data."""
    audio, given = values.get("audio"), values.get("data")
    policies = dict(given) if isinstance(given, dict) else {}
    policies.pop("normalise", None)  # applied when clips are read
    plan, augmentations = values.get("plan"), values.get("augmentations")
    chosen = {name: part for name, part in augmentations.items() if part} if isinstance(augmentations, dict) else {}
    decides = {
        "corpus": values.get("corpus"),
        "rate": audio.get("sample_rate") if isinstance(audio, dict) else None,
        "policies": policies,
        "segment": plan.get("segment") if policies.get("short") == "drop" and isinstance(plan, dict) else None,
        "format": BY_NAME["prepare"].version,
        "folder": str(data.relative_to(root.resolve()) if data.is_relative_to(root.resolve()) else data),
    } | ({"augmentations": chosen} if chosen else {})  # without any, the name is what it was before there were any
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()[:10]
