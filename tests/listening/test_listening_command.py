"""``gansemble listening``, as a user types it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from gansemble.cli import main


@pytest.fixture
def gansemble(capfd, folders, monkeypatch):
    """Runs ``gansemble listening`` beside the folders: (exit status, standard output, standard error)."""
    monkeypatch.chdir(folders)

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main(["listening", *map(str, words)])
        said = capfd.readouterr()
        return left.value.code or 0, said.out, said.err

    return run


def test_a_test_is_made_and_its_answers_are_evaluated(gansemble, folders, answered):
    status, out, _ = gansemble("make", "real", "alpha", "ours=beta", "--mode", "mushra", "--output", "t", "--clips", 2)
    assert status == 0 and "t/page/index.html: 2 trials of 2 clips" in out
    assert "2 of 3 common files are used" in out and "levels: as in the files" in out
    grades = {"real": 95, "alpha": 30, "ours": 70, "anchor 3.5 kHz": 10, "anchor 7 kHz": 40}
    answered(folders / "t", "anna", lambda systems, x: {name: grades[each] for name, each in systems.items()})
    low = grades | {"real": 80}
    answered(folders / "t", "ben", lambda systems, x: {name: low[each] for name, each in systems.items()})
    status, out, _ = gansemble("results", "t", "--csv", "rows.csv")
    assert status == 0
    assert "excluded: ben: hidden reference below 90 in 2 of 2 trials" in out
    assert "real (hidden reference)" in out and "70.000" in out
    rows = list(csv.DictReader((folders / "rows.csv").open()))
    assert [row["mean"] for row in rows if row["system"] == "ours"] == ["70.0"]
    assert {row["table"] for row in rows} == {"grades", "differences"}
    status, out, _ = gansemble("results", "t", "--json", "--no-screening")
    (found,) = json.loads(out)
    assert found["listeners"] == ["anna", "ben"] and found["excluded"] == {}


def test_intervals_that_do_not_exist_are_null_and_dashes(gansemble, folders, answered):
    gansemble("make", "real", "alpha", "--mode", "mushra", "--output", "t", "--clips", 1)
    answered(folders / "t", "anna", lambda systems, x: dict.fromkeys(systems, 100))
    assert " –" in gansemble("results", "t", "--no-screening")[1]
    (found,) = json.loads(gansemble("results", "t", "--json", "--no-screening")[1])
    assert found["tables"]["grades"][0]["low"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["real", "--mode", "ab"], "one system only"),
        (["real", "real", "--mode", "ab"], "two systems are called 'real'"),
        (["real", "absent", "--mode", "ab"], "absent: no such folder"),
        (["real", "alpha", "--mode", "ab", "--clips", "0"], "--clips"),
        (["real", "alpha", "--mode", "ab", "--cut", "nan"], "finite"),
        (["real", "alpha", "--mode", "xyz"], "'xyz' is not one of"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(gansemble, folders, words, said):
    status, _, err = gansemble("make", *words, "--output", "t")
    assert status and said in err and "Traceback" not in err
    assert not (folders / "t").exists()


def test_folders_without_a_test_are_refused(gansemble):
    assert "real: no key.json here" in gansemble("results", "real")[2]
    assert "real: no key.json here" in gansemble("serve", "real")[2]


@pytest.mark.processes
def test_the_server_says_where_it_is_and_ends_at_ctrl_c(made, signals_heard):
    folder = made("ab")
    words = [sys.executable, "-m", "gansemble", "listening", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[0]
            with urllib.request.urlopen(address) as reply:
                assert reply.read().decode() == (folder / "page/index.html").read_text()
            process.send_signal(signal.SIGINT)
            assert "0 files of answers" in process.communicate(timeout=30)[0]
            assert process.returncode == 0
        finally:
            process.kill()
