"""Commands whose output nobody reads any more: their work is kept, nothing follows it, and no traceback says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gansemble.training.checkpoint import Store

pytestmark = pytest.mark.processes
LONG = ("--set", "plan.steps=100000", "--set", "plan.save_every=100000", "--set", "validation.every=100000")


def unread(place, *words: str, until: str = "", streams: str = "both") -> tuple[int, str]:
    """Runs a command that is read up to a line with some words, and then no more.

    Returns:
        (its exit status, what it wrote to the other stream).
    """
    both = {"both": (subprocess.PIPE, subprocess.STDOUT), "stdout": (subprocess.PIPE, subprocess.PIPE)}
    out, err = both[streams]
    child = subprocess.Popen(
        [sys.executable, "-m", "gansemble", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=out,
        stderr=err,
        text=True,
    )
    assert child.stdout is not None
    while until and until not in (line := child.stdout.readline()):
        assert line, f"it ended without saying {until!r}"
    child.stdout.close()
    said = child.stderr.read() if child.stderr is not None else ""
    return child.wait(90), said


def test_training_saves_its_state_when_nobody_reads_it(place, done):
    done("fetch", "prepare")
    status, _ = unread(place, *place.words("train", *LONG), until="step 1/100,000")
    assert status == 75 and Store(place.experiment / "checkpoints").newest() is not None
    assert not list(place.experiment.glob(".lock*"))


def test_before_the_first_step_there_is_nothing_to_save(place, done):
    """The validation before it is given up."""
    done("fetch", "prepare")
    status, _ = unread(place, *place.words("train", *LONG), until="training ")
    newest = Store(place.experiment / "checkpoints").newest()
    assert status == 75 and (newest is None or newest.step > 0)
    assert not list(place.experiment.glob(".lock*"))


def test_a_stage_that_has_begun_is_finished_and_recorded(place, words_of, done):
    done("fetch")
    status, said = unread(place, *place.words("prepare"), streams="stdout")
    assert status == 128 + 13 and said == ""
    done("train", words=("--set", "plan.steps=2"))


@pytest.mark.parametrize("words", [("describe", "generator"), ("recipes", "list"), ("--help",)])
def test_a_command_that_only_shows_ends_without_a_word(place, words):
    status, said = unread(place, *words, streams="stdout")
    assert status in (0, 1, 128 + 13) and "Traceback" not in said and "Error" not in said


def test_output_on_a_full_disk_ends_no_stage(place, words_of, done):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        words = [sys.executable, "-m", "gansemble", *place.words("prepare")]
        assert subprocess.run(words, stdout=full, stderr=full, timeout=90).returncode == 0
    done("train", words=("--set", "plan.steps=2"))
