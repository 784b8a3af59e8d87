"""Training and using a generator from Python: what a notebook and a text-to-speech system call."""

from __future__ import annotations

import pytest
import torch

import gansemble
from gansemble.audio.features import log_mel
from gansemble.errors import GansembleError, TrainingError
from gansemble.interfaces import Condition
from gansemble.training import demands


class Curves:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.steps, self.validations, self.ends = [], [], []

    def step(self, done, logs):
        self.steps.append((done, logs["generator/total"]))

    def validation(self, done, scores):
        self.validations.append((done, scores))

    def end(self, error):
        self.ends.append(error)


def session(workshop, exp, *sets):
    return gansemble.Session.open(workshop.recipe, exp, workshop.dump, sets)


def test_an_observer_sees_each_report_each_validation_and_the_end(workshop, tmp_path):
    seen = Curves()
    done = session(workshop, tmp_path, "plan.steps=4", "plan.log_every=2", "validation.every=4").train(seen)
    assert done == 4 and [step for step, _ in seen.steps] == [1, 2, 4]
    assert [step for step, _ in seen.validations] == [0, 4] and "mel_distance" in seen.validations[-1][1]
    assert seen.ends == [None]


def test_an_observer_that_fails_is_told_once_and_costs_the_run_nothing(workshop, tmp_path, caplog):
    class Failing(Curves):
        def step(self, done, logs):
            self.steps.append(done)
            raise KeyError("no such curve")

    seen = Failing()
    watched = session(workshop, tmp_path / "one", "plan.steps=3", "plan.log_every=1")
    assert watched.train(seen) == 3 and seen.steps == [1]
    assert [record.message for record in caplog.records if "observer" in record.message] == [
        "the caller's observer failed and is left out from here on: KeyError: 'no such curve'"
    ]
    plain = session(workshop, tmp_path / "two", "plan.steps=3", "plan.log_every=1")
    plain.train()
    ours, theirs = watched.generator.state_dict(), plain.generator.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("done", "changes", "told"),
    [
        (9, True, None),
        (10, False, None),
        (10, True, "all 10 steps are done already, so nothing would be trained under what changed"),
        (11, False, "plan.steps is 10, but the run there is at step 11; a run is not made shorter. Give plan.steps=11"),
    ],
)
def test_a_run_is_not_made_shorter_and_nothing_changes_once_it_is_done(tmp_path, done, changes, told):
    """That all steps are done is no error."""
    if told is None:
        demands.steps_left(tmp_path, 10, done, changes)
    else:
        with pytest.raises(TrainingError, match=told):
            demands.steps_left(tmp_path, 10, done, changes)


def test_a_session_goes_on_from_the_checkpoint(workshop, tmp_path):
    session(workshop, tmp_path, "plan.steps=2").train()
    assert session(workshop, tmp_path, "plan.steps=4").train() == 4


def test_a_trained_vocoder_is_called_with_log_mels(workshop, tmp_path):
    """With or without a batch; the same as its network alone."""
    session(workshop, tmp_path, "plan.steps=1").train()
    vocoder = gansemble.load(tmp_path, device="cpu")
    mel = log_mel(torch.randn(2, 20 * vocoder.spec.hop, generator=torch.Generator().manual_seed(0)) * 0.1, vocoder.spec)
    made = vocoder(mel)
    assert made.shape == (2, 1, 20 * vocoder.spec.hop) and not made.requires_grad
    assert torch.equal(made, vocoder.generator(Condition(signals={"mel": mel})))
    torch.testing.assert_close(vocoder(mel[0]), made[0], atol=1e-6, rtol=0)


def test_a_vocoder_refuses_other_shapes_and_makes_no_clips_of_its_own(workshop, tmp_path):
    session(workshop, tmp_path, "plan.steps=1").train()
    vocoder = gansemble.load(tmp_path, device="cpu")
    with pytest.raises(
        GansembleError, match=rf"expected a signal \[B, {vocoder.spec.mels}, L\], got shape \[1, 3, 7\]"
    ):
        vocoder(torch.zeros(1, 3, 7))
    with pytest.raises(GansembleError, match="reads mel, not a latent vector alone; use gansemble synthesise --exp"):
        vocoder.sample(2)


def test_no_folder_is_no_experiment(tmp_path):
    with pytest.raises(GansembleError, match="no such folder; expected an experiment"):
        gansemble.load(tmp_path / "none")
