"""A metric that does what it should not harms no other score, and what it gives is told as it is."""

import json
from pathlib import Path

import pytest

from gansemble.errors import PartError
from gansemble.plugins import loading
from gansemble.suite import pool, tables
from gansemble.suite.columns import Asked, Metrics
from gansemble.suite.run import Request, score_folders
from gansemble.suite.signals import Reading
from gansemble.suite.summary import Results


@pytest.fixture(scope="module")
def harmful():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(loading.FILES, str(Path(__file__).with_name("harmful_metrics.py").resolve()))
        yield


@pytest.fixture(scope="module")
def scored(harmful, tmp_path_factory):
    """Two clips, by all of the metrics in one run; paths are relative, and ``snr`` comes last of a clip's."""
    from suite_files import clip, write

    place = tmp_path_factory.mktemp("harm")
    for number, name in enumerate("ab"):
        write(place / "reference", f"{name}.wav", clip(number))
        write(place / "made", f"{name}.wav", clip(number) + 0.1 * clip(number + 3))
    names = ("in_place", "goes", "drawn", "infinite", "renames", "forks", "talks", "leaves_a_child", "snr")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "out").mkdir()
        asked = Asked((*names, "set_with_objects"))
        request = Request(Path("reference"), {"made": Path("made")}, asked, output=place / "out", timeout=60.0)
        found = score_folders(request, said.append)
    return found, said, place / "out"


def row(scored, metric, identity="b"):
    return scored[0].rows["made", metric, identity]


def test_signals_that_a_metric_changes_are_whole_for_the_next(scored):
    assert row(scored, "snr")["scores"]["snr"] == pytest.approx(20, abs=1)


def test_a_metric_that_goes_to_another_folder_is_brought_back(scored):
    assert row(scored, "goes")["scores"] == {"goes": 1.0}


def test_global_random_numbers_begin_alike_for_each_computation(scored):
    assert row(scored, "drawn", "a")["scores"] == row(scored, "drawn", "b")["scores"]


def test_infinity_is_no_value_and_stands_in_no_file(scored):
    assert row(scored, "infinite")["scores"] == {"infinite": None}
    assert row(scored, "infinite")["reasons"]["infinite"] == "the metric gave inf, which is no number"
    for line in (scored[2] / "rows.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)  # called with NaN and Infinity


def test_other_names_than_at_the_start_are_a_fault_of_the_metric(scored):
    assert row(scored, "renames")["ended"] == "failed"
    assert "gave the scores 'renamed', expected 'renames'" in row(scored, "renames")["reasons"]["renames"]


def test_a_copy_of_the_process_says_nothing(scored):
    assert row(scored, "forks")["scores"] == {"forks": 1.0}


def test_a_death_is_heard_though_a_child_lives_on_and_its_last_words_are_short(scored):
    died = row(scored, "leaves_a_child")
    assert died["ended"] == "crashed" and "exit status 4" in died["reasons"]["leaves_a_child"]
    assert len(died["reasons"]["leaves_a_child"]) < 2 * pool.SHOWN


def test_of_many_warnings_some_are_shown(scored):
    warnings = [line for line in scored[1] if line.startswith("warning: ")]
    assert "warning: %d" in warnings and warnings[-1] == "warning: further warnings are not shown"
    assert len(warnings) == pool.MOST_WARNINGS + 1


def test_what_a_metric_of_sets_tells_is_written_as_json(scored):
    details = scored[0].rows["made", "set_with_objects", ""]["details"]
    told = {"array": [0, 1], "bound": None, "type": "<class 'set'>"}
    assert details["told"] == {"set_with_objects": told} and details["intervals"] == {}
    json.dumps(tables.summary(Results(scored[0])), allow_nan=False)


def test_a_metric_that_fails_of_silence_is_told_what_it_was_asked(harmful):
    found = Metrics(Asked(("fails_of_silence",)), Reading(8000))
    with pytest.raises(PartError, match=r"cannot be used: it is asked to score a second of silence first.*no level"):
        found.column("fails_of_silence", found.build("fails_of_silence"))
