"""The command of each launcher: for how many processes, at which place. Nothing is started."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import SimpleNamespace

import pytest

from gansemble.cli.run_options import Misuse, RunOptions, read
from gansemble.errors import GansembleError
from gansemble.stages import launch, launch_accelerate, launch_configuration, launch_machines, launch_others
from gansemble.stages.last_words import LastWords
from gansemble.stages.launch import Machines


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv(launch_configuration.FILE, raising=False)


def values(words: list[str]) -> dict[str, str]:
    return dict(itertools.pairwise(words))


def test_torchrun_on_one_machine_stands_alone():
    words, environment = launch.command("train", 4, Machines(launcher="torchrun", max_restarts=2))
    assert words[1:4] == ["-m", "gansemble.stages.launch_others", "torch.distributed.run"]
    assert "--standalone" in words and values(words)["--nproc-per-node"] == "4"
    assert values(words)["--max-restarts"] == "2" and words[-3:] == ["-m", "gansemble.stages.launch_member", "train"]
    assert environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1", "or a start after kill -9 hangs"
    assert environment["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "900", "or a slow save is killed after 30 s"
    assert environment["GANSEMBLE_PROCESSES"] == "4"


def test_torchrun_over_several_machines_meets_at_machine_0_under_the_runs_name():
    machines = Machines(2, 1, "127.0.0.1", None, "torchrun", wait_for_machines=60, meeting="mine")
    words = values(launch.command("train", 4, machines)[0])
    assert words["--rdzv-endpoint"] == "127.0.0.1:29500" and words["--rdzv-backend"] == "c10d"
    assert words["--rdzv-id"] == "mine" and words["--nnodes"] == "2" and words["--nproc-per-node"] == "2"
    assert words["--rdzv-conf"] == "is_host=0,join_timeout=60,read_timeout=60" and words["--local-addr"] == "127.0.0.1"
    first = values(launch.command("train", 4, Machines(2, 0, "::1", 1234, "torchrun"))[0])
    assert first["--rdzv-endpoint"] == "[::1]:1234" and first["--rdzv-conf"].startswith("is_host=1,")


def test_a_deadline_for_saving_is_told_torchs_launcher():
    environment = launch.command("train", 2, Machines(launcher="torchrun", save_within=120))[1]
    assert environment["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "120"


def test_one_process_needs_no_launcher_unless_accelerate_or_ray_is_to_place_it(monkeypatch):
    for launcher in ("local", "torchrun"):
        assert launch.command("train", 1, Machines(launcher=launcher))[0] == [
            sys.executable,
            "-m",
            "gansemble",
            "train",
        ]
        assert launch.note("train", 1, Machines(launcher=launcher)) == ""
    monkeypatch.setattr(launch_accelerate, "has_gpu", lambda: True)
    words, environment = launch.command("train", 1, Machines(launcher="accelerate"))
    assert "accelerate.commands.launch" in words and "--multi_gpu" not in words
    assert environment["GANSEMBLE_PROCESSES"] == "1"
    assert launch.command("train", 1, Machines(launcher="ray"))[0][2:] == [
        "gansemble.cluster.on_ray",
        "1",
        "0",
        "train",
    ]


@pytest.mark.parametrize("launcher", ["local", "accelerate", "torchrun", "ray"])
@pytest.mark.parametrize("stage", ["prepare", "evaluate", "report"])
def test_only_training_is_launched(stage, launcher):
    machines = Machines(launcher=launcher)
    words, environment = launch.command(stage, 4, machines)
    assert words == [sys.executable, "-m", "gansemble", stage] and "GANSEMBLE_PROCESSES" not in environment
    assert launch.note(stage, 4, machines) == ""


def test_a_port_in_use_is_refused_before_a_launcher_of_others_meets_there(launches):
    import socket

    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(GansembleError, match=f"--main-port {port}: cannot be used on this machine"):
            launch.demand_port("train", 2, Machines(2, 0, "h", port, "torchrun"))
        launch.demand_port("train", 2, Machines(2, 1, "h", port, "torchrun"))  # it is machine 0's
        launch.demand_port("prepare", 2, Machines(2, 0, "h", port, "torchrun"))
    launch.demand_port("train", 2, Machines(2, 0, "h", port, "torchrun"))


def test_each_launcher_has_its_word_and_the_former_ones_are_understood():
    for word in ("local", "accelerate", "torchrun", "ray"):
        assert read(["--launch", word], "run.sh").together.launcher == word
    assert RunOptions().launch == "local" and read(["--launch", "slurm"], "run.sh").launch == "slurm"
    assert read(["--launcher", "gansemble"], "run.sh").launch == "local"
    assert read(["--launcher=accelerate"], "run.sh").launch == "accelerate"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--launch torchrum",
            "--launch torchrum: expected local, accelerate, torchrun, ray or slurm; did you mean 'torchrun'?",
        ),
        ("--launch gansemble", "--launch gansemble: expected local, "),
        ("--launch ray --num-machines 2 --main-address h --num-processes 2", "--launch ray finds its machines itself"),
        ("--num-machines 2 --main-address h --num-processes 2 --machine-rank 2", "--machine-rank 2 must be below"),
        (
            "--num-machines 2 --main-address h --num-processes 3",
            "--num-processes 3 must be a multiple of --num-machines 2",
        ),
        ("--rdzv-id a/b", "--rdzv-id a/b: expected up to 64 letters"),
    ],
)
def test_what_cannot_be_started_is_refused_before_anything_runs(words, said):
    with pytest.raises(Misuse) as refused:
        read(words.split(), "run.sh")
    assert str(refused.value).startswith(f"run.sh: {said}")


def test_machines_of_one_experiment_have_one_name_and_others_another(tmp_path):
    names = [read(["--exp", str(tmp_path / name)], "run.sh").together.meeting for name in ("one", "one", "two")]
    assert names[0] == names[1] != names[2]
    assert read(["--exp", str(tmp_path / "one"), "--rdzv-id", "mine"], "run.sh").together.meeting == "mine"


def test_gpus_that_a_variable_hides_are_none(monkeypatch):
    listed = SimpleNamespace(stdout="GPU 0: NVIDIA H200")
    monkeypatch.setattr(launch_machines.shutil, "which", lambda name: name)
    monkeypatch.setattr(launch_machines.subprocess, "run", lambda *_, **__: listed)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert launch_machines.has_gpu()
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not launch_machines.has_gpu()


class ChildFailedError(Exception):
    """As torch's launcher raises it: the failed processes by rank."""

    def __init__(self, failures: dict[int, int]) -> None:
        super().__init__()
        self.failures = {rank: SimpleNamespace(exitcode=code) for rank, code in failures.items()}


class RendezvousTimeoutError(Exception):
    """As torch's launcher raises it."""


class SignalException(Exception):
    """As torch's launcher raises it."""

    sigval = 15


def words(text: str, status: int, time: float) -> LastWords:
    return {"text": text, "status": status, "time": time}


SAVED = words("stopped after step 7; the state is saved", 75, 2.0)


@pytest.mark.parametrize(
    ("said", "error", "text", "status"),
    [
        ({}, None, "", 0),
        ({0: words("", 0, 1.0)}, SystemExit(0), "", 0),
        ({0: SAVED, 1: words("error: connection closed", 1, 1.0)}, ChildFailedError({0: 75}), SAVED["text"], 75),
        (
            {0: words("error: late", 1, 2.0), 1: words("error: cause", 3, 1.0)},
            ChildFailedError({0: 1, 1: 3}),
            "error: cause",
            3,
        ),
        ({}, SignalException(), "", 143),
        ({}, ChildFailedError({1: -9}), "error: process 1 was ended by signal 9 (Killed, as when memory runs out)", 1),
        (
            {0: words("error: connection closed", 1, 1.0)},
            ChildFailedError({0: 1, 1: -9}),
            "error: process 1 was ended by",
            1,
        ),
        ({0: words("error: cause", 1, 1.0)}, ChildFailedError({0: 1, 1: -15}), "error: cause", 1),
        ({}, subprocess.CalledProcessError(-9, "x"), "error: process 0 was ended by signal 9", 1),
        ({}, ChildFailedError({1: 1}), "error: a process of the training failed; its last lines are above", 1),
        ({}, RendezvousTimeoutError(""), "error: the machines did not meet at alpha:29500 within 600 s (Rend", 1),
        ({}, ValueError("no such thing\nmore"), "error: ValueError: no such thing", 1),
    ],
)
def test_all_processes_of_another_launcher_end_with_one_message_and_one_status(said, error, text, status):
    found = launch_others.outcome(said, error, ["torch.distributed.run", "--rdzv-endpoint", "alpha:29500"])
    assert found[0].startswith(text) and bool(found[0]) == bool(text) and found[1] == status
