"""A metric that crashes, hangs or is killed costs its own row; the table is complete but for those, and a run goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import awkward_metrics as acts
import pytest
from suite_files import clip, write

from gansemble.audio import files
from gansemble.errors import DataError
from gansemble.suite.columns import Asked
from gansemble.suite.rows import FILE
from gansemble.suite.run import Request, score_folders

BOTH = Asked(("awkward", "level"))


def told(made: Path, name: str, act: float) -> None:
    """Lets a clip of the estimates tell the metric what to do."""
    audio, rate = files.read(made / f"{name}.wav")
    audio[0, 0] = act
    write(made, f"{name}.wav", audio[0], rate)


def run(folders, output=None, **settings):
    said: list[str] = []
    asked = settings.pop("asked", BOTH)
    scored = score_folders(Request(folders[0], {"made": folders[1]}, asked, output=output, **settings), said.append)
    return scored, said


def by_id(scored, metric="awkward"):
    return {identity: row for (_, name, identity), row in scored.rows.items() if name == metric}


@pytest.mark.parametrize(
    ("act", "ended", "words"),
    [
        (acts.SEGFAULT, "crashed", "SIGSEGV"),
        (acts.HANG, "hung", "took longer than 3 s"),
        (acts.RAISE, "failed", "this metric fails of this clip"),
        (acts.KILLED, "killed", "killed from outside (SIGKILL"),
        (acts.EXIT, "crashed", "exit status 3"),
    ],
)
def test_an_accident_costs_one_row_and_says_why(awkward, folders, act, ended, words):
    told(folders[1], "c", act)
    scored, _ = run(folders, timeout=3.0, jobs=2)
    rows = by_id(scored)
    assert {name for name, row in rows.items() if row["ended"] == "scored"} == set("abdef")
    assert rows["c"]["ended"] == ended and words in rows["c"]["reasons"]["awkward"]
    assert rows["c"]["scores"] == {"awkward": None}
    # The other metric has all of its rows, that of the clip on which the first one crashed included.
    assert all(row["scores"]["level"] is not None for row in by_id(scored, "level").values())


def test_what_was_killed_from_outside_once_is_tried_again(awkward, folders, tmp_path, monkeypatch):
    monkeypatch.setenv("AWKWARD_MARK", str(tmp_path / "mark"))
    told(folders[1], "b", acts.ONCE)
    scored, _ = run(folders)
    assert (tmp_path / "mark").exists()
    assert not scored.accidents


def test_rows_are_kept_and_only_accidents_are_retried(awkward, folders, tmp_path):
    told(folders[1], "c", acts.SEGFAULT)
    output = tmp_path / "scores"
    output.mkdir()
    first, _ = run(folders, output)
    before = (output / FILE).read_bytes()
    second, said = run(folders, output)
    assert (output / FILE).read_bytes() == before and second.rows == first.rows
    third, said = run(folders, output, retry=True)
    assert "11 of 12 scores are there already" in said
    assert by_id(third)["c"]["ended"] == "crashed"
    assert (output / FILE).read_bytes().startswith(before)


def test_a_changed_estimate_is_scored_again_and_nothing_else(awkward, folders, tmp_path):
    output = tmp_path / "scores"
    output.mkdir()
    run(folders, output)
    write(folders[1], "a.wav", clip(0))
    scored, said = run(folders, output)
    assert "10 of 12 scores are there already" in said
    assert by_id(scored)["a"]["scores"]["awkward"] == 0.0


def test_a_damaged_line_is_left_out_and_computed_again(awkward, folders, tmp_path):
    output = tmp_path / "scores"
    output.mkdir()
    first, _ = run(folders, output)
    lines = (output / FILE).read_bytes().split(b"\n")
    (output / FILE).write_bytes(b"\n".join([lines[0][:40], *lines[1:-2], lines[-2][:25]]))
    second, said = run(folders, output)
    assert any("damaged and left out" in line for line in said)
    assert {key: row["scores"] for key, row in second.rows.items()} == {
        key: row["scores"] for key, row in first.rows.items()
    }
    assert not any("damaged" in line for line in run(folders, output)[1][1:])


def test_a_metric_that_cannot_be_built_ends_the_command_and_names_it(awkward, folders):
    with pytest.raises(DataError, match=r"metric unbuildable: could not be built, .*SIGSEGV"):
        run(folders, asked=Asked(("level", "unbuildable")))


@pytest.mark.kill
def test_a_killed_command_goes_on_where_it_was(awkward, folders, tmp_path):
    for number in range(30):
        write(folders[0], f"more{number:02}.wav", clip(number))
        write(folders[1], f"more{number:02}.wav", clip(number + 1))
    told(folders[1], "more20", acts.HANG)
    output = tmp_path / "scores"
    command = [sys.executable, "-m", "gansemble", "score", *map(str, folders), "--metrics", "awkward,level"]
    command += ["--output", str(output), "--jobs", "1", "--timeout", "60"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while (time.monotonic() < until and not (output / FILE).exists()) or (output / FILE).read_bytes().count(b"\n") < 20:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    there = (output / FILE).read_bytes().count(b"\n")
    scored, said = run(folders, output, timeout=2.0, jobs=2)
    assert any(line.startswith(f"{there} of 72 scores are there already") for line in said)
    assert [row["id"] for row in scored.accidents] == ["more20"]
    assert len(scored.rows) == 72
    assert len([json.loads(line) for line in (output / FILE).read_text().splitlines()]) == 72
