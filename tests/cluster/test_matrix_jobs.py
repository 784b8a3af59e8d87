"""The cells of a matrix as the jobs of an array."""

import pytest

from gansemble.cluster import jobs, records
from gansemble.cluster.settings import Settings
from gansemble.errors import GansembleError
from gansemble.matrix import arrays, run
from gansemble.matrix.expand import expand


@pytest.fixture
def runs(house, tmp_path):
    pytest.importorskip("submitit", reason="submitit is not installed (extra cluster)")
    file = tmp_path / "seeds.yaml"
    file.write_text(f"include: [{house.recipe}]\nmatrix: {{seed: [1, 2, 3]}}\n")
    matrix = expand(file, ())
    places = run.Places.of(matrix, tmp_path / "exp", house.folder / "recordings", 1, False)
    return [run.CellRun(cell, places) for cell in matrix.cells]


def submit(runs, settings):
    return arrays.submit(runs, lambda each: ["true", each.cell.name], settings, runs[0].places, lambda line: None)


def test_cells_are_one_array_and_are_not_submitted_twice(runs, programs, tmp_path):
    for name in ("srun", "scancel", "scontrol"):
        programs.make(name)
    programs.make("sbatch", f'cp "$1" {tmp_path}/script; echo Submitted batch job 40')
    assert submit(runs, Settings(partition="gpu", array_parallelism=2)) == 0
    text = (tmp_path / "script").read_text()
    assert "#SBATCH --array=0-2%2\n" in text and "#SBATCH --partition=gpu\n" in text
    exp = runs[0].places.exp
    [row] = records.submissions(exp / "jobs")
    assert (row["stage"], row["job"], row["elements"]) == ("cells", "40", [each.cell.name for each in runs])
    assert {each.state().word for each in runs} == {"submitted"}
    programs.make("squeue", "echo '40_0|RUNNING|n1|None|N/A'; echo '40_2|PENDING||Resources|N/A'")
    assert arrays.waiting(runs, exp) == {runs[0].cell.name, runs[2].cell.name}, "the second has left the queue"


def test_a_single_cell_is_a_plain_job_and_is_known_by_its_name(runs, programs):
    programs.make("srun")
    programs.make("sbatch", "echo Submitted batch job 41")
    assert submit(runs[1:2], Settings()) == 0
    programs.make("squeue", "echo '41|PENDING||Resources|N/A'")
    assert arrays.waiting(runs, runs[0].places.exp) == {runs[1].cell.name}


def test_a_refusal_leaves_cells_as_they_were(runs, programs):
    programs.make("srun")
    programs.make("sbatch", "echo 'sbatch: error: Invalid qos specification' >&2; exit 1")
    runs[0].write()
    runs[0].note("failed", "of old")
    with pytest.raises(GansembleError, match=r"cluster\.qos"):
        submit(runs, Settings())
    assert [each.state().word for each in runs] == ["failed", "missing", "missing"]


def test_local_jobs_are_waited_for_and_the_worst_end_is_theirs(runs):
    command = {runs[0].cell.name: "exit 0", runs[1].cell.name: "exit 4"}

    def of(each):
        return ["sh", "-c", command[each.cell.name]]

    settings = Settings(executor="local")
    assert arrays.submit(runs[:2], of, settings, runs[0].places, lambda line: None) == 4
    assert [(job.what, job.word) for job in jobs.found(runs[0].places.exp)[0]] == [
        (runs[0].cell.name, "done"),
        (runs[1].cell.name, "failed"),
    ]


def test_a_cell_trains_on_one_node_with_a_gpu_for_each_process(runs):
    places = runs[0].places
    with pytest.raises(GansembleError, match=r"cluster\.nodes: 2: each cell of a matrix trains on one node"):
        arrays.settings_of(Settings(nodes=2), places)
    places.processes = 4
    with pytest.raises(GansembleError, match=r"--num-processes 4: cluster\.gpus_per_node is 2"):
        arrays.settings_of(Settings(gpus_per_node=2), places)
    assert arrays.settings_of(Settings(gpus_per_node=4), places).gpus_per_node == 4
