"""``gansemble matrix``: cells run as processes, go on where they stopped, fail alone, and are handed to schedulers."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from gansemble.cli import main
from gansemble.errors import GansembleError
from gansemble.matrix import plan, run
from gansemble.matrix.expand import expand
from gansemble.matrix.run import CellRun, Places, last_words
from gansemble.plugins import loading
from gansemble.recipe import check
from gansemble.recipe.fill import dump, fill
from gansemble.stages.together import Plan
from gansemble.training.components import Components
from gansemble.training.trainer import Trainer
from page_reading import heard

RECIPE = """\
audio: {sample_rate: 22050, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
data: {normalise: null}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
  features: {use: feature_matching, weight: 2}
metrics:
  mel_distance: {use: mel_distance}
  snr: {use: snr}
plan: {steps: 6, batch_size: 2, segment: 2048, log_every: 2, save_every: 100, ema: 0.9}
validation: {every: 100, clips: 1, audio: 0}
optimisers:
  generator: {use: adamw, lr: 1e-3, decay: 0.9}
  discriminators: {use: adamw, lr: 1e-3, decay: 0.9}
"""
AXES = "  discriminators: {period: [mpd], none: []}\n  seed: {first: 1, second: 2}\n"
#: A loss of nothing that raises at one step, and at another waits for SIGTERM, so that tests act in mid-training.
GATE = '''
import os
import signal
import time
from pathlib import Path

from gansemble import hookimpl
from gansemble.interfaces import zero


class Gate:
    """Nothing."""

    turns = frozenset({"generator"})

    def __init__(self, *, fails_at: int = -1) -> None:
        self.fails_at = fails_at

    def __call__(self, step, turn):
        if step.index == self.fails_at:
            raise RuntimeError(f"the gate fell | at step {step.index}")
        if os.environ.get("GATE_STEP") == str(step.index):
            told, before = [], signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, lambda *facts: (told.append(facts), before(*facts)))
            Path(os.environ["GATE"]).touch()
            limit = time.monotonic() + 60
            while not told and time.monotonic() < limit:
                time.sleep(0.01)
            signal.signal(signal.SIGTERM, before)
        return zero(step.fake)


@hookimpl
def gansemble_register(register):
    register("loss", "gate", f"{__name__}:Gate", "waits and fails")
'''


class Workshop:
    """Short sounds, matrix files beside them, and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = folder / "matrix_gate.py"
        self.gate.write_text(GATE)
        self.file("m", AXES)
        (folder / "corpus").mkdir()
        source = np.random.default_rng(0)
        for number in range(5):
            axis = np.arange(int(22050 * source.uniform(0.3, 0.4))) / 22050
            tone = 0.3 * np.sin(2 * np.pi * source.uniform(100, 4000) * axis)
            noise = 0.05 * source.standard_normal(len(axis))
            soundfile.write(folder / "corpus" / f"clip{number}.wav", tone + noise, 22050)

    def file(self, name: str, axes: str, more: str = "") -> Path:
        """A matrix file; axes are lines indented by two."""
        path = self.folder / f"{name}.yaml"
        path.write_text(f"{RECIPE}{more}matrix:\n{axes}")
        return path

    def words(self, file: str, exp: str, *words: str) -> list[str]:
        places = ["--exp", str(self.folder / exp), "--data", str(self.folder / "corpus")]
        return ["matrix", str(self.folder / f"{file}.yaml"), *places, *words]

    def start(self, file: str, exp: str, *words: str, gate: str | None = None, **environment: str) -> subprocess.Popen:
        """The command as a process of its own; ``gate`` is the file that the loss makes when it waits."""
        before = ["--plugin", str(self.gate)] if gate is not None else []
        return subprocess.Popen(
            [sys.executable, "-m", "gansemble", *before, *self.words(file, exp, *words)],
            env=os.environ | {"OMP_NUM_THREADS": "1", "GATE": str(self.folder / (gate or ""))} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def process(self, *words: str, **settings: str) -> tuple[int, str]:
        """(exit code, output) of the command as a process of its own."""
        child = self.start(*words, **settings)
        output, _ = child.communicate(timeout=120)
        return child.returncode, output

    def here(self, *words: str) -> tuple[int, str, str]:
        """(exit code, output, errors) of the command in this process; the cells are processes all the same."""
        return command(*self.words(*words))

    def copy(self, exp: str, name: str) -> Path:
        """An experiment again, to be changed by a test."""
        return shutil.copytree(self.folder / exp, self.folder / name)


def command(*words: str) -> tuple[int, str, str]:
    """``gansemble`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0), out.getvalue(), err.getvalue()


def until(condition: Any, child: subprocess.Popen | None = None, seconds: float = 60) -> None:
    """Waits for something; shows what a child said that ended before."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        assert child is None or child.poll() is None, child.communicate()[0]
        time.sleep(0.01)


def processes(exp: Path) -> list[int]:
    """The processes that have a folder on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(exp) in path.read_text(errors="replace"):
                found.append(int(path.parent.name))
    return found


def state(exp: Path) -> dict[str, Any]:
    return json.loads((exp / "state.json").read_text())


def steps(exp: Path) -> list[int]:
    """Of the checkpoints that are there."""
    return sorted(int(path.name.partition("-")[2]) for path in (exp / "checkpoints").glob("step-*"))


def times(folder: Path) -> dict[str, int]:
    """When each file was last written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Workshop(tmp_path_factory.mktemp("workshop"))
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def finished(workshop: Workshop) -> str:
    """What the first run of ``m.yaml`` in ``finished`` said."""
    code, output, errors = workshop.here("m", "finished")
    assert (code, errors) == (0, ""), output
    return output


# the plan ----------------------------------------------------------------


@pytest.mark.end_to_end
def test_the_plan_shows_cells_with_sizes_memory_and_time_and_why_others_cannot_be(workshop, finished):
    lines = finished.splitlines()
    assert lines[:2] == ["timing 1 kinds of step, 3 steps each", "4 cells, 2 possible"]
    assert lines[2].split() == ["cell", "G", "D", "memory", "steps", "s/step", "time"]
    for line, name in zip(lines[3:5], ("period+first", "period+second"), strict=True):
        words = line.split()
        assert words[:7] == [name, "5.64", "k", "382", words[4], "MiB", "6"] and int(words[4]) >= 1
        assert 0 < float(words[7]) < 5 and words[9] == "s"
    assert lines[5].startswith("  training, one cell after the other ") and lines[5].endswith(" s")
    assert lines[6] == "  impossible: none+first, none+second"
    assert lines[7].startswith("    losses.features (feature_matching) needs features, but no discriminator")


@pytest.mark.end_to_end
def test_a_plan_is_not_timed_again_and_runs_nothing(workshop, finished, monkeypatch):
    monkeypatch.setattr(plan, "_cost", None)
    before = times(workshop.folder / "finished")
    code, out, err = workshop.here("m", "finished", "--plan")
    assert (code, err) == (0, "") and out.splitlines() == finished.splitlines()[1:8]
    assert times(workshop.folder / "finished") == before


def test_a_plan_times_each_kind_of_step_once_and_remembers_it(workshop, monkeypatch):
    asked = []

    def cost(cell, steps):
        asked.append((cell.name, steps))
        return plan.Cost(1000, 10, 2**21, 0.5, "cpu")

    monkeypatch.setattr(plan, "_cost", cost)
    workshop.file("p", "  plan.batch_size: [2, 4]\n  seed: [1, 2]\n  plan.steps: [6, 7200]\n")
    code, out, _ = workshop.here("p", "plans", "--plan", "--timed-steps", "5")
    assert code == 0 and asked == [("2+1+6", 5), ("4+1+6", 5)]
    row = next(line for line in out.splitlines() if line.startswith("  4+2+7200"))
    assert row.split()[1:] == ["1.00", "k", "10", "2", "MiB", "7,200", "0.500", "1.0", "h"]
    assert out.splitlines()[-1].split()[-2:] == ["4.0", "h"]
    code, again, _ = workshop.here("p", "plans", "--plan", "--set", "validation.every=7")
    assert again.splitlines() == out.splitlines()[1:] and len(asked) == 2
    workshop.here("p", "plans", "--plan", "--set", "plan.segment=4096")
    assert len(asked) == 4
    code, out, _ = workshop.here("p", "unmeasured", "--plan", "--timed-steps", "0")
    assert code == 0 and len(asked) == 4 and not (workshop.folder / "unmeasured").exists()
    assert out.splitlines()[2].split() == ["2+1+6", "6"]


def test_a_step_that_cannot_be_timed_does_not_stop_the_others(workshop, monkeypatch):
    def cost(cell, steps):
        if cell.choices["seed"] == "1" and cell.choices["plan.batch_size"] == "2":
            raise RuntimeError("no memory left")
        return plan.Cost(1000, 10, 2**21, 0.5, "cpu")

    monkeypatch.setattr(plan, "_cost", cost)
    workshop.file("q", "  plan.batch_size: [2, 4]\n  seed: [1, 2]\n")
    code, out, err = workshop.here("q", "untimed", "--plan")
    assert (code, err) == (0, "") and "2+1 could not be timed: RuntimeError: no memory left\n" in out
    assert next(line for line in out.splitlines() if line.startswith("  4+1")).split()[1] == "1.00"


def test_the_plan_of_one_cell_is_shown_alone(workshop):
    code, out, _ = workshop.here("m", "alone", "--plan", "--timed-steps", "0", "--cell", "period+second")
    assert code == 0 and out.splitlines()[0] == "1 cells, 1 possible" and "period+first" not in out
    assert "  period+second " in out


# a whole run -------------------------------------------------------------


@pytest.mark.end_to_end
def test_a_run_leaves_a_table_a_page_and_numbers(workshop, finished):
    exp = workshop.folder / "finished"
    assert re.search(r"\[1/2\] period\+first: runs; log in .*\n\[1/2\] period\+first: done in \d+ s\n", finished)
    assert f"results: {exp}/RESULTS.md\npage:    {exp}/index.html\n" in finished
    text = (exp / "RESULTS.md").read_text()
    assert text.startswith("# m\n\n4 cells: 2 done, 2 impossible. No cell is best: fewer than two have scores.\n")
    assert (
        "Made by `gansemble matrix m.yaml` on " in text
        and "| discriminators | G + D | mel_distance ↓ | snr ↑ |" in text
    )
    assert "| none+first, none+second | impossible | losses.features (feature_matching) needs features" in text
    page = (exp / "index.html").read_text()
    assert len(heard(page)) == 2 * 3 and "http://" not in page and "https://" not in page
    for name in ("first", "second"):
        cell = exp / "cells" / f"period+{name}"
        assert state(cell)["state"] == "done" and steps(cell) == [6]
        assert (
            (cell / "cell.yaml")
            .read_text()
            .startswith(f"# One cell of a matrix: discriminators period, seed {name}.\n")
        )


@pytest.mark.end_to_end
def test_seeds_are_averaged_into_one_row_with_their_spread(workshop, finished):
    exp = workshop.folder / "finished"
    means = [
        json.loads((exp / "cells" / name / "scores" / "summary.json").read_text())["scores"]["mel_distance"]["mean"]
        for name in ("period+first", "period+second")
    ]
    (row,) = json.loads((exp / "results.json").read_text())["rows"]
    assert means[0] != means[1] and row["labels"] == {"discriminators": "period"}
    assert row["cells"] == ["period+first", "period+second"]
    assert row["scores"]["mel_distance"]["mean"] == pytest.approx(sum(means) / 2)
    assert row["spread"]["mel_distance"] == pytest.approx(sorted(means))
    assert f"(2 seeds {min(means):.3f} … {max(means):.3f}) |" in (exp / "RESULTS.md").read_text()


@pytest.mark.end_to_end
def test_a_second_run_finds_every_cell_up_to_date_and_trains_nothing(workshop, finished):
    before = times(workshop.folder / "finished" / "cells")
    code, out, err = workshop.here("m", "finished")
    assert (code, err) == (0, "")
    said = [line for line in out.splitlines() if line.startswith("[")]
    assert said == ["[1/2] period+first: up to date", "[2/2] period+second: up to date"]
    assert times(workshop.folder / "finished" / "cells") == before


@pytest.fixture(scope="module")
def changed(workshop: Workshop, finished: str) -> SimpleNamespace:
    """The finished run after one choice changed under its label, handed to a scheduler that runs each job at once."""
    found = SimpleNamespace(exp=workshop.copy("finished", "changed"))
    workshop.file("changed", AXES.replace("second: 2", "second: 3"))
    lines = ['echo "Submitted batch job 7"', f'echo "$2" >> {workshop.folder}/queue', 'sh -c "$4" > "$6" 2>&1']
    script = executable(workshop.folder / "schedule", *lines)
    template = f"{script} --job-name {{name}} --wrap {{command}} --output {{log}}.job"
    found.before = times(found.exp / "cells" / "period+first")
    words = ("changed", "changed", "--timed-steps", "0", "--set", "plan.log_every=3", "--submit", template)
    found.code, found.output, found.errors = workshop.here(*words)
    return found


def executable(path: Path, *lines: str) -> str:
    """A shell script: what a site's ``sbatch`` may be like."""
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.end_to_end
def test_a_changed_choice_runs_only_its_cells_again(workshop, changed):
    """The choice keeps its label, and so its cell keeps its folder; the old run in it is set aside."""
    assert times(changed.exp / "cells" / "period+first") == changed.before
    cell = changed.exp / "cells" / "period+second"
    assert len(list(cell.glob("previous/*/checkpoints/step-00000006"))) == 1 and steps(cell) == [6]
    assert "plan.seed: 2 -> 3" in (cell / "log.txt").read_text()
    ours, theirs = (
        load_file(folder / "cells" / "period+second" / "checkpoints" / "step-00000006" / "generator.safetensors")
        for folder in (changed.exp, workshop.folder / "finished")
    )
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.end_to_end
def test_a_job_that_the_scheduler_runs_at_once_is_collected(workshop, changed):
    """What ``--set`` changed reaches the job, and the command that is advised finds what it did."""
    assert (changed.code, changed.errors) == (0, "")
    *_, first, second, advice = changed.output.splitlines()
    assert (first, second) == ("period+first: done", "period+second: Submitted batch job 7")
    assert (workshop.folder / "queue").read_text() == "period+second\n"
    cell = changed.exp / "cells" / "period+second"
    job = (cell / "log.txt.job").read_text()
    assert "[1/1] period+second: goes on; log in " in job and "[1/1] period+second: done in " in job
    assert state(cell)["state"] == "done" and check.load(cell / "cell.yaml").plan.log_every == 3
    words = shlex.split(advice.partition(": ")[2])
    assert words[0] == "gansemble" and words[-1] == "--results" and "plan.log_every=3" in words
    code, said, errors = command(*words[1:])
    assert (code, said.splitlines()[-1], errors) == (0, f"{changed.exp}/RESULTS.md", "")
    assert "4 cells: 2 done, 2 impossible." in (changed.exp / "RESULTS.md").read_text()


# interruptions and failures ----------------------------------------------


@pytest.fixture(scope="module")
def broken(workshop: Workshop, finished: str) -> SimpleNamespace:
    """A cell told to stop in its second step, then orphaned in its fourth, then finished beside one that dies."""
    axes = "  losses.gate.fails_at: {early: 3, whole: -1}\n"
    workshop.file("g", axes, more="")
    path = workshop.folder / "g.yaml"
    path.write_text(path.read_text().replace("  features: {", "  gate: {use: gate}\n  features: {"))
    found = SimpleNamespace(exp=workshop.folder / "broken", cell=workshop.folder / "broken" / "cells" / "whole")
    words = ("g", "broken", "--timed-steps", "0")

    child = workshop.start(*words, "--cell", "whole", gate="gate1", GATE_STEP="1")
    until((workshop.folder / "gate1").exists, child)
    child.send_signal(signal.SIGTERM)
    found.stopped, _ = child.communicate(timeout=60)
    found.stopped_code, found.stopped_state, found.stopped_steps = (
        child.returncode,
        state(found.cell),
        steps(found.cell),
    )

    child = workshop.start(*words, "--cell", "whole", gate="gate2", GATE_STEP="3")
    until((workshop.folder / "gate2").exists, child)
    found.running, found.running_state = processes(found.cell), state(found.cell)
    os.kill(child.pid, signal.SIGKILL)
    begun = time.monotonic()
    until(lambda: not processes(found.cell), seconds=50)
    child.communicate(timeout=60)
    found.took, found.orphaned_steps = time.monotonic() - begun, steps(found.cell)
    matrix = expand_with_gate(workshop, path)
    found.orphaned_state = CellRun(matrix.cell("whole"), Places(found.exp, workshop.folder / "corpus", Path())).state()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANSEMBLE_PLUGIN_FILES", "")
        found.code, found.output, found.errors = command("--plugin", str(workshop.gate), *workshop.words(*words))
    return found


def expand_with_gate(workshop: Workshop, path: Path) -> Any:
    """A matrix whose recipe needs the single-file plugin."""
    return expand(path, registry=loading.Plugins(files=[workshop.gate]).registry)


@pytest.mark.kill
@pytest.mark.end_to_end
def test_sigterm_saves_the_running_cell_and_says_how_to_go_on(broken):
    assert broken.stopped_code == 75, broken.stopped
    assert "SIGTERM: the running cell saves its state; wait for it\n" in broken.stopped
    assert broken.stopped.endswith("stopped in cell whole; its state is saved, run the same command to go on\n")
    assert (broken.stopped_state["state"], broken.stopped_state["reason"]) == ("stopped", "asked to stop")
    assert broken.stopped_steps == [2]


@pytest.mark.kill
@pytest.mark.end_to_end
def test_kill_9_of_the_coordinator_leaves_no_training_behind(broken):
    """The training is told by the kernel, saves its state after the step it is in, and ends."""
    assert len(broken.running) == 1 and broken.running_state["state"] == "running"
    assert broken.took < 30 and broken.orphaned_steps[-1] == 4
    assert (broken.orphaned_state.word, broken.orphaned_state.reason) == ("stopped", "its process is gone")


@pytest.mark.kill
@pytest.mark.end_to_end
def test_an_interrupted_cell_ends_where_an_uninterrupted_one_does(workshop, broken, monkeypatch):
    """Bit for bit: weights, average, and what the optimisers remember."""
    assert "] whole: goes on; log in " in broken.output and state(broken.cell)["state"] == "done"
    monkeypatch.setenv("GANSEMBLE_PLUGIN_FILES", str(workshop.gate))
    monkeypatch.delenv("GANSEMBLE_PROCESSES", raising=False)
    (packed,) = (broken.exp / "dump").iterdir()
    Trainer(Components.build(check.load(broken.cell / "cell.yaml"), workshop.folder / "elsewhere", packed)).run()
    folders = [exp / "checkpoints" / "step-00000006" for exp in (broken.cell, workshop.folder / "elsewhere")]
    for name in ("generator", "discriminators", "ema"):
        ours, theirs = (load_file(folder / f"{name}.safetensors") for folder in folders)
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours), name
    for side in ("generator", "discriminators"):
        ours, theirs = (torch.load(folder / f"optimiser-{side}.pt", weights_only=True) for folder in folders)
        ours, theirs = (each["optimisers"][side]["state"] for each in (ours, theirs))
        for key, held in ours.items():
            assert all(torch.equal(held[name], theirs[key][name]) for name in held)


@pytest.mark.kill
@pytest.mark.end_to_end
def test_a_cell_that_dies_is_reported_and_the_others_go_on(broken):
    assert broken.code == 1, broken.output
    said = [line for line in broken.output.splitlines() if line.startswith("[")]
    assert said[1].startswith(
        "[1/2] early: failed: error: stage 3 train: losses.gate (gate) failed in the generator's turn of step 4"
    )
    assert "RuntimeError: the gate fell | at step 3" in said[1] and said[1].endswith("; the others go on")
    assert said[3].startswith("[2/2] whole: done in ")
    assert broken.errors == "error: 1 of 2 cells failed: early\n"
    text = (broken.exp / "RESULTS.md").read_text()
    assert "2 cells: 1 done, 1 failed, 0 impossible." in text and "| whole | 5.64 k" not in text
    assert "| early | failed | error: stage 3 train: losses.gate (gate) failed" in text
    assert "the gate fell \\| at step 3" in text
    assert state(broken.exp / "cells" / "early")["state"] == "failed"
    assert (broken.exp / "index.html").is_file()


# asking for cells --------------------------------------------------------


def test_an_unknown_cell_is_refused_with_a_near_one(workshop):
    code, out, err = workshop.here("m", "asked", "--cell", "perid+first")
    assert (code, out) == (1, "")
    assert (
        "m.yaml: no cell 'perid+first'; did you mean 'period+first'?; cells: period+first, period+second, none+f" in err
    )
    assert not (workshop.folder / "asked").exists()


def test_an_impossible_cell_that_is_asked_for_shows_its_problems(workshop):
    code, out, err = workshop.here("m", "asked", "--cell", "period+first", "--cell", "none+second")
    assert (code, out) == (1, "") and err.startswith("error: none+second is impossible:\n\n")
    assert "m.yaml:10:19: losses.features.use: losses.features (feature_matching) needs features, but no" in err
    assert "   10 |   features: {use: feature_matching, weight: 2}\n" in err
    assert not (workshop.folder / "asked").exists()


def test_a_matrix_without_a_possible_cell_shows_why_and_fails(workshop):
    workshop.file("none", "  discriminators: {none: []}\n  corpus: {own: folder, lacking: null}\n")
    code, out, err = workshop.here("none", "asked")
    assert code == 1 and out.startswith("2 cells, 0 possible\n  impossible: none+own\n    losses.features ")
    assert "a recipe needs a corpus" in out and err.endswith("no combination is possible; the reasons are above\n")
    assert "timing" not in out and "time" not in out.splitlines()[1]


@pytest.mark.parametrize("words", [("--plan",), ("--plan", "--mini"), ("--results",)])
def test_a_matrix_whose_recipe_has_no_corpus_is_shown(workshop, words):
    workshop.file("lacking", "  corpus: [null]\n")
    code, _, err = workshop.here("lacking", "lacking", *words)
    assert (code, err) == (0, "")


def test_results_of_nothing_are_a_list_of_what_is_to_do(workshop):
    code, out, err = workshop.here("m", "nothing-yet", "--results")
    path = workshop.folder / "nothing-yet" / "RESULTS.md"
    assert (code, out, err) == (0, f"{path}\n", "")
    assert "4 cells: 2 to do, 2 impossible." in path.read_text() and "| period+second | to do |" in path.read_text()


# several processes -------------------------------------------------------


@pytest.mark.end_to_end
def test_two_processes_train_a_cell(workshop, finished):
    words = ("--num-processes", "2", "--cell", "period+first", "--set", "plan.steps=2")
    code, out, err = workshop.here("m", "two", *words)
    cell = workshop.folder / "two" / "cells" / "period+first"
    log = (cell / "log.txt").read_text()
    assert (code, err) == (0, ""), log
    assert "2 processes on cpu" in log and "[1/1] period+first: done in " in out
    assert json.loads((cell / "checkpoints" / "step-00000002" / "manifest.json").read_text())["world"] == 2
    assert state(cell)["state"] == "done" and (cell / "scores" / "summary.json").is_file()


# schedulers --------------------------------------------------------------


@pytest.fixture
def scheduler(tmp_path):
    """``scheduler(lines…)`` writes one in a folder of the test's own, and returns its path."""

    return lambda *lines: executable(tmp_path / "schedule", *lines)


@pytest.mark.end_to_end
def test_a_scheduler_that_refuses_is_quoted_and_the_cell_stays_to_do(workshop, finished, scheduler):
    script = scheduler('echo "invalid partition: gpus" >&2', "exit 1")
    words = ("--timed-steps", "0", "--submit", f"{script} {{script}}")
    code, out, err = workshop.here("m", "refused", *words)
    cell = workshop.folder / "refused" / "cells" / "period+first"
    assert code == 1 and "period+first" not in out.partition("possible\n")[2].partition("impossible")[2]
    assert (
        err == f"error: {script} {shlex.quote(str(cell / 'job.sh'))}: the scheduler refused (invalid partition: gpus)\n"
    )
    assert not (cell / "state.json").exists()


@pytest.mark.end_to_end
def test_submitted_cells_are_not_submitted_twice_and_sigterm_stops_submitting(workshop, finished, scheduler, tmp_path):
    script = scheduler(f'echo "$1" >> {tmp_path}/queue', "kill -TERM $PPID", "echo queued")
    words = ("m", "queued", "--timed-steps", "0", "--submit", f"{script} {{name}} {{command}}")
    code, output = workshop.process(*words)
    assert code == 75, output
    assert (tmp_path / "queue").read_text() == "period+first\n"
    assert output.endswith("stopped before cell period+second; run the same command to submit the rest\n")
    cell = workshop.folder / "queued" / "cells" / "period+first"
    assert (state(cell)["state"], state(cell)["reason"]) == ("submitted", "queued")

    scheduler(f'echo "$1" >> {tmp_path}/queue')
    code, out, _ = workshop.here(*words)
    assert code == 0 and (tmp_path / "queue").read_text() == "period+first\nperiod+second\n"
    assert out.splitlines()[-3:-1] == ["period+first: submitted", "period+second: submitted"]


TEMPLATES = {
    "sbatch {script} {nope}": "'nope'",
    "sbatch {script} {}": "Replacement index 0 out of range for positional args tuple",
    "sbatch {script.nope}": "'str' object has no attribute 'nope'",
    "sbatch {script": "expected '}' before end of string",
    "sbatch '{script}": "No closing quotation",
}


@pytest.mark.parametrize(("template", "why"), TEMPLATES.items())
def test_a_template_that_cannot_be_filled_in_is_refused(workshop, cell_run, template, why):
    with pytest.raises(GansembleError) as caught:
        run.submit(cell_run, template, ["gansemble"])
    wanted = (
        f"--submit {template}: cannot be filled in ({why}); it may name {{command}}, {{script}}, {{name}} and {{log}}"
    )
    assert str(caught.value) == wanted and not (cell_run.exp / "state.json").exists()


@pytest.mark.parametrize("template", ["", "sbatch", "sbatch --job-name {name} --output {log}"])
def test_a_template_that_would_run_nothing_is_refused(cell_run, template):
    with pytest.raises(GansembleError, match=r"names neither \{command\} nor \{script\}, so nothing would run"):
        run.submit(cell_run, template, ["gansemble"])


def test_a_scheduler_that_is_absent_is_said(cell_run):
    with pytest.raises(GansembleError, match=r"no-such-scheduler .*job.sh'?: the scheduler refused \(.*No such file"):
        run.submit(cell_run, "no-such-scheduler {script}", ["gansemble"])


def test_a_jobs_script_runs_the_command_with_odd_words(cell_run, scheduler):
    assert run.submit(cell_run, "sh {script}", ["printf", "%s|", "a b", "$HOME", "it's"]) == "a b|$HOME|it's|"
    assert state(cell_run.exp)["reason"] == "a b|$HOME|it's|"


# one cell ----------------------------------------------------------------


@pytest.fixture
def cell_run(workshop, tmp_path) -> CellRun:
    """A cell that never ran, in a folder of its own."""
    return runs_of(workshop, tmp_path)[0]


def runs_of(workshop: Workshop, folder: Path, *overrides: str, **settings: Any) -> list[CellRun]:
    cells = expand(workshop.folder / "m.yaml", overrides).cells
    places = Places(folder / "exp", folder / "data", folder / "dump", **settings)
    return [CellRun(cell, places) for cell in cells if cell.possible]


class Recorder:
    """Stands in for the child: notes commands, writes what they would say, and gives an exit code."""

    def __init__(self, code: int = 0, says: str = "") -> None:
        self.code, self.says, self.stopped = code, says, False
        self.commands: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def run(self, command: list[str], log: Path, environment: dict[str, str] | None = None) -> int:
        self.commands.append(command)
        self.environments.append(environment or {})
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as stream:
            stream.write(f"\n$ {shlex.join(command)}\n{self.says}")
        return self.code


def test_one_process_runs_all_stages_and_two_are_launched_for_the_training(workshop, tmp_path):
    (one, _), child = runs_of(workshop, tmp_path), Recorder()
    one.run(child)
    places = ["--exp", str(one.exp), "--data", str(tmp_path / "data"), "--dump", str(one.dump)]
    run = [sys.executable, "-m", "gansemble", "run", "--in-this-process"]
    assert child.commands == [[*run, str(one.recipe), *places, "--stage", "train"]]
    (two, _), child = runs_of(workshop, tmp_path, processes=2), Recorder()
    two.run(child)
    first, second = child.commands
    assert first[-8:-6] == ["train", str(two.recipe)] and Plan.of(first[3]).here == 2
    assert child.environments[0]["GANSEMBLE_PROCESSES"] == "2" and child.environments[1] == {}
    assert second[2:4] == ["gansemble", "run"] and second[-2:] == ["--stage", "synthesise"]


def test_an_unfinished_training_of_another_recipe_is_begun_anew(workshop, tmp_path):
    """It could not go on: the trainer refuses checkpoints of another recipe."""

    def words(*overrides: str, processes: int = 1) -> list[str]:
        child = Recorder()
        runs_of(workshop, tmp_path, *overrides, processes=processes)[0].run(child)
        return child.commands[0]

    run_ = runs_of(workshop, tmp_path)[0]
    folder = run_.exp / "checkpoints" / "step-00000002"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(dump(fill(run_.cell.recipe)))
    assert "--force" not in words()
    assert "--force" not in words("plan.steps=9")  # more of the same
    assert "--force" in words("plan.batch_size=4")
    assert "--force" in words("audio.fmin=20", processes=2)


def test_a_cells_data_is_prepared_once_and_the_small_corpus_made_where_there_is_none(workshop, tmp_path):
    (one, other), child = runs_of(workshop, tmp_path, mini=True), Recorder()
    assert one.dump == other.dump and one.dump.parent == tmp_path / "dump"
    one.prepare(child)
    mini, shared = child.commands
    assert mini[2:] == ["gansemble", "mini", str(one.recipe), "--output", str(tmp_path / "data")]
    assert shared[3] == "run" and shared[-2:] == ["--stop-stage", "statistics"]
    (tmp_path / "data").mkdir()
    one.prepare(child)
    assert len(child.commands) == 3
    assert runs_of(workshop, tmp_path, "data.normalise=0.5")[0].dump != one.dump
    with pytest.raises(GansembleError, match="the data could not be prepared: error: no such folder\nthe log is "):
        one.prepare(Recorder(1, "error: no such folder\n"))


@pytest.mark.parametrize(
    ("code", "says", "reason"),
    [
        (1, "step 1\nerror: the loss is not finite\n", "error: the loss is not finite"),
        (-9, "step 1\n", "killed by SIGKILL; its last words: step 1"),
        (1, "", "no output"),
    ],
)
def test_a_failed_cell_notes_why(cell_run, code, says, reason):
    before = cell_run.log
    before.parent.mkdir(parents=True)
    before.write_text("\n$ gansemble run\nerror: of another time\n")
    found = cell_run.run(Recorder(code, says))
    assert (found.word, found.reason) == ("failed", reason)
    assert (state(cell_run.exp)["state"], state(cell_run.exp)["reason"]) == ("failed", reason)


def test_cells_with_other_representations_keep_what_is_measured_of_them_apart(workshop, tmp_path, mark_done):
    """The statistics of a representation are made with the packed data, and would be stale for the other cell."""
    workshop.file("shown", "  representation: [null, waveform]\n  seed: [1, 2]\n")
    places = Places(tmp_path / "exp", tmp_path / "data", tmp_path / "dump")
    made = [CellRun(cell, places) for cell in expand(workshop.folder / "shown.yaml").cells]
    for each in made:
        mark_done(each.project())
    assert [each.up_to_date() for each in made] == [True] * 4
    assert made[0].dump == made[1].dump != made[2].dump == made[3].dump


LOGS = {
    "an error for users": ("step 1\nerror: no space left\nopen files: 3\n", "error: no space left"),
    "a traceback": (
        "Traceback (most recent call last):\n  File x\nValueError: inner\n\nTraceback\nRuntimeError: outer\n",
        "RuntimeError: outer",
    ),
    "what a launcher says of its processes": (
        "[rank0]: Traceback (most recent call last):\n[rank0]: RuntimeError: the gate fell\n"
        "E1120 17:23:27 api.py:1002] failed (exitcode: 1) local_rank: 1 (pid: 7) of binary: python\n"
        "Traceback (most recent call last):\n    raise ChildFailedError(\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n=====\ngansemble FAILED\n"
        "  error_file: <N/A>\n  traceback : To enable traceback see: https://pytorch.org\n=====\n",
        "RuntimeError: the gate fell",
    ),
    "a process of a launcher that was killed": (
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
        "  traceback : Signal 9 (SIGKILL) received by PID 17151\n=======\n",
        "traceback : Signal 9 (SIGKILL) received by PID 17151",
    ),
    "an error with a list": (
        "error: step 3 was trained under a recipe that differs:\n  plan.seed: 1 -> 2\ngo on with --allow-change\n",
        "error: step 3 was trained under a recipe that differs: plan.seed: 1 -> 2",
    ),
    "no error at all": ("step 1\nstep 2\n\n", "step 2"),
    "nothing": ("", "no output"),
}


@pytest.mark.parametrize(("text", "words"), LOGS.values(), ids=LOGS)
def test_the_last_words_of_a_log_are_its_last_commands_error(tmp_path, text, words):
    (tmp_path / "log.txt").write_text(f"\n$ gansemble run one\nerror: of another time\n\n$ gansemble run two\n{text}")
    assert last_words(tmp_path / "log.txt") == words


def test_a_label_of_two_lines_leaves_a_recipe_that_can_be_read(workshop, tmp_path):
    workshop.file("odd", '  generator: {"two\\nlines: {": {dim: 16}, "#x": {}}\n')
    for cell in expand(workshop.folder / "odd.yaml").cells:
        made = CellRun(cell, Places(tmp_path / "exp", tmp_path / "data", tmp_path / "dump"))
        made.write()
        assert fill(check.load(made.recipe)) == fill(cell.recipe)


@pytest.mark.parametrize(
    ("place", "mini", "data"),
    [("r/matrix/m.yaml", False, "r/data/folder"), ("r/conf/sub/m.yaml", True, "r/data/mini"), ("r/m.yaml", False, "r/data/folder")],
)  # fmt: skip
def test_places_are_beside_the_folder_of_the_file(workshop, tmp_path, place, mini, data):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    shutil.copy(workshop.folder / "m.yaml", path)
    found = Places.of(expand(path), None, None, 1, mini)
    assert (found.exp, found.data, found.dumps) == (tmp_path / "r/exp/matrix-m", tmp_path / data, tmp_path / "r/dump")
    given = Places.of(expand(path), Path("a"), Path("b"), 2, mini)
    assert (given.exp, given.data, given.processes) == (Path.cwd() / "a", Path.cwd() / "b", 2)
    assert given.dumps == Path.cwd() / "a" / "dump"
