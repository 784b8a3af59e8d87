"""Turns a composed document into a checked :class:`Recipe`.

Every section and every part is checked before anything is reported, so that all problems are told at once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

from gansemble import numbers
from gansemble.audio.spec import AudioSpec
from gansemble.errors import PluginError, near
from gansemble.plugins.registry import Registry
from gansemble.recipe import names, optimiser_keys, packages, types
from gansemble.recipe.compose import compose
from gansemble.recipe.document import MOST_PROBLEMS, Document, KeyPath, Problem, RecipeError
from gansemble.recipe.required import Required
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.schema import CHANCED, MANY, PRIORED, SINGLE, SUPPLIED, WEIGHTED, Recipe
from gansemble.recipe.sections import SECTIONS, Part, Validation
from gansemble.recipe.weights import Schedule, WeightOrSchedule

#: For so many problems a similar name is looked for, which takes time for each name that is known.
SUGGESTED = 20
#: Most parts of a section. Rules compare each with each.
MOST_PARTS = 200


def load(path: Path, overrides: Sequence[str] = (), registry: Registry | None = None, *, files: bool = True) -> Recipe:
    """Reads and composes a recipe, and checks its types and whether its parts fit together.

    Args:
        path: the YAML file, or the address of one (see :mod:`gansemble.recipe.packages`).
        overrides: ``KEY=VALUE`` of the ``--set`` options.
        registry: of the parts that may be named; None is that of this process' plugins, which then check the recipe,
            too.
        files: whether files and folders that parts name must be there. They need not for the recipe in a checkpoint, of
            which not every part is built again; a part that is built demands its own.

    Returns:
        The recipe; what is worth saying of it but no error is in its ``notes``.

    Raises:
        RecipeError: with every problem found, each with a change that fixes it where one was found.
    """
    from gansemble.plugins import loading
    from gansemble.recipe.rules import examine
    from gansemble.recipe.rules import finding as rules_finding
    from gansemble.recipe.rules.fixes import find_fix

    known = registry or loading.registry()
    recipe, document, problems = _read(path, overrides, known, files)
    if recipe is not None:
        findings = examine.examine(recipe)
        faults = [finding for finding in findings if not finding.advice]

        def attempt(change: Sequence[str]) -> list[Finding]:
            changed, _, wrong = _read(path, (*overrides, *change), known, files)
            if changed is None or wrong:
                raise RecipeError(wrong)
            return [finding for finding in examine.examine(changed) if not finding.advice]

        problems += [
            rules_finding.problem(fault, document, "" if problems else find_fix(fault, faults, attempt))
            for fault in faults
        ]
        recipe.notes = [rules_finding.problem(finding, document) for finding in findings if finding.advice]
        problems += _asked(recipe) if registry is None else []
    if problems or recipe is None:
        raise RecipeError(problems)
    return recipe


def inspect(document: Document, path: Path, registry: Registry | None = None) -> tuple[Recipe | None, list[Problem]]:
    """Checks a composed document like :func:`load`, but searches for no fixes and returns the problems.

    Args:
        document: from :func:`gansemble.recipe.compose.compose`.
        path: the YAML file that it was read from.
        registry: of the parts that may be named; None is that of this process' plugins.

    Returns:
        (the recipe, or None if a section or a part of it cannot be read; every problem found).
    """
    from gansemble.plugins import loading
    from gansemble.recipe.rules import examine
    from gansemble.recipe.rules import finding as rules_finding

    checker = _Checker(document, registry or loading.registry())
    recipe = checker.recipe(path)
    problems = list(checker.problems)
    if recipe is not None:
        faults = [finding for finding in examine.examine(recipe) if not finding.advice]
        problems += [rules_finding.problem(fault, document) for fault in faults]
        problems += _asked(recipe) if registry is None else []
    return recipe, problems


def metrics_alone(document: Document, path: Path, sample_rate: int, registry: Registry | None = None) -> Recipe:
    """Metrics without a recipe around them, for folders of audio that no experiment made.

    Args:
        document: its section ``metrics`` is read, and ``audio`` where it has one; other sections are not looked at, so that
            the file of a whole recipe serves as well.
        path: what to call the document.
        sample_rate: of the audio [Hz], which overrides that of the document.
        registry: of the parts that may be named; None is that of this process' plugins.

    Returns:
        A recipe that has metrics, and nothing that could be trained.

    Raises:
        RecipeError: with every problem found.
    """
    from gansemble.plugins import loading

    known = registry or loading.registry()
    given = document.value.get("audio")
    document.value["audio"] = {"fmax": None} | (given if isinstance(given, dict) else {}) | {"sample_rate": sample_rate}
    checker = _Checker(document, known)
    audio, metrics = checker.audio(), checker.several("metrics", "metric")
    if checker.problems or audio is None:
        raise RecipeError(checker.problems)
    return Recipe(path, document, audio, many={"metrics": metrics}, registry=known)


def _asked(recipe: Recipe) -> list[Problem]:
    """The problems that plugins find in a recipe, by their hook ``gansemble_check_recipe``.

    A hook that fails itself is a problem only of recipes that use its plugin; otherwise a warning is logged.
    """
    from gansemble.plugins import loading

    used = {part.entry.plugin for part in recipe.parts()} | set(recipe.plugins)
    problems: list[Problem] = []
    for hook in loading.load().manager.hook.gansemble_check_recipe.get_hookimpls():
        try:
            found = cast("Iterable[tuple[str, str]]", hook.function(*[recipe for _ in hook.argnames]) or ())
            problems += [_from_plugin(recipe.document, key, message) for key, message in found]
        except Exception as error:
            text = f"plugin {hook.plugin_name!r} fails to check it ({type(error).__name__}: {error}); tell its author"
            if hook.plugin_name in used:
                problems.append(Problem((), text, recipe.document.mark(())))
            else:
                logging.getLogger(__name__).warning("%s: %s", recipe.path, text)
    return problems


def _read(
    path: Path, overrides: Sequence[str], registry: Registry, files: bool
) -> tuple[Recipe | None, Document, list[Problem]]:
    path = packages.file_of(path)
    document = compose(path, overrides)
    checker = _Checker(document, registry, files)
    return checker.recipe(path), document, checker.problems


def default_name(path: Path) -> str:
    """The name of a recipe that gives none, such as ``mymethod small`` for ``mymethod/conf/small.yaml``."""
    conf = next((folder for folder in path.resolve().parents if folder.name == "conf"), None)
    return f"{conf.parent.name} {path.stem}" if conf else path.stem


def _from_plugin(document: Document, key: str, message: str) -> Problem:
    """A problem that a plugin found, at the place of a key such as ``discriminators.mpd.periods[2]``."""
    path: KeyPath = tuple(int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key))
    return Problem(path, message, document.mark(path))


class _Checker:
    def __init__(self, document: Document, registry: Registry, files: bool = True) -> None:
        self.document = document
        self.registry = registry
        self.files = files  # whether those that parts name must be there
        self.problems: list[Problem] = []
        self.broken = False  # whether a part could not be read
        self.required = Required(document, registry)

    def recipe(self, path: Path) -> Recipe | None:
        """The recipe; None if a section or a part cannot be read, or no generator is named."""
        value = self.document.value
        known = ["name", "plugins", "audio", *SECTIONS, *SINGLE, *MANY]
        self.problems += self.required.problems
        for key in [key for key in value if key not in known][:MOST_PROBLEMS]:
            hint = near(str(key), known) if len(self.problems) < SUGGESTED else ""
            note = "" if hint else f"sections: {', '.join(known)}"
            self.problems.append(
                Problem((key,), f"a recipe has no such section{hint}", self.document.key_mark((key,)), note)
            )
        self.title(value.get("name"))
        sections = {name: self.section(name, cls) for name, cls in SECTIONS.items()}
        audio = self.audio()
        single = {name: part for name, (kind, required) in SINGLE.items() if (part := self.one(name, kind, required))}
        many = {name: self.several(name, kind) for name, kind in MANY.items()}
        if audio is None or any(section is None for section in sections.values()):
            return None
        if self.broken or "generator" not in single:
            return None
        sections["validation"] = self.validation(sections["validation"], list(many["metrics"]))
        name = str(value.get("name") or default_name(path))
        return Recipe(
            path,
            self.document,
            audio,
            name=name,
            single=single,
            many=many,
            plugins=self.required.given,
            registry=self.registry,
            **sections,  # type: ignore[arg-type]
        )

    def title(self, given: object) -> None:
        """Looks at the recipe's own name."""
        types.check_value(given, str | None, ("name",), self.document, self.problems)
        # A checkpoint's recipe may have a name that was allowed when it was trained.
        fault = names.title_fault(given) if isinstance(given, str) and self.files else None
        if fault is not None:
            self.problems.append(Problem(("name",), f"{given!r} {fault}", self.document.mark(("name",))))

    def section(self, name: str, cls: type) -> object | None:
        given = self.document.value.get(name)
        given = {} if given is None else given
        return types.check_value(given, cls, (name,), self.document, self.problems)

    def validation(self, given: object, metrics: Sequence[str]) -> Validation:
        """Fills in what the validation section leaves out.

        ``metrics`` becomes the first metric of the recipe, and ``best`` the first of ``metrics``.
        """
        assert isinstance(given, Validation)
        section = self.document.value.get("validation")
        written = section if isinstance(section, dict) else {}
        chosen = given if "metrics" in written else replace(given, metrics=tuple(metrics[:1]))
        return chosen if "best" in written else replace(chosen, best=(*chosen.metrics, "")[0])

    def audio(self) -> AudioSpec | None:
        path: KeyPath = ("audio",)
        given = self.document.value.get("audio")
        given = {} if given is None else given
        if not isinstance(given, dict):
            self.problems.append(Problem(path, f"expected a mapping, got {given!r}", self.document.mark(path)))
            return None
        before = len(self.problems)
        arguments = types.check_arguments(AudioSpec, given, path, self.document, self.problems, what="audio")
        if len(self.problems) > before:
            return None
        # Built around __init__, which would raise at the first problem where all are to be told.
        spec = object.__new__(AudioSpec)
        for name, parameter in types.signature(AudioSpec).items():
            object.__setattr__(spec, name, arguments.get(name, parameter.default))
        faults = spec.problems()
        for key, message in faults:
            self.problems.append(Problem((*path, key), message, self.document.mark((*path, key))))
        return None if faults else AudioSpec(**arguments)

    def one(self, section: str, kind: str, required: bool) -> Part | None:
        given = self.document.value.get(section)
        if given is None:
            if required:
                message = f"a recipe needs a {section}, such as {section}: {{use: …}}"
                self.problems.append(Problem((section,), message, self.document.marks.get(())))
            return None
        return self.part((section,), kind, given)

    def several(self, section: str, kind: str) -> dict[str, Part]:
        given = self.document.value.get(section)
        given = {} if given is None else given
        if not isinstance(given, dict):
            message = f"expected parts by name, such as {section}: {{my_name: {{use: …}}}}, got {type(given).__name__}"
            self.problems.append(Problem((section,), message, self.document.mark((section,))))
            return {}
        if len(given) > MOST_PARTS:
            message = f"has {len(given):,} parts, at most {MOST_PARTS} are built; leave some out"
            self.problems.append(Problem((section,), message, self.document.key_mark((section,))))
            self.broken = True
            return {}
        found: dict[str, Part | None] = {}
        for name, value in given.items():
            if value is None:
                continue
            fault = names.part_fault(name) if self.files else None
            if fault is not None:
                key = (section, name)
                self.problems.append(Problem(key, f"the name {name!r} {fault}", self.document.key_mark(key)))
            if len(self.problems) >= MOST_PROBLEMS:
                self.broken = True
                break
            found[str(name)] = self.part((section, name), kind, value)
        return {name: part for name, part in found.items() if part is not None}

    def part(self, path: KeyPath, kind: str, given: object) -> Part | None:
        """The part that is described at a path; None if something is wrong with it, which is then reported."""
        found = self._part(path, kind, given)
        self.broken |= found is None
        return found

    def _part(self, path: KeyPath, kind: str, given: object) -> Part | None:
        if not isinstance(given, dict) or not isinstance(given.get("use"), str):
            shown = "" if isinstance(given, dict) else f", got {given!r}"
            siblings = self.document.value.get(str(path[0]))
            if isinstance(given, dict) and len(path) > 1 and isinstance(siblings, dict):
                named = [str(name) for name, other in siblings.items() if isinstance(other, dict) and "use" in other]
                shown = near(str(path[-1]), named)
            self.problems.append(Problem(path, f"expected {{use: NAME, …}}{shown}", self.document.mark(path)))
            return None
        name = given["use"]
        try:
            entry = self.registry.get(kind, name)
            target = entry.load()
            types.hints(target)
        except (PluginError, NameError, TypeError) as error:
            use = (*path, "use")
            self.problems.append(Problem(use, f"{error}{self.required.hint()}", self.document.mark(use)))
            return None
        before = len(self.problems)
        extra = (
            "use",
            *(("weight",) if kind in WEIGHTED else ()),
            *(("probability",) if kind in CHANCED else ()),
            *(("prior",) if kind in PRIORED else ()),
            *((*optimiser_keys.RATE_KEYS, *optimiser_keys.PARAMETER_KEYS) if kind == "optimiser" else ()),
        )
        arguments = types.check_arguments(
            target,
            given,
            path,
            self.document,
            self.problems,
            what=name,
            skip=extra,
            supplied=[*SUPPLIED, *(optimiser_keys.TAKEN if kind == "optimiser" else ())],
        )
        part = Part(kind, path, name, entry, target, arguments)
        if self.files:
            self.problems += types.absent(path, types.with_defaults(target, arguments), self.document)
        if kind in WEIGHTED:
            part.weight = self.weight(path, given.get("weight", 1.0))
        if kind in CHANCED:
            part.probability = self.probability(path, given.get("probability", 1.0))
        if kind in PRIORED:
            part.prior = self.prior(path, given.get("prior"))
        if kind == "optimiser":
            optimiser_keys.read(part, given, self.document, self.problems)
        return part if len(self.problems) == before else None

    def probability(self, path: KeyPath, value: object) -> float:
        here = (*path, "probability")
        found = types.convert(value, float)
        if types.misfit(found, float) is not None or not 0 <= cast("float", found) <= 1:
            message = f"expected a number from 0, never, to 1, always, got {value!r}"
            self.problems.append(Problem(here, message, self.document.mark(here)))
            return 1.0
        return cast("float", found)

    def prior(self, path: KeyPath, value: object) -> Literal["pseudo_inverse"] | None:
        if value is None or value == "pseudo_inverse":
            return cast('Literal["pseudo_inverse"] | None', value)
        here = (*path, "prior")
        message = (
            "expected pseudo_inverse, with which the generator reads the amplitude spectrum that a mel spectrogram implies, or "
            f"null, for the mel spectrogram itself, got {value!r}"
        )
        self.problems.append(Problem(here, message, self.document.mark(here)))
        return None

    def weight(self, path: KeyPath, value: object) -> Schedule:
        here = (*path, "weight")
        hint = numbers.bare(WeightOrSchedule)
        converted = types.convert(value, hint)
        good = types.misfit(converted, hint) is None
        if not good or value == {}:
            message = f"expected a number or a schedule such as {{0: 45, 200000: 5}}, got {value!r}"
            self.problems.append(Problem(here, message, self.document.mark(here)))
            return Schedule.of(1.0)
        for place, wrong in numbers.outside(converted, WeightOrSchedule):
            self.problems.append(Problem((*here, *place), wrong, self.document.mark((*here, *place))))
        return Schedule.of(cast("float | dict[int, float]", converted))
