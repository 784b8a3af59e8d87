"""The user's own configuration of Accelerate: what is taken over, passed on, and refused with file, key, value and what to do."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gansemble.cli.run_options import Misuse, read
from gansemble.errors import GansembleError
from gansemble.stages import launch, launch_accelerate, launch_configuration
from gansemble.stages.launch import Machines

#: As ``accelerate config`` writes it for two GPUs of one machine (1.15).
USUAL = """\
compute_environment: LOCAL_MACHINE
debug: false
distributed_type: MULTI_GPU
downcast_bf16: 'no'
enable_cpu_affinity: false
gpu_ids: 0,3
machine_rank: 0
main_training_function: main
mixed_precision: 'no'
num_machines: 1
num_processes: 2
rdzv_backend: static
same_network: true
tpu_env: []
tpu_use_cluster: false
tpu_use_sudo: false
use_cpu: false
"""


@pytest.fixture
def configuration(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "accelerate" / "default_config.yaml"
    path.parent.mkdir()
    path.write_text(USUAL)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv(launch_configuration.FILE, raising=False)
    monkeypatch.setattr(launch_accelerate, "has_gpu", lambda: True)
    return path


def changed(path: Path, **keys: str) -> None:
    """Writes the usual configuration with some keys changed."""
    kept = [line for line in USUAL.splitlines() if line.partition(":")[0] not in keys]
    path.write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in keys.items())]) + "\n")


def options(*words: str):
    return read(["--launch", "accelerate", *words], "run.sh")


def test_it_says_how_many_processes_there_are_and_on_which_gpus(configuration):
    found = options()
    assert (found.processes, found.machines, found.rank) == (2, 1, 0)
    words, environment = launch.command("train", found.processes, found.together)
    assert words[2:6] == [
        "gansemble.stages.launch_others",
        "accelerate.commands.launch",
        "--config_file",
        str(configuration),
    ]
    assert words[words.index("--gpu_ids") + 1] == "0,3" and words[words.index("--num_processes") + 1] == "2"
    assert "--multi_gpu" in words and environment["ACCELERATE_MIXED_PRECISION"] == "no"
    assert launch.note("train", 2, found.together).endswith(f"by Accelerate's launcher, as {configuration} says")


def test_without_accelerates_launcher_nobody_reads_it(configuration):
    configuration.write_text("distributed_type: DEEPSPEED\n")
    assert read(["--launch", "torchrun"], "run.sh").processes == 1


def test_what_it_says_of_several_machines_is_taken_over_but_for_this_ones_number(configuration):
    several = {"num_machines": "2", "num_processes": "4", "main_process_ip": "alpha", "main_process_port": "29600"}
    changed(configuration, **several)
    assert options("--machine-rank", "1").together == Machines(
        2, 1, "alpha", 29600, "accelerate", meeting=options().together.meeting
    )
    words, _ = launch.command("train", 4, options("--machine-rank", "1").together)
    said = dict(itertools.pairwise(words))
    assert said["--machine_rank"] == "1" and said["--main_process_ip"] == "alpha"
    assert said["--main_process_port"] == "29600" and said["--num_machines"] == "2"


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("--num-processes", "4"), "num_processes: 2: the command line says --num-processes 4"),
        (("--num-machines", "2", "--main-address", "h"), "num_machines: 1: the command line says --num-machines 2"),
    ],
)
def test_what_contradicts_the_command_line_is_refused(configuration, words, key):
    with pytest.raises(GansembleError) as refused:
        options(*words)
    assert str(refused.value).startswith(f"{configuration}: {key}") and "ACCELERATE_CONFIG_FILE" in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("distributed_type", "DEEPSPEED", "a GAN has two that take turns"),
        ("distributed_type", "FSDP", "checkpoints"),
        ("distributed_type", "MEGATRON_LM", "transformers"),
        ("distributed_type", "XLA", "TPUs are not supported"),
        ("distributed_type", "MULTI_NPU", "only NVIDIA GPUs and processors"),
        ("deepspeed_config", "{zero_stage: 2}", "DeepSpeed"),
        ("fsdp_config", "{fsdp_offload_params: true}", "sharded"),
        ("mixed_precision", "bf16", "--set plan.precision=bf16"),
        ("mixed_precision", "fp8", "the recipe decides on the precision"),
        ("dynamo_config", "{dynamo_backend: INDUCTOR}", "not compiled"),
        ("dynamo_backend", "INDUCTOR", "not compiled"),
        ("compute_environment", "AMAZON_SAGEMAKER", "expected LOCAL_MACHINE"),
        ("num_processes", "four", "expected a whole number"),
    ],
)
def test_another_way_of_training_is_refused_with_its_reason(configuration, key, value, reason):
    changed(configuration, **{key: value})
    with pytest.raises(GansembleError) as refused:
        options()
    said = str(refused.value)
    name = "dynamo_backend" if key.startswith("dynamo") else key
    assert said.startswith(f"{configuration}: {name}: ") and reason in said and "accelerate config" in said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("distributed_type", "'NO'"),
        ("mixed_precision", "no"),
        ("dynamo_backend", "'NO'"),
        ("deepspeed_config", "{}"),
        ("gpu_ids", "all"),
    ],
)
def test_what_makes_no_difference_is_passed_on(configuration, key, value):
    changed(configuration, **{key: value})
    assert options().processes == 2


def test_a_number_of_processes_that_is_left_open_is_the_command_lines(configuration):
    changed(configuration, num_processes="-1")
    assert options("--num-processes", "6").processes == 6


def test_a_mistyped_key_is_told_with_the_nearest(configuration):
    changed(configuration, num_proceses="4")
    with pytest.raises(
        GansembleError, match="num_proceses: no key of an Accelerate configuration; did you mean 'num_processes'"
    ):
        options()


def test_what_is_no_yaml_is_refused_with_its_place(configuration):
    configuration.write_text("num_processes: [2\n")
    with pytest.raises(GansembleError, match="the Accelerate configuration cannot be read") as refused:
        options()
    assert str(configuration) in str(refused.value)


def test_too_few_gpus_for_the_processes_are_told(configuration):
    changed(configuration, num_processes="4")
    with pytest.raises(GansembleError, match=r"gpu_ids: 0,3: expected at least 4"):
        launch.command("train", 4, options().together)


def test_a_file_that_a_variable_names_goes_first_and_has_to_be_there(configuration, tmp_path, monkeypatch):
    mine = tmp_path / "mine.yaml"
    monkeypatch.setenv(launch_configuration.FILE, str(mine))
    with pytest.raises(GansembleError, match=r"ACCELERATE_CONFIG_FILE=.*mine.yaml: no such file"):
        options()
    mine.write_text("num_processes: 3\n")
    assert options().processes == 3


def test_use_cpu_hides_the_gpus_and_is_started_by_torchs_launcher(configuration):
    changed(configuration, use_cpu="true")
    words, environment = launch.command("train", 2, options().together)
    assert "torch.distributed.run" in words and environment["CUDA_VISIBLE_DEVICES"] == ""
    assert "torch's launcher" in launch.note("train", 2, options().together)


def test_no_configuration_at_all_is_none(configuration):
    configuration.unlink()
    assert launch_configuration.read() is None and options().processes == 1
    assert "--config_file" not in launch.command("train", 2, options("--num-processes", "2").together)[0]


def test_machines_of_a_configuration_are_held_against_each_other(configuration):
    changed(configuration, num_machines="2", num_processes="3", main_process_ip="alpha")
    with pytest.raises(Misuse, match="--num-processes 3 must be a multiple of --num-machines 2"):
        options()
