"""Two processes do what one does: the same weights from the same clips, and the same end after an interruption."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gansemble.errors import TrainingError
from gansemble.training import processes
from gansemble.training.checkpoint import Store

BATCH = ("plan.batch_size=16", "plan.steps=6", "plan.save_every=3")
LONG = ("plan.steps=30", "plan.save_every=3", "plan.log_every=1", "validation.every=1000")


def until(exp: Path, count: int, child) -> None:
    path, limit = exp / "logs" / "train.jsonl", time.monotonic() + 90
    while not path.is_file() or len(path.read_text().splitlines()) < count:
        assert child.poll() is None and time.monotonic() < limit, child.communicate()[0]
        time.sleep(0.005)


def ended(pids: list[int], seconds: float = 40) -> bool:
    limit = time.monotonic() + seconds

    def left() -> list[int]:
        states = [Path(f"/proc/{pid}/stat") for pid in pids]
        return [1 for state in states if state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"]

    while left() and time.monotonic() < limit:
        time.sleep(0.1)
    return not left()


def test_launcher_that_starts_too_few_processes_is_found_out(workshop, monkeypatch, tmp_path):
    """As `accelerate launch --cpu --num_processes 2` does, which starts one."""
    monkeypatch.setenv("GANSEMBLE_PROCESSES", "2")
    result = workshop.stage("train", tmp_path)
    assert isinstance(result.exception, TrainingError)
    assert "asked for 2 processes, the launcher started 1" in str(result.exception)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(("able", "world", "found"), [(False, "2", "1"), (True, "2", None), (False, "1", None)])
def test_gpus_that_cannot_reach_each_other_are_not_asked_to(monkeypatch, able, world, found):
    for name in ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE"):
        monkeypatch.setenv(name, "to be put back")
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORLD_SIZE", world)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(processes, "check_cuda_p2p_ib_support", lambda: able)
    processes._settle_gpus()
    assert os.environ.get("NCCL_P2P_DISABLE") == os.environ.get("NCCL_IB_DISABLE") == found


@pytest.mark.parametrize(("here", "gpus", "backends"), [(2, 1, ["gloo"]), (2, 2, []), (1, 0, [])])
def test_processes_that_share_a_gpu_are_connected_by_gloo(monkeypatch, here, gpus, backends):
    """NCCL refuses two on one."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert [each.backend for each in processes._connection()] == backends


@pytest.mark.parametrize("name", ["ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP", "ACCELERATE_USE_MEGATRON_LM"])
def test_another_way_of_training_that_a_variable_asks_for_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "true")
    with pytest.raises(TrainingError, match=f"{name}=true: .* is not supported"):
        processes.Processes()
    monkeypatch.setenv(name, "false")
    processes._demand_plain()


@pytest.mark.processes
@pytest.mark.parametrize("accumulate", [1, 2])
def test_2_by_8_equals_1_by_16(workshop, tools, tmp_path, accumulate):
    """Weights within 1e-5, T, p and learning rates the same; the two processes hold equal weights bit for bit."""
    sets = (*BATCH, f"plan.accumulate={accumulate}")
    out = tmp_path / "ranks"
    out.mkdir()
    workshop.finish(tmp_path / "two", *sets, processes=2, driver=out)
    first, second = (load_file(out / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert tools.differences(first, second) == []
    one = workshop.train(tmp_path / "one", *sets).components.store.newest()
    two = Store(tmp_path / "two" / "checkpoints").newest()
    assert one.step == two.step == 6 and two.manifest["world"] == 2
    for name in ("generator", "discriminators", "ema"):
        assert tools.distance(two.network(name), one.network(name)) < 1e-5, name
    ours, theirs = two.state("state"), one.state("state")
    assert tools.differences(tools.flatten(ours["parts"]), tools.flatten(theirs["parts"])) == []
    assert tools.flatten(ours["adaptation"]) == pytest.approx(tools.flatten(theirs["adaptation"]))
    for side in ("generator", "discriminators"):
        rates = [saved.state(f"optimiser-{side}")["optimisers"][side]["param_groups"][0]["lr"] for saved in (one, two)]
        assert rates[0] == rates[1] < 1e-3


@pytest.mark.kill
@pytest.mark.processes
def test_two_processes_killed_told_to_stop_and_resumed_equal_straight(workshop, tools, tmp_path):
    """Kill -9 of everything, then SIGTERM to the launcher, which leaves the step's checkpoint and no process; a
    finished run started once more ends at once."""
    sets = (*LONG, tools.drawing)
    workshop.finish(tmp_path / "straight", *sets, processes=2)
    exp = tmp_path / "broken"
    child = workshop.start(exp, *sets, processes=2)
    until(exp, 4, child)
    everything = tools.members(child.pid)
    assert len(everything) == 3
    for pid in everything:
        os.kill(pid, signal.SIGKILL)
    child.communicate()
    child = workshop.start(exp, *sets, "plan.save_every=1000", processes=2)
    until(exp, 10, child)
    everything = tools.members(child.pid)
    os.killpg(child.pid, signal.SIGTERM)
    output, _ = tools.wait(child)
    assert child.returncode != 0 and ended(everything)
    stopped = re.search(r"stopped after step (\d+) of 30", output)
    assert stopped, output
    assert Store(exp / "checkpoints").newest().step == int(stopped[1]) >= 10
    assert not (exp / ".lock").exists()
    workshop.finish(exp, *sets, processes=2)
    ends = [Store(folder / "checkpoints").newest().folder for folder in (exp, tmp_path / "straight")]
    assert tools.differences(tools.contents(ends[0]), tools.contents(ends[1])) == []
    again = workshop.start(exp, *sets, processes=2)
    output, _ = tools.wait(again, 60)
    assert again.returncode == 0 and "up to date" in output
    states = [[torch.load(end / f"rng-{rank}.pt", weights_only=True)["torch"] for rank in (0, 1)] for end in ends]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*states, strict=True))
    begun = torch.load(Store(exp / "checkpoints").folders()[0] / "rng-0.pt", weights_only=True)["torch"]
    assert not torch.equal(begun, states[0][0]), "the run draws, or equal states would say nothing"


FAILING = """
import os
import torch
saving = torch.save
def save(value, path):
    if os.environ["RANK"] == "1" and "step-00000003" in str(path):
        raise OSError(28, "No space left on device")
    saving(value, path)
torch.save = save
"""


@pytest.mark.processes
def test_full_disk_of_one_process_is_a_failed_save_of_both(workshop, tools, tmp_path):
    """Neither waits for the other for ever, no checkpoint lacks a process's state, and the next save works."""
    out = tmp_path / "ranks"
    out.mkdir()
    output = workshop.finish(tmp_path / "exp", *BATCH, processes=2, driver=out, before=FAILING)
    assert "step 3: the checkpoint could not be written" in output
    assert [folder.name for folder in Store(tmp_path / "exp" / "checkpoints").folders()] == ["step-00000006"]
    first, second = (load_file(out / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert tools.differences(first, second) == []
