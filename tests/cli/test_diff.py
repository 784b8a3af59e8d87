"""``diff``: two experiments made by hand, whose differences are known."""

import json
import math
import shutil
from pathlib import Path

import pytest

from gansemble.recipe.fill import dump
from gansemble.scoring.statistics import summarise

RECIPE = {
    "name": "one",
    "plan": {"steps": 10, "betas": [0.8, 0.99]},
    "losses": {"mel": {"use": "mel_l1", "weight": 45.0}},
}
SCORES = {"unused": "higher", "pesq": "higher", "mel_distance": "lower", "snr": "higher", "lsd": "lower"}
TWELVE = [float(n % 4) for n in range(12)]


#: How the scored clips were made.
MADE = {"name": "x", "split": "validation", "real_time_factor": 0.5, "device": "cpu", "threads": 1}


def experiment(path: Path, recipe=RECIPE, step=1200, environment=None, definitions=None, **scores) -> Path:
    """A folder as training and evaluation leave it; scores by key, a value for each file, None where there is none."""
    folder = path / "checkpoints" / f"step-{step:08d}"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(dump(recipe))
    if not scores:
        return path
    tables = {
        key: dict(enumerate(values)) if not isinstance(values, dict) else values for key, values in scores.items()
    }
    files = list(dict.fromkeys(name for table in tables.values() for name in table))
    rows = [{"id": f"{n}", "scores": {key: table[n] for key, table in tables.items() if n in table}} for n in files]
    summary = {
        "step": step,
        "environment": environment or {"torch": "2.11"},
        "scores": {
            key: summarise([math.nan if v is None else v for v in table.values()]).as_dict()
            | {"better": SCORES[key], "definition": (definitions or {}).get(key, f"{key} as published"), "metric": key}
            for key, table in tables.items()
        },
    } | MADE
    (path / "scores").mkdir()
    (path / "scores" / "summary.json").write_text(json.dumps(summary))
    (path / "scores" / "scores.jsonl").write_text("".join(json.dumps({"reasons": {}} | row) + "\n" for row in rows))
    return path


@pytest.fixture
def diff(gansemble, tmp_path):
    """``diff(…)`` of ``a`` and ``b``: what it says, after checking that it went well."""

    def run(*options):
        status, out, err = gansemble("diff", "a", "b", *options)
        assert (status, err) == (0, "")
        return out

    return run


def score_lines(out: str) -> dict[str, str]:
    """score -> its line behind it, with single spaces."""
    lines = out.partition("\nscores")[2].partition("\n\n")[0].splitlines()[2:]
    return {key: " ".join(rest) for key, *rest in map(str.split, lines)}


def test_recipe_keys_that_differ_are_shown_with_both_values(diff, tmp_path):
    experiment(tmp_path / "a")
    other = {
        "name": "two",
        "plan": {"steps": 10, "betas": [0.5, 0.9], "ema": 0.9},
        "losses": {"mel": {"use": "mel_l1", "weight": 30.0}},
    }
    experiment(tmp_path / "b", other, step=2_000_000)
    assert diff() == (
        "1  a (step 1,200)\n"
        "2  b (step 2,000,000)\n"
        "\n"
        "recipe\n"
        "  name               one -> two\n"
        "  plan.betas         [0.8, 0.99] -> [0.5, 0.9]\n"
        "  plan.ema           (absent) -> 0.9\n"
        "  losses.mel.weight  45.0 -> 30.0\n"
        "\n"
        "versions\n"
        "  the same\n"
        "note: a: has no scores yet; run its stages 4 and 5\n"
        "note: b: has no scores yet; run its stages 4 and 5\n"
    )


def test_equal_experiments_are_the_same(diff, tmp_path):
    for name in ("a", "b"):
        experiment(tmp_path / name, pesq=TWELVE)
    out = diff()
    assert "\nrecipe\n  the same\n" in out and "\nversions\n  the same\n" in out and "note" not in out
    assert score_lines(out)["pesq"] == ("↑ 1.5000 1.5000 +0.0000 [+0.0000, +0.0000] no clear difference (12 files)")


def test_differences_have_signs_intervals_and_a_word(diff, tmp_path):
    up, down = ([value + change for value in TWELVE] for change in (0.5, -0.25))
    mixed = [value + (1 if n % 2 else -1) for n, value in enumerate(TWELVE)]
    experiment(tmp_path / "a", pesq=TWELVE, mel_distance=TWELVE, snr=TWELVE, lsd=TWELVE)
    experiment(tmp_path / "b", pesq=up, mel_distance=down, snr=mixed, lsd=up)
    lines = score_lines(diff())
    assert lines["pesq"] == "↑ 1.5000 2.0000 +0.5000 [+0.5000, +0.5000] better (12 files)"
    assert lines["mel_distance"] == "↓ 1.5000 1.2500 -0.2500 [-0.2500, -0.2500] better (12 files)"
    assert lines["lsd"] == "↓ 1.5000 2.0000 +0.5000 [+0.5000, +0.5000] worse (12 files)"
    assert lines["snr"].startswith("↑ 1.5000 1.5000 +0.0000 [-")
    assert lines["snr"].endswith("] no clear difference (12 files)")


def test_a_higher_score_that_falls_is_worse(diff, tmp_path):
    experiment(tmp_path / "a", pesq=TWELVE)
    experiment(tmp_path / "b", pesq=[value - 1 for value in TWELVE])
    assert score_lines(diff())["pesq"] == "↑ 1.5000 0.5000 -1.0000 [-1.0000, -1.0000] worse (12 files)"


def test_differences_are_over_the_files_both_have_a_value_for(diff, tmp_path):
    experiment(tmp_path / "a", pesq={"x": 1.0, "y": 2.0, "alone": 9.0, "z": 3.0})
    experiment(tmp_path / "b", pesq={"x": 1.5, "y": 2.5, "z": None, "other": 0.0})
    out = diff()
    assert score_lines(out)["pesq"] == "↑ 3.7500 1.3333 +0.5000 [+0.5000, +0.5000] better (2 files)"
    assert "note: 2 files are few: intervals resampled from them are too narrow\n" in out


def test_no_common_file_is_said(diff, tmp_path):
    experiment(tmp_path / "a", pesq={"x": 1.0}, snr={"x": 1.0})
    experiment(tmp_path / "b", pesq={"y": 2.0}, snr={"x": 2.0, "y": None})
    lines = score_lines(diff())
    assert lines["pesq"] == "↑ 1.0000 2.0000 no file has both"
    assert lines["snr"] == "↑ 1.0000 2.0000 +1.0000 no clear difference (1 files)"


def test_a_score_without_any_value_has_a_dash(diff, tmp_path):
    experiment(tmp_path / "a", pesq={"x": None})
    experiment(tmp_path / "b", pesq={"x": 2.0})
    assert score_lines(diff())["pesq"] == "↑ - 2.0000 no file has both"


@pytest.mark.parametrize(("files", "noted"), [(9, True), (10, False)])
def test_few_files_are_noted(diff, tmp_path, files, noted):
    for name in ("a", "b"):
        experiment(tmp_path / name, pesq=[1.0] * files)
    assert ("files are few" in diff()) == noted


def test_scores_of_two_definitions_are_not_compared(diff, tmp_path):
    experiment(tmp_path / "a", pesq=TWELVE, snr=TWELVE, definitions={"pesq": "wide-band"})
    experiment(tmp_path / "b", pesq=TWELVE, snr=TWELVE, definitions={"pesq": "narrow-band"})
    out = diff()
    assert list(score_lines(out)) == ["snr"]
    assert out.endswith("note: pesq: not compared, its definitions differ: 'wide-band' and 'narrow-band'\n")


def test_a_score_that_only_one_has_is_noted(diff, tmp_path):
    experiment(tmp_path / "a", pesq=TWELVE, snr=TWELVE, lsd=TWELVE)
    experiment(tmp_path / "b", snr=TWELVE)
    out = diff()
    assert list(score_lines(out)) == ["snr"] and out.endswith("note: only one of them has lsd, pesq\n")


def test_missing_scores_are_noted_for_the_one_that_lacks_them(diff, tmp_path):
    experiment(tmp_path / "a", pesq=TWELVE)
    experiment(tmp_path / "b")
    out = diff()
    assert "\nscores" not in out and out.endswith("\nnote: b: has no scores yet; run its stages 4 and 5\n")
    assert out.count("note:") == 1 and "torch" not in out, "nothing is known of its versions"


def test_versions_that_differ_are_shown(diff, tmp_path):
    experiment(tmp_path / "a", pesq=TWELVE, environment={"torch": "2.11", "commit": "abc", "python": "3.11"})
    experiment(tmp_path / "b", pesq=TWELVE, environment={"torch": "2.13", "commit": "abc"})
    rows = diff().partition("\nversions\n")[2].splitlines()
    assert rows == ["  python  3.11 -> (absent)", "  torch   2.11 -> 2.13"]


def test_the_newest_checkpoints_recipe_counts(diff, tmp_path):
    experiment(tmp_path / "a", RECIPE, step=100)
    (tmp_path / "a" / "checkpoints" / "step-00000020").mkdir()
    (tmp_path / "a" / "checkpoints" / "step-00000020" / "recipe.yaml").write_text(dump(RECIPE | {"name": "older"}))
    experiment(tmp_path / "b", RECIPE, step=100)
    out = diff()
    assert out.startswith("1  a (step 100)\n") and "\nrecipe\n  the same\n" in out


def test_for_programs_it_is_json_without_nan(diff, tmp_path):
    experiment(tmp_path / "a", pesq=TWELVE, snr={"x": 1.0}, lsd={"x": 1.0})
    experiment(tmp_path / "b", RECIPE | {"name": "two"}, pesq=[v + 1 for v in TWELVE], snr={"x": 2.0}, lsd={"y": 1.0})

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    facts = json.loads(diff("--json"), parse_constant=refuse)
    assert facts["recipe"] == [["name", "one", "two"]] and facts["environment"] == []
    pesq, snr, lsd = facts["scores"]
    assert pesq["difference"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "files": 12} and pesq["better"] == "higher"
    assert (pesq["first"], pesq["second"]) == (1.5, 2.5)
    assert snr["difference"] == {"mean": 1.0, "low": None, "high": None, "files": 1}
    assert lsd["difference"] == {"mean": None, "low": None, "high": None, "files": 0}
    assert facts["notes"] == ["0 files are few: intervals resampled from them are too narrow"]


@pytest.mark.parametrize("missing", ["a", "b"])
def test_a_folder_that_is_no_experiment_is_named(gansemble, tmp_path, missing):
    for name in ("a", "b"):
        if name != missing:
            experiment(tmp_path / name)
    (tmp_path / missing).mkdir()
    status, out, err = gansemble("diff", "a", "b")
    assert (status, out) == (1, "")
    assert err == (
        f"error: {missing}: expected an experiment folder with checkpoints; run a recipe's run.sh with --exp {missing}\n"
    )


def sets(path: Path, clips=50, definition="as published", **scores) -> Path:
    """An experiment of a generator whose clips imitate none: (value, low, high, better) of the whole set by key."""
    experiment(path, unused=[1.0])
    rows = {
        key: {"mean": value, "low": low, "high": high, "n_ok": clips, "n_total": clips, "better": better}
        | {"definition": definition, "metric": key, "reason": None}
        for key, (value, low, high, better) in scores.items()
    }
    summary = {"step": 1200, "environment": {"torch": "2.11"}, "scores": rows} | MADE
    (path / "scores" / "summary.json").write_text(json.dumps(summary))
    (path / "scores" / "scores.jsonl").write_text(json.dumps({"id": "0", "scores": {}, "reasons": {}}) + "\n")
    return path


def set_lines(out: str) -> list[str]:
    return [
        " ".join(line.split()) for line in out.partition("\nscores of sets")[2].partition("\n\n")[0].splitlines()[1:]
    ]


def test_scores_of_whole_sets_are_compared_with_their_intervals(diff, tmp_path):
    sets(
        tmp_path / "a",
        fid=(10.0, 9.0, 11.0, "lower"),
        inception=(5.0, 4.0, 6.0, "higher"),
        kid=(0.5, None, None, "lower"),
    )
    sets(
        tmp_path / "b",
        fid=(7.0, 6.0, 8.0, "lower"),
        inception=(4.5, 3.5, 5.5, "higher"),
        kid=(0.5, None, None, "lower"),
    )
    out = diff()
    assert set_lines(out) == [
        "fid ↓ 10.0000 [9.0000, 11.0000] -> 7.0000 [6.0000, 8.0000] -3.0000 better, intervals apart (50 clips)",
        "inception ↑ 5.0000 [4.0000, 6.0000] -> 4.5000 [3.5000, 5.5000] -0.5000 worse, intervals overlap (50 clips)",
        "kid ↓ 0.5000 -> 0.5000 +0.0000 the same, no intervals: nothing says how sure that is (50 clips)",
    ]
    assert "note" not in out and "\nscores  " not in out
    facts = json.loads(diff("--json"))["sets"]
    assert [(row["key"], row["difference"], row["apart"]) for row in facts] == [
        ("fid", -3.0, True),
        ("inception", -0.5, False),
        ("kid", 0.0, None),
    ]


def test_a_set_score_without_a_value_or_of_another_definition_is_said(diff, tmp_path):
    sets(tmp_path / "a", fid=(10.0, 9.0, 11.0, "lower"), alone=(1.0, None, None, "lower"))
    sets(tmp_path / "b", clips=20, fid=(None, None, None, "lower"))
    out = diff()
    assert set_lines(out) == ["fid ↓ 10.0000 [9.0000, 11.0000] -> - one has no value"]
    assert "note: only one of them has alone\n" in out
    shutil.rmtree(tmp_path / "b")
    sets(tmp_path / "b", definition="another", fid=(7.0, 6.0, 8.0, "lower"))
    assert "note: fid: not compared, its definitions differ: 'as published' and 'another'\n" in diff()
