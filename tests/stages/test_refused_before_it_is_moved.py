"""What can be refused is refused before a finished run is set aside: nothing of it is moved or changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REFUSED = [
    ("optimisers.generator.lr=.inf", "optimisers.generator.lr: must be a finite number, from 0 to 1000, got inf"),
    ("optimisers.generator.lr=.nan", "optimisers.generator.lr: must be a finite number"),
    ("optimisers.discriminators.betas=[0.9, 1]", "betas[1]: must be at least 0 and below 1, got 1"),
    (
        "optimisers.generator.groups={slow: {parameters: [generator.blocks], lr: -1}}",
        "lr: must be from 0 to 1000, got -1",
    ),
    ("losses.mel.weight=1e300", "losses.mel.weight: must be from 0 to 1000000, got 1e+300"),
    ("losses.mel.weight={0: 45, 2: .nan}", "losses.mel.weight[2]: must be a finite number"),
    ("plan.batch_size=1000000000", "plan.batch_size: must be from 1 to 1000000"),
    ("generator.dim=100000000", "generator.dim: must be from 1 to 65536"),
    ("discriminators.mpd.periods=[0]", "discriminators.mpd.periods[0]: must be from 1 to 65536, got 0"),
    ("discriminators.mpd.channels=[]", "discriminators.mpd.channels: must have 1 to 1000 items, got 0"),
]


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files of an experiment, by their path."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "project.json"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_finished_run_is_left_alone_by_what_is_refused(place, run, done):
    done("fetch", "prepare", "train")
    before = contents(place.experiment)
    assert place.steps() == [2, 4]
    for change, said in REFUSED:
        for words in ((), ("--force",)):
            status, told = run("train", *words, "--set", change)
            assert status == 1 and said in told, (change, told)
            assert contents(place.experiment) == before and not (place.experiment / "previous").exists()
