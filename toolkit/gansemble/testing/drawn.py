"""Whether anything was drawn from the random generators that a whole process shares."""

from __future__ import annotations

import numpy as np
import torch


def state() -> tuple[object, ...]:
    """The state of torch's and of NumPy's global generators; another one after any draw."""
    # NumPy's is more than its key, which changes only once in 624 numbers; the place in it moves with each.
    name, key, place, has_gauss, gauss = np.random.get_state()
    return bytes(torch.get_rng_state().tolist()), name, np.asarray(key).tobytes(), place, has_gauss, gauss
