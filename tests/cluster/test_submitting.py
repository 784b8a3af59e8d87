"""What SLURM is asked for, and what is told where it is missing or refuses."""

import sys

import pytest
from made_commands import commands

from gansemble.cluster import slurm, submitting
from gansemble.cluster.settings import Settings, StageSettings
from gansemble.cluster.task import Task
from gansemble.errors import GansembleError, MissingNeed
from gansemble.stages.stage import BY_NAME

PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "scontrol")


def task(tmp_path, processes=0, machines=1):
    return Task("train", ("true",), tmp_path, tmp_path, tmp_path / "jobs", {}, processes, machines, 7)


@pytest.fixture
def there(programs):
    """A SLURM with the partitions "cpu" and "gpu"."""
    pytest.importorskip("submitit", reason="submitit is not installed (extra cluster)")
    for name in PROGRAMS:
        programs.make(name)
    programs.make("sinfo", "printf 'gpu\\ncpu\\ncpu\\n'")
    return programs


def test_without_submitit_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingNeed, match=r"--launch slurm needs submitit.*pip install 'gansemble\[cluster\]'"):
        submitting.demand(Settings())


def test_without_slurms_programs_a_login_node_is_asked_for(there, monkeypatch):
    (there.folder / "sbatch").unlink()
    monkeypatch.setenv("PATH", str(there.folder))
    with pytest.raises(GansembleError, match=r"sbatch is not on the PATH.*login node"):
        submitting.demand(Settings())
    submitting.demand(Settings(executor="local"))


def test_a_partition_that_does_not_exist_is_told_with_the_nearest_name(there):
    with pytest.raises(GansembleError, match=r"no partition 'gpuu'; did you mean 'gpu'\?; it has cpu, gpu"):
        submitting.demand(Settings(partition="gpuu"))
    with pytest.raises(GansembleError, match="no partition 'cppu'"):
        submitting.demand(Settings(partition="gpu", report=StageSettings(partition="cppu")))
    submitting.demand(Settings(partition="cpu,gpu"))


def script(tmp_path, settings, job, after=None):
    """The script that would be submitted, line by line."""
    import submitit

    executor = submitit.SlurmExecutor(folder=tmp_path / "jobs")
    executor.update_parameters(**submitting._slurm(settings, job, "name", tmp_path / "jobs", after))
    return executor._make_submission_file_text("COMMAND", "1").splitlines()


def test_the_script_asks_for_what_the_settings_say(there, tmp_path):
    settings = Settings(
        partition="gpu",
        time="1-00:00:00",
        gpus_per_node=4,
        cpus_per_task=8,
        mem_gb=1.5,
        signal_delay_s=90,
        setup=("module load cuda",),
        sbatch={"mail-user": "me", "exclusive": True, "hold": False},
    )
    lines = script(tmp_path, settings, task(tmp_path, processes=8, machines=2), after="41")
    asked = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    assert {
        "partition=gpu",
        "time=1440",
        "nodes=2",
        "ntasks-per-node=1",
        "gpus-per-node=4",
        "cpus-per-task=32",  # 8 for each of the four processes of a node, which are one task of SLURM
        "mem=1536M",
        "signal=USR1@90",
        "dependency=afterok:41",
        "kill-on-invalid-dep=yes",
        "requeue",
        "mail-user=me",
        "exclusive",
    } <= asked
    assert not any(each.startswith(("hold", "wckey")) for each in asked)
    command = next(number for number, line in enumerate(lines) if line.endswith(" COMMAND"))
    assert lines[command].startswith("srun ") and " --cpus-per-task=32 " in lines[command]
    assert lines.index("module load cuda") < command
    assert next(line for line in lines[command + 1 :] if line and line[0] != "#") == "status=$?"
    assert lines[-2].endswith(f"-m gansemble.cluster.requeue {tmp_path / 'jobs'} 7 $status")


def test_what_nothing_is_said_of_is_left_to_slurm(there, tmp_path):
    asked = [line for line in script(tmp_path, Settings(), task(tmp_path)) if line.startswith("#SBATCH")]
    for name in ("partition", "account", "qos", "gpus", "cpus-per-task", "mem", "dependency", "constraint"):
        assert not any(f"--{name}" in line for line in asked), name


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        ("Batch job submission failed: Invalid account or account/partition combination specified", "cluster.account"),
        ("Batch job submission failed: Invalid qos specification", "cluster.qos"),
        (
            "Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
            "cluster.time",
        ),
        ("Batch job submission failed: Invalid generic resource (gres) specification", "cluster.gpus_per_node"),
        ("Memory specification can not be satisfied", "cluster.mem_gb"),
        ("Batch job submission failed: Node count specification invalid", "cluster.nodes"),
        ("unrecognized option '--colour=red'", "cluster.sbatch"),
        ("Batch job submission failed: something new", "cluster.…"),
    ],
)
def test_a_refusal_names_the_setting_it_is_about(there, tmp_path, capfd, said, setting):
    there.make("sbatch", f'echo "sbatch: error: {said}" >&2; exit 1')
    with pytest.raises(GansembleError) as error:
        submitting.submit([task(tmp_path)], "name", Settings(), tmp_path / "jobs")
    assert said in str(error.value) and setting in str(error.value)
    assert str(error.value).count(said) == 1 and capfd.readouterr().err == ""


def test_a_job_that_is_submitted_within_another_inherits_nothing_of_it(there, tmp_path, monkeypatch):
    """Variables that begin with SBATCH_ would win over the script's own lines; SLURM_CONF says where SLURM is."""
    for name in ("SLURM_JOB_ID", "SLURM_CONF", "SBATCH_PARTITION", "SBATCH_ACCOUNT", "RANK", "SLURMD_NODENAME"):
        monkeypatch.setenv(name, "x")
    there.make("sbatch", f"env > {tmp_path / 'seen'}; echo Submitted batch job 12")
    [job] = submitting.submit([task(tmp_path)], "name", Settings(partition="gpu"), tmp_path / "jobs")
    names = {line.partition("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}
    assert names & {"SLURM_JOB_ID", "SBATCH_PARTITION", "RANK", "SLURMD_NODENAME"} == set()
    assert {"SLURM_CONF", "SBATCH_ACCOUNT", "PYTHONSAFEPATH"} <= names and job.job_id == "12"


def test_stages_wait_for_each_other_and_leave_together_where_one_is_refused(there, tmp_path, capsys):
    """The third is refused: what was submitted before it would wait for nothing."""
    there.make(
        "sbatch",
        f"""n=$(grep -c ^sbatch {tmp_path / "called"})
if [ $n = 4 ]; then echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1; fi
cp "$1" {tmp_path}/script-$n; echo Submitted batch job 10$n""",
    )
    submission = slurm._Submission(
        commands(settings=Settings(shards=3), root=tmp_path, exp=tmp_path / "exp"), "gansemble run r.yaml"
    )
    with pytest.raises(GansembleError, match="QOSMaxSubmitJobPerUserLimit"):
        submission._submit([BY_NAME[name] for name in ("prepare", "statistics", "train")])
    lines = [line for line in there.called() if line.startswith("scancel")]
    assert lines == ["scancel 101 102 103"] and "were cancelled: 101, 102, 103" in capsys.readouterr().out
    asked = [(tmp_path / f"script-{number}").read_text() for number in (1, 2, 3)]
    assert "--array=0-2%3" in asked[0] and "--dependency" not in asked[0]
    assert "--dependency=afterok:101" in asked[1] and "--dependency=afterok:102" in asked[2]
