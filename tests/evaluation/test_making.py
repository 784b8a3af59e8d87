"""Stages 4 and 5 task by task: what is made of which clip, with what, how long it took, how it is scored."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gansemble.errors import GansembleError
from gansemble.evaluation import enhancement, generation, pairs, sets, synthesis, truncation, vocoding
from gansemble.evaluation.generated import Generated, Work
from gansemble.evaluation.index import GeneratedClip, Index
from gansemble.interfaces import Score
from gansemble.parts.sampling import Sample, Truncation
from gansemble.recipe.sections import Evaluation
from gansemble.recipe.task import Task
from gansemble.scoring.statistics import summarise

NAN = math.nan


def space(**facts: Any) -> Any:
    return SimpleNamespace(**facts)


class Recordings:
    """Packed clips ``a``, ``b`` and so on: of 100, 110, … samples that count up from 0."""

    def __init__(self, count: int = 3) -> None:
        self.entries = [
            space(id="abcdefghij"[place], frames=100 + 10 * place, sha256=f"hash{place}", label=place)
            for place in range(count)
        ]

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, number: int, first: int, frames: int) -> np.ndarray:
        return np.arange(first, first + frames, dtype=np.float32)

    def signal(self, number: int, name: str, first: int, frames: int) -> np.ndarray:
        return np.full((len(name), frames), 10 * number + first, np.float32)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What the clock says; a test lets it go on."""
    now = [100.0]
    for module in (vocoding, enhancement, generation):
        monkeypatch.setattr(module, "time", space(monotonic=lambda: now[0]))
    return now


def work(packed: Recordings, clips: int | None = None, chunk: float = 10.0, **trained: Any) -> Work:
    """Work on packed clips at 1000 Hz, in hops of 16 samples."""
    recipe = space(
        audio=space(sample_rate=1000, hop=16, log_floor=1e-5),
        synthesis=space(clips=clips, chunk_seconds=chunk, split="test"),
        plan=space(seed=5),
        many={"baselines": {}, "test_degradations": {}},
        given=frozenset,
        asked=lambda: frozenset({"mel", "f0"}),
    )
    made = Work(
        space(dump="dump"),
        recipe,
        space(generator="network", representation="picture", device="cpu", labels=lambda entry: entry.label, **trained),
        print,
    )
    object.__setattr__(made, "references", lambda: packed)
    return made


# vocoding ---------------------------------------------------------------


@pytest.fixture
def vocoder(monkeypatch, clock) -> list[tuple[Any, ...]]:
    """What each stream of a vocoder is made of and given; a clip takes two seconds, reading its mel five."""
    calls: list[tuple[Any, ...]] = []

    class Builder:
        signals = ("f0", "mel")

        def __init__(self, recipe: Any) -> None: ...

        def computed(self, audio: torch.Tensor) -> dict[str, torch.Tensor]:
            clock[0] += 5
            calls.append(("read", audio.clone()))
            return {"mel": torch.ones(1, 3, 6), "f0": torch.zeros(1, 1, 6)}

    def stream(*given: Any) -> Any:
        def whole(signals: torch.Tensor) -> torch.Tensor:
            clock[0] += 2
            calls.append(("made", tuple(signals.shape), signals[:, 0].tolist()))
            return torch.arange(96.0)[None]

        calls.append(("stream", *given))
        return space(whole=whole)

    monkeypatch.setattr(vocoding, "ConditionBuilder", Builder)
    monkeypatch.setattr(vocoding, "vocoder_stream", stream)
    return calls


def test_a_clip_is_made_again_from_whole_hops_of_it(vocoder):
    """Its time is that of the generator alone."""
    first, second = vocoding.clips(work(Recordings(), clips=2))
    assert first.clip == GeneratedClip("a", 0.096, 2.0, 0, clip="a", sha256="hash0")
    assert second.clip == GeneratedClip("b", 0.096, 2.0, 0, clip="b", sha256="hash1")
    assert first.audio.shape == (96,) and first.baseline == ""
    (_, audio), stream, made, (_, other), another, _ = vocoder
    assert torch.equal(audio, torch.arange(96.0)[None, None]) and tuple(other.shape) == (1, 1, 96)
    assert stream[:4] == ("stream", "network", "picture", 625) and stream[4:] == ({"mel": 3, "f0": 1}, 0)
    assert made == ("made", (4, 6), [0.0, 1.0, 1.0, 1.0]) and another[-1] == 1


def test_what_the_generator_reads_from_files_is_not_that_of_the_audio(vocoder):
    """What other parts read is not given to it. A name of three letters has three channels, of each clip its own."""
    made = work(Recordings(2))
    made.recipe.given = lambda: frozenset({"f0", "words", "unread"})
    made.recipe.asked = lambda: frozenset({"mel", "f0", "words"})
    assert [each.clip.clip for each in vocoding.clips(made)] == ["a", "b"]
    (_, audio), stream, first, _, _, second = vocoder
    assert torch.equal(audio, torch.arange(96.0)[None, None]) and stream[4] == {"mel": 3, "f0": 2}
    assert first == ("made", (5, 6), [0.0, 0.0, 1.0, 1.0, 1.0])
    assert second == ("made", (5, 6), [10.0, 10.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(("seconds", "core"), [(0.1, 16), (0.256, 16), (0.272, 17), (0.287, 17), (0.288, 18)])
def test_a_chunk_has_as_many_whole_frames_as_fit_and_sixteen_at_least(vocoder, seconds, core):
    [*vocoding.clips(work(Recordings(1), chunk=seconds))]
    assert vocoder[1][3] == core


# enhancement ------------------------------------------------------------


class Halving:
    """Degrades a clip to a multiple of it, and notes what it was asked for."""

    def __init__(self, factor: float = 0.5) -> None:
        self.factor = factor

    def crop(self, packed: Recordings, index: int, first: int, frames: int, epoch: int) -> np.ndarray:
        assert epoch == 0
        return self.factor * packed.read(index, first, frames)


def test_clips_are_degraded_in_every_way_of_the_recipe_or_in_that_of_training(monkeypatch):
    recipe = space(many={"test_degradations": {"half": 0.5, "tenth": 0.1}})
    monkeypatch.setattr(enhancement, "degrader", lambda recipe, part=None: Halving(part or 0.25))
    found = [make() for _, make in enhancement.degraded_clips(recipe, Recordings(), 2)]
    assert [(each.id, each.clip, each.condition, len(each.audio)) for each in found] == [
        ("a@half", "a", "half", 100),
        ("a@tenth", "a", "tenth", 100),
        ("b@half", "b", "half", 110),
        ("b@tenth", "b", "tenth", 110),
    ]
    assert [each.audio[10] for each in found] == pytest.approx([5, 1, 5, 1]) and found[0].audio[0] == 0
    recipe.many["test_degradations"] = {}
    found = [make() for _, make in enhancement.degraded_clips(recipe, Recordings(), 1)]
    assert [(each.id, each.condition, each.audio[8]) for each in found] == [("a", "", 2.0)]


def test_each_degraded_clip_is_restored_by_the_generator_and_by_every_baseline(monkeypatch, clock):
    calls = []

    def stream(network: Any, *given: Any) -> Any:
        def whole(audio: torch.Tensor) -> torch.Tensor:
            clock[0] += 3
            return audio + (1 if network == "network" else 2)

        calls.append((network, *given))
        return space(whole=whole)

    monkeypatch.setattr(enhancement, "degrader", lambda recipe, part=None: Halving())
    monkeypatch.setattr(enhancement, "construct", lambda part, recipe: space(eval=lambda: f"built {part}"))
    monkeypatch.setattr(enhancement, "enhancement_stream", stream)
    made = work(Recordings(), clips=2, chunk=0.5)
    made.recipe.many["baselines"] = {"low": "part"}
    found = list(enhancement.clips(made))
    assert [(each.clip, each.baseline) for each in found] == [
        (GeneratedClip("a", 0.1, 3.0, 0, "a", "hash0"), ""),
        (GeneratedClip("a", 0.1, 3.0, 0, "a", "hash0"), "low"),
        (GeneratedClip("b", 0.11, 3.0, 0, "b", "hash1"), ""),
        (GeneratedClip("b", 0.11, 3.0, 0, "b", "hash1"), "low"),
    ]
    assert calls == [
        ("network", "picture", 500, 0),
        ("built part", "picture", 500, 0),
        ("network", "picture", 500, 1),
        ("built part", "picture", 500, 1),
    ]
    assert [each.audio.shape for each in found] == [(1, 100), (1, 100), (1, 110), (1, 110)]
    assert [each.audio[0, 2] for each in found] == [2.0, 3.0, 2.0, 3.0]


# generation -------------------------------------------------------------


def test_clips_of_their_own_are_drawn_with_the_seed_of_the_recipe(monkeypatch, clock):
    seen: dict[str, Any] = {}
    monkeypatch.setattr(generation, "Packed", lambda dump, split: (dump, split))
    monkeypatch.setattr(generation, "prior", lambda packed, labels: ("prior", packed))

    def one(index: int) -> Sample:
        clock[0] += 4
        return Sample(np.full(50, index), np.zeros(1), index)

    sampler = space(condition_builder=space(), one=one)

    def of(seed: int) -> Any:
        seen["seed"] = seed
        return sampler

    made = work(Recordings(), clips=2, sampler=of)
    object.__setattr__(made.trained, "labels", space(lowest=60))
    found = list(generation.clips(made))
    assert [each.clip for each in found] == [
        GeneratedClip("sample-00000", 0.05, 4.0, 0, label=0, pitch=60),
        GeneratedClip("sample-00001", 0.05, 4.0, 0, label=1, pitch=61),
    ]
    assert found[1].audio[0] == 1 and seen == {"seed": 5}
    assert sampler.condition_builder.prior == ("prior", ("dump", "train"))


class Labelled(list):
    """Real clips: each its number, with its number as the label."""

    def audio(self, index: int) -> np.ndarray:
        return np.full(4, 0.01 * self[index], np.float32)

    def label(self, index: int) -> int:
        return self[index]


class Phased:
    """A representation that makes what it decodes much louder, and turns round every other sample; it has no phase."""

    phase = "guessed"

    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        assert audio.shape == (1, 1, 4) and not torch.is_grad_enabled()
        return audio

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tensor([30.0, -30.0, 30.0, -30.0])

    def decode_with_phase(self, x: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        return x

    def log_mel(self, x: torch.Tensor, spec: Any) -> torch.Tensor:
        return x


class Deaf(Phased):
    """One that cannot decode."""

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")


@pytest.fixture
def real(monkeypatch) -> dict[str, Any]:
    """Six training clips and three of the test split; what they were asked for."""
    seen: dict[str, Any] = {"representation": object(), "asked": [], "fitted": []}

    def references(project: Any, history: Any, split: str, say: Any, normalise: Any) -> str:
        seen["asked"].append((project.dump, history, split, normalise))
        return split

    of = {"train": Labelled(range(6)), "test": Labelled(range(10, 13))}
    monkeypatch.setattr(generation, "references", references)
    monkeypatch.setattr(generation, "LabelledClips", space(of=lambda recipe, packed: of[packed]))
    monkeypatch.setattr(generation, "representation_of", lambda recipe: seen["representation"])
    monkeypatch.setattr(generation, "fit", lambda part, recipe, dump: seen["fitted"].append((part, dump)))
    return seen


def generated(count: int) -> Index:
    clips = [GeneratedClip(f"s{n}", 1.0, 0.5, 0, label=n) for n in range(count)]
    return Index(Task.GENERATION, "test", 3, "c", "cpu", 1, ["history"], clips)


RECIPE = space(data=space(normalise=0.9), audio=space(sample_rate=1000))


@pytest.mark.parametrize(("count", "trained"), [(2, 2), (6, 6), (9, 6)])
def test_real_sets_are_so_many_training_clips_and_all_held_out_ones(real, count, trained):
    found = generation.real_sets(space(dump="dump"), RECIPE, generated(1), count, print)
    assert list(found) == ["training clips", "test clips"]
    order = np.random.default_rng(0).permutation(6).tolist()
    assert found["training clips"].labels == order[:trained] and sorted(found["test clips"].labels) == [10, 11, 12]
    assert [round(100 * float(clip[0])) for clip in found["training clips"].clips] == order[:trained]
    assert real["asked"] == [("dump", ["history"], "train", 0.9), ("dump", ["history"], "test", 0.9)]


def test_where_the_phase_is_lost_training_clips_are_decoded_again_too(real):
    real["representation"] = Phased()
    found = generation.real_sets(space(dump="dump"), RECIPE, generated(1), 6, print)
    assert list(found) == ["training clips", "training clips, encoded and decoded", "test clips"]
    labels = found["training clips"].labels
    heard = found["training clips, encoded and decoded"]
    assert heard.labels == labels and real["fitted"] == [(real["representation"], "dump")]
    wanted = [min(1.0, 0.3 * label) for label in labels]
    assert [float(clip[0]) for clip in heard.clips] == pytest.approx(wanted) and heard.clips[0].shape == (4,)
    assert [float(clip[1]) for clip in heard.clips] == pytest.approx([-each for each in wanted])
    real["representation"] = Deaf()
    found = generation.real_sets(space(dump="dump"), RECIPE, generated(1), 6, print)
    assert list(found) == ["training clips", "test clips"]


class Sets:
    """A metric of sets: its score is the number of clips, its interval that of its confidence."""

    definition, better, interval = "how many", "higher", "of nothing"

    def intervals(self, *given: Any) -> dict[str, tuple[float, float]]:
        return {}


@pytest.fixture
def scored(monkeypatch, real) -> Callable[..., Any]:
    """``scored(bootstrap, found, metric)`` scores two generated clips; its calls are in ``scored.calls``."""
    calls: list[tuple[Any, ...]] = []

    def score(
        bootstrap: int, value: float | None = None, metric: Any = None, details: dict[str, Any] | None = None
    ) -> Any:
        def set_scores(part: Any, metric: Any, *given: Any) -> dict[str, Score]:
            calls.append(given)
            return {"n": Score(float(len(given[0])) if value is None else value, None if value is None else "why")}

        monkeypatch.setattr(generation, "construct", lambda part, recipe: metric or Sets())
        monkeypatch.setattr(generation, "fit_metric", lambda *given: None)
        monkeypatch.setattr(sets, "definition_hash", lambda part, metric, **conditions: str(conditions))
        monkeypatch.setattr(sets.naming, "set_scores", set_scores)
        monkeypatch.setattr(sets.naming, "set_details", lambda part, metric: details or {})
        monkeypatch.setattr(sets.naming, "set_intervals", lambda part, metric, *given: {"n": (0.5, given[-1])})
        monkeypatch.setattr(generation.files, "read_mono", lambda path, rate: np.array([0.3, -0.4]) * len(path.parts))
        recipe = space(
            **RECIPE.__dict__,
            evaluation=space(bootstrap=bootstrap, confidence=0.75),
            many={"metrics": {"m": space(path=("metrics", "mine"))}},
        )
        return generation.score(space(dump="dump", exp=Path("e")), recipe, generated(2), print)

    score.calls = calls  # type: ignore[attr-defined]
    return score


def test_a_set_and_real_sets_are_scored_against_the_held_out_clips(scored):
    rows, found = scored(100)
    row = {"mean": 2.0, "low": 0.5, "high": 0.75, "n_ok": 2, "n_total": 2, "reason": None}
    row |= {"definition": "how many", "better": "higher", "metric": "mine", "interval": "of nothing"}
    row["of_set"], row["hash"] = True, "{'sample_rate': 1000}"
    assert found["scores"] == {"n": row}
    assert found["anchors"] == {
        "training clips": {"n": row},
        "test clips": {"n": row | {"mean": 3.0, "n_ok": 3, "n_total": 3}},
    }
    (made, references, rate, labels, real_labels), training, held_out = scored.calls
    assert (len(made), len(references), rate, labels) == (2, 3, 1000, [0, 1]) and sorted(real_labels) == [10, 11, 12]
    assert training[1] is references is held_out[0] and training[4] is real_labels is held_out[3]
    assert training[3] == np.random.default_rng(0).permutation(6).tolist()[:2], "as many as there are generated ones"
    rms = 4 * math.sqrt((0.09 + 0.16) / 2)
    assert [each["id"] for each in rows] == ["s0", "s1"] and rows[0]["rms"] == pytest.approx(rms)
    assert rows[0]["scores"] == rows[0]["reasons"] == {}


def test_without_resampling_a_set_has_no_interval(scored):
    found = scored(0)[1]["scores"]["n"]
    assert (found["low"], found["high"]) == (None, None) and "interval" not in found and "details" not in found


def test_a_score_that_cannot_be_computed_has_a_reason_and_no_interval(scored):
    found = scored(100, NAN)[1]["scores"]["n"]
    assert (found["mean"], found["low"], found["high"], found["n_ok"], found["n_total"]) == (None, None, None, 0, 2)
    assert found["reason"] == "why" and "interval" not in found


def test_details_are_kept_and_an_interval_is_described_by_metrics_that_can(scored):
    plain = space(definition="d", better="lower")
    found = scored(100, None, plain, {"n": [1, 2], "other": 3})[1]["scores"]["n"]
    assert found["details"] == [1, 2] and found["low"] == 0.5 and "interval" not in found


# pairs ------------------------------------------------------------------


class Pool:
    """Stands for a pool of processes, in this one."""

    made: list[tuple[Any, ...]] = []

    def __init__(self, jobs: int, *, mp_context: Any, initializer: Any, initargs: Any) -> None:
        Pool.made.append((jobs, mp_context.get_start_method(), initializer, initargs))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Any, items: Any) -> Iterator[Any]:
        return map(function, items)


class Scorer:
    """The score of a file is the length of its path."""

    made: list[tuple[Any, ...]] = []

    def __init__(self, *of: Any) -> None:
        Scorer.made.append(of)

    def __call__(self, identity: str, clip: str, path: Path) -> dict[str, Any]:
        return {"id": identity, "clip": clip, "path": str(path), "scores": {}, "reasons": {}}


@pytest.fixture
def paired(monkeypatch, tmp_path):
    """``paired(clips, jobs, baselines)``: (rows, scores) of so many clips, scored by fakes."""
    Pool.made, Scorer.made = [], []
    pairs._scorer.cache_clear()
    monkeypatch.setattr("gansemble.data.workers.ProcessPoolExecutor", Pool)
    monkeypatch.setattr(pairs, "_Scorer", Scorer)
    monkeypatch.setattr(pairs, "references", lambda project, history, split, say: (history, split))
    checked: list[Any] = []
    monkeypatch.setattr(pairs, "demand_same", lambda *given: checked.append(given))
    project = space(exp=tmp_path, recipe="recipe", overrides=("o",), dump="dump")

    def score(clips: int, jobs: int, *baselines: str) -> Any:
        made = [GeneratedClip(f"c{n}", 1.0, 0.5, 0, f"real{n}") for n in range(clips)]
        index = Index(Task.VOCODING, "test", 3, "c", "cpu", 1, ["history"], made, baselines)
        recipe = space(many={"metrics": {}}, evaluation=Evaluation())
        found = pairs.score(project, recipe, index, jobs, print)
        assert checked[-1] == (project, (["history"], "test"), made)
        return found

    yield score
    pairs._scorer.cache_clear()


@pytest.mark.parametrize(
    ("clips", "jobs", "processes"),
    [(8, 4, 0), (9, 4, 2), (16, 4, 2), (17, 4, 3), (100, 4, 4), (100, 2, 2), (100, 1, 0), (100, 0, 0), (1, 1, 0)],
)
def test_there_is_at_most_a_process_for_every_eight_files(paired, clips, jobs, processes):
    rows, _ = paired(clips, jobs)
    assert [row["id"] for row in rows] == [f"c{n}" for n in range(clips)]
    assert [each[:2] for each in Pool.made] == ([(processes, "spawn")] if processes else [])
    assert Scorer.made == [("recipe", ("o",), "dump", "test")], "one scorer for all files of a process"


def test_a_process_ends_with_its_parent_and_computes_in_one_thread(paired, monkeypatch):
    import os

    paired(9, 2)
    _, _, start, arguments = Pool.made[0]
    seen = []
    monkeypatch.setattr(pairs, "end_with_parent", lambda parent: seen.append(("parent", parent)))
    monkeypatch.setattr(torch, "set_num_threads", lambda count: seen.append(("threads", count)))
    start(*arguments)
    assert seen == [("parent", os.getpid()), ("threads", 1)]


def test_every_baseline_has_rows_of_its_own(paired, tmp_path):
    rows, found = paired(2, 1, "low", "mid")
    assert [(row["id"], row["clip"]) for row in rows] == [("c0", "real0"), ("c1", "real1")]
    assert rows[1]["path"] == str(tmp_path / "samples/test/c1.wav")
    assert list(found) == ["scores", "baselines"] and list(found["baselines"]) == ["low", "mid"]
    for name in ("low", "mid"):
        text = (tmp_path / "scores" / "baselines" / f"{name}.jsonl").read_text()
        assert [json.loads(line)["path"] for line in text.splitlines()] == [
            str(tmp_path / f"samples/test/baselines/{name}/c{n}.wav") for n in range(2)
        ]
    assert "baselines" not in paired(1, 1)[1]


def test_scores_are_averaged_over_all_clips_and_by_degradation(monkeypatch):
    metric = space(definition="d", better="lower")
    monkeypatch.setattr(pairs, "construct", lambda part, recipe: metric)
    monkeypatch.setattr(pairs, "of_clips", lambda recipe: recipe.many["metrics"])
    monkeypatch.setattr(pairs, "definition_hash", lambda part, metric, **conditions: str(conditions))
    monkeypatch.setattr(pairs.naming, "keys", lambda part, metric, rate: [f"{part}_{rate}", f"{part}_b"])
    recipe = space(
        many={"metrics": {"mine": "m"}}, audio=space(sample_rate=8), evaluation=Evaluation(bootstrap=20, confidence=0.5)
    )
    values = {"a": 1.0, "b": 2.0, "c": None, "d": 5.0}
    rows: Any = [{"id": name, "scores": {"m_8": value}} for name, value in values.items()]

    def index(*conditions: str) -> Index:
        clips = [
            GeneratedClip(name, 1.0, 0.5, 0, condition=each) for name, each in zip("abcd", conditions, strict=True)
        ]
        return Index(Task.ENHANCEMENT, "test", 3, "c", "cpu", 1, [], clips)

    found = pairs.overall(recipe, rows, index("x", "x", "x", "x"))
    mean, mark = summarise([1.0, 2.0, NAN, 5.0], 20, 0.5).as_dict(), "{'sample_rate': 8}"
    assert found == {
        "scores": {
            "m_8": {**mean, "definition": "d", "hash": mark, "better": "lower", "metric": "mine"},
            "m_b": {
                **summarise([NAN] * 4).as_dict(),
                "definition": "d",
                "hash": mark,
                "better": "lower",
                "metric": "mine",
            },
        }
    }
    assert (mean["n_ok"], mean["n_total"]) == (3, 4) and mean["low"] < mean["mean"] < mean["high"]
    by = pairs.overall(recipe, rows, index("x", "y", "y", "x"))["conditions"]
    assert list(by) == ["x", "y"] and by["x"]["m_8"] == summarise([1.0, 5.0], 20, 0.5).as_dict()
    assert (by["y"]["m_8"]["mean"], by["y"]["m_8"]["n_ok"], by["y"]["m_8"]["n_total"]) == (2.0, 1, 2)


# stage 4 ----------------------------------------------------------------


def trained(**more: Any) -> Any:
    spec = space(digest=lambda: "same", differences=lambda other: ["audio.hop: 1 -> 2"])
    return space(
        spec=spec,
        step=7,
        source=Path("checkpoints/step-7"),
        device=space(type="cpu"),
        history=("history",),
        sampler=lambda: space(phase="guessed"),
        **more,
    )


@pytest.mark.parametrize("task", list(Task))
def test_the_clips_of_every_task_are_written_and_listed(monkeypatch, tmp_path, task):
    written: list[tuple[Any, ...]] = []
    said: list[str] = []

    def write(path: Path, audio: np.ndarray, rate: int, form: str) -> int:
        path.write_bytes(b"x")
        written.append((path.parent.relative_to(tmp_path).as_posix(), len(audio), rate, form))
        return 3

    def clips(given: Work) -> Iterator[Generated]:
        assert given.trained is known and given.recipe is recipe and given.project is project
        yield Generated(GeneratedClip("a", 4.0, 1.0, 0), np.zeros(5))
        yield Generated(GeneratedClip("a", 9.0, 9.0, 0), np.zeros(6), "low")

    known = trained()
    monkeypatch.setattr(synthesis, "load", lambda exp, checkpoint, warn: known)
    monkeypatch.setattr(synthesis, "CLIPS", {task: clips})
    monkeypatch.setattr(synthesis.files, "write", write)
    recipe = space(
        task=task,
        plan=space(seed=11),
        audio=space(digest=lambda: "same", sample_rate=1000),
        synthesis=space(split="test", format="pcm24", checkpoint="best"),
        many={"baselines": {"low": None}},
    )
    project = space(exp=tmp_path, checked=lambda: recipe)
    found = synthesis.synthesise(project, said.append)
    own = task is Task.GENERATION
    assert written == [
        ("samples/test", 5, 1000, "pcm24"),
        ("samples/test/baselines/low", 6, 1000, "pcm24"),
    ]
    assert found.clips == [GeneratedClip("a", 4.0, 1.0, 3)] and list(found.files) == [
        "test/a.wav",
        "test/baselines/low/a.wav",
    ]
    assert (found.task, found.split, found.step, found.checkpoint) == (task, "test", 7, "step-7")
    assert (found.device, found.threads, found.trained_on) == ("cpu", torch.get_num_threads(), ["history"])
    assert (found.seed, found.phase) == ((11, "guessed") if own else (None, None))
    assert found.baselines == ([] if own else ["low"])
    (line,) = said
    assert line.startswith("1 clips, 4.0 s of audio in 1.0 s: 4.0 x real time (one run of 1 s) on cpu, ")
    assert "(step 7)" in line
    assert line.endswith("; beside it low") != own and ("beside" in line) != own
    recipe.audio.digest = lambda: "other"
    with pytest.raises(GansembleError, match=r"audio\.hop: 1 -> 2"):
        synthesis.synthesise(project, said.append)


def test_nothing_is_said_of_baselines_where_there_are_none(monkeypatch, tmp_path):
    said: list[str] = []
    monkeypatch.setattr(synthesis, "load", lambda exp, checkpoint, warn: trained())
    clip = Generated(GeneratedClip("a", 4.0, 8.0, 0), np.zeros(5))
    monkeypatch.setattr(synthesis, "CLIPS", {Task.ENHANCEMENT: lambda work: iter([clip])})
    recipe = space(
        task=Task.ENHANCEMENT,
        plan=space(seed=11),
        audio=space(digest=lambda: "same", sample_rate=1000),
        synthesis=space(split="test", format="pcm16", checkpoint="best"),
        many={"baselines": {}},
    )
    synthesis.synthesise(space(exp=tmp_path, checked=lambda: recipe), said.append)
    assert "0.5 x real time" in said[0] and said[0].endswith("(step 7)")


# truncation -------------------------------------------------------------


@pytest.fixture
def sweep(monkeypatch, tmp_path, real):
    """``sweep(cuts, scores)``: (rows of the written file, the file, what was said, calls of the metric)."""
    calls: list[tuple[Any, ...]] = []
    said: list[str] = []

    def one(index: int, truncation: Truncation | None = None) -> Sample:
        size = 1.0 if truncation is None else truncation.threshold
        return Sample(np.array([2.0 * index, -0.5 + 0 * size]), np.zeros(1), index, torch.full((1, 3), index * size))

    def run(cuts: list[Truncation | None], values: list[float], count: int = 2) -> Any:
        left = iter(values)

        def set_scores(part: Any, metric: Any, *given: Any) -> dict[str, Score]:
            calls.append(given)
            return {"fid": Score(next(left), "too few")}

        representation = space(encode=lambda audio: audio[:, :, :3])
        sampler = space(condition_builder=space(), representation=representation, one=one)
        loaded = space(sampler=lambda seed: sampler, labels=None, history="history", step=1200, source="exp")
        monkeypatch.setattr(truncation.loading, "load", lambda exp, checkpoint, warn: loaded)
        monkeypatch.setattr(truncation, "Packed", lambda dump, split, normalise: split)
        monkeypatch.setattr(truncation, "prior", lambda packed, labels: ("prior", packed))
        monkeypatch.setattr(truncation, "references", lambda project, history, split, say, normalise: split)
        of = {"train": Labelled(range(6)), "test": Labelled(range(10, 13))}
        monkeypatch.setattr(truncation, "LabelledClips", space(of=lambda recipe, packed: of[packed]))
        monkeypatch.setattr(truncation, "construct", lambda part, recipe: "metric")
        monkeypatch.setattr(truncation, "fit_metric", lambda metric, recipe, dump, say: said.append(f"fit {metric}"))
        monkeypatch.setattr(truncation.naming, "set_scores", set_scores)
        sets = type("Sets", (), {"score_set": lambda self: None})
        recipe = space(
            name="mine",
            synthesis=space(checkpoint="best", split="test"),
            plan=space(seed=0),
            data=space(normalise=None),
            audio=space(sample_rate=1000),
            many={"metrics": {"sets": space(target=sets), "pairs": space(target=dict)}},
        )
        monkeypatch.setattr(truncation, "plot", lambda rows, title: said.append(title) or b"picture")
        path = truncation.sweep(space(exp=tmp_path, dump="dump"), recipe, cuts, count, said.append)
        assert path.read_bytes() == b"picture" and sampler.condition_builder.prior == ("prior", "train")
        (file,) = (tmp_path / "scores").iterdir()
        assert path == tmp_path / "report" / f"{file.stem}.png"
        assert file.read_text().startswith('{\n "mode"'), "a line for each field"
        facts = json.loads(file.read_text())
        file.unlink()
        return facts.pop("rows"), facts, list(said), calls

    return run


def test_each_truncation_is_scored_and_its_diversity_is_relative_to_the_training_clips(sweep):
    rows, facts, said, calls = sweep([None, Truncation(0.5, "resample")], [3.0, 4.0])
    first, second = np.random.default_rng(0).permutation(6)[:2]
    apart = 0.01 * abs(int(first) - int(second))
    assert [row["threshold"] for row in rows] == [None, 0.5] and [row["fid"] for row in rows] == [3.0, 4.0]
    assert [row["diversity"] for row in rows] == pytest.approx([1 / apart, 0.5 / apart], rel=1e-5)
    assert facts == {"mode": "resample", "reasons": {}, "count": 2, "step": 1200, "split": "test"}
    (made, references, rate, labels, real_labels), _ = calls
    assert [clip.tolist() for clip in made] == [[0.0, -0.5], [1.0, -0.5]], "clipped to full scale"
    assert (len(references), rate, labels, real_labels) == (3, 1000, [0, 1], [10, 11, 12])
    assert said[0] == "fit metric" and said[1].startswith("no truncation: diversity ") and said[1].endswith(", fid 3")
    assert said[2].startswith("threshold 0.5, diversity ") and "1,200" in said[3] and "resample" in said[3]
    assert len(said) == 4


def test_a_score_without_a_value_is_null_and_its_reason_is_told_once(sweep):
    rows, facts, said, _ = sweep([Truncation(0.5), Truncation(1.0)], [NAN, NAN])
    assert [row["fid"] for row in rows] == [None, None] and facts["reasons"] == {"fid": "too few"}
    assert facts["mode"] == "scale" and sum("too few" in line for line in said) == 1
    assert all("fid" not in line for line in said if line.startswith("threshold"))


def test_clips_that_are_not_finite_have_no_score(sweep):
    with pytest.raises(GansembleError, match="NaN or Inf of 2 of 2 clips at threshold nan, such as clip 0; leave that"):
        sweep([Truncation(1.0), Truncation(NAN)], [1.0, 1.0])


def test_a_sweep_without_truncations_has_no_mode(sweep):
    assert sweep([None], [1.0])[1]["mode"] is None
