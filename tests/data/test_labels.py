"""The number that a network is given for a clip's label."""

from __future__ import annotations

import pytest

from gansemble.data.labels import Labels
from gansemble.data.manifest import ManifestEntry


def entry(**labels) -> ManifestEntry:
    return ManifestEntry("a", "a.wav", "train", 16000, 100, 1, 16000, 0, 0.5, "", labels)


@pytest.mark.parametrize("label", [0, 1, 9])
def test_a_class_is_its_own_number(label):
    assert Labels()(entry(label=label, pitch=60)) == label


@pytest.mark.parametrize(("pitch", "expected"), [(24, 0), (25, 1), (84, 60)])
def test_a_pitch_counts_from_the_lowest(pitch, expected):
    """GANSynth's range begins at MIDI note 24, which is index 0."""
    assert Labels(lowest=24)(entry(label=3, pitch=pitch)) == expected


def test_a_clip_without_the_label_has_no_number():
    assert Labels()(entry(pitch=60)) is None and Labels(lowest=24)(entry(label=3)) is None
    assert Labels()(entry(label="dog")) is None and Labels(lowest=24)(entry(pitch="C4")) is None
