"""Statistics of the mel spectrograms that a generator learns from: of which clips, of how much of each, of files or audio."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.data.given import GivenSignals
from gansemble.data.mel_scale import statistics
from gansemble.training.batches import mel_statistics

SPEC = AudioSpec(sample_rate=800, n_fft=64, hop=16, window=64, mels=5, fmax=None)


class Clips:
    """Noise, of each clip its own, of so many samples."""

    def __init__(self, *frames: int) -> None:
        self.entries = [SimpleNamespace(frames=each) for each in frames]
        self.heard: list[tuple[int, int, int]] = []

    def __len__(self) -> int:
        return len(self.entries)

    def noise(self, index: int, length: int) -> np.ndarray:
        return np.random.default_rng(index).standard_normal(4000).astype(np.float32)[:length] * 0.1

    def read(self, index: int, start: int, length: int) -> np.ndarray:
        self.heard.append((index, start, length))
        return self.noise(index, length)


def run_of(clips: Clips, *signals: str, given: Any = None) -> Any:
    parts = SimpleNamespace(condition_builder=SimpleNamespace(signals=[*signals]), given=given or GivenSignals())
    return SimpleNamespace(parts=parts, clips=clips, recipe=SimpleNamespace(audio=SPEC))


def mel(clips: Clips, index: int, length: int) -> np.ndarray:
    return log_mel(torch.from_numpy(clips.noise(index, length))[None, None], SPEC)[0].numpy()


def test_they_are_of_whole_hops_of_each_clip_of_four_seconds_at_most():
    clips = Clips(1609, 3999)
    found = mel_statistics(run_of(clips, "f0", "mel"))
    assert clips.heard == [(0, 0, 1600), (1, 0, 3200)]
    assert found == statistics([mel(clips, 0, 1600), mel(clips, 1, 3200)])


@pytest.mark.parametrize(
    ("count", "heard"), [(31, range(31)), (63, range(63)), (64, range(0, 64, 2)), (200, range(0, 200, 6))]
)
def test_they_are_of_clips_spread_over_the_split(count: int, heard: range):
    clips = Clips(*[160] * count)
    assert mel_statistics(run_of(clips, "mel")) is not None
    assert [index for index, _, _ in clips.heard] == list(heard)


def test_clips_too_short_for_a_frame_are_left_out():
    clips = Clips(79, 80)
    assert mel_statistics(run_of(clips, "mel")) == statistics([mel(clips, 1, 80)]) and clips.heard == [(1, 0, 80)]
    assert mel_statistics(run_of(Clips(79), "mel")) is None


def test_those_of_files_count_where_there_are_any_however_short():
    asked = []

    def of(packed: Any, index: int, start: int, length: int) -> dict[str, Tensor]:
        asked.append((packed, index, start, length))
        return {"mel": torch.arange(5.0)[:, None].expand(5, length // 16) + index, "f0": torch.zeros(1, length // 16)}

    clips = Clips(40, 3999)
    expected = [np.arange(5.0)[:, None] + np.zeros((5, 2)), np.arange(5.0)[:, None] + np.ones((5, 200))]
    found = mel_statistics(run_of(clips, "mel", given=SimpleNamespace(of=of)))
    assert asked == [(clips, 0, 0, 32), (clips, 1, 0, 3200)] and clips.heard == []
    assert found == pytest.approx(statistics(expected))


def test_a_generator_that_reads_none_has_none():
    clips = Clips(1600)
    assert mel_statistics(run_of(clips, "codes")) is None and clips.heard == []
