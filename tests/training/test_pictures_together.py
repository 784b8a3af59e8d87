"""Parts of class-conditional picture GANs in recipes they were not made for, by YAML alone: DDFN on SpecGAN, with a gradient
penalty, with noise, with augmentation; two processes equal to one, accumulation equal to the large batch."""

from __future__ import annotations

import json

import pytest

from gansemble.errors import TrainingError
from gansemble.training.checkpoint import Store

SPECGAN = (
    "representation={use: log_spectrogram, n_fft: 64, hop: 32}",
    "generator={use: specgan, latent: 8, dim: 2, frames: 32, bins: 32, layers: 3}",
    "discriminators={mpd: null, critic: {use: specgan, dim: 2, frames: 32, bins: 32, layers: 3}}",
    "objective={use: wgan}",
    "losses=null",
    "noise_injector=null",
    "metrics={mel_distance: null, ndb: {use: ndb, cells: 2}}",
    "validation={metrics: [ndb], best: ndb, clips: 4}",
    "plan.segment=1024",
    "plan.crop=start",
    "plan.batch_size=4",
    "plan.steps=6",
    "plan.save_every=3",
)
WITH = {
    "with a gradient penalty": ("regularisers.gp={use: gradient_penalty, weight: 10}",),
    "with noise": ("noise_injector={use: gaussian}", "objective={use: hinge}"),
    "with augmentation and lecam": (
        "noise_injector={use: augment, adaptive: true, adapt_every: 2}",
        "objective={use: hinge}",
        "regularisers.lecam={use: lecam, weight: 0.1}",
    ),
    "with relativistic pairs, R1 and R2": (
        "objective={use: relativistic}",
        "regularisers.r1={use: r1, gamma: 1.0}",
        "regularisers.r2={use: r2, gamma: 1.0}",
    ),
    "with weights held": (
        "regularisers.gp={use: gradient_penalty, weight: 10}",
        "regularisers.ortho={use: orthogonal, weight: 1e-4, on: both}",
        "regularisers.clamp={use: spectral_norm, limit: 1.0, on: discriminators}",
    ),
    "with monitors": (
        "regularisers.gp={use: gradient_penalty, weight: 10}",
        "monitors={collapse: {use: collapse, every: 2, warm_up: 2}, normality: {use: departure_from_normality, every: 2}}",
    ),
}


def ddfn(loss: str, form: str = "asymmetry") -> str:
    return f"regularisers.ddfn={{use: ddfn, loss: {loss}, form: {form}, log_exact_every: 2, exact_items: 2}}"


@pytest.mark.slow
@pytest.mark.parametrize("others", WITH.values(), ids=WITH.keys())
def test_ddfn_goes_with(workshop, tools, tmp_path, others):
    """Its curves are there, and an interrupted run ends as one that was not, bit for bit."""
    sets = (*SPECGAN, ddfn("adaptive"), *others)
    straight = workshop.train(tmp_path / "one", *sets, "plan.log_every=1").components.store.newest()
    workshop.train(tmp_path / "two", *sets, "plan.log_every=1", stop_after=2)
    resumed = workshop.train(tmp_path / "two", *sets, "plan.log_every=1").components.store.newest()
    assert tools.differences(tools.contents(straight.folder), tools.contents(resumed.folder)) == []
    rows = [json.loads(row) for row in (tmp_path / "one" / "logs" / "train.jsonl").read_text().splitlines()]
    assert any("regularisers.ddfn/exact_gap" in row for row in rows)
    assert all(row["generator/regularisers.ddfn"] >= 0 for row in rows if "generator/regularisers.ddfn" in row)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "form"), [("distribution", "asymmetry"), ("absolute", "exact"), ("adaptive", "upper_bound")]
)
def test_accumulated_ddfn_equals_the_large_batch(workshop, tools, tmp_path, loss, form):
    """A difference of means and sorted values are of the whole batch; without the term the weights end elsewhere."""
    sets = (*SPECGAN, ddfn(loss, form), "optimisers.generator={use: sgd, lr: 1e-3}")
    whole, parts, without = (
        workshop.train(tmp_path / name, *sets, *more).components.store.newest()
        for name, more in (
            ("whole", ("plan.accumulate=1",)),
            ("parts", ("plan.accumulate=4",)),
            ("without", ("plan.accumulate=1", "regularisers.ddfn.weight=0")),
        )
    )
    moved = tools.distance(without.network("generator"), whole.network("generator"))
    assert moved > 1e-6
    assert tools.distance(parts.network("generator"), whole.network("generator")) < 0.02 * moved


@pytest.mark.processes
def test_two_processes_with_ddfn_lecam_and_augmentation_equal_one(workshop, tools, tmp_path):
    """Weights within 1e-5, and both processes hold the same, bit for bit."""
    from safetensors.torch import load_file

    sets = (*SPECGAN, ddfn("distribution"), *WITH["with augmentation and lecam"])
    out = tmp_path / "ranks"
    out.mkdir()
    workshop.finish(tmp_path / "two", *sets, processes=2, driver=out)
    first, second = (load_file(out / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert tools.differences(first, second) == []
    one = workshop.train(tmp_path / "one", *sets).components.store.newest()
    two = Store(tmp_path / "two" / "checkpoints").newest()
    for name in ("generator", "discriminators"):
        assert tools.distance(two.network(name), one.network(name)) < 1e-5, name


@pytest.mark.parametrize("form", ["asymmetry", "exact"])
def test_nan_that_reaches_ddfn_names_step_and_clips(workshop, tmp_path, monkeypatch, form):
    """The process lives on to say so, whatever LAPACK makes of it."""
    from gansemble_plugins.specgan.generator import SpecGan

    forward, calls = SpecGan.forward, []

    def poisoned(self, condition):
        calls.append(1)
        made = forward(self, condition)
        return made * float("nan") if self.training and len(calls) > 8 else made

    monkeypatch.setattr(SpecGan, "forward", poisoned)
    with pytest.raises(TrainingError, match=r"step \d+: the loss is NaN or Inf; clips in this batch: clip\d"):
        workshop.train(tmp_path, *SPECGAN, ddfn("hinge", form))


def test_maps_that_are_not_square_are_refused_before_anything_is_built(workshop):
    """The message names what makes them so, and the way out."""
    from gansemble.recipe.document import RecipeError

    wide = [each.replace("frames: 32", "frames: 64") for each in SPECGAN] + ["plan.segment=2048"]
    with pytest.raises(RecipeError, match=r"works on square maps, but .* gives \[B, 1, 64, 32\]"):
        workshop.load(*wide, ddfn("hinge"))
    workshop.load(*wide, "regularisers.ddfn={use: ddfn, squares: resize_shorter}")


def test_statistics_of_real_items_are_kept_and_measured_anew_when_what_decides_them_changes(
    workshop, tmp_path, monkeypatch
):
    """A second run reads them; another segment, form or representation has its own."""
    from gansemble_plugins.ddfn.regulariser import DifferenceDepartureFromNormality as Ddfn

    measured, fit = [], Ddfn.fit_items

    def counting(self, items):
        measured.append(self.form)
        return fit(self, items)

    monkeypatch.setattr(Ddfn, "fit_items", counting)
    base = (*SPECGAN, "regularisers.ddfn={use: ddfn, epsilon: 0.31}")
    workshop.trainer(tmp_path, *base)
    workshop.trainer(tmp_path, *base)
    workshop.trainer(tmp_path, *base, "regularisers.ddfn.weight=3")
    assert measured == ["asymmetry"]
    workshop.trainer(tmp_path, *base, "regularisers.ddfn.form=exact")
    workshop.trainer(tmp_path, *base, "representation.floor=1e-5")
    assert measured == ["asymmetry", "exact", "asymmetry"]


def test_a_paired_objective_is_given_real_scores_without_gradient(workshop, tmp_path, monkeypatch):
    """The generator cannot change what real items score; six steps of two micro-batches each."""
    from gansemble_plugins.basics.objectives import Relativistic

    seen, generator = [], Relativistic.generator

    def looking(self, fake_score, real_score):
        seen.append((real_score.requires_grad, fake_score.requires_grad, real_score.shape == fake_score.shape))
        return generator(self, fake_score, real_score)

    monkeypatch.setattr(Relativistic, "generator", looking)
    workshop.train(tmp_path, *SPECGAN, "objective={use: relativistic}", "regularisers.r1={use: r1}")
    assert len(seen) == 6 * 2 and set(seen) == {(False, True, True)}


def test_real_statistics_are_those_of_what_a_resumed_run_is_trained_on(workshop, tmp_path):
    """Not those of the checkpoint, where a change of the pictures was allowed."""
    base = (*SPECGAN, "regularisers.ddfn={use: ddfn}")
    first = workshop.train(tmp_path, *base, stop_after=3)
    changed = workshop.train(tmp_path, *base, "representation.span=2.0", stop_after=1, allow_change=True)
    fresh = workshop.trainer(tmp_path / "fresh", *base, "representation.span=2.0")
    means = [run.components.parts.terms[0].term.reals.mean for run in (first, changed, fresh)]
    assert means[1] == means[2] != means[0]
    other = workshop.train(
        tmp_path,
        *base,
        "representation.span=2.0",
        "regularisers.ddfn.form=upper_bound",
        stop_after=1,
        allow_change=True,
    )
    assert other.counters.step == 5
