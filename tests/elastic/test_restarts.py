"""When training is started anew, how often, after what pause, and what is said."""

from __future__ import annotations

import signal

import pytest

from gansemble.errors import GansembleError
from gansemble.stages.group import End
from gansemble.stages.how_far import HowFar
from gansemble.stages.restarts import LONGEST_PAUSE, PAUSE_SECONDS, WAIT_SECONDS, Restarts, Settings, gone

KILLED = "error: process 1 of 2 was ended by signal 9 (Killed, as when memory runs out); the last checkpoint is untouched, go on"


def killed(step: int | None, saved: int = -1) -> End:
    return End(1, KILLED, "killed", None if step is None else HowFar(step, saved))


def test_each_pause_is_longer_than_the_one_before_and_the_number_is_bounded():
    restarts, pauses = Restarts(6), []
    for step in range(6):
        pause = restarts.pause(killed(step))
        assert pause is not None
        restarts.count(killed(step))
        pauses.append(pause)
    assert pauses[0] == PAUSE_SECONDS and pauses == sorted(pauses) and max(pauses) == LONGEST_PAUSE
    assert sum(pauses[:3]) > 60, "a network folder may be away for a minute"
    assert restarts.pause(killed(99)) is None
    assert (
        restarts.final(killed(99)).text
        == f"{KILLED}; training has been started anew 6 times already (--max-restarts 6)"
    )


@pytest.mark.parametrize(("step", "where"), [(12, "after step 12"), (None, "before training had begun")])
def test_what_happens_at_one_step_twice_would_happen_again(step, where):
    restarts = Restarts(3)
    assert restarts.pause(killed(step)) is not None
    restarts.count(killed(step))
    assert restarts.pause(killed(step)) is None
    assert restarts.final(killed(step)).text.endswith(
        f"; training is not started anew, as that happened {where} once more"
    )
    assert restarts.pause(killed(13)) is not None


def test_a_machine_that_is_gone_says_nothing_of_the_step():
    restarts = Restarts(3)
    restarts.count(killed(7))
    restarts.count(None)
    assert restarts.made == 2 and restarts.pause(killed(7)) is None and restarts.pause(killed(8)) is not None


@pytest.mark.parametrize("cause", ["error", "done", "asked"])
def test_errors_for_the_user_and_requests_are_not_met_with_a_restart(cause):
    end = End(1, "error: clip 3 is damaged", cause, HowFar(5))
    assert Restarts(3).pause(end) is None and Restarts(3).final(end) == end


def test_an_error_at_a_place_that_an_earlier_start_got_past_is_none_of_the_user():
    """As of a network folder that is away for a minute: the pauses are longer than that, and no step is compared."""
    away, restarts = End(1, "error: dump: there is no such folder", "error", None), Restarts(3)
    assert restarts.pause(away) is None
    restarts.note(HowFar(7))
    pauses = []
    while (pause := restarts.pause(away)) is not None:
        restarts.count(away)
        pauses.append(pause)
    assert len(pauses) == 3 and sum(pauses) > 60
    assert restarts.final(away).text.endswith("training has been started anew 3 times already (--max-restarts 3)")


def test_none_of_no_restarts():
    assert Restarts(0).pause(killed(3)) is None and Restarts(0).final(killed(3)) == killed(3)


def test_the_line_is_short_and_names_cause_step_pause_and_number():
    restarts = Restarts(3)
    restarts.count(killed(1234))
    assert restarts.line(killed(1234), 1.0) == (
        "process 1 of 2 was ended by signal 9 (Killed, as when memory runs out) after step 1,234; training is started anew from the "
        "last checkpoint in 1 s (restart 1 of at most 3)"
    )
    crash = End(1, "Traceback (most recent call last):\n  File …\nRuntimeError: CUDA error\n", "crashed", HowFar(3))
    assert restarts.line(crash, 8.0).startswith("RuntimeError: CUDA error after step 3; training")
    assert restarts.line(End(1, "", "crashed"), 8.0).startswith("a process ended without a word; training")


def test_restarts_are_handed_on_until_a_checkpoint_tells_of_them():
    restarts = Restarts(5)
    assert not restarts.began
    restarts.note(None)
    restarts.count(killed(None))
    assert (restarts.unrecorded, restarts.began) == (1, False)
    restarts.note(HowFar(7))
    restarts.count(killed(7))
    assert (restarts.unrecorded, restarts.began) == (2, True)
    restarts.note(HowFar(23, 20))
    restarts.count(killed(23, 20))
    assert (restarts.unrecorded, restarts.made) == (1, 3)


def test_a_checkpoint_that_was_saved_makes_the_next_pause_a_short_one():
    restarts = Restarts(9)
    for step in range(3):
        restarts.count(killed(step))
    assert restarts.pause(killed(7)) > PAUSE_SECONDS
    restarts.note(HowFar(7, 5))
    assert restarts.pause(killed(7, 5)) == PAUSE_SECONDS


def test_settings_go_through_environment_variables():
    assert Settings.of({}) == Settings(0, WAIT_SECONDS, None)
    for settings in (Settings(3, 12.5, 60.0), Settings(0, 600.0, None)):
        assert Settings.of(settings.words()) == settings


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_a_variable_that_holds_no_number_is_named(value):
    with pytest.raises(GansembleError, match=rf"GANSEMBLE_SAVE_WITHIN='{value}': expected a number from 0 on"):
        Settings.of({"GANSEMBLE_SAVE_WITHIN": value})


def test_whoever_waits_in_vain_leaves_as_one_that_can_go_on():
    end = gone("machine 1", 30)
    assert end.status == 75 and end.text.startswith("machine 1 did not come within 30 s (--wait-for-machines)")


def test_a_killed_process_is_told_by_the_first_part_of_its_message():
    assert killed(1).short == "process 1 of 2 was ended by signal 9 (Killed, as when memory runs out)"
    assert signal.SIGKILL == 9
