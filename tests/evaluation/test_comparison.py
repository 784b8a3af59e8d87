"""Records of the later stages, and the comparison of two experiments: what is compared, left out, and told."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.errors import DataError, GansembleError
from gansemble.evaluation import compare, index, records, references, scores
from gansemble.evaluation.compare import Experiment
from gansemble.evaluation.generated import Generated, Work
from gansemble.evaluation.index import GeneratedClip, Index
from gansemble.evaluation.speed import Speed
from gansemble.files import sha256
from gansemble.recipe.task import Task
from gansemble.scoring import environment
from gansemble.scoring.directions import Direction

NAN = float("nan")


def fact(mean: float | None = 1.0, definition: str = "d", better: str = "higher", **more: Any) -> dict[str, Any]:
    counts = {"low": None, "high": None, "n_ok": 2, "n_total": 2}
    return {"mean": mean, "definition": definition, "better": better, "metric": "snr"} | counts | more


def experiment(name: str = "one", **more: Any) -> Experiment:
    return Experiment(Path(name), {"plan": {"steps": 3}}, **more)


def listed(*clips: GeneratedClip, **more: Any) -> Index:
    return Index(Task.VOCODING, "test", 3, "step-3", "cpu", 1, [], clips, **more)


def clip(name: str, digest: str | None = None, **more: Any) -> GeneratedClip:
    return GeneratedClip(name, 1.0, 0.5, 0, name, digest, **more)


# comparing --------------------------------------------------------------


def test_scores_of_both_are_compared_on_their_common_files():
    first = experiment(
        scores={"snr": {"a": 1.0, "b": 2.0, "c": NAN, "d": 9.0}, "lsd": {"a": 1.0}},
        facts={"snr": fact(4.0), "lsd": fact(1.0)},
    )
    second = experiment(
        "two", scores={"snr": {"a": 3.0, "b": 5.0, "c": 1.0, "e": 0.0}}, facts={"snr": fact(2.25, better="lower")}
    )
    found = compare.compare(first, second)
    (snr,) = found.scores
    assert (snr.key, snr.direction, snr.first, snr.second) == ("snr", Direction("higher"), 4.0, 2.25)
    assert (snr.difference.mean, snr.difference.files) == (2.5, 2)
    assert found.recipe == [] == found.environment
    assert found.notes == ["2 files are few: intervals resampled from them are too narrow", "only one of them has lsd"]


@pytest.mark.parametrize(("files", "few"), [(9, True), (10, False), (11, False)])
def test_fewer_than_ten_files_are_few(files, few):
    values = {str(number): float(number) for number in range(files)}
    both = [experiment(name, scores={"snr": values}, facts={"snr": fact()}) for name in ("one", "two")]
    notes = compare.compare(*both).notes
    assert notes == ([f"{files} files are few: intervals resampled from them are too narrow"] if few else [])


def test_the_fewest_files_of_any_score_are_told():
    many = {str(number): 1.0 for number in range(12)}
    made = {"snr": many, "lsd": {"0": 1.0, "1": 2.0, "2": 3.0}}
    both = [experiment(name, scores=made, facts={"snr": fact(), "lsd": fact()}) for name in ("one", "two")]
    assert compare.compare(*both).notes[0].startswith("3 files are few")


def test_scores_of_other_definitions_are_not_compared():
    values = {str(number): 1.0 for number in range(10)}
    first = experiment(scores={"snr": values}, facts={"snr": fact(definition="old")})
    second = experiment("two", scores={"snr": values}, facts={"snr": fact(definition="new")})
    found = compare.compare(first, second)
    assert found.scores == [] and len(found.notes) == 1
    assert "snr" in found.notes[0] and "'old' and 'new'" in found.notes[0]


@pytest.mark.parametrize(("with_scores", "told"), [((), ["one", "two"]), (("one",), ["two"]), (("two",), ["one"])])
def test_experiments_without_scores_are_told(with_scores, told):
    made = [
        experiment(
            name,
            scores={"snr": {"a": 1.0}} if name in with_scores else {},
            facts={"snr": fact()} if name in with_scores else {},
        )
        for name in ("one", "two")
    ]
    found = compare.compare(*made)
    assert found.scores == [] and [note.partition(":")[0] for note in found.notes] == told


def test_recipes_and_environments_are_compared_key_by_key():
    first = experiment(environment={"torch": "1", "numpy": "2", "gone": "x"})
    second = Experiment(Path("two"), {"plan": {"steps": 4}}, environment={"torch": "1", "numpy": "3", "new": "y"})
    found = compare.compare(first, second)
    assert found.recipe == [("plan.steps", 3, 4)]
    assert found.environment == [("gone", "x", "(absent)"), ("new", "(absent)", "y"), ("numpy", "2", "3")]
    for one, other in ((first, experiment()), (experiment(), second)):
        assert compare.compare(one, other).environment == [], "of one that was not evaluated nothing is known"


def test_files_of_other_recordings_are_left_out():
    values = {name: 1.0 for name in "abcd"}
    made = [
        experiment(name, scores={"snr": dict(values)}, facts={"snr": fact()}, index=listed(*clips))
        for name, clips in (
            ("one", (clip("a", "1"), clip("b", "2"), clip("c", "3"), clip("d"))),
            ("two", (clip("a", "1"), clip("b", "x"), clip("c", "y"), clip("d", "4"))),
        )
    ]
    found = compare.compare(*made)
    assert found.scores[0].difference.files == 2
    assert found.notes[0].startswith("2 files, such as b, are of other recordings")
    for place in (0, 1):
        alone = list(made)
        alone[place] = experiment(scores={"snr": values}, facts={"snr": fact()})
        assert compare.compare(*alone).scores[0].difference.files == 4, "without an index nothing is known of them"


# reading ----------------------------------------------------------------


def evaluated(exp: Path, rows: list[dict[str, Any]]) -> None:
    (exp / "scores").mkdir(parents=True)
    made = {"name": "x", "split": "test", "real_time_factor": 0.5, "device": "cpu", "threads": 1}
    summary = {"step": 5, "scores": {"snr": fact(2.0)}, "environment": {"torch": "2"}} | made
    (exp / "scores" / "summary.json").write_text(json.dumps(summary))
    (exp / "scores" / "scores.jsonl").write_text("".join(json.dumps({"reasons": {}} | row) + "\n" for row in rows))


def test_an_experiment_is_read_from_its_newest_checkpoint_and_its_scores(tmp_path):
    with pytest.raises(GansembleError, match="expected an experiment folder with checkpoints"):
        compare.load(tmp_path)
    for step in (3, 20):
        folder = tmp_path / "checkpoints" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text(f"plan: {{steps: {step}}}\n")
    found = compare.load(tmp_path)
    assert (found.path, found.step, found.recipe) == (tmp_path, 20, {"plan": {"steps": 20}})
    assert found.scores == found.facts == found.environment == {} and found.index is None
    rows = [{"id": "a", "scores": {"snr": 1.5, "lsd": None}}, {"id": "b", "scores": {"snr": 2.5}}]
    evaluated(tmp_path, rows)
    found = compare.load(tmp_path)
    assert found.scores["snr"] == {"a": 1.5, "b": 2.5} and list(found.scores["lsd"]) == ["a"]
    assert found.scores["lsd"]["a"] != found.scores["lsd"]["a"], "NaN where there is no value"
    assert (found.step, found.facts, found.environment) == (5, {"snr": fact(2.0)}, {"torch": "2"})
    assert found.index is None
    (tmp_path / "samples" / "test").mkdir(parents=True)
    listed(clip("a")).write(tmp_path, [])
    assert compare.load(tmp_path).index.clips == [clip("a")]


def test_rows_are_read_by_the_id_of_their_clip(tmp_path):
    evaluated(tmp_path, [{"id": "b", "scores": {"snr": 1.0}}, {"id": "a\u2028", "scores": {}}])
    path = tmp_path / "scores" / "scores.jsonl"
    assert list(records.rows(path)) == ["b", "a\u2028"] and records.rows(path)["b"]["scores"] == {"snr": 1.0}
    assert records.summary(tmp_path)["step"] == 5
    path.write_text('{"id": "b", "scores": {}, "reasons": {}}\n\n{"id": "c", "scores": {}, "reasons": {}}')
    assert list(records.rows(path)) == ["b", "c"]
    with pytest.raises(DataError, match=r"no.jsonl: is not there; run stage 5 again"):
        records.rows(tmp_path / "no.jsonl")


# the index --------------------------------------------------------------


def test_an_index_reads_back_as_it_was_written(tmp_path):
    """Of a clip only what is known is written; the hashes of the files are added."""
    (tmp_path / "samples" / "test").mkdir(parents=True)
    made = tmp_path / "samples" / "test" / "a.wav"
    made.write_bytes(b"abc")
    clips = [clip("a", "1", condition="noisy"), GeneratedClip("s", 2.0, 0.25, 3, label=0, pitch=60)]
    whole = Index(Task.GENERATION, "test", 3, "step-3", "cuda", 2, [], clips, ["low"], 7, "guessed").write(
        tmp_path, [made]
    )
    assert whole.files == {"test/a.wav": sha256(made)} and index.read(tmp_path) == whole
    assert (whole.baselines, whole.seed, whole.phase, whole.threads) == (["low"], 7, "guessed", 2)
    text = (tmp_path / "samples" / "index.json").read_text()
    assert text.startswith('{\n "version"'), "a line for each field"
    facts = json.loads(text)
    assert facts["clips"] == [
        {"id": "a", "seconds": 1.0, "took": 0.5, "clipped": 0, "clip": "a", "sha256": "1", "condition": "noisy"},
        {"id": "s", "seconds": 2.0, "took": 0.25, "clipped": 3, "label": 0, "pitch": 60},
    ]
    assert facts["real_time_factor"] == 0.25 and facts["version"] == 2
    assert whole.promised(tmp_path) == [tmp_path / "samples" / "index.json", made]


def test_an_index_keeps_the_measured_speed_and_one_without_it_is_still_read(tmp_path):
    (tmp_path / "samples").mkdir()
    speed = Speed(0.004, 0.003, 0.006, 41, 1.02)
    listed(clip("a"), measured_speed=speed).write(tmp_path, [])
    path = tmp_path / "samples" / "index.json"
    facts = json.loads(path.read_text())
    assert facts["real_time_factor"] == 0.004 and index.read(tmp_path).measured_speed == speed
    for old in ({k: v for k, v in facts.items() if k != "measured_speed"}, facts | {"measured_speed": None}):
        path.write_text(json.dumps(old))
        assert index.read(tmp_path).measured_speed is None and index.read(tmp_path).real_time_factor == 0.5
    path.write_text(json.dumps(facts | {"measured_speed": {"median": 1.0}}))
    with pytest.raises(DataError, match="low is missing"):
        index.read(tmp_path)


def test_what_an_index_knows_of_its_clips():
    clips = [GeneratedClip("a", 3.0, 0.5, 0, condition="b"), GeneratedClip("b", 1.0, 0.5, 0, condition="a")]
    found = listed(*clips, GeneratedClip("c", 4.0, 1.0, 0, condition="b"))
    assert (found.seconds, found.real_time_factor, found.conditions) == (8.0, 0.25, ["a", "b"])
    assert listed(clip("a")).conditions == [""]
    assert (found.baselines, found.seed, found.phase, found.files) == ((), None, None, {})


@pytest.mark.parametrize(
    ("ours", "theirs", "other"),
    [
        ([("a", "1")], [("a", "2")], {"a"}),
        ([("a", "1")], [("a", "1")], set()),
        ([("a", None)], [("a", "1")], set()),
        ([("a", "1")], [("a", None)], set()),
        ([("a", "1")], [("b", "2")], set()),
        ([("a", "1"), ("b", "1")], [("b", "2"), ("a", "2"), ("c", "3")], {"a", "b"}),
    ],
)
def test_clips_of_one_name_and_two_recordings(ours, theirs, other):
    one, two = (listed(*(clip(*each) for each in clips)) for clips in (ours, theirs))
    assert one.of_other_recordings(two) == other


@pytest.mark.parametrize(("wrong", "named"), [(1, "f0"), (3, "f0, f1, f2"), (4, "f0, f1, f2, …")])
def test_files_that_are_not_those_that_were_made_are_named_up_to_three(tmp_path, wrong, named):
    (tmp_path / "samples").mkdir()
    for number in range(5):
        (tmp_path / "samples" / f"f{number}").write_text("a")
    whole = listed(clip("a"), files={f"f{number}": sha256(tmp_path / "samples" / f"f{number}") for number in range(5)})
    whole.demand_unchanged(tmp_path)
    for number in range(wrong):
        (tmp_path / "samples" / f"f{number}").write_text("b")
    with pytest.raises(DataError, match=rf"{wrong} of 5 samples are gone or not those .*\({re.escape(named)}\)"):
        whole.demand_unchanged(tmp_path)


def test_where_the_clips_of_a_baseline_are():
    assert index.folder_of(Path("e"), "test") == Path("e/samples/test")
    assert index.folder_of(Path("e"), "test", "low") == Path("e/samples/test/baselines/low")
    assert index.Index.path(Path("e")) == Path("e/samples/index.json")


def test_an_index_of_no_version_is_of_the_first(tmp_path):
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "index.json").write_text("{}")
    with pytest.raises(DataError, match="of version 1, expected 2; run stage 4 again"):
        index.read(tmp_path)


# references -------------------------------------------------------------


def packed(**digests: str) -> Any:
    return SimpleNamespace(entries=[SimpleNamespace(id=name, sha256=digest) for name, digest in digests.items()])


def test_the_recordings_that_were_imitated_are_there_and_the_same():
    project = SimpleNamespace(dump="dump")
    references.demand_same(project, packed(a="1", b="2", c="3"), [clip("a", "1"), clip("b")])
    with pytest.raises(DataError, match="dump: 2 generated clips have no reference there: a, b; synthesise again"):
        references.demand_same(project, packed(c="3"), [clip("a", "1"), clip("c", "3"), clip("b")])
    with pytest.raises(DataError, match=r"the recordings of 1 generated clips .*: b; "):
        references.demand_same(project, packed(a="1", b="2"), [clip("a", "1"), clip("b", "x")])


@pytest.mark.parametrize("other", [False, True])
def test_of_many_recordings_that_are_not_there_five_are_named(other):
    clips = [clip(f"c{number}", "x") for number in range(6)]
    there = packed(**{f"c{number}": "1" for number in range(6)}) if other else packed()
    with pytest.raises(DataError, match=r"6 generated clips .*c0, c1, c2, c3, c4; "):
        references.demand_same(SimpleNamespace(dump="dump"), there, clips)


def test_references_are_verified_and_held_out(monkeypatch):
    seen: dict[str, Any] = {}

    def verify(*given: Any) -> None:
        seen["verified"] = given

    def held_out(*given: Any) -> str:
        seen["held"] = given
        return "kept"

    monkeypatch.setattr(references, "verify", verify)
    monkeypatch.setattr(references, "Packed", lambda *given: given)
    monkeypatch.setattr(references, "held_out", held_out)
    project = SimpleNamespace(dump="dump", exp="exp")
    assert references.references(project, ["history"], "test", print, 0.5) == "kept"
    assert seen == {"verified": ("dump", {"test"}), "held": ("exp", ["history"], ("dump", "test", 0.5), print)}
    references.references(project, [], "train", print)
    assert seen["held"][2] == ("dump", "train", None)


@pytest.mark.parametrize(("clips", "there", "count"), [(None, 5, 5), (3, 5, 3), (5, 5, 5), (9, 5, 5)])
def test_as_many_clips_are_used_as_asked_for_and_as_there_are(monkeypatch, clips, there, count):
    recipe = SimpleNamespace(synthesis=SimpleNamespace(clips=clips, split="test"))
    work = Work("project", recipe, SimpleNamespace(history="history"), print)
    assert work.count(range(there)) == count
    monkeypatch.setattr("gansemble.evaluation.generated.references", lambda *given: given)
    assert work.references() == ("project", "history", "test", print)
    assert Generated(clip("a"), None).baseline == ""


# scores and environment -------------------------------------------------


def test_scores_are_printed_in_columns():
    facts = {
        "snr": {"mean": 12.34567, "low": 1.0, "high": 20.5, "n_ok": 3, "n_total": 4, "better": "higher"},
        "fid": {
            "mean": 3.0,
            "low": None,
            "high": None,
            "n_ok": 4,
            "n_total": 4,
            "reason": "few clips",
            "better": "lower",
        },
        "fid_deviation": {"mean": 0.5, "low": None, "high": None, "n_ok": 4, "n_total": 4, "better": "none"},
        "a_score_of_a_long_name_indeed": {
            "mean": None,
            "low": None,
            "high": None,
            "n_ok": 0,
            "n_total": 4,
            "reason": "x y",
            "better": "target",
            "target": 1.0,
        },
        "bare": {"mean": None, "low": None, "high": None, "n_ok": 0, "n_total": 4, "better": "lower"},
    }
    summary: Any = {"scores": facts, "real_time_factor": 0.0123456, "device": "cpu", "threads": 2}
    lines = scores.table(summary, 0.9)
    assert [line.split() for line in lines] == [
        ["score", "mean", "90", "%", "interval", "files"],
        ["snr", "↑", "12.3457", "1.0000", "…", "20.5000", "3/4"],
        ["fid", "↓", "3.0000", "-", "4/4"],
        ["a_score_of_a_long_name_indeed", "→", "1", "-", "-", "0/4"],
        ["x", "y"],
        ["bare", "↓", "-", "-", "0/4"],
        ["x", "real", "time", "↑", "81.0", "-"],
        *(line.split() for line in lines[7:]),
    ]
    note = " ".join(" ".join(lines[7:]).split())
    assert note.startswith(
        "↑ higher is better, ↓ lower, → best at this value; real time on cpu, 2 threads; 1 further number"
    )
    assert lines[1].index("12.3457") + 7 == len("a_score_of_a_long_name_indeed → 1") + 10
    assert max(map(len, scores.table(summary, 0.9, 50))) <= 50
    assert [line.split() for line in scores.table(summary, 0.9, 50)][:2] == [["score", "mean"], ["snr", "↑", "12.3457"]]


def test_the_measured_speed_stands_in_the_table_with_its_spread():
    speed = {"median": 0.01, "low": 0.008, "high": 0.0125, "runs": 41, "measured": 1.02}
    summary: Any = {"scores": {}, "real_time_factor": 0.01, "measured_speed": speed, "device": "cpu", "threads": 2}
    _, row, *note = scores.table(summary, 0.95, 100)
    assert row.split() == ["x", "real", "time", "↑", "100.0", "80.0", "…", "125.0", "41", "runs"]
    assert " ".join(" ".join(note).split()).endswith("real time on cpu, 2 threads; the interval is of half of the runs")


def test_scores_are_written_and_those_beside_them_told(tmp_path):
    said: list[str] = []
    row = {"mean": 1.0, "low": None, "n_ok": 1, "n_total": 1, "better": "higher"}
    summary: Any = {
        "scores": {"snr": row},
        "real_time_factor": 1.0,
        "device": "cpu",
        "threads": 1,
        "baselines": {"low": {"scores": {"snr": {"mean": 0.123456}, "lsd": {"mean": None}}}},
        "anchors": {"real": {"fid": {"mean": 2.0}}},
    }
    rows: Any = [{"id": "a", "scores": {}, "reasons": {}}, {"id": "b", "scores": {}, "reasons": {}}]
    project: Any = SimpleNamespace(exp=tmp_path)
    assert scores._write(project, rows, summary, 0.9, said.append) == tmp_path / "scores" / "summary.json"
    text = (tmp_path / "scores" / "summary.json").read_text()
    assert json.loads(text) == summary and text.startswith('{\n "scores"'), "a line for each field"
    assert (tmp_path / "scores" / "scores.jsonl").read_text().count("\n") == 2
    table = scores.table(summary, 0.9)
    assert said[: len(table)] == table
    assert said[len(table) :] == ["baseline low:", "  snr 0.1235   lsd      -", "real:", "  fid 2.0000"]


def test_the_environment_is_told_by_name(monkeypatch):
    found = environment.environment()
    assert found["torch"] == importlib.metadata.version("torch")
    assert found["python"] == platform.python_version() and found["commit"] == environment.commit()
    assert f"{os.cpu_count()} processors" in found["machine"] and re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert list(found) == [
        *("torch", "torchaudio", "numpy", "librosa", "pesq", "pystoi"),
        *("gansemble", "commit", "python", "machine", "date"),
    ]
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "7" if name == "gansemble" else missing(name))
    found = environment.environment()
    assert (found["torch"], found["gansemble"]) == ("not installed", "7")


def missing(name: str) -> str:
    raise importlib.metadata.PackageNotFoundError(name)


def test_the_commit_is_that_of_the_source_tree_or_unknown(monkeypatch):
    calls = []

    def run(command: list[str], **options: Any) -> Any:
        calls.append((command, options))
        return SimpleNamespace(stdout=" 0123456789ab-dirty\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert environment.commit() == "0123456789ab-dirty"
    assert [command[:2] for command, _ in calls] == [["git", "ls-files"], ["git", "describe"]]
    for _, options in calls:
        assert options["cwd"] == Path(environment.__file__).parent
        assert options["check"] and options["text"] and options["capture_output"] and options["timeout"] == 10
    for error in (OSError(), subprocess.CalledProcessError(1, "git"), subprocess.TimeoutExpired("git", 10)):

        def fails(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(subprocess, "run", fails)
        assert environment.commit() == "unknown"


def test_a_package_installed_within_a_repository_is_of_none_of_its_commits(tmp_path: Path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    ours, installed = tmp_path / "ours.py", tmp_path / "installed.py"
    for file in (ours, installed):
        file.write_text("")
    subprocess.run(["git", "add", "ours.py"], cwd=tmp_path, check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *who, "commit", "-q", "-m", "one"], cwd=tmp_path, check=True)
    assert re.fullmatch("[0-9a-f]{12}", environment.commit(ours)) and environment.commit(installed) == "unknown"
    ours.write_text("changed")
    assert environment.commit(ours).endswith("-dirty")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vendor\t: x\nmodel name\t: Fast: 3000\nmodel name\t: Slow\n", "Fast: 3000"),
        ("vendor: x\n", "unknown processor"),
        (None, "the platform's"),
    ],
)
def test_the_processor_is_named_where_its_name_is_known(monkeypatch, text, name):
    whole = Path.read_text

    def read(self: Path, *given: Any, **options: Any) -> str:
        if self != Path("/proc/cpuinfo"):
            return whole(self, *given, **options)
        if text is None:
            raise OSError
        return text

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(platform, "processor", lambda: "the platform's")
    monkeypatch.setattr(environment, "commit", lambda: "c")
    assert environment.environment()["machine"].startswith(f"{name}, ")
    monkeypatch.setattr(platform, "processor", lambda: "")
    if text is None:
        assert environment.environment()["machine"].startswith("unknown processor, ")


def test_scores_of_another_hash_are_not_compared_though_their_words_are_the_same():
    row = {
        "mean": 1.0,
        "low": None,
        "high": None,
        "n_ok": 1,
        "n_total": 1,
        "definition": "d",
        "better": "lower",
        "metric": "m",
    }
    assert records.comparable(row, dict(row)) and not records.comparable(row, row | {"definition": "other"})
    assert records.comparable(row | {"hash": "a"}, row)  # of an earlier version, which wrote no hash
    assert not records.comparable(row | {"hash": "a"}, row | {"hash": "b"})
