"""Calls that cannot be meant are refused with what was expected; what is odd but can be meant is tabulated as it is."""

import csv
import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import permutation_test
from suite_files import clip, write

import gansemble
from gansemble.errors import DataError, FolderInUse, GansembleError
from gansemble.scoring.paired import compare
from gansemble.stages.locks import FolderLock
from gansemble.suite import page, tables
from gansemble.suite.columns import Asked, Column, Metrics, demand_distinct
from gansemble.suite.matching import match
from gansemble.suite.rows import FILE, Rows
from gansemble.suite.run import Request, Scored, score_folders
from gansemble.suite.signals import Reading
from gansemble.suite.summary import Results, short_names


def column(metric, *keys):
    return Column(metric, keys, "for tests", "higher", "0123456789ab", "pair", "metrics", "snr", "ba9876543210")


def results(systems, ids, value):
    """Results without files: ``value(system number, clip number)`` is the score."""
    rows = {
        (system, "snr", name): {
            "system": system,
            "id": name,
            "metric": "snr",
            "hash": "0123456789ab",
            "inputs": "",
            "scores": {"snr": value(place, number)},
            "reasons": {},
            "ended": "scored",
            "seconds": 0.0,
        }
        for place, system in enumerate(systems)
        for number, name in enumerate(ids)
    }
    request = Request(None, dict.fromkeys(systems))
    return Results(Scored(request, Reading(8000), {"snr": column("snr", "snr")}, ids, rows, [], {}))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"metrics": "snr"}, r"expected a list of names, such as \['snr'\]"),
        ({"metrics": [3]}, "expected a list of names"),
        ({"metrics": {"snr": 3}}, "expected its settings"),
        ({"lengths": "shorter"}, "expected one of 'as they are', 'cut', 'pad'"),
        ({"channels": "stereo"}, "expected one of 'mono', 'mix', 'first'"),
        ({"rate": "16000"}, "expected a whole number from 500"),
        ({"jobs": -1}, "expected a whole number from 1"),
        ({"jobs": True}, "expected a whole number from 1"),
        ({"timeout": math.nan}, "expected seconds"),
        ({"confidence": 95}, "expected a probability"),
        ({"estimate": []}, "is empty"),
        ({"estimate": 3}, "expected a folder"),
        ({"estimate": {" ": "made"}}, "has no name"),
        ({"reference": ""}, "reference: expected the path"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(wrong, words):
    with pytest.raises(DataError, match=words):
        gansemble.score(**({"reference": "reference", "estimate": "made", "metrics": ["snr"]} | wrong))


def test_two_metrics_that_call_a_score_by_one_name_are_refused():
    with pytest.raises(GansembleError, match="pesq and pesq_nb: both call a score 'pesq_nb'; give one of them another"):
        demand_distinct([column("pesq", "pesq_nb"), column("pesq_nb", "pesq_nb")])
    demand_distinct([column("lsd", "lsd", "lsd_low"), column("snr", "snr")])


def test_a_metric_may_be_asked_for_with_its_plugin():
    assert list(Metrics(Asked(("metrics/snr", "si_sdr")), Reading(8000)).parts) == ["snr", "si_sdr"]
    assert list(Metrics(Asked(("metrics/snr", "snr")), Reading(8000)).parts) == ["metrics-snr", "snr"]


def test_names_that_are_one_without_their_ending_are_refused(tmp_path):
    for name in ("a", "a_gen"):
        write(tmp_path / "made", f"{name}.wav", clip(0))
    write(tmp_path / "reference", "a.wav", clip(0))
    with pytest.raises(DataError, match=r"a\.wav and .*a_gen\.wav have one name without '_gen'"):
        match(tmp_path / "reference", {"made": tmp_path / "made"}, "_gen")


def test_no_name_is_a_formula_in_a_spreadsheet_and_plain_names_stay():
    ids = ["=cmd()", "@sum", "+x|' !A0", "-5db/a b", "+1", 'a,"b"', "<b>"]
    text = tables.per_file_csv(results(["one"], ids, lambda place, number: -1.0))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [row[1] for row in rows[1:]] == ["'=cmd()", "'@sum", "'+x|' !A0", *ids[3:]]
    assert {row[2] for row in rows[1:]} == {"-1.0"}
    assert [json.loads(json.dumps(row))["id"] for row in tables.per_file(results(["one"], ids, lambda *_: 0.0))] == ids


def test_long_names_of_systems_are_short_where_people_read_them_if_they_still_differ(tmp_path):
    long = "a" * 100 + "z"
    assert short_names([long, "b\n$x$"]) == {long: "a" * 16 + "…" + "a" * 14 + "z", "b\n$x$": "b\\n$x$"}
    alike = ["a" * 40 + middle + "z" * 40 for middle in "xy"]
    assert short_names(alike) == {name: name for name in alike}
    found = results([long, "$x$ <i>"], list("abcdefgh"), lambda place, number: place + 0.1 * number)
    page.write(found, tmp_path / "index.html")
    written = (tmp_path / "index.html").read_text()
    assert "$x$ &lt;i&gt;" in written and "<i>" not in written
    assert max(map(len, tables.lines(found))) < 120


@pytest.mark.slow
def test_an_accessibility_checker_finds_nothing_serious_on_the_page(accessible, tmp_path):
    found = results(["one", "two", "x" * 100], list("abcdefgh"), lambda place, number: place + 0.1 * number)
    page.write(found, tmp_path / "index.html")
    accessible((tmp_path / "index.html").as_uri())


def test_infinity_in_rows_of_a_former_version_is_no_value():
    found = results(["one"], ["a", "b"], lambda place, number: math.inf if number else 1.0)
    assert found.mean("one", found.keys[0]).mean == 1.0


def test_lines_that_are_no_rows_are_left_out(tmp_path):
    good = {"system": "s", "id": "a", "metric": "m", "hash": "h", "inputs": "i", "scores": {"m": 1.0}, "reasons": {}}
    good |= {"ended": "scored", "seconds": 0.1}
    bad = [good | change for change in ({"ended": "well"}, {"scores": {"m": "1"}}, {"id": 3}, {"reasons": {"m": None}})]
    lines = [json.dumps(each) for each in [good, *bad]] + ["[]", '{"scores": {"m": NaN}}']
    (tmp_path / FILE).write_text("\n".join(lines) + "\n")
    found = Rows(tmp_path)
    found.close()
    assert list(found.done.values()) == [good] and "6 lines" in found.loss


@pytest.mark.parametrize("shift", [0.0, 0.15, 0.4])
def test_the_test_of_many_files_agrees_with_scipy(shift):
    values = np.random.default_rng(1).normal(shift, 1, 40)
    ours = compare({str(n): 0.0 for n in range(40)}, {str(n): value for n, value in enumerate(values)}).p
    theirs = permutation_test(
        (values,),
        lambda sample, axis: sample.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        random_state=7,
    ).pvalue
    # Four standard errors of a share of 9,999 draws, twice as the smaller share is doubled.
    assert ours == pytest.approx(theirs, abs=8 * math.sqrt(max(theirs, 1e-3) / 2 / 9999) + 2e-4)


def test_a_folder_in_use_is_told_in_the_words_of_this_command(folders, tmp_path):
    request = Request(folders[0], {"made": folders[1]}, Asked(("snr",)), output=tmp_path / "out")
    with FolderLock(tmp_path / "out"), pytest.raises(FolderInUse, match="give this run another --output"):
        score_folders(request, lambda line: None)


def test_the_process_that_prints_imports_no_torch():
    code = (
        "import sys, gansemble.suite.run, gansemble.suite.tables, gansemble.suite.page; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
