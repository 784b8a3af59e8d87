"""The sections of a recipe with the kind of part in each, and :class:`Recipe`."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gansemble import inputs
from gansemble.audio.spec import AudioSpec
from gansemble.contract import DEGRADED, GeneratorContract
from gansemble.errors import GansembleError
from gansemble.plugins.registry import Registry
from gansemble.recipe import types
from gansemble.recipe.contract import contract_of
from gansemble.recipe.document import Document, Problem
from gansemble.recipe.healing import Healing
from gansemble.recipe.sections import (
    Data,
    Evaluation,
    Init,
    Part,
    Plan,
    Synthesis,
    Teacher,
    Validation,
)
from gansemble.recipe.task import Task, listed, open_task, task_of

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
    "perturbations": "perturbation",
    "baselines": "generator",
    "monitors": "monitor",
    "features": "feature",
    "observers": "observer",
    "schedules": "schedule",
}
#: Sections whose parts are applied one after the other, in the order in which the recipe names them.
ORDERED = frozenset({"perturbations"})
#: Kinds whose parts have a key ``probability``, with which each is applied or left out.
CHANCED = frozenset({"perturbation"})
#: Kinds whose parts have a key ``prior``: what they read in place of the mel spectrogram.
PRIORED = frozenset({"generator"})
#: Kinds whose parts have a key ``weight``.
WEIGHTED = frozenset({"discriminator", "loss", "regulariser", "objective"})
#: What a corpus may give that is no conditioning signal in a file.
NO_SIGNALS_OF_CORPORA = frozenset({"labels", "pitch", DEGRADED})
#: Constructor parameters the toolkit fills in when a recipe does not.
SUPPLIED = ("audio", "batch_size", "seed", "segment")


@dataclass
class Recipe:
    """A recipe of which every value has been checked against its type.

    Args:
        path: the YAML file.
        document: the composed document, in which every value has its place in a file.
        audio: the audio specification.
        plan, init, teacher, healing, validation, data, synthesis, evaluation: the recipe's own sections.
        name: of the recipe.
        single: the parts of sections that hold one part, by section.
        many: the parts of sections that hold several, by section and name.
        plugins: versions of plugins that the recipe demands, by plugin.
        registry: of the parts that may be named.
        notes: advice that is no fault.
    """

    path: Path
    document: Document
    audio: AudioSpec
    plan: Plan = field(default_factory=Plan)
    init: Init = field(default_factory=Init)
    teacher: Teacher = field(default_factory=Teacher)
    healing: Healing = field(default_factory=Healing)
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
        """All parts, those of single sections first."""
        return [
            *self.single.values(),
            *(part for section in MANY for part in self.many.get(section, {}).values()),
        ]

    def files(self, sections: Container[str] = (*SINGLE, *MANY)) -> dict[str, str]:
        """The files and folders that parts read, each with the digest of its content, by dotted key.

        Args:
            sections: whose parts are looked at.
        """
        found = {}
        for part in (part for part in self.parts() if part.path[0] in sections):
            for place, given in inputs.held(types.with_defaults(part.target, part.arguments)):
                found[".".join(map(str, (*part.path, *place)))] = inputs.identity(given)
        return found

    def supplied(self) -> dict[str, object]:
        """What the toolkit fills into constructor parameters of these names, where the recipe does not."""
        plan = self.plan
        return {"audio": self.audio, "batch_size": plan.batch_size, "seed": plan.seed, "segment": plan.segment}

    def given(self) -> frozenset[str]:
        """Names of the conditioning signals that files give: those of the corpus, and of the ``data`` section."""
        corpus = self.single.get("corpus")
        gives = contract_of(corpus, self.supplied()).gives if corpus is not None else frozenset()
        return (gives - NO_SIGNALS_OF_CORPORA) | self.data.signals.keys() | self.data.embeddings.keys()

    def channels(self) -> dict[str, int]:
        """How many channels the signals have that the generator is given, by name, as far as its contract says so.

        A mel spectrogram has the audio section's, and what a ``prior`` makes of it is none of the files' business.
        """
        given = {"mel": self.audio.mels}
        stated = {**given, **self.generator_contract.channels}
        return stated if self.single["generator"].prior is None else {**stated, **given}

    def asked(self) -> frozenset[str]:
        """Names of everything that some part reads or needs: conditioning signals, labels, latents and outputs."""
        needs = [contract_of(part, self.supplied()).needs for part in self.parts()]
        return (self.generator_contract.reads or frozenset()).union(*needs)

    @cached_property
    def generator_contract(self) -> GeneratorContract:
        """The generator's contract."""
        contract = contract_of(self.single["generator"], self.supplied())
        assert isinstance(contract, GeneratorContract)
        return contract

    @cached_property
    def task(self) -> Task:
        """Vocoding, generation or enhancement, from what the generator reads.

        Raises:
            GansembleError: if the generator's contract does not say; such a recipe does not pass the check.
        """
        task = task_of(self.generator_contract)
        if task is None:
            raise GansembleError(open_task(f"generator ({self.single['generator'].use})"))
        return task

    def demand_task(self, wanted: Task, exp: object) -> None:
        """Raises an error that names the right command, if the recipe is of another task.

        Args:
            wanted: the task that the caller can work with.
            exp: folder of the experiment.

        Raises:
            GansembleError: if the recipe is of another task.
        """
        if self.task is not wanted:
            reads = listed(self.generator_contract.reads or frozenset())
            raise GansembleError(
                f"{exp}: its generator {self.single['generator'].use} reads {reads}, not {wanted.source}; use "
                f"{self.task.command(exp)}"
            )
