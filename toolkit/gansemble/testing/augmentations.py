"""The promises of augmentations."""

from __future__ import annotations

import numpy as np
import torch

from gansemble.data.augmented import NAME
from gansemble.interfaces import Augmentation
from gansemble.recipe.schema import SUPPLIED
from gansemble.testing.subject import Subject, demand

Variants = list[tuple[str, np.ndarray]]
QUIET = 0.01  # -40 dB


def _audio(subject: Subject, item: int = 0, length: int | None = None) -> np.ndarray:
    """A tone of the kit with a little noise, float32 [T]."""
    return subject.audio(item + 1, length)[item, 0].numpy().astype(np.float32)


def _variants(subject: Subject, part: Augmentation, audio: np.ndarray) -> Variants:
    return [(name, made) for name, made in part.variants(audio, subject.spec.sample_rate)]


def _level(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def variants_have_names(subject: Subject) -> None:
    """Names are of letters, digits, ``.``, ``_`` and ``-``, as clip ids need them, and differ within a clip."""
    names = [name for name, _ in _variants(subject, subject.make(), _audio(subject))]
    odd = [name for name in names if not isinstance(name, str) or not NAME.fullmatch(name)]
    demand(
        not odd, f"a variant's name must be letters, digits, '.', '_' and '-', a letter or digit first, got {odd[:1]}"
    )
    twice = sorted({name for name in names if names.count(name) > 1})
    demand(not twice, f"every variant of a clip needs a name of its own, but {', '.join(twice)} comes again")


def variants_keep_length(subject: Subject) -> None:
    """Variants are finite float32 arrays [T] of the clip's length, for long clips and for one of a single sample."""
    part = subject.make()
    for length in (subject.segment, 1001, 17, 1):
        for name, made in _variants(subject, part, _audio(subject, 0, length)):
            demand(isinstance(made, np.ndarray), f"{name}: expected a numpy array, got {type(made).__name__}")
            demand(made.shape == (length,), f"{name}: expected [{length}], got {list(made.shape)}")
            demand(made.dtype == np.float32, f"{name}: expected float32, got {made.dtype}")
            demand(bool(np.isfinite(made).all()), f"{name}: of {length} samples it makes what is not finite")


def makes_other_clips(subject: Subject) -> None:
    """It makes variants of at least one of three clips, audible and different from the clip and each other."""
    part, there = subject.make(), False
    for item, length in ((0, subject.segment), (1, subject.segment), (0, 4 * subject.segment)):
        audio = _audio(subject, item, length)
        seen = [audio]
        for name, made in _variants(subject, part, audio.copy()):
            there = True
            demand(
                not any(np.array_equal(made, other) for other in seen),
                f"{name}: is its clip, or another variant, again",
            )
            demand(_level(made) > QUIET * _level(audio), f"{name}: next to nothing is left of its clip")
            seen.append(made)
    demand(there, "of none of three clips it makes a variant; give an example of parameters that do")


def variants_are_the_clips_alone(subject: Subject) -> None:
    """Equal clips have equal variants, whatever was drawn from random generators and whichever clips came before."""
    part, audio = subject.make(), _audio(subject)
    torch.manual_seed(1)
    np.random.seed(1)
    first = _variants(subject, part, audio.copy())
    torch.manual_seed(2)
    np.random.seed(2)
    _variants(subject, part, _audio(subject, 1))
    for again in (_variants(subject, subject.make(1), audio.copy()), _variants(subject, part, audio.copy())):
        same = [name for name, _ in again] == [name for name, _ in first] and all(
            np.array_equal(one, other) for (_, one), (_, other) in zip(first, again, strict=True)
        )
        demand(same, "equal clips give other variants; draw nothing, and keep nothing from clip to clip")


def augmentation_leaves_its_input_alone(subject: Subject) -> None:
    """It does not write into the clip that it is given, nor into variants that it made before."""
    part, audio = subject.make(), _audio(subject)
    kept = audio.copy()
    made = [(sound, sound.copy()) for _, sound in part.variants(audio, subject.spec.sample_rate)]
    demand(np.array_equal(kept, audio), "it writes into its input; use x = x * y, not x *= y")
    demand(
        all(np.array_equal(now, then) for now, then in made), "a variant is changed when the next one is made; copy it"
    )


def augmentation_takes_silence(subject: Subject) -> None:
    """Variants of silence are silent, and variants of a full-scale clip are finite."""
    part = subject.make()
    for name, made in _variants(subject, part, np.zeros(subject.segment, np.float32)):
        demand(bool(np.isfinite(made).all()), f"{name}: of silence it makes what is not finite")
        demand(float(np.abs(made).max()) < 1e-6, f"{name}: of silence it makes sound")
    for name, made in _variants(subject, part, np.ones(subject.segment, np.float32)):
        demand(bool(np.isfinite(made).all()), f"{name}: of full scale it makes what is not finite")


def takes_nothing_of_the_plan(subject: Subject) -> None:
    """Its constructor takes nothing that the toolkit supplies, which may change without the data being packed anew."""
    asked = [name for name in SUPPLIED if name in subject.signature]
    demand(not asked, f"it takes {', '.join(asked)} of the toolkit; variants are packed once, whatever the plan")


AUGMENTATION = (
    variants_have_names,
    variants_keep_length,
    makes_other_clips,
    variants_are_the_clips_alone,
    augmentation_leaves_its_input_alone,
    augmentation_takes_silence,
    takes_nothing_of_the_plan,
)
