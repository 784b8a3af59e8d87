"""The commands of jobs: the user's, one stage each, from any folder."""

from pathlib import Path

import pytest
from made_commands import commands

from gansemble.cluster.commands import kept
from gansemble.cluster.settings import Settings, StageSettings
from gansemble.errors import GansembleError
from gansemble.stages.stage import BY_NAME


def test_options_that_jobs_need_are_kept_and_those_of_this_moment_are_not():
    given = "r.yaml --stage 3 --max-restarts 2 --set a=b --yes --num-processes=2 --exp=e --launch slurm --allow-change"
    assert kept(given.split(), ["r.yaml"]) == ["--max-restarts", "2", "--yes", "--allow-change"]


def test_training_is_one_job_of_all_nodes_with_a_process_for_each_gpu():
    made = commands(settings=Settings(nodes=2, gpus_per_node=4), given=("--stage", "train"))
    [([task], elements)] = made.work(BY_NAME["train"])
    assert (task.processes, task.machines, elements) == (8, 2, [])
    words = " ".join(task.words[3:])
    assert words == (
        "run /recipes/conf/v1.yaml --stage train --stop-stage train --exp /exp --data /data --set plan.steps=3"
    )
    assert task.folder == Path("/recipes")


def test_the_number_of_processes_that_was_asked_for_wins():
    assert commands(("--num-processes", "6"), Settings(nodes=3), processes=6).processes == 6
    assert commands(settings=Settings(nodes=3)).processes == 3
    with pytest.raises(GansembleError, match=r"--num-processes 5 must be a multiple of cluster\.nodes, 2"):
        commands(("--num-processes", "5"), Settings(nodes=2), processes=5).work(BY_NAME["train"])


def test_packing_is_an_array_of_shards_and_a_job_that_puts_them_together():
    made = commands(settings=Settings(shards=3, prepare=StageSettings(cpus_per_task=8)))
    (shards, elements), (whole, none) = made.work(BY_NAME["prepare"])
    assert elements == ["1/3", "2/3", "3/3"] and none == [] and len(whole) == 1
    assert [task.words[-4:] for task in shards] == [("--jobs", "8", "--shard", each) for each in elements]
    assert whole[0].words[-2:] == ("--jobs", "8") and "--shard" not in whole[0].words
    assert len(commands(settings=Settings(shards=1)).work(BY_NAME["prepare"])) == 1


def test_training_decides_itself_whether_it_begins_anew_and_other_stages_do_not():
    made = commands(("--force",), force=True)
    [([train], _)] = made.work(BY_NAME["train"])
    [([report], _)] = made.work(BY_NAME["report"])
    assert train.force and "--force" not in train.words
    assert "--force" in report.words


def test_jobs_know_how_long_they_have_to_save():
    assert commands(settings=Settings(signal_delay_s=120)).environment()["GANSEMBLE_SAVE_WITHIN"] == "105"
    assert commands(settings=Settings(signal_delay_s=20)).environment()["GANSEMBLE_SAVE_WITHIN"] == "15"
