"""Stages: the same seven in every recipe, each knowing whether it is done, stale (and why) or missing.

A stage is up to date when its code version, the recipe keys it reads, its inputs and the stages before it are what they
were when it ran, and its outputs are there. All of that is compared without importing torch.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gansemble.errors import GansembleError, near
from gansemble.files import write_atomically
from gansemble.recipe.compose import compose
from gansemble.recipe.fill import flatten


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        number, name: as ``--stage`` takes them.
        title: a sentence.
        version: raised when the code's output changes.
        keys: recipe sections and keys it reads.
        after: the stages whose results it uses.
        shared: recorded beside the packed data, which several experiments may use.
    """

    number: int
    name: str
    title: str
    version: int
    keys: tuple[str, ...]
    after: tuple[str, ...] = ()
    shared: bool = False


STAGES = (
    Stage(0, "fetch", "find or download the corpus", 1, ("corpus",), (), True),
    Stage(1, "prepare", "examine and pack the audio", 1, ("corpus", "audio.sample_rate", "data"), (), True),
    Stage(2, "statistics", "measure the training split", 1, ("audio", "representation"), ("prepare",), True),
    Stage(
        3,
        "train",
        "train the networks",
        1,
        (
            "audio",
            "representation",
            "generator",
            "discriminators",
            "objective",
            "noise_injector",
            "degradation",
            "losses",
            "regularisers",
            "plan",
            "optimisers",
            "data",
        ),
        ("prepare",),
    ),
    Stage(
        4, "synthesise", "generate the held-out clips", 1, ("synthesis", "test_degradations", "baselines"), ("train",)
    ),
    Stage(
        5, "evaluate", "score them", 2, ("metrics", "evaluation.bootstrap", "evaluation.confidence"), ("synthesise",)
    ),
    Stage(6, "report", "write the listening page", 1, ("evaluation", "name"), ("evaluate",)),
)
BY_NAME = {stage.name: stage for stage in STAGES}
#: Keys of the train stage that do not make a finished run stale.
_QUIET = frozenset({"plan.workers", "plan.log_every", "plan.save_every", "plan.keep", "plan.on_nan"})


@dataclass
class Project:
    """Where a recipe's things are.

    Args:
        recipe: the YAML file.
        overrides: ``--set`` values.
        exp: experiment folder.
        data: corpus folder.
        dump: packed data.
    """

    recipe: Path
    overrides: tuple[str, ...]
    exp: Path
    data: Path
    dump: Path
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        recipe: Path,
        overrides: tuple[str, ...] = (),
        exp: Path | None = None,
        data: Path | None = None,
        dump: Path | None = None,
    ) -> Project:
        """Fills in the folders that were not given: ``exp/<name>``, ``data/<corpus>`` and ``dump/<set>`` beside ``conf/``."""
        values = compose(recipe, overrides).value
        folders = recipe.resolve().parents
        root = next((folder.parent for folder in folders if folder.name == "conf"), folders[0])
        name = str(values.get("name") or recipe.stem)
        corpus = (
            (values.get("corpus") or {}).get("use", "corpus") if isinstance(values.get("corpus"), dict) else "corpus"
        )
        rate = (values.get("audio") or {}).get("sample_rate", 22050) if isinstance(values.get("audio"), dict) else 22050
        corpus = corpus if isinstance(corpus, str) else "corpus"  # the check will say what is wrong
        exp = (exp or root / "exp" / name).resolve()
        data = (data or root / "data" / corpus).resolve()
        mark = hashlib.sha256(str(data).encode()).hexdigest()[:6]
        dump = (dump or root / "dump" / f"{corpus}-{rate}-{mark}").resolve()
        return cls(recipe.resolve(), overrides, exp, data, dump, values)

    def remember(self, plugins: Mapping[str, str] | None = None) -> None:
        """Notes in the experiment how it was started, for ``gansemble status``, and which plugins it needs."""
        facts = {
            "plugins": dict(plugins or {}),
            "recipe": str(self.recipe),
            "overrides": list(self.overrides),
            "data": str(self.data),
            "dump": str(self.dump),
        }
        write_atomically(self.exp / "project.json", json.dumps(facts, indent=1))

    def needed_before(self) -> dict[str, str]:
        """The plugins the experiment needed when a command last ran there, and how to get each."""
        try:
            return json.loads((self.exp / "project.json").read_text()).get("plugins", {})
        except (OSError, ValueError):
            return {}

    @classmethod
    def recall(cls, exp: Path) -> Project:
        """The project of an experiment folder.

        Raises:
            GansembleError: if no command ever ran there.
        """
        path = exp / "project.json"
        if not path.is_file():
            raise GansembleError(
                f"{exp}: expected an experiment folder, but it has no project.json; run a recipe's run.sh with --exp {exp}"
            )
        facts = json.loads(path.read_text())
        return cls.of(Path(facts["recipe"]), tuple(facts["overrides"]), exp, Path(facts["data"]), Path(facts["dump"]))


@dataclass(frozen=True)
class State:
    """A stage's state: ``done``, ``stale`` or ``missing``, with the reasons."""

    stage: Stage
    word: str
    reasons: tuple[str, ...] = ()
    record: Mapping[str, Any] | None = None


class Ledger:
    """The records of a project's stages, in ``exp/stage.json`` and ``dump/stage.json``."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._leaves = flatten(project.values)

    def record(self, name: str) -> dict[str, Any] | None:
        """What was noted when a stage last finished."""
        path = self._path(BY_NAME[name])
        try:
            return json.loads(path.read_text()).get(name)
        except (OSError, ValueError):
            return None

    def state(self, name: str) -> State:
        """Whether a stage is done, stale or missing."""
        stage = BY_NAME[name]
        record = self.record(name)
        if record is None:
            return State(stage, "missing", tuple(self._progress(stage)))
        reasons = tuple(self._reasons(stage, record))
        return State(stage, "stale" if reasons else "done", reasons, record)

    def states(self) -> list[State]:
        """All stages'; one whose predecessor is stale or missing is stale with it."""
        result: dict[str, State] = {}
        for stage in STAGES:
            state = self.state(stage.name)
            late = [name for name in stage.after if result[name].word != "done"]
            if state.word == "done" and late:
                reasons = tuple(f"stage {BY_NAME[name].number} {name} is {result[name].word}" for name in late)
                state = State(stage, "stale", reasons, state.record)
            result[stage.name] = state
        return list(result.values())

    def finish(self, name: str, outputs: list[Path], result: str, started: float) -> None:
        """Notes that a stage is done. ``result`` identifies what it made, so that a remade one is noticed downstream."""
        stage = BY_NAME[name]
        path = self._path(stage)
        try:
            records = json.loads(path.read_text())
        except (OSError, ValueError):
            records = {}
        records[name] = {
            "version": stage.version,
            "keys": self.keys(stage),
            "inputs": self.inputs(stage),
            "result": result,
            "upstream": {other: (self.record(other) or {}).get("result") for other in stage.after},
            "outputs": [str(output) for output in outputs],
            "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
            "seconds": round(time.time() - started, 2),
        }
        write_atomically(path, json.dumps(records, indent=1))

    def forget(self, name: str) -> None:
        """Makes a stage missing."""
        path = self._path(BY_NAME[name])
        if path.is_file():
            records = json.loads(path.read_text())
            records.pop(name, None)
            write_atomically(path, json.dumps(records, indent=1))

    def keys(self, stage: Stage) -> dict[str, Any]:
        """The recipe's leaves a stage reads."""

        def read(key: str) -> bool:
            return any(key == own or key.startswith(own + ".") for own in stage.keys) and key not in _QUIET

        return json.loads(json.dumps({key: value for key, value in self._leaves.items() if read(key)}))

    def inputs(self, stage: Stage) -> dict[str, Any]:
        """What a stage reads from outside: the corpus folder, by path, size and time of its files."""
        if stage.name not in ("fetch", "prepare"):
            return {}
        facts: dict[str, Any] = {"folder": str(self.project.data)}
        if stage.name == "prepare":
            facts["files"] = listing(self.project.data)
        return facts

    def _path(self, stage: Stage) -> Path:
        return (self.project.dump if stage.shared else self.project.exp) / "stage.json"

    def _progress(self, stage: Stage) -> Iterator[str]:
        checkpoints = sorted((self.project.exp / "checkpoints").glob("step-*")) if stage.name == "train" else []
        if checkpoints:
            yield f"interrupted after step {int(checkpoints[-1].name.partition('-')[2])}"

    def _reasons(self, stage: Stage, record: Mapping[str, Any]) -> Iterator[str]:
        if record["version"] != stage.version:
            yield f"the stage's code changed (version {record['version']} -> {stage.version})"
        before, now = record["keys"], self.keys(stage)
        for key in dict.fromkeys([*now, *before]):
            if before.get(key, "(absent)") != now.get(key, "(absent)"):
                yield f"{key}: {_shown(before.get(key, '(absent)'))} -> {_shown(now.get(key, '(absent)'))}"
        inputs = self.inputs(stage)
        for key in inputs:
            if inputs[key] != record["inputs"].get(key):
                change = (
                    f"{record['inputs'].get(key)} -> {inputs[key]}"
                    if key == "folder"
                    else f"changed in {self.project.data}"
                )
                yield f"corpus {key}: {change}"
        for other in stage.after:
            if (self.record(other) or {}).get("result") != record["upstream"].get(other):
                yield f"stage {BY_NAME[other].number} {other} was done again"
        for output in record["outputs"]:
            if not Path(output).exists():
                yield f"{output} is gone"


def _shown(value: Any) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) < 80 else text[:77] + "..."


def listing(folder: Path) -> str:
    """A hash of the names, sizes and times of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file():
            facts = path.stat()
            digest.update(f"{path.relative_to(folder)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def parse(word: str) -> Stage:
    """A stage by number or name.

    Raises:
        GansembleError: if there is no such stage.
    """
    for stage in STAGES:
        if word in (str(stage.number), stage.name):
            return stage
    names = [stage.name for stage in STAGES]
    listed = ", ".join(f"{stage.number} {stage.name}" for stage in STAGES)
    raise GansembleError(f"no stage {word!r}{near(word, names)}; stages: {listed}")
