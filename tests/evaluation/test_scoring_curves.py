"""Files of curves: what a resumed run keeps of them, and what is read back."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from gansemble.scoring.curves import Curves, points, read_curves, read_rows

ROWS = [{"step": 0, "a": 9.0}, {"step": 1, "a": 1.0}, {"step": None, "a": 2.0}, {"step": 3, "a": None}, {"step": 4}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "train.jsonl"
    found.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return found


@pytest.mark.parametrize(("step", "left"), [(0, []), (1, ROWS[:3]), (2, ROWS[:3]), (3, ROWS[:4]), (9, ROWS)])
def test_a_resumed_run_keeps_the_rows_up_to_its_step(path: Path, step: int, left: list[dict[str, float]]):
    """A run that begins anew keeps none; a row that states no step stays."""
    Curves(path, step)
    assert read_curves(path) == left
    assert path.read_text().count("\n") == len(left)


def test_rows_are_appended_with_null_for_what_is_not_finite(tmp_path: Path):
    path = tmp_path / "new" / "logs" / "train.jsonl"
    for _ in range(2):  # the folder may be there
        curves = Curves(path, 1)
    assert not path.exists()
    curves.write(1, {"a": 2.5, "b": float("nan")})
    curves.write(2, {"a": float("inf")})
    assert path.read_text() == '{"step": 1, "a": 2.5, "b": null}\n{"step": 2, "a": null}\n'


def test_a_row_that_cannot_be_written_is_told_as_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    curves = Curves(tmp_path / "train.jsonl", 0)
    curves.path.mkdir()
    curves.write(7, {"a": 1.0})
    (record,) = caplog.records
    assert "step 7" in record.message and str(curves.path) in record.message


def test_points_are_those_of_rows_with_a_step_and_a_value():
    rows = [*ROWS, {"step": 5, "a": 0.0}]
    assert points(rows, "a") == [(0, 9.0), (1, 1.0), (5, 0.0)]
    assert points(rows, "b") == []


def test_a_line_cut_short_is_left_out_and_no_file_has_no_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "rows.jsonl"
    assert read_rows(path, dict) == []
    path.write_text('{"step": 1}\n{"ste\n[2]\n{"step": 3')
    assert read_rows(path, dict) == [{"step": 1}]
    assert "3 lines (2, 3, 4) are damaged and left out" in caplog.text


@pytest.mark.parametrize(
    "line", [b"\xff\xfe", b"[1]", b"null", b"[" * 9000, b'{"step": "1"}', b'{"a": 1}', b'{"step": true}']
)
def test_a_damaged_line_does_not_keep_a_run_from_going_on(path: Path, line: bytes, caplog: pytest.LogCaptureFixture):
    path.write_bytes(line + b"\n" + path.read_bytes())
    Curves(path, 1)
    assert read_curves(path) == ROWS[:3]
    assert f"{path}: line 1 is damaged and left out" in caplog.text


def test_curves_on_a_full_disk_do_not_keep_a_run_from_going_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "train.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n')
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, resource.RLIM_INFINITY))
    try:
        Curves(path, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n' and str(path) in caplog.text
