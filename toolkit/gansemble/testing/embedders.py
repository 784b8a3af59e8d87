"""What every embedder must do."""

from __future__ import annotations

import re
from typing import cast

import numpy as np
import torch

from gansemble.abilities import FittedEmbedder
from gansemble.interfaces import Embedder
from gansemble.plugins.signatures import lacking
from gansemble.recipe.schema import SUPPLIED
from gansemble.testing import sets
from gansemble.testing.subject import Subject, demand

#: Lengths of audio that is embedded, in windows; none of them makes a whole number of samples but the first.
LENGTHS = (1.0, 0.31, 1.7, 3.2)


def _ready(subject: Subject) -> Embedder:
    """The embedder, fitted to a small corpus if it learns."""
    made = subject.make()
    if isinstance(made, FittedEmbedder):
        made.fit(sets.corpus(subject), sets.folder(), lambda line: None)
    return cast("Embedder", made)


def _tone(part: Embedder, windows: float, item: int = 0) -> np.ndarray:
    """A tone with a little noise, float32 [T]; items differ in pitch and level."""
    length = max(1, int(windows * part.window))
    time, draws = np.arange(length) / part.sample_rate, np.random.default_rng(item)
    tone = sum(np.sin(2 * np.pi * 110 * 1.5**item * k * time) / k for k in range(1, 6))
    return (0.1 * 0.7**item * tone + 0.003 * draws.standard_normal(length)).astype(np.float32)


def embeds_as_it_says(subject: Subject) -> None:
    """Of audio of any length, a single sample included, it makes float32 [L, dim], finite, with L at least 1.

    Its rate, window and dim are whole numbers from 1 on.
    """
    part = _ready(subject)
    missing = lacking(part, Embedder)
    demand(not missing, f"it lacks {', '.join(missing)}; see gansemble.interfaces.Embedder")
    for name in ("sample_rate", "window", "dim"):
        value = getattr(part, name)
        demand(type(value) is int and value >= 1, f"{name} must be a whole number, at least 1, got {value!r}")
    for audio in (*(_tone(part, length) for length in LENGTHS), np.full(1, 0.1, np.float32)):
        made = part.embed(audio)
        about = f"of {len(audio)} samples"
        demand(isinstance(made, np.ndarray), f"{about} expected a numpy array, got {type(made).__name__}")
        shown = f"{made.dtype} {list(made.shape)}"
        demand(made.ndim == 2 and made.shape[1] == part.dim, f"{about} expected [L, {part.dim}], got {shown}")
        demand(len(made) >= 1, f"{about} it makes no window; pad short audio with zeros")
        demand(made.dtype == np.float32, f"{about} expected float32, got {made.dtype}")
        demand(bool(np.isfinite(made).all()), f"{about} it makes what is not finite")


def embedder_is_named(subject: Subject) -> None:
    """Its key consists of lower-case letters, digits and ``_``; its definition says something, and does not change."""
    part = _ready(subject)
    key, said = getattr(part, "key", None), getattr(part, "definition", None)
    demand(
        isinstance(key, str) and re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", key) is not None,
        f"its key must be of lower-case letters, digits and _, got {key!r}",
    )
    demand(isinstance(said, str) and len(said) > 0, "it has no definition: what exactly it computes, as text")
    part.embed(_tone(part, 1.0))
    demand(part.definition == said, "its definition changes with what it hears; scores would never be comparable")
    demand(_ready(subject).definition == said, "another of its kind with the same arguments has another definition")


def embedder_repeats_itself(subject: Subject) -> None:
    """Equal audio has equal numbers, whatever came before and was drawn, of another object, too; it writes into nothing."""
    part = _ready(subject)
    audio = _tone(part, 2.3)
    kept = audio.copy()
    torch.manual_seed(1)
    np.random.seed(1)
    first = np.array(part.embed(audio))
    demand(np.array_equal(audio, kept), "it writes into its input; use x = x * y, not x *= y")
    part.embed(_tone(part, 3.7, 2))
    torch.manual_seed(2)
    np.random.seed(2)
    for who, each in (("it", part), ("another of its kind", _ready(subject))):
        demand(
            np.array_equal(first, each.embed(audio)),
            f"asked again, {who} gives other numbers; draw nothing, and keep nothing from clip to clip",
        )


def tells_sounds_apart(subject: Subject) -> None:
    """Two tones, noise and silence differ in their numbers."""
    part = _ready(subject)
    noise = np.random.default_rng(5).standard_normal(2 * part.window)
    sounds = [_tone(part, 2.0), _tone(part, 2.0, 3), 0.1 * noise, np.zeros(2 * part.window)]
    made = [part.embed(sound.astype(np.float32)).mean(axis=0) for sound in sounds]
    for index, one in enumerate(made):
        for other in made[index + 1 :]:
            demand(not np.allclose(one, other, rtol=1e-6, atol=1e-9), "of other sounds it gives the same numbers")


def takes_no_gradients(subject: Subject) -> None:
    """It leaves torch's gradients switched as they were, and gives numbers without any."""
    part = _ready(subject)
    with torch.enable_grad():
        part.embed(_tone(part, 1.5))
        demand(torch.is_grad_enabled(), "it switches gradients off for the whole process; use with torch.no_grad():")


def embedder_takes_nothing_of_the_plan(subject: Subject) -> None:
    """Its constructor takes nothing that the toolkit supplies: metrics hear clips without a recipe, too."""
    asked = [name for name in SUPPLIED if name in subject.signature]
    demand(not asked, f"it takes {', '.join(asked)} of the toolkit, which there is not where folders are compared")


EMBEDDER = (
    embeds_as_it_says,
    embedder_is_named,
    embedder_repeats_itself,
    tells_sounds_apart,
    takes_no_gradients,
    embedder_takes_nothing_of_the_plan,
)
