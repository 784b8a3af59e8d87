"""What the generating scripts and the tests share: weights and signals from a seed, and numbers kept beside this file.

Everything is drawn with NumPy's ``RandomState``, whose streams never change, so a released network and ours get the same
weights whatever library drew theirs. Nothing here imports torch: scripts for TensorFlow use it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of ``name.npz``, by key."""
    with np.load(HERE / f"{name}.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def save(name: str, arrays: Mapping[str, object]) -> Path:
    """Writes ``name.npz``, in the order of the keys; returns its path."""
    path = HERE / f"{name}.npz"
    np.savez_compressed(path, **{key: np.asarray(arrays[key]) for key in sorted(arrays)})
    return path


def noise(seed: int, *shape: int) -> np.ndarray:
    """Unit normal noise, float64."""
    return np.random.RandomState(seed).randn(*shape)


def weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Weights by name, float64, drawn in the order of the sorted names.

    Directions and kernels [out, ...] are normal with a variance of one over what one output reads, which keeps a signal's
    level through many layers; magnitudes of weight norm (``…weight_g``) are uniform from 0.5 to 1.5; other vectors are
    normal with deviation 0.1, around 1 where they are called ``weight``.
    """
    source = np.random.RandomState(seed)
    drawn = {}
    for name in sorted(shapes):
        shape = tuple(int(size) for size in shapes[name])
        if name.endswith("weight_g"):
            drawn[name] = 0.5 + source.rand(*shape)
        elif len(shape) > 1:
            drawn[name] = source.randn(*shape) / np.sqrt(np.prod(shape[1:]))
        else:
            drawn[name] = float(name.endswith("weight")) + 0.1 * source.randn(*shape)
    return drawn


def summary(array: object, count: int = 12) -> np.ndarray:
    """A few numbers that a change anywhere in an array changes: [size, RMS, a projection, ``count`` of its entries].

    The projection is onto unit normal noise of its own; the entries are evenly spaced. Arrays that differ in the order of
    their entries differ here, so transpose first where the layouts of two libraries do.
    """
    flat = np.asarray(array, dtype=np.float64).ravel()
    rms = np.sqrt(np.mean(flat**2))
    projection = flat @ noise(flat.size % 9973, flat.size) / np.sqrt(flat.size)
    places = np.linspace(0, flat.size - 1, min(count, flat.size)).round().astype(int)
    return np.concatenate([[flat.size, rms, projection], flat[places]])
