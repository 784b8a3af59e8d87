"""One command on two machines, from the corpus to the page: machine 0 runs the stages around training, once."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.end_to_end


def two(launches) -> list[str]:
    place = ["--main-address", "127.0.0.1", "--main-port", launches.free_port()]
    return ["--num-processes", "2", "--num-machines", "2", *place]


def test_only_machine_0_runs_the_stages_around_training(place, straight, launches, tmp_path):
    """Machine 1 is started first, and both into folders that are not there yet."""
    words = two(launches)
    other = place.start(tmp_path / "exp", *words, "--machine-rank", "1", dump=tmp_path / "dump")
    time.sleep(2)
    first = place.start(tmp_path / "exp", *words, "--machine-rank", "0", dump=tmp_path / "dump")
    said, said_other = launches.finished(first), launches.finished(other)
    for stage in ("1 prepare", "2 statistics", "3 train", "4 synthesise", "5 evaluate", "6 report"):
        assert f"stage {stage}: done in" in said and f"stage {stage}: done" not in said_other, stage
    assert "machine 1 of 2: waiting for machine 0" in said_other
    assert "Done: machine 1 of 2 has trained; machine 0 does what is left" in said_other
    assert (tmp_path / "exp" / "report" / "index.html").exists()
    assert launches.files(tmp_path / "exp") == straight
    left = [path.name for path in (tmp_path / "exp").iterdir() if path.name.startswith((".lock", ".machine"))]
    assert left == []


def test_a_failure_of_machine_0_ends_machine_1_with_its_stage(place, launches, tmp_path):
    words = [*two(launches), "--set", "plan.segment=-1"]
    other = place.start(tmp_path / "exp", *words, "--machine-rank", "1", dump=tmp_path / "dump")
    limit = time.monotonic() + 60
    while not (tmp_path / "exp" / ".lock-machine-1").exists():
        assert time.monotonic() < limit
        time.sleep(0.05)
    first = place.start(tmp_path / "exp", *words, "--machine-rank", "0", dump=tmp_path / "dump")
    assert "plan.segment" in launches.finished(first, status=1)
    said = launches.finished(other, status=1)
    assert "machine 0 failed at stage 0 fetch (exit 1)" in said and "Traceback" not in said


def test_two_launchers_with_one_number_are_refused(place, launches, tmp_path):
    words = [*two(launches), "--machine-rank", "1"]
    one = place.start(tmp_path / "exp", *words)
    limit = time.monotonic() + 60
    while not (tmp_path / "exp" / ".lock-machine-1").exists():
        assert time.monotonic() < limit
        time.sleep(0.05)
    said = launches.finished(place.start(tmp_path / "exp", *words), status=1)
    assert "--machine-rank 1: another run has this number" in said and "Traceback" not in said
    one.terminate()
    launches.finished(one, status=143)
