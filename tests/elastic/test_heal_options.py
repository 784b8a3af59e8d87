"""The options by which training heals and stops, from the command line to what watches the processes."""

from __future__ import annotations

import sys

import pytest

from gansemble.cli.run_options import Misuse, read
from gansemble.stages import launch
from gansemble.stages.restarts import MOST_RESTARTS, WAIT_SECONDS, Settings

WATCHED = [sys.executable, "-m", "gansemble.stages.together"]


def told(*words: str, stage: str = "train") -> tuple[list[str], Settings]:
    """The command of a stage, and what the settings of its environment are."""
    options = read(list(words), "run.sh")
    command, environment = launch.command(stage, options.processes, options.together)
    return command, Settings.of(environment)


def test_several_processes_are_healed_three_times_unless_told_otherwise():
    command, settings = told("--num-processes", "2")
    assert command[:3] == WATCHED and settings == Settings(MOST_RESTARTS, WAIT_SECONDS, None)
    words = ("--max-restarts", "5", "--wait-for-machines=30", "--save-within", "60")
    assert told("--num-processes", "2", *words)[1] == Settings(5, 30.0, 60.0)
    command, settings = told("--num-processes", "2", "--max-restarts", "0")
    assert command[:3] == WATCHED and settings.restarts == 0


def test_one_process_is_watched_where_that_is_asked_for():
    assert told()[0] == [sys.executable, "-m", "gansemble", "train"] == told("--max-restarts", "0")[0]
    command, settings = told("--max-restarts", "2")
    assert command[:4] == [*WATCHED, "1,0,1,0,127.0.0.1"] and settings.restarts == 2
    assert told("--max-restarts", "2", stage="evaluate")[0] == [sys.executable, "-m", "gansemble", "evaluate"]


def test_one_process_that_stops_has_its_deadline_too():
    assert told("--save-within", "60")[1].save_within == 60.0


@pytest.mark.parametrize("option", ["--max-restarts", "--wait-for-machines", "--save-within"])
@pytest.mark.parametrize("value", ["-1", "two", "1.5", ""])
def test_what_is_no_number_is_refused(option: str, value: str):
    with pytest.raises(Misuse, match=f"{option} must be a whole number from"):
        read([option, value], "run.sh")


def test_no_time_at_all_to_save_is_refused():
    with pytest.raises(Misuse, match="--save-within must be a whole number from 1"):
        read(["--save-within", "0"], "run.sh")
