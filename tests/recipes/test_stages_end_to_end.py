"""The SpecDiff recipe, stage by stage, on its mini corpus, as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from page_reading import heard

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "egs/ljspeech/specdiff/run.sh"
NAMES = ["fetch", "prepare", "statistics", "train", "synthesise", "evaluate", "report"]

pytestmark = pytest.mark.recipe


def run(work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """run.sh --mini in a folder of the test's own, from that folder."""
    places = ["--exp", "exp", "--data", "data", "--dump", "dump"]
    environment = os.environ | {"VIRTUAL_ENV": str(Path(sys.prefix)), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(RUN), "--mini", *places, *words], cwd=work, capture_output=True, text=True, timeout=900, env=environment
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every stage of a shortened mini run is done."""
    work = tmp_path_factory.mktemp("mini")
    done = run(work, "--set", "plan.steps=24", "--set", "plan.discriminators_from=8", "--set", "validation.every=24")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return work


SAME = ("--set", "plan.steps=24", "--set", "plan.discriminators_from=8", "--set", "validation.every=24")


def test_every_stage_leaves_what_it_promises(finished: Path) -> None:
    """Manifest, statistics, checkpoint, samples, scores and a page."""
    assert len((finished / "dump/manifest.jsonl").read_text().splitlines()) == 61  # a header, and a line for each clip
    assert list((finished / "dump").glob("statistics-*.json"))
    assert (finished / "exp/checkpoints/step-00000024/manifest.json").is_file()
    assert len(list((finished / "exp/samples/validation").glob("*.wav"))) == 4
    scores = json.loads((finished / "exp/scores/summary.json").read_text())["scores"]
    assert scores["pesq"]["n_ok"] == scores["pesq"]["n_total"] == 4
    page = (finished / "exp/report/index.html").read_text()
    assert len(heard(page)) == 12 and "http://" not in page and "https://" not in page


def test_a_second_run_finds_everything_up_to_date(finished: Path) -> None:
    """Nothing is done again."""
    done = run(finished, *SAME)
    assert done.returncode == 0
    assert [f"{name}: up to date" in done.stdout for name in NAMES] == [True] * 7


def test_a_changed_key_makes_stale_only_what_reads_it(finished: Path) -> None:
    """``evaluation.shown`` is the page's alone; status says so and nothing else runs."""
    changed = (*SAME, "--set", "evaluation.shown=1")
    plan = run(finished, *changed, "--dry-run")
    assert "stage 6 report: write the listening page (stale: evaluation.shown: 8 -> 1)" in plan.stdout
    done = run(finished, *changed)
    assert done.returncode == 0
    assert [f"{name}: up to date" in done.stdout for name in NAMES] == [True] * 6 + [False]
    status = subprocess.run(
        [sys.executable, "-m", "gansemble", "status", str(finished / "exp"), "--json"], capture_output=True, text=True
    )
    assert [row["state"] for row in json.loads(status.stdout)] == ["done"] * 7


def test_a_run_that_cannot_be_built_moves_nothing_away(finished: Path) -> None:
    """A rate that only the optimiser refuses, and a pack that is cut: the trained run stays where it is."""
    there = sorted((finished / "exp" / "checkpoints").iterdir())
    train = ("--stage", "train", "--stop-stage", "train")
    refused = run(finished, *SAME, *train, "--set", "optimisers.generator.lr=-1")
    assert refused.returncode == 1 and "-1" in refused.stderr
    (pack,) = (finished / "dump").glob("audio-*.i16")
    whole = pack.read_bytes()
    try:
        pack.write_bytes(whole[:1000])
        refused = run(finished, *SAME, *train, "--force")
    finally:
        pack.write_bytes(whole)
    assert refused.returncode == 1 and f"{pack.name}: expected at least" in refused.stderr
    assert (
        sorted((finished / "exp" / "checkpoints").iterdir()) == there and not (finished / "exp" / "previous").exists()
    )


def test_a_changed_loss_sets_the_finished_run_aside(finished: Path) -> None:
    """The old checkpoints are moved, not deleted, before training starts anew."""
    done = run(finished, *SAME, "--set", "losses.mel.weight=40", "--stage", "train", "--stop-stage", "train")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "losses.mel.weight: 45 -> 40" in done.stdout
    assert list((finished / "exp/previous").glob("*/checkpoints/step-00000024"))
