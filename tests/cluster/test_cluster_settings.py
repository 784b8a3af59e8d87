"""The section ``cluster``: where it is read from, what is refused, and what each stage is asked for."""

import pytest

from gansemble.cluster import settings
from gansemble.errors import GansembleError


def of(tmp_path, *overrides):
    return settings.load(tmp_path, [f"cluster.{each}" for each in overrides])


def test_the_command_line_wins_over_the_recipes_folder_and_that_over_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "gansemble").mkdir(parents=True)
    (tmp_path / "config" / "gansemble" / "cluster.yaml").write_text("{account: mine, partition: slow, qos: low}")
    (tmp_path / "cluster.yaml").write_text("cluster: {partition: gpu, qos: normal}")
    found = of(tmp_path, "qos=high")
    assert (found.account, found.partition, found.qos) == ("mine", "gpu", "high")


def test_only_options_of_the_section_are_taken_out():
    given = ["cluster.nodes=2", "plan.steps=3", "clusters.nodes=2", "cluster={partition: gpu}", "corpus.cluster.x=1"]
    assert settings.taken_out(given) == ([given[0], given[3]], [given[1], given[2], given[4]])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("partiton=gpu", "did you mean 'partition'?"),
        ("trian.time=3", "did you mean 'train'?"),
        ("train.tme=3", "did you mean 'time'?"),
        ("nodes=0", "must be from 1 to 65536, got 0"),
        ("executor=pbs", "expected 'slurm' or 'local', got text 'pbs'"),
        ("time=soon", "time must be minutes, hours:minutes:seconds or days-hours:minutes:seconds, got 'soon'"),
        ("time=0:00", "time must be above 0"),
        ("partition=two words", "partition must be a name without spaces"),
        ("account=--exclusive", "account must be a name"),
        ("setup=module load cuda", "expected tuple[str, ...]"),
        ("sbatch={--mail-user: me}", "write it without dashes"),
        ("signal_delay_s=90000", "must be from 1 to 65535"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, override, words):
    with pytest.raises(GansembleError) as error:
        of(tmp_path, override)
    assert words in str(error.value) and "nothing was submitted" in str(error.value)
    assert f"cluster.{override}" in str(error.value)


def test_a_request_to_save_before_the_job_begins_is_refused(tmp_path):
    """SLURM sends it up to a minute early."""
    with pytest.raises(GansembleError, match=r"signal_delay_s must be below 120 s where time is 3 min, got 120"):
        of(tmp_path, "time=3", "signal_delay_s=120")
    assert of(tmp_path, "time=3", "signal_delay_s=119").signal_delay_s == 119
    assert of(tmp_path, "time=3", "signal_delay_s=179", "executor=local").signal_delay_s == 179


def test_a_file_is_named_with_line_and_column(tmp_path):
    (tmp_path / "cluster.yaml").write_text("partition: gpu\nnodez: 2\n")
    with pytest.raises(GansembleError, match=r"cluster\.yaml:2:1: cluster\.nodez: .*did you mean 'nodes'"):
        of(tmp_path)


@pytest.mark.parametrize(
    ("time", "minutes"),
    [(5, 5), ("5", 5), ("1:30", 2), ("1:00:00", 60), ("2-1", 2940), ("1-0:30", 1470), ("1-00:00:01", 1441)],
)
def test_times_are_those_of_sbatch(time, minutes):
    assert settings.minutes(time) == minutes


def test_each_stage_gets_what_it_can_use(tmp_path):
    found = of(tmp_path, "nodes=2", "gpus_per_node=4", "mem_gb=64", "report.partition=cpu", "prepare.gpus_per_node=1")
    shapes = {name: (found.of(name).nodes, found.of(name).gpus_per_node) for name in settings_of_stages()}
    assert shapes == {
        "prepare": (1, 1),
        "statistics": (1, 0),
        "train": (2, 4),
        "synthesise": (1, 1),
        "evaluate": (1, 1),
        "report": (1, 0),
    }
    assert found.of("report").partition == "cpu" and found.of("train").partition is None
    assert found.of("report").mem_gb == 64


def settings_of_stages():
    return ("prepare", "statistics", "train", "synthesise", "evaluate", "report")
