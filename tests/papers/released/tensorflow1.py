"""For the generating scripts: released code written for TensorFlow 1, run unedited under TensorFlow 2's ``compat.v1``.

It is run in float64, so that what is kept is the code's own arithmetic and not its rounding; where the code asks for
float32 by name, :func:`in_float64` makes TensorFlow give it float64.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as version2
import tensorflow.compat.v1 as tf


def begin(repository: str | Path) -> None:
    """Makes ``import tensorflow`` version 1, with ``contrib.signal``, and modules of a folder importable."""
    tf.disable_v2_behavior()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    contrib = ModuleType("tensorflow.contrib")
    contrib.signal = tf.signal  # type: ignore[attr-defined]
    tf.contrib = contrib
    if not hasattr(inspect, "getargspec"):  # Python 3.11 took it away, which TF-GAN asks for a function's ``keywords``
        inspect.getargspec = lambda function: SimpleNamespace(keywords=inspect.getfullargspec(function).varkw)
    sys.path.insert(0, str(Path(repository).resolve()))


def as_version1() -> None:
    """``import tensorflow`` gives version 1 from here on."""
    sys.modules["tensorflow"] = tf


def in_float64() -> None:
    """What the code makes in float32, because that is TensorFlow's default or by name, is float64."""
    ones, maximum = tf.ones, tf.maximum
    tf.ones = lambda shape, dtype=tf.float64, name=None: ones(shape, dtype, name)
    tf.maximum = lambda x, y: maximum(tf.cast(x, y.dtype) if isinstance(x, float) else x, y)
    tf.losses.compute_weighted_loss = lambda losses, *_, **__: tf.reduce_mean(losses)  # which rounds to float32
    tf.nn.leaky_relu = lambda x: maximum(0.2 * x, x)  # whose slope is kept in float32
    tf.losses.get_regularization_loss = lambda *_, **__: 0.0  # there is none: a zero in float32
    tf.complex64 = tf.complex128
    tf.to_float = lambda x, name="ToFloat": tf.cast(x, tf.float64, name)


class Stop(Exception):
    """Raised where training would begin: all that is asked of a graph has been recorded."""


@dataclass
class Recorded:
    """What a training script made before it would have trained.

    Args:
        read, made: what its networks were given and gave, in order: the generator, and the discriminator on real, fake
            and interpolated items.
        losses: each optimiser's (loss, variables).
        optimisers: what each was given.
    """

    read: list[Any] = field(default_factory=list)
    made: list[Any] = field(default_factory=list)
    losses: list[tuple[Any, list[Any]]] = field(default_factory=list)
    optimisers: list[dict[str, float]] = field(default_factory=list)


@contextmanager
def recorded(script: Any) -> Iterator[Recorded]:
    """Runs ``script.train`` up to its session: networks, losses and optimisers are noted, summaries left out."""
    record = Recorded()

    def noting(network: Callable[..., Any]) -> Callable[..., Any]:
        def call(x: Any, **condition: Any) -> Any:
            record.read.append(x)
            record.made.append(network(x, **condition))
            return record.made[-1]

        return call

    class Optimiser:
        def __init__(self, **condition: float) -> None:
            record.optimisers.append(condition)

        def minimize(self, loss: Any, var_list: list[Any], **_: Any) -> None:
            record.losses.append((loss, list(var_list)))

    def stop(**_: Any) -> None:
        raise Stop

    names = [name for name in vars(script) if name.endswith(("GANGenerator", "GANDiscriminator"))]
    own = {name: getattr(script, name) for name in names}
    for name, network in own.items():
        setattr(script, name, noting(network))
    for name in ("audio", "histogram", "scalar", "image"):
        setattr(tf.summary, name, lambda *_, **__: None)
    tf.train.AdamOptimizer, tf.train.MonitoredTrainingSession = Optimiser, stop
    try:
        yield record
    except Stop:
        pass
    finally:
        for name, network in own.items():
            setattr(script, name, network)


def assign(session: tf.Session, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives variables, by name without ``:0``, their values."""
    for variable in tf.global_variables():
        name = variable.name.partition(":")[0]
        if name in arrays:
            assert tuple(variable.shape) == arrays[name].shape, (name, variable.shape, arrays[name].shape)
            variable.load(arrays[name], session)


def versions() -> str:
    """Of TensorFlow and NumPy."""
    return f"TensorFlow {version2.__version__}, NumPy {np.__version__}, Python {sys.version.split()[0]}"
