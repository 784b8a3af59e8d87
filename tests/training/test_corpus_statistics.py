"""What stage 2 writes of a corpus is what numpy finds in its packed clips."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from gansemble.audio.features import log_mel
from gansemble.data.packed import Packed
from gansemble.scoring.fitting import statistics


def test_means_deviations_levels_and_lengths_are_those_of_the_training_clips(workshop):
    recipe, packed = workshop.load(), Packed(workshop.dump, "train")
    found = json.loads(statistics(recipe, workshop.dump).read_text())
    clips = [packed.read(index).astype(np.float64) for index in range(len(packed))]
    frames = [log_mel(torch.from_numpy(packed.read(index))[None], recipe.audio)[0] for index in range(len(packed))]
    mel = torch.cat(frames, 1).double().numpy()
    seconds = np.array([len(clip) / 22050 for clip in clips])
    assert found["clips"] == len(clips) == 5
    assert found["mel_mean"] == pytest.approx(mel.mean(1), rel=1e-9)
    assert found["mel_deviation"] == pytest.approx(mel.std(1), rel=1e-6)
    assert found["rms"] == pytest.approx(np.sqrt(np.mean(np.concatenate(clips) ** 2)), rel=1e-9)
    assert found["minutes"] == pytest.approx(seconds.sum() / 60)
    assert (found["shortest_s"], found["longest_s"]) == (seconds.min(), seconds.max())
