"""From a composed document to a checked :class:`Recipe`: every section and every part, all problems at once."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gansemble.audio.spec import AudioSpec
from gansemble.errors import PluginError, near
from gansemble.recipe import types
from gansemble.recipe.compose import compose
from gansemble.recipe.document import Document, KeyPath, Problem, RecipeError
from gansemble.recipe.limits import Finding
from gansemble.recipe.required import Required
from gansemble.recipe.sections import (
    SECTIONS,
    Data,
    Evaluation,
    LearningRate,
    Part,
    Plan,
    Schedule,
    Synthesis,
    Validation,
)
from gansemble.registry import Registry

#: Sections of one part: section -> (kind, required).
SINGLE = {
    "corpus": ("corpus", True),
    "representation": ("representation", False),
    "generator": ("generator", True),
    "objective": ("objective", False),
    "noise_injector": ("noise_injector", False),
    "degradation": ("degradation", False),
}
#: Sections of several parts by name: section -> kind.
MANY = {
    "discriminators": "discriminator",
    "losses": "loss",
    "regularisers": "regulariser",
    "metrics": "metric",
    "optimisers": "optimiser",
    "test_degradations": "degradation",
    "augmentations": "augmentation",
    "baselines": "generator",
    "monitors": "monitor",
}
WEIGHTED = frozenset({"discriminator", "loss", "regulariser", "objective"})
RATE_KEYS = ("decay", "decay_every", "warmup", "cosine")
#: Constructor parameters the toolkit fills in when a recipe does not.
SUPPLIED = ("audio", "batch_size", "seed", "segment")


@dataclass
class Recipe:
    """A recipe whose every value has been checked against its constructor's types."""

    path: Path
    document: Document
    audio: AudioSpec
    plan: Plan = field(default_factory=Plan)
    validation: Validation = field(default_factory=Validation)
    data: Data = field(default_factory=Data)
    synthesis: Synthesis = field(default_factory=Synthesis)
    evaluation: Evaluation = field(default_factory=Evaluation)
    name: str = ""
    single: dict[str, Part] = field(default_factory=dict)
    many: dict[str, dict[str, Part]] = field(default_factory=dict)
    plugins: dict[str, str] = field(default_factory=dict)
    registry: Registry | None = None
    notes: list[Problem] = field(default_factory=list)

    def parts(self) -> list[Part]:
        """Every part, single sections first, in the order of the recipe."""
        return [
            *self.single.values(),
            *(part for section in MANY for part in self.many.get(section, {}).values()),
        ]

    def supplied(self) -> dict[str, Any]:
        """What the toolkit fills into constructor parameters of these names."""
        plan = self.plan
        return {"audio": self.audio, "batch_size": plan.batch_size, "seed": plan.seed, "segment": plan.segment}


def load(path: Path, overrides: Sequence[str] = (), registry: Registry | None = None) -> Recipe:
    """Reads, composes, type-checks and contract-checks a recipe.

    Raises:
        RecipeError: with every problem found, each with a change that mends it where one was found.
    """
    from gansemble import plugins
    from gansemble.recipe import contracts
    from gansemble.recipe.mend import mend

    known = registry or plugins.registry()
    recipe, document, problems = _read(path, overrides, known)
    if recipe is not None:
        findings = contracts.examine(recipe)
        faults = [finding for finding in findings if not finding.advice]

        def attempt(change: Sequence[str]) -> list[Finding]:
            changed, _, wrong = _read(path, (*overrides, *change), known)
            if changed is None or wrong:
                raise RecipeError(wrong)
            return [finding for finding in contracts.examine(changed) if not finding.advice]

        problems += [
            contracts.problem(fault, document, "" if problems else mend(fault, faults, attempt)) for fault in faults
        ]
        recipe.notes = [contracts.problem(finding, document) for finding in findings if finding.advice]
        problems += _asked(recipe) if registry is None else []
    if problems or recipe is None:
        raise RecipeError(problems)
    return recipe


def inspect(document: Document, path: Path, registry: Registry | None = None) -> tuple[Recipe | None, list[Problem]]:
    """A composed document as a recipe, and every problem found, without looking for mends; None where there is none."""
    from gansemble import plugins
    from gansemble.recipe import contracts

    checker = _Checker(document, registry or plugins.registry())
    recipe = checker.recipe(path)
    problems = list(checker.problems)
    if recipe is not None:
        faults = [finding for finding in contracts.examine(recipe) if not finding.advice]
        problems += [contracts.problem(fault, document) for fault in faults]
        problems += _asked(recipe) if registry is None else []
    return recipe, problems


def _asked(recipe: Recipe) -> list[Problem]:
    """What plugins find wrong with a recipe; one that fails at it is a problem of the recipes that use it only."""
    from gansemble import plugins

    used = {part.entry.plugin for part in recipe.parts()} | set(recipe.plugins)
    problems: list[Problem] = []
    for hook in plugins.load().manager.hook.gansemble_check_recipe.get_hookimpls():
        try:
            found: Any = hook.function(*[recipe for _ in hook.argnames]) or ()
            problems += [_from_plugin(recipe.document, key, message) for key, message in found]
        except Exception as error:
            text = f"plugin {hook.plugin_name!r} fails to check it ({type(error).__name__}: {error}); tell its author"
            if hook.plugin_name in used:
                problems.append(Problem((), text, recipe.document.mark(())))
            else:
                logging.getLogger(__name__).warning("%s: %s", recipe.path, text)
    return problems


def _read(path: Path, overrides: Sequence[str], registry: Registry) -> tuple[Recipe | None, Document, list[Problem]]:
    document = compose(path, overrides)
    checker = _Checker(document, registry)
    return checker.recipe(path), document, checker.problems


def default_name(path: Path) -> str:
    """What a recipe is called when it does not say: its recipe folder and its own name, such as ``mymethod small``."""
    conf = next((folder for folder in path.resolve().parents if folder.name == "conf"), None)
    return f"{conf.parent.name} {path.stem}" if conf else path.stem


def _from_plugin(document: Document, key: str, message: str) -> Problem:
    """``discriminators.mpd.periods[2]`` as a place in the document."""
    path: KeyPath = tuple(int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key))
    return Problem(path, message, document.mark(path))


class _Checker:
    def __init__(self, document: Document, registry: Registry) -> None:
        self.document = document
        self.registry = registry
        self.problems: list[Problem] = []
        self.required = Required(document, registry)

    def recipe(self, path: Path) -> Recipe | None:
        """The recipe, or None when a section could not be read at all."""
        value = self.document.value
        known = ["name", "plugins", "audio", *SECTIONS, *SINGLE, *MANY]
        self.problems += self.required.problems
        for key in value:
            if key not in known:
                hint = near(str(key), known)
                note = "" if hint else f"sections: {', '.join(known)}"
                self.problems.append(
                    Problem((key,), f"a recipe has no such section{hint}", self.document.key_mark((key,)), note)
                )
        types.check_value(value.get("name"), str | None, ("name",), self.document, self.problems)
        sections = {name: self.section(name, cls) for name, cls in SECTIONS.items()}
        audio = self.audio()
        single = {name: part for name, (kind, required) in SINGLE.items() if (part := self.one(name, kind, required))}
        many = {name: self.several(name, kind) for name, kind in MANY.items()}
        if audio is None or any(section is None for section in sections.values()):
            return None
        broken = any(
            part.target is None for part in [*single.values(), *(p for parts in many.values() for p in parts.values())]
        )
        if broken or "generator" not in single:
            return None
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

    def section(self, name: str, cls: type) -> Any:
        given = self.document.value.get(name)
        given = {} if given is None else given
        return types.check_value(given, cls, (name,), self.document, self.problems)

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
        spec = object.__new__(AudioSpec)
        for name, parameter in types.signature(AudioSpec).items():
            object.__setattr__(spec, name, arguments.get(name, parameter.default))
        faults = (
            spec.problems()
            if all(getattr(spec, n) > 0 for n in ("sample_rate", "hop", "mels"))
            else spec.problems()[:5]
        )
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
        return {
            str(name): self.part((section, name), kind, value) for name, value in given.items() if value is not None
        }

    def part(self, path: KeyPath, kind: str, given: Any) -> Part:
        part = Part(kind, path, "")
        if not isinstance(given, dict) or not isinstance(given.get("use"), str):
            shown = "" if isinstance(given, dict) else f", got {given!r}"
            siblings = self.document.value.get(str(path[0]))
            if isinstance(given, dict) and len(path) > 1 and isinstance(siblings, dict):
                named = [str(name) for name, other in siblings.items() if isinstance(other, dict) and "use" in other]
                shown = near(str(path[-1]), named)
            self.problems.append(Problem(path, f"expected {{use: NAME, …}}{shown}", self.document.mark(path)))
            return part
        part.use = given["use"]
        try:
            part.entry = self.registry.get(kind, part.use)
            target = part.entry.load()
            types.hints(target)
        except (PluginError, NameError, TypeError) as error:
            use = (*path, "use")
            self.problems.append(Problem(use, f"{error}{self.required.hint()}", self.document.mark(use)))
            return part
        before = len(self.problems)
        extra = (
            "use",
            *(("weight",) if kind in WEIGHTED else ()),
            *(RATE_KEYS if kind == "optimiser" else ()),
        )
        part.arguments = types.check_arguments(
            target,
            given,
            path,
            self.document,
            self.problems,
            what=part.use,
            skip=extra,
            supplied=[*SUPPLIED, *(("parameters",) if kind == "optimiser" else ())],
        )
        if kind in WEIGHTED:
            part.weight = self.weight(path, given.get("weight", 1.0))
        if kind == "optimiser":
            rates = {key: given[key] for key in RATE_KEYS if key in given}
            checked = types.check_arguments(LearningRate, rates, path, self.document, self.problems, what=part.use)
            if len(self.problems) == before:
                part.learning_rate = LearningRate(**checked)
        if len(self.problems) == before:
            part.target = target
        return part

    def weight(self, path: KeyPath, value: Any) -> Schedule:
        here = (*path, "weight")
        good = types.misfit(types.convert(value, float | dict[int, float]), float | dict[int, float]) is None
        if not good or value == {}:
            message = f"expected a number or a schedule such as {{0: 45, 200000: 5}}, got {value!r}"
            self.problems.append(Problem(here, message, self.document.mark(here)))
            return Schedule.of(1.0)
        return Schedule.of(value)
