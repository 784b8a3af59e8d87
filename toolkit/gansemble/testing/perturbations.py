"""The promises of perturbations."""

from __future__ import annotations

import pickle

import numpy as np
import torch

from gansemble.abilities import Stretching, draws, suits_pairs
from gansemble.interfaces import Perturbation
from gansemble.plugins.signatures import lacking
from gansemble.testing.subject import Fault, Subject, demand

SEEDS = 16


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _part(subject: Subject, seed: int = 0) -> Perturbation:
    """A new part, after it has been held to having a margin."""
    part = subject.make(seed)
    margin = None if lacking(part, Perturbation) else part.margin
    demand(type(margin) is int and margin >= 0, f"margin must be a whole number of samples, at least 0, got {margin!r}")
    return part


def _reads(part: Perturbation, length: int, seed: int) -> int:
    """How many samples between the margins it reads for ``length`` samples."""
    if not isinstance(part, Stretching):
        return length
    count = part.reads(length, _rng(seed))
    demand(type(count) is int and count >= 0, f"reads({length}) must be a whole number, at least 0, got {count!r}")
    return count


def _tone(subject: Subject, length: int, item: int = 0) -> np.ndarray:
    """A tone of the kit with a little noise, float32 [T]."""
    return subject.audio(item + 1, length)[item, 0].numpy().astype(np.float32)


def _noise(length: int, seed: int = 9) -> np.ndarray:
    return (0.1 * _rng(seed).standard_normal(length)).astype(np.float32)


def _all(subject: Subject) -> int:
    """A length that is enough for the segment, whatever is drawn, with the margins."""
    part = _part(subject)
    return 2 * part.margin + max(_reads(part, subject.segment, seed) for seed in range(SEEDS))


def makes_as_many_samples_as_asked(subject: Subject) -> None:
    """It makes a finite float32 array [T] of at least as many samples as were asked for, one sample included.

    It is given ``margin`` samples, those that it reads for them (as many, unless it has ``reads``), and ``margin`` more.
    """
    part = _part(subject)
    for length in (subject.segment, 1001, 17, 1):
        for seed in range(4):
            needed = _reads(part, length, seed)
            made = part(_tone(subject, part.margin + needed + part.margin), _rng(seed))
            demand(isinstance(made, np.ndarray), f"expected a numpy array, got {type(made).__name__}")
            demand(made.ndim == 1, f"expected [T], got {list(made.shape)}")
            asked = f"of {part.margin} + {needed} + {part.margin} samples"
            demand(len(made) >= length, f"{asked} it must make at least {length}, got {len(made)}")
            demand(made.dtype == np.float32, f"expected float32, got {made.dtype}")
            demand(bool(np.isfinite(made).all()), f"{asked} it makes what is not finite")


def leaves_out_its_margins(subject: Subject) -> None:
    """What it returns is the middle: a burst of noise is where it was, at its own speed, to within half the margin.

    The place is told from the levels of stretches of 16 samples, so that filters may turn phases.
    """
    part, length = _part(subject), max(4096, subject.segment)
    for seed in range(4):
        needed = _reads(part, length, seed)
        audio = np.zeros(part.margin + needed + part.margin, np.float32)
        begin = part.margin + needed // 4
        audio[begin : begin + needed // 8] = _noise(needed // 8)
        heard = np.square(part(audio, _rng(seed))[:length], dtype=np.float64)
        place = np.arange(length) * needed / length  # of each output sample between the margins
        burst = ((place >= needed // 4) & (place < needed // 4 + needed // 8)).astype(np.float64)
        blocks = [each[: length // 16 * 16].reshape(-1, 16).mean(1) for each in (heard, burst)]
        match = np.correlate(blocks[0], blocks[1] - blocks[1].mean(), "full")
        shift = 16 * (int(np.argmax(match)) - (len(blocks[0]) - 1))
        demand(
            abs(shift) <= max(64, part.margin // 2),
            f"it moves the sound by about {shift} samples; of [margin + N + margin] return what becomes of the N",
        )


def perturbs_something(subject: Subject) -> None:
    """Of sixteen random draws at least one changes noise, and they differ, unless it says ``draws = False``."""
    part, audio = _part(subject), _noise(_all(subject))
    made = [part(audio.copy(), _rng(seed)) for seed in range(SEEDS)]
    middle = audio[part.margin : len(audio) - part.margin]
    same = all(len(each) == len(middle) and np.array_equal(each, middle) for each in made)
    demand(not same, "it changes nothing in sixteen draws")
    alike = all(np.array_equal(made[0], each) for each in made)
    demand(not alike or not draws(part), "sixteen draws give one result; draw from rng, or declare draws = False")
    demand(alike or draws(part), "it says draws = False, but other generators give other results")


def perturbation_draws_only_from_rng(subject: Subject) -> None:
    """Equal ``rng`` give equal results, whatever was drawn from other generators and whichever crops came before."""
    part, audio = _part(subject), _tone(subject, _all(subject))
    torch.manual_seed(1)
    np.random.seed(1)
    first = [np.array(part(audio.copy(), _rng(seed))) for seed in range(4)]
    torch.manual_seed(2)
    np.random.seed(2)
    part(_tone(subject, len(audio), 1), _rng(7))
    second = [_part(subject, 1)(audio.copy(), _rng(seed)) for seed in range(4)]
    again = [part(audio.copy(), _rng(seed)) for seed in range(4)]
    for one, other, third in zip(first, second, again, strict=True):
        same = np.array_equal(one, other) and np.array_equal(one, third)
        demand(same, "equal rngs give other results; draw from rng alone, and keep nothing from crop to crop")


def perturbation_leaves_its_input_alone(subject: Subject) -> None:
    """It does not write into the audio that it is given."""
    part, audio = _part(subject), _tone(subject, _all(subject))
    kept = audio.copy()
    for seed in range(4):
        part(audio, _rng(seed))
        demand(np.array_equal(kept, audio), "it writes into its input; use x = x * y, not x *= y")


def perturbation_takes_silence(subject: Subject) -> None:
    """What it makes of silence and of full scale is finite."""
    part, length = _part(subject), _all(subject)
    for seed in range(4):
        for what, level in (("silence", 0), ("full scale", 1)):
            with np.errstate(all="ignore"):
                made = part(np.full(length, level, np.float32), _rng(seed))
            demand(bool(np.isfinite(made).all()), f"of {what} it makes what is not finite")


def suits_pairs_as_it_says(subject: Subject) -> None:
    """If it says ``suits_pairs``, it is linear: what is lost between two recordings is lost likewise after it."""
    part = _part(subject)
    if not suits_pairs(part):
        return
    one, other = (_noise(_all(subject), seed) for seed in (3, 4))
    for seed in range(4):
        together = part(one + 0.5 * other, _rng(seed))
        apart = part(one, _rng(seed)) + 0.5 * part(other, _rng(seed))
        error = float(np.abs(together - apart).max() / max(1e-12, np.abs(apart).max()))
        demand(error < 1e-3, "it says suits_pairs, but of a sum it makes something else than the sum of what it makes")


def perturbation_can_be_sent(subject: Subject) -> None:
    """It can be pickled, as data-loading processes may receive it, and its copy gives the same results."""
    part, audio = _part(subject), _tone(subject, _all(subject))
    try:
        sent: Perturbation = pickle.loads(pickle.dumps(part))
    except Exception as error:
        raise Fault(
            f"it cannot be sent to a loading process ({error}); keep no open files or local functions"
        ) from error
    same = np.array_equal(part(audio, _rng()), sent(audio, _rng()))
    demand(same, "sent to another process it perturbs otherwise")


PERTURBATION = (
    makes_as_many_samples_as_asked,
    leaves_out_its_margins,
    perturbs_something,
    perturbation_draws_only_from_rng,
    perturbation_leaves_its_input_alone,
    perturbation_takes_silence,
    suits_pairs_as_it_says,
    perturbation_can_be_sent,
)
