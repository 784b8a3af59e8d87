"""The promises of degradations."""

from __future__ import annotations

import numpy as np
import torch

from gansemble.interfaces import Degradation
from gansemble.plugins.signatures import lacking
from gansemble.testing.subject import Fault, Subject, demand


def _audio(subject: Subject, item: int = 0, length: int | None = None) -> np.ndarray:
    """A tone of the kit with a little noise, float32 [T]."""
    return subject.audio(item + 1, length)[item, 0].numpy().astype(np.float32)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def degradation_keeps_length(subject: Subject) -> None:
    """It returns a finite float32 array [T] as long as its input, for long clips and for a single sample."""
    part = subject.make()
    for length in (subject.segment, 1001, 17, 1):
        made = part(_audio(subject, 0, length), _rng())
        demand(isinstance(made, np.ndarray), f"expected a numpy array, got {type(made).__name__}")
        demand(made.shape == (length,), f"expected [{length}], got {list(made.shape)}")
        demand(made.dtype == np.float32, f"expected float32, got {made.dtype}")
        demand(bool(np.isfinite(made).all()), f"of {length} samples it makes what is not finite")


def degrades_something(subject: Subject) -> None:
    """Of sixteen random draws at least one changes white noise, and none makes it more than twice as loud."""
    noise = (0.1 * _rng(9).standard_normal(subject.segment)).astype(np.float32)
    part, changed = subject.make(), False
    for seed in range(16):
        made = part(noise.copy(), _rng(seed))
        changed |= not np.array_equal(made, noise)
        demand(
            float(np.sqrt(np.mean(made**2))) < 0.2, "it makes noise more than twice as loud; what was lost is restored"
        )
    demand(changed, "it changes none of sixteen clips of noise")


def degradation_draws_only_from_rng(subject: Subject) -> None:
    """Equal ``rng`` give equal results, whatever was drawn from other generators and whichever clips came before."""
    part, audio = subject.make(), _audio(subject)
    torch.manual_seed(1)
    np.random.seed(1)
    first = [part(audio.copy(), _rng(seed)) for seed in range(4)]
    torch.manual_seed(2)
    np.random.seed(2)
    part(_audio(subject, 1), _rng(7))
    second = [subject.make(1)(audio.copy(), _rng(seed)) for seed in range(4)]
    again = [part(audio.copy(), _rng(seed)) for seed in range(4)]
    for one, other, third in zip(first, second, again, strict=True):
        same = np.array_equal(one, other) and np.array_equal(one, third)
        demand(same, "equal rngs give other results; draw from rng alone, and keep nothing from clip to clip")


def degradation_leaves_its_input_alone(subject: Subject) -> None:
    """It does not write into the audio that it is given."""
    part, audio = subject.make(), _audio(subject)
    for seed in range(4):
        kept = audio.copy()
        part(audio, _rng(seed))
        demand(np.array_equal(kept, audio), "it writes into its input; use x = x * y, not x *= y")


def degradation_takes_silence(subject: Subject) -> None:
    """Degraded silence is silent, and a degraded full-scale clip is finite."""
    part = subject.make()
    for seed in range(4):
        made = part(np.zeros(subject.segment, np.float32), _rng(seed))
        demand(float(np.abs(made).max()) < 1e-6, "of silence it makes sound")
        loud = part(np.ones(subject.segment, np.float32), _rng(seed))
        demand(bool(np.isfinite(loud).all()), "of full scale it makes what is not finite")


def degradation_stays_in_time(subject: Subject) -> None:
    """It does not move the sound in time: its output correlates best with its input at a shift of 0."""
    part = subject.make()
    length = max(4096, subject.segment)
    noise = np.cumsum(_rng(3).standard_normal(length))  # most of its energy is low, where little is taken away
    audio = (0.1 * (noise - noise.mean()) / np.abs(noise).max()).astype(np.float32)
    audio = np.diff(audio, prepend=audio[:1]) * 0.5 + 0.05 * audio
    for seed in range(4):
        made = part(audio.astype(np.float32), _rng(seed))
        # Their cross-correlation, from spectra of twice the length so that it does not wrap round; negative shifts are
        # in its second half.
        spectrum = np.fft.rfft(made, 2 * length) * np.conj(np.fft.rfft(audio, 2 * length))
        match = np.fft.irfft(spectrum)
        shift = int(np.argmax(match))
        shift = shift - 2 * length if shift > length else shift
        demand(shift == 0, f"it moves the sound by {shift} samples; filter without a shift of phase")


def crops_are_those_of_the_whole(subject: Subject) -> None:
    """With ``margin`` samples on both sides, a crop is degraded as within the whole recording, to -60 dB.

    One that declares ``exact_crops = False``, as a codec does that decides by what it has heard before, promises no such thing.
    """
    part = subject.make()
    margin = part.margin if not lacking(part, Degradation) else None
    demand(isinstance(margin, int) and margin >= 0, f"margin must be a whole number of samples, got {margin!r}")
    assert isinstance(margin, int)
    if not getattr(part, "exact_crops", True):
        return
    length = subject.segment
    whole = (0.1 * _rng(5).standard_normal(length + 2 * margin + 4000)).astype(np.float32)
    start = margin + 2000
    for seed in range(4):
        full = part(whole.copy(), _rng(seed))[start : start + length]
        cut = part(whole[start - margin : start + length + margin].copy(), _rng(seed))[margin : margin + length]
        error = float(np.abs(full - cut).max() / 0.1)
        demand(
            error < 1e-3,
            f"a crop differs from that of the whole recording by {20 * np.log10(max(error, 1e-12)):.0f} dB; make margin "
            "larger, or draw what does not depend on where the crop begins",
        )


def says_that_it_degrades(subject: Subject) -> None:
    """Its contract gives ``degraded``, by which the recipe knows that generators can read degraded recordings."""
    demand("degraded" in subject.contract.gives, 'its contract must give "degraded"')


def degradation_can_be_sent(subject: Subject) -> None:
    """It can be pickled, as data-loading processes receive it, and its copy gives the same results."""
    import pickle

    part = subject.make()
    try:
        sent: Degradation = pickle.loads(pickle.dumps(part))
    except Exception as error:
        raise Fault(
            f"it cannot be sent to a loading process ({error}); keep no open files or local functions"
        ) from error
    same = np.array_equal(part(_audio(subject), _rng()), sent(_audio(subject), _rng()))
    demand(same, "sent to another process it degrades otherwise")


DEGRADATION = (
    degradation_keeps_length,
    degrades_something,
    degradation_draws_only_from_rng,
    degradation_leaves_its_input_alone,
    degradation_takes_silence,
    degradation_stays_in_time,
    crops_are_those_of_the_whole,
    says_that_it_degrades,
    degradation_can_be_sent,
)
