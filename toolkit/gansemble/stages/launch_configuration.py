"""The user's own configuration of Accelerate: what it says of processes and machines, and what training here cannot be.

Accelerate's keys are listed in its ``ClusterConfig`` (``accelerate/commands/config/config_args.py``). Those of processes,
machines and GPUs are taken over, those that make no difference passed on, and those that would make another training are
refused: two networks that learn from each other, their precision and their checkpoints are the toolkit's own work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gansemble.errors import GansembleError, near
from gansemble.recipe import document
from gansemble.recipe.document import RecipeError

#: Environment variable with the configuration to use in place of the default one.
FILE = "ACCELERATE_CONFIG_FILE"
#: Ways of training that work here: one process, or several that average their gradients.
KINDS = ("NO", "MULTI_GPU", "MULTI_CPU")
#: What each other way of training would need.
REASONS = {
    "DEEPSPEED": "DeepSpeed wraps one network and its optimiser, and a GAN has two that take turns",
    "FSDP": "sharded networks cannot be saved by the checkpoints here, which hold whole ones",
    "MEGATRON_LM": "Megatron-LM trains transformers of its own",
    "XLA": "TPUs are not supported",
    "TPU": "TPUs are not supported",
}
#: Sections that must be empty, with what they would switch on.
SECTIONS = {
    "deepspeed_config": REASONS["DEEPSPEED"],
    "fsdp_config": REASONS["FSDP"],
    "megatron_lm_config": REASONS["MEGATRON_LM"],
    "parallelism_config": REASONS["FSDP"],
    "fp8_config": "8-bit floating point is not supported",
    "mpirun_config": "MPI would start the processes a second time",
    "ipex_config": "Intel's extension would replace the networks",
}
#: Keys that make no difference to training, or that Accelerate's launcher sees to.
HARMLESS = (
    *("compute_environment", "debug", "same_network", "rdzv_backend", "main_training_function", "enable_cpu_affinity"),
    *("downcast_bf16", "tpu_name", "tpu_zone", "tpu_env", "tpu_use_cluster", "tpu_use_sudo", "tpu_vm"),
    *("command_file", "commands", "fp16"),
)
#: Keys that :func:`read` judges by their values.
JUDGED = ("distributed_type", "mixed_precision", "dynamo_config", "dynamo_backend", "gpu_ids", "use_cpu")
#: Keys that are taken over, with the types of their values, and the options of the command line that say the same.
TAKEN = {
    "num_processes": int,
    "num_machines": int,
    "machine_rank": int,
    "main_process_port": int,
    "main_process_ip": str,
}
OPTIONS = {
    "num_processes": "--num-processes",
    "num_machines": "--num-machines",
    "machine_rank": "--machine-rank",
    "main_process_port": "--main-port",
    "main_process_ip": "--main-address",
}
_REMEDY = f"change it (accelerate config), name another by {FILE}, or leave --launch accelerate out"


@dataclass(frozen=True)
class Configuration:
    """What a configuration says.

    Args:
        path: its file.
        values: the values of the keys in :data:`TAKEN` that it states.
        gpus: the GPUs of this machine that may be used, such as ``0,1``; empty is all.
        cpu: train without GPUs.
    """

    path: Path
    values: Mapping[str, int | str]
    gpus: str = ""
    cpu: bool = False


def place() -> Path:
    """Where the user's configuration is, or would be."""
    if os.environ.get(FILE):
        return Path(os.environ[FILE]).expanduser()
    cache = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    usual, old = (Path(cache).expanduser() / "accelerate" / f"default_config.{end}" for end in ("yaml", "json"))
    return old if old.is_file() and not usual.is_file() else usual


def read() -> Configuration | None:
    """The user's configuration; None where there is none.

    Raises:
        GansembleError: naming file, key and value, and what to do, for what cannot be read or asks for another training.
    """
    path = place()
    if not path.is_file():
        if os.environ.get(FILE):
            raise GansembleError(f"{FILE}={path}: no such file; correct the path, or unset the variable")
        return None
    try:
        values = document.read(path).value
    except RecipeError as error:
        raise GansembleError(f"{path}: the Accelerate configuration cannot be read; {_REMEDY}\n{error}") from error
    if not isinstance(values, dict):
        raise GansembleError(f"{path}: expected the keys of an Accelerate configuration, got none; {_REMEDY}")
    _demand_known(path, values)
    _demand_plain(path, values)
    taken: dict[str, int | str] = {}
    for key, kind in TAKEN.items():
        value = values.get(key)
        if value is None or (key == "num_processes" and value == -1):  # -1 leaves it to the command line
            continue
        if not isinstance(value, int | str) or not isinstance(value, kind) or isinstance(value, bool):
            raise _wrong(path, key, value, f"expected {'a whole number' if kind is int else 'text'}")
        taken[key] = value
    gpus = values.get("gpu_ids")
    shown = "" if gpus in (None, "all") else str(gpus)
    return Configuration(path, taken, shown, _says_yes(values.get("use_cpu")))


def agreed(found: Configuration, given: Mapping[str, int | str]) -> dict[str, int | str]:
    """The command line and a configuration together, by keys of :data:`TAKEN`.

    A machine's number on the command line goes before that of a configuration, which several machines may share.

    Args:
        found: the configuration.
        given: what the command line states.

    Raises:
        GansembleError: if they contradict each other.
    """
    for key, value in found.values.items():
        if key != "machine_rank" and given.get(key, value) != value:
            raise _wrong(
                found.path,
                key,
                value,
                f"the command line says {OPTIONS[key]} {given[key]}; leave the option out to follow the file",
            )
    return {**found.values, **given}


def _demand_known(path: Path, values: Mapping[str, object]) -> None:
    known = (*TAKEN, *SECTIONS, *HARMLESS, *JUDGED)
    for key in values:
        if key not in known:
            raise GansembleError(
                f"{path}: {key}: no key of an Accelerate configuration{near(str(key), known)}; {_REMEDY}"
            )


def _demand_plain(path: Path, values: Mapping[str, object]) -> None:
    """Refuses what would make another training of it."""
    where = str(values.get("compute_environment", "LOCAL_MACHINE"))
    if where != "LOCAL_MACHINE":
        raise _wrong(path, "compute_environment", where, "expected LOCAL_MACHINE; on SageMaker start gansemble itself")
    kind = str(values.get("distributed_type", "NO")).upper()
    if kind not in KINDS:
        reason = REASONS.get(kind, "only NVIDIA GPUs and processors are supported")
        raise _wrong(path, "distributed_type", kind, f"{reason}; expected {', '.join(KINDS)}")
    for key, reason in SECTIONS.items():
        if values.get(key):
            raise _wrong(path, key, values[key], f"{reason}; leave the section out")
    precision = str(values.get("mixed_precision") or "no").lower()
    if precision != "no":
        asked = (
            f"; put 'no' there, and ask for it by --set plan.precision={precision}"
            if precision in ("fp16", "bf16")
            else ""
        )
        raise _wrong(path, "mixed_precision", precision, f"the recipe decides on the precision{asked}")
    if _says_yes(values.get("fp16")):
        raise _wrong(
            path, "fp16", "true", "the recipe decides; leave it out, and ask for it by --set plan.precision=fp16"
        )
    section, dynamo = values.get("dynamo_config"), values.get("dynamo_backend")
    if isinstance(section, dict):
        dynamo = section.get("dynamo_backend", section.get("backend", dynamo))
    if str(dynamo or "no").lower() != "no":
        raise _wrong(path, "dynamo_backend", dynamo, "networks are not compiled here; put 'NO' there")


def _says_yes(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in ("yes", "true", "on", "y"))


def _wrong(path: Path, key: str, value: object, what: str) -> GansembleError:
    return GansembleError(f"{path}: {key}: {value}: {what}. This is the Accelerate configuration; {_REMEDY}")
