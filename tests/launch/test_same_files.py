"""Whatever starts the processes of a training, every checkpoint file has the same bytes."""

from __future__ import annotations

import importlib.util

import pytest

pytestmark = pytest.mark.processes


def two_machines(launches) -> list[str]:
    """The options by which two launchers of one host are two machines."""
    place = f"--main-address 127.0.0.1 --main-port {launches.free_port()}"
    return f"--num-processes 2 --num-machines 2 {place}".split()


def test_two_launchers_on_one_host_train_as_one(place, straight, launches, tmp_path):
    words = ["--stage", "train", "--stop-stage", "train", *two_machines(launches)]
    first = place.start(tmp_path / "exp", *words, "--machine-rank", "0")
    other = place.start(tmp_path / "exp", *words, "--machine-rank", "1")
    said = launches.finished(first, other)
    assert launches.files(tmp_path / "exp") == straight
    assert "machine 1 of 2 has trained" in said


def test_accelerate_without_a_gpu_trains_by_torchs_launcher_and_says_so(place, straight, launches, tmp_path):
    said = place.train(tmp_path / "exp", "--launch", "accelerate", "--num-processes", "2", CUDA_VISIBLE_DEVICES="")
    assert launches.files(tmp_path / "exp") == straight
    assert "started by torch's launcher" in said and "without a GPU" in said


def test_torchrun_trains_the_same(place, straight, launches, tmp_path):
    said = place.train(tmp_path / "exp", "--launch", "torchrun", "--num-processes", "2")
    assert launches.files(tmp_path / "exp") == straight
    assert "2 processes, started by torch's launcher" in said


def test_torchrun_on_two_machines_trains_the_same(place, straight, launches, tmp_path):
    words = ["--stage", "train", "--stop-stage", "train", "--launch", "torchrun", *two_machines(launches)]
    launches.finished(*[place.start(tmp_path / "exp", *words, "--machine-rank", str(rank)) for rank in range(2)])
    assert launches.files(tmp_path / "exp") == straight


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (pip install 'gansemble[ray]')"
)
def test_two_workers_of_ray_train_the_same(place, straight, launches, tmp_path):
    said = place.train(tmp_path / "exp", "--launch", "ray", "--num-processes", "2")
    assert launches.files(tmp_path / "exp") == straight
    assert "2 processes, started by Ray" in said
    assert not list((tmp_path / "exp").glob(".ray-*"))
