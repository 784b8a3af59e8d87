"""The clips of the report: each with the reference, what the generator made of it, and what baselines made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.data.packed import Packed
from gansemble.evaluation.systems import System
from gansemble.pages.clips import Version, compared
from gansemble.pages.sounds import Sounds

#: Scores below the name of a version.
SCORES = 3


def clip(
    identity: str,
    systems: Sequence[System],
    packed: Packed,
    spec: AudioSpec,
    sounds: Sounds,
    seconds: float | None = None,
) -> str:
    """The reference recording and each system's version of one clip, with one player for all and spectrograms, as HTML.

    Args:
        identity: id of the generated clip.
        systems: those that are shown; one without this clip is left out.
        packed: holds the reference.
        spec: gives the sample rate and the spectrogram.
        sounds: of the page, which the versions are added to.
        seconds: of a longer clip only the middle of this length is shown [s]; None shows all of it.
    """
    clip_of = {clip.id: clip.clip for clip in systems[0].index.clips}
    number = next(i for i, entry in enumerate(packed.entries) if entry.id == clip_of[identity])
    reference = packed.read(number)
    length = len(reference)
    versions = [Version("reference", middle(reference, length, spec, seconds), "the recording itself")]
    for system in systems:
        sound = next((clip.sound for clip in system.index.clips if clip.id == identity), None)
        if sound is not None and identity in system.rows and (system.samples / sound).is_file():
            made = middle(files.read_mono(system.samples / sound, spec.sample_rate), length, spec, seconds)
            versions.append(Version(system.name, made, _scores(system, identity), system.colour))
    shown = len(versions[0].audio)
    part = "" if shown == length else f"{shown / spec.sample_rate:g} s from the middle of "
    return compared(identity, f"{part}{length / spec.sample_rate:.2f} s", versions, spec, sounds)


def middle(audio: np.ndarray, length: int, spec: AudioSpec, seconds: float | None) -> np.ndarray:
    """The middle of a clip; the place follows from the reference's ``length`` [samples], so it is the same for all."""
    wanted = length if seconds is None else min(length, int(seconds * spec.sample_rate))
    first = (length - wanted) // 2
    return audio[first : first + wanted]


def _scores(system: System, identity: str) -> str:
    row = system.rows.get(identity)
    scores = row["scores"].items() if row is not None else ()
    return " · ".join([f"{key} {value:.2f}" for key, value in scores if value is not None][:SCORES])
