"""The page on unpaired recordings: two generators and two games, in a recipe and a single-file plugin, learn and resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gansemble.errors import Interrupted
from gansemble.plugins import loading
from gansemble.recipe import check
from gansemble.training.components import Components, Options
from gansemble.training.trainer import Trainer

SNIPPETS = Path(__file__).parents[2] / "docs" / "snippets"
SMALL = (
    "plan.steps=4", "plan.save_every=2", "plan.batch_size=4", "plan.segment=4096", "generator.channels=4",
    "generator.blocks=2", "validation.every=4", "validation.clips=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The page's plugin loaded, and its recipe's small corpus packed."""
    from gansemble.data import prepare

    with pytest.MonkeyPatch.context() as changed:
        changed.setenv(loading.FILES, str(SNIPPETS / "two_ways.py"))
        folder = tmp_path_factory.mktemp("unpaired")
        recipe = check.load(SNIPPETS / "unpaired.yaml", SMALL)
        prepare.corpus_of(recipe).mini(folder / "data")
        prepare.prepare(recipe, folder / "data", folder / "dump", 1, lambda line: None)
        yield folder


def trained(folder: Path, exp: Path, *sets: str, stop_after: int | None = None) -> Path:
    recipe = check.load(SNIPPETS / "unpaired.yaml", (*SMALL, *sets))
    trainer = Trainer(Components.build(recipe, exp, folder / "dump", Options(stop_after=stop_after)))
    try:
        trainer.run()
    except Interrupted:
        assert stop_after
    return sorted((exp / "checkpoints").glob("step-*"))[-1]


def test_both_networks_and_both_games_learn_and_a_stopped_run_goes_on_exactly(prepared, tmp_path):
    last = trained(prepared, tmp_path / "straight")
    first = last.with_name("step-00000002")
    for name, places in (
        ("generator", ("restoring", "damaging")),
        ("discriminators", ("parts.clean", "parts.damaged")),
    ):
        before, after = (load_file(each / f"{name}.safetensors") for each in (first, last))
        for place in places:
            assert any(not torch.equal(before[key], after[key]) for key in after if key.startswith(place)), place
    trained(prepared, tmp_path / "halted", stop_after=2)
    again = trained(prepared, tmp_path / "halted")
    for name in ("generator", "discriminators"):
        one, other = (load_file(each / f"{name}.safetensors") for each in (last, again))
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_without_its_regulariser_the_damaged_domain_has_no_game(prepared, tmp_path):
    last = trained(prepared, tmp_path, "regularisers.damaged=null")
    before, after = (load_file(each / "discriminators.safetensors") for each in (last.with_name("step-00000002"), last))
    moved = {key for key in after if not torch.equal(before[key], after[key])}
    assert any(key.startswith("parts.clean.") for key in moved)
    # Spectral norm refines its vectors in each forward pass; nothing that learns has moved.
    assert {key.rpartition(".")[2] for key in moved if key.startswith("parts.damaged.")} <= {"_u", "_v"}


def test_the_first_optimiser_may_be_split_between_the_networks(prepared):
    sets = ("optimisers.damaging={use: adam, lr: 1e-4, parameters: [generator.damaging]}",)
    recipe = check.load(SNIPPETS / "unpaired.yaml", (*SMALL, *sets))
    assert list(recipe.many["optimisers"]) == ["generator", "discriminators", "damaging"]
