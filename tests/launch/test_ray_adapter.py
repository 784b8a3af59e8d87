"""The adapter on Ray, without Ray: what is told where it is missing or too small, and what is made of its workers' ends."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from gansemble.cluster import on_ray
from gansemble.errors import GansembleError
from gansemble.stages import json_files


def test_without_ray_the_command_to_install_it_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert on_ray.main([on_ray.APART, "2", "0", "train"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: --launch ray: Ray cannot be loaded (") and "pip install 'gansemble[ray]'" in said


def cluster(**resources: float) -> SimpleNamespace:
    return SimpleNamespace(init=lambda **_: None, shutdown=lambda: None, cluster_resources=lambda: resources)


def test_a_cluster_that_is_too_small_is_told_and_not_waited_for(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(GansembleError, match="--num-processes 4, and Ray's cluster has 2 processors"):
        on_ray._connect(cluster(CPU=2.0), 4)
    with pytest.raises(GansembleError, match="--num-processes 4, and Ray's cluster has 2 GPUs; give at most 2"):
        on_ray._gpus(cluster(CPU=8.0, GPU=2.0), 4)
    assert on_ray._gpus(cluster(GPU=4.0), 4) and not on_ray._gpus(cluster(CPU=4.0), 4)


def test_a_cluster_that_is_not_there_is_told_with_its_address(monkeypatch):
    def init(**_: object) -> None:
        raise ConnectionError("could not connect\nmore")

    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(GansembleError, match=r"RAY_ADDRESS=head:6379 cannot be reached \(could not connect\); "):
        on_ray._connect(SimpleNamespace(init=init), 2)


SAVED = "stopped after step 7; the state is saved"


@pytest.mark.parametrize(
    ("said", "error", "text", "status"),
    [
        ({}, None, "", 0),
        ({0: ("", 0, 1.0)}, None, "", 0),
        ({0: (SAVED, 75, 2.0), 1: (SAVED, 75, 1.0)}, None, SAVED, 75),
        ({0: ("error: connection closed", 1, 2.0), 1: ("error: cause", 1, 1.0)}, RuntimeError("x"), "error: cause", 1),
        ({0: (SAVED, 75, 2.0), 1: ("error: closed", 1, 1.0)}, RuntimeError("x"), SAVED, 75),
        (
            {},
            RuntimeError("a\nworker died\n"),
            "error: one of 2 workers of Ray died (worker died); the last checkpoint",
            1,
        ),
    ],
)
def test_all_workers_end_with_one_message_and_one_status(tmp_path, said, error, text, status):
    for rank, (words, code, when) in said.items():
        json_files.write(tmp_path / f"{rank}.json", {"text": words, "status": code, "time": when})
    found = on_ray._outcome(tmp_path, 2, error)
    assert found[0].startswith(text) and bool(found[0]) == bool(text) and found[1] == status


def test_workers_share_a_folder_in_the_experiment_that_is_gone_afterwards(tmp_path):
    with on_ray._shared(["train", "r.yaml", "--exp", str(tmp_path / "exp")]) as shared:
        assert shared.parent == tmp_path / "exp" and shared.is_dir()
    assert not shared.exists()


def test_an_error_that_a_worker_told_is_not_tried_again(tmp_path):
    json_files.write(tmp_path / "1.json", {"text": "error: a key", "status": 1, "time": 1.0})
    work = {"words": ["train"], "folder": str(tmp_path), "environment": {}, "shared": str(tmp_path)}
    with pytest.raises(on_ray.Ended):
        on_ray._worker(work)


def test_what_the_first_worker_writes_is_shown_whole(tmp_path, capsys):
    with on_ray._showing(tmp_path / "0.log"):
        (tmp_path / "0.log").write_text("step 1\nstep 2\n")
    assert capsys.readouterr().out == "step 1\nstep 2\n"
