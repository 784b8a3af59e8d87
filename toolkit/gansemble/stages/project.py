"""Where the experiment, the corpus and the packed data of a recipe lie, and how an experiment finds them again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from gansemble.errors import DataError, GansembleError
from gansemble.files import near_path
from gansemble.recipe.compose import compose
from gansemble.recipe.sections import OF_PLACE
from gansemble.stages import json_files
from gansemble.stages.recipe_place import RecipePlace
from gansemble.stages.stage import BY_NAME

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe

RECORD = "project.json"
#: The folders that stages make in an experiment, and move away or write anew.
MADE = ("checkpoints", "logs", "previous", "report", "samples", "scores", "teacher", "trained-on")
#: Where an experiment keeps the generator that taught it.
TEACHER = "teacher"


class Place(TypedDict):
    """Where something lies.

    Attributes:
        path: relative to the folder that holds the record.
        absolute: where it lay when the record was written.
    """

    path: str
    absolute: NotRequired[str]


@dataclass
class Project:
    """A recipe with its experiment folder, its corpus folder and its packed data.

    Args:
        recipe: the YAML file.
        overrides: ``KEY=VALUE`` of the ``--set`` options.
        exp: experiment folder.
        data: corpus folder.
        dump: folder of the packed data.
        values: the composed recipe, not checked yet.
        data_given: the user said where the corpus is; otherwise it is in the recipe's folder.
        dump_given: the user said where the packed data are; otherwise they are in the recipe's folder, under a name
            made of everything that decides their content.
        borrowed: the experiment was moved or copied away from its packed data, which lie where they were. They are read
            and not written to, because another experiment may use them by now.
        recalled: the project was found by its experiment folder, without overrides: each stage is compared under the
            overrides that it was last run with.
        address: of a recipe of an installed distribution; empty for a file.
        root: the folder in which folders that were not given are made.
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
    address: str = ""
    root: Path = field(default_factory=Path)
    _checked: Recipe | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        recipe: Path,
        overrides: tuple[str, ...] = (),
        exp: Path | None = None,
        data: Path | None = None,
        dump: Path | None = None,
        root: Path | None = None,
    ) -> Project:
        """The project of a recipe; folders that are not given are filled in.

        They lie beside ``conf/``: ``exp/<recipe's file name>``, ``data/<corpus>`` and ``dump/<set>``; those of a recipe
        of an installed distribution lie where the user stands. If the experiment was made with a corpus or packed data
        elsewhere, these are used again.

        Args:
            recipe: the YAML file, or the address of one.
            overrides: ``KEY=VALUE`` of the ``--set`` options.
            exp: experiment folder.
            data: corpus folder.
            dump: folder of the packed data.
            root: the folder that a recipe of an installed distribution works in; None is the working directory.

        Raises:
            AddressError: if the address leads to no recipe.
            RecipeError: if the recipe cannot be composed.
        """
        place = RecipePlace.of(recipe, root)
        root = place.root
        values = compose(recipe if not place.address else place.file, overrides).value
        corpus = _text(values, "corpus", "use", "corpus")
        exp = (exp or place.exp).resolve()
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
            place.file,
            overrides,
            exp,
            data,
            dump,
            values,
            dump_given,
            data_given=data_given,
            borrowed=borrowed,
            address=place.address,
            root=root,
        )

    def checked(self) -> Recipe:
        """The checked recipe; it is read and checked once, at the first call.

        Raises:
            RecipeError: with every problem found.
        """
        if self._checked is None:
            from gansemble.recipe import check  # brings the parts, and torch

            self._checked = check.load(self.recipe, self.overrides)
        return self._checked

    def remember(self, plugins: Mapping[str, str] | None = None) -> None:
        """Writes down in the experiment how it was started, for :meth:`recall`, and which plugins it needs.

        Args:
            plugins: the name of each plugin, and how to get it.
        """
        facts: _Facts = {
            "plugins": dict(plugins or {}),
            "recipe": both(self.recipe, self.exp),
            "overrides": list(self.overrides),
            "corpus": _text(self.values, "corpus", "use", "corpus"),
            "data": both(self.data, self.exp),
            "dump": both(self.dump, self.exp),
            "given": [name for name, given in (("data", self.data_given), ("dump", self.dump_given)) if given],
        }
        if self.address:
            facts |= {"address": self.address, "root": both(self.root, self.exp)}
        json_files.write(self.exp / RECORD, facts)

    @property
    def remembered(self) -> bool:
        """Whether the experiment has a record of how it was started."""
        return (self.exp / RECORD).is_file()

    def needed_before(self) -> dict[str, str]:
        """The plugins that the experiment needed when a command last ran there, with how to get each."""
        known = _Record.read(self.exp)
        return known.facts.get("plugins", {}) if known else {}

    @classmethod
    def recall(cls, exp: Path) -> Project:
        """The project of an experiment folder, which may have been moved or copied since a command last ran there.

        Raises:
            GansembleError: if no command ever ran there, or the record is damaged.
            RecipeError: if the recipe cannot be composed any more.
        """
        if not (exp / RECORD).exists():
            raise GansembleError(
                f"{exp}: expected an experiment folder, but it has no {RECORD}{near_path(exp)}; run a recipe's run.sh with "
                f"--exp {exp}"
            )
        known = _Record.demand(exp)
        overrides = tuple(known.facts.get("overrides", ()))
        if "address" in known.facts and "root" in known.facts:
            recipe, root = Path(known.facts["address"]), known.place("root")
            return replace(cls.of(recipe, overrides, exp, root=root), recalled=True)
        return replace(cls.of(known.place("recipe"), overrides, exp), recalled=True)

    def demand_apart(self) -> None:
        """Refuses an experiment, a corpus and packed data whose folders lie in one another.

        Otherwise files that a stage makes would become clips of the corpus, and a stage that moves or rewrites its
        results would take the corpus or the packed data with them.

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
    """Refuses a folder that is the same as another one, or lies in it.

    Args:
        what: name of the folder in messages, such as the option that gave it.
        folder: the folder in question.
        outer: the one that it must not be in.
        outer_is: what that one is, in messages; None for the corpus folder.

    Raises:
        GansembleError: naming both folders.
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
    """Whether two paths are one folder, by its identity where it exists.

    Names do not tell: mounts and case-insensitive disks give one folder several names.
    """
    if one.exists() and other.exists():
        return one.samefile(other)
    return one == other.resolve()


def corpus_folder(exp: Path) -> Path | None:
    """The corpus folder of an experiment; None if no command ever ran there."""
    known = _Record.read(exp)
    return known.place("data") if known is not None else None


def packed_folder(exp: Path) -> Path | None:
    """The folder of an experiment's packed data; None if no command ever ran there."""
    known = _Record.read(exp)
    return known.place("dump") if known is not None else None


_Thing = Literal["recipe", "data", "dump", "root"]


class _Facts(TypedDict):
    """How an experiment was started; what an earlier version wrote may lack the keys that are not required."""

    recipe: Place
    data: Place
    dump: Place
    plugins: NotRequired[dict[str, str]]
    overrides: NotRequired[list[str]]
    corpus: NotRequired[str]
    given: NotRequired[list[str]]
    address: NotRequired[str]
    root: NotRequired[Place]


class _Record:
    """The record in an experiment of where its recipe, its corpus and its packed data were."""

    def __init__(self, exp: Path, facts: _Facts) -> None:
        self.exp, self.facts = exp, facts

    @classmethod
    def read(cls, exp: Path, corpus: str | None = None) -> _Record | None:
        """The record of an experiment; None if there is none that can be read, or if it is of another ``corpus``."""
        try:
            known = cls.demand(exp)
        except DataError:
            return None
        return known if corpus in (None, known.facts.get("corpus")) else None

    @classmethod
    def demand(cls, exp: Path) -> _Record:
        """The record of an experiment.

        Raises:
            DataError: if there is none, or it is damaged; it says how.
        """
        remedy = f"run the recipe's run.sh with --exp {exp} once more, which writes it anew"
        return cls(exp, json_files.read(exp / RECORD, _Facts, remedy))

    def given(self, name: str) -> bool:
        """Whether the user said where a thing is."""
        return name in self.facts.get("given", [])

    def beside(self, name: _Thing) -> bool:
        """Whether a thing lies as it did relative to the experiment, or the experiment was not moved at all."""
        near, was = self._places(name)
        return near.exists() or near == was

    def place(self, name: _Thing) -> Path:
        """Where a thing is: at its place relative to the experiment if it exists there, otherwise where it was.

        The former finds it in a whole tree that was moved or copied.
        """
        near, was = self._places(name)
        return near if near.exists() else was

    def _places(self, name: _Thing) -> tuple[Path, Path]:
        near = Path(os.path.normpath(self.exp / self.facts[name]["path"]))
        return near, Path(self.facts[name].get("absolute") or near)


def both(path: Path, exp: Path) -> Place:
    """A path both relative to ``exp`` and absolute.

    The former is for trees that are moved as a whole, the latter for experiments that are moved alone.
    """
    return {"path": os.path.relpath(path, exp), "absolute": str(path)}


def _text(values: Mapping[str, object], section: str, key: str, default: str) -> str:
    """A text in a recipe that is not checked yet; the default if it is missing or wrong, as the check will report."""
    found = values.get(section)
    value = found.get(key, default) if isinstance(found, dict) else default
    return value if isinstance(value, str) and value else default


def _dump_name(values: Mapping[str, object], corpus: str, data: Path, root: Path) -> str:
    """The default name of the packed data: corpus, sample rate, and a hash of everything that decides their content."""
    audio = values.get("audio")
    rate = audio.get("sample_rate", 22050) if isinstance(audio, dict) else 22050
    return f"{corpus.rpartition('/')[2]}-{rate}-{content_mark(values, data, root)}"


def content_mark(values: Mapping[str, object], data: Path, root: Path) -> str:
    """A hash of everything that decides the content of the packed data.

    That is the corpus with its parameters and folder, the sample rate, the data policies, the augmentations, and the
    format. A corpus folder below ``root`` is named relative to it, so that a tree that was moved finds its data again.

    Args:
        values: the composed recipe.
        data: corpus folder.
        root: the recipe's folder.
    """
    audio, given = values.get("audio"), values.get("data")
    policies = dict(given) if isinstance(given, dict) else {}
    for key in ("normalise", "label", *OF_PLACE):  # applied when clips are read, or where they lie
        policies.pop(key, None)
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
