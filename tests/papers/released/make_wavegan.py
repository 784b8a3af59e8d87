"""Writes wavegan.npz: what WaveGAN's released training graph makes of weights and signals from a seed, in float64, and what
its classifier of SC09 says.

    python make_wavegan.py FOLDER_OF_WAVEGAN

README_tensorflow.md says which version of what is needed. Arrays are kept in torch's layout, channels before time.
"""

from __future__ import annotations

import contextlib
import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import oracles
import tensorflow1
from tensorflow1 import tf

BATCH, LATENT, DIM = 4, 100, 2
#: By name: samples, upsampling, and whether there is a filter behind the generator.
VARIANTS = {
    "16384": (16384, "zeros", False),
    "32768": (32768, "zeros", False),
    "65536": (65536, "zeros", False),
    "nearest": (16384, "nn", False),
    "filtered": (16384, "zeros", True),
}
#: The shift of each call of phase shuffle, in the graph's order: four layers on real, fake and interpolated signals.
SHIFTS = (1, -2, 0, 2, -1, 0, 2, -2, 1, 1, -1, 2)


def ours(name: str) -> str:
    """A variable's name in our networks, with ``G.`` or ``D.`` before it."""
    parts = name.split("/")
    layer = parts[1]
    place = {"z_project": "project", "output": "output", "pp_filt": "post"}.get(layer)
    if place is None:
        place = f"layers.{layer.rpartition('_')[2]}"
    return f"{parts[0]}.{place}.{'bias' if parts[-1] == 'bias' else 'weight'}"


def turned(array: np.ndarray) -> np.ndarray:
    """TensorFlow's layout as torch's: axes in reverse, without the axis of 1 of transposed convolutions."""
    return (array[0] if array.ndim == 4 else array).T


def arguments(length: int, upsample: str, filtered: bool, dim: int) -> SimpleNamespace:
    """What the released script's command line gives by default, besides sizes."""
    return SimpleNamespace(
        train_batch_size=BATCH, train_dir="", train_save_secs=0, train_summary_secs=0, data_slice_len=length,
        data_sample_rate=16000, data_num_channels=1, data_fast_wav=False, data_first_slice=True, data_overlap_ratio=0,
        data_pad_end=True, data_prefetch_gpu_num=-1, wavegan_latent_dim=LATENT, wavegan_genr_pp=filtered,
        wavegan_genr_pp_len=512, wavegan_loss="wgan-gp", wavegan_disc_nupdates=5,
        wavegan_g_kwargs={"slice_len": length, "nch": 1, "kernel_len": 25, "dim": dim, "use_batchnorm": False,
                          "upsample": upsample},
        wavegan_d_kwargs={"kernel_len": 25, "dim": dim, "use_batchnorm": False, "phaseshuffle_rad": 2},
    )  # fmt: skip


def graph(released: Any, condition: SimpleNamespace, dtype: Any = tf.float64) -> tensorflow1.Recorded:
    """The released training graph, of constants where it draws."""
    tf.reset_default_graph()
    tf.set_random_seed(0)
    length = condition.data_slice_len
    real = 0.3 * oracles.noise(1, BATCH, length)
    released.loader.decode_extract_and_batch = lambda *_, **__: tf.constant(real[:, :, None, None], dtype)
    shifts = iter(SHIFTS)
    drawn = {
        2: tf.constant(2 * np.random.RandomState(2).rand(BATCH, LATENT) - 1, dtype),
        3: tf.constant(np.random.RandomState(3).rand(BATCH, 1, 1), dtype),
    }
    tf.random_uniform = lambda shape, *_, **__: drawn[len(shape)] if shape else tf.constant(next(shifts))
    with contextlib.redirect_stdout(io.StringIO()), tensorflow1.recorded(released) as record:
        released.train([], condition)
    return record


def measured(released: Any, condition: SimpleNamespace) -> dict[str, np.ndarray]:
    """Samples, scores, losses and gradients."""
    record = graph(released, condition)
    losses, fake = record.losses, record.read[2]  # what is judged stands behind the filter, where there is one
    _, real_score, fake_score, _ = record.made
    names = {variable: ours(variable.name.partition(":")[0]) for _, own in losses for variable in own}
    asked = {"fake": fake[:, :, 0], "real_score": real_score, "fake_score": fake_score}
    for side, (loss, own) in zip("GD", losses, strict=True):
        asked[f"loss_{side.lower()}"] = loss
        gradients = zip(own, tf.gradients(loss, own), strict=True)
        asked |= {f"gradient/{names[variable]}": gradient for variable, gradient in gradients}
    values = oracles.weights({name: turned(np.empty(v.shape)).shape for v, name in names.items()}, 4)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for variable, name in names.items():
            variable.load(values[name].T.reshape(variable.shape), session)
        out = session.run(asked)
    turn = {key: turned(each) if key.startswith("gradient") else each for key, each in out.items()}
    return {key: oracles.summary(each) if np.size(each) > 32 else each for key, each in turn.items()}


def begun(released: Any) -> dict[str, np.ndarray]:
    """The first weights' largest magnitude and deviation, by name, of the published sizes; what Adam is given."""
    record = graph(released, arguments(16384, "zeros", False, 64), tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = session.run({ours(v.name.partition(":")[0]): v for _, own in record.losses for v in own})
    found = {f"first/{name}": np.array([np.abs(each).max(), each.std()]) for name, each in values.items()}
    given = [[condition["learning_rate"], condition["beta1"], condition["beta2"]] for condition in record.optimisers]
    return found | {"adam": np.array(given)}


def shuffled(released: Any) -> np.ndarray:
    """1 to 7 at each shift from -2 to 2."""
    rows = []
    for shift in range(-2, 3):
        tf.reset_default_graph()
        tf.random_uniform = lambda *_, shift=shift, **__: tf.constant(shift)
        row = released.apply_phaseshuffle(tf.reshape(tf.range(1.0, 8.0), [1, 7, 1]), 2)
        with tf.Session() as session:
            rows.append(session.run(row)[0, :, 0])
    return np.array(rows)


CLASSIFIER = {"batch_normalization": "bands", "batch_normalization_4": "flat", "dense": "dense"}
CLASSIFIER |= {f"batch_normalization_{i}": f"norms.{i - 1}" for i in (1, 2, 3)}
CLASSIFIER |= {"conv2d" if i == 0 else f"conv2d_{i}": f"convolutions.{i}" for i in range(4)}
PARTS = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
PARTS |= {"moving_mean": "running_mean", "moving_variance": "running_var"}


def classified(model: Any) -> np.ndarray:
    """Logits of two clips [2, 10]."""
    tf.reset_default_graph()
    matrix = tf.signal.linear_to_mel_weight_matrix
    tf.signal.linear_to_mel_weight_matrix = lambda **condition: matrix(**(condition | {"dtype": tf.float64}))
    clips = 0.1 * oracles.noise(5, 2, 16384)
    logits = model(tf.constant(clips), 10)
    names = {}
    for variable in tf.global_variables():
        layer, _, part = variable.name.partition(":")[0].rpartition("/")
        names[variable] = f"{CLASSIFIER[layer]}.{PARTS[part]}"
    shapes = {}
    for variable, name in names.items():
        shape = tuple(variable.shape)
        shapes[name] = shape[::-1][:2] + shape[:2] if len(shape) == 4 else shape[::-1]
    values = oracles.weights(shapes, 6)
    with tf.Session() as session:
        for variable, name in names.items():
            array = values[name]
            if name.endswith("running_var"):
                array = 0.5 + array**2
            # What is flattened is (time, mel, channel) here and (channel, time, mel) in ours.
            if name.startswith("flat."):
                array = array.reshape(128, 8, 8).transpose(1, 2, 0).reshape(-1)
            if name == "dense.weight":
                array = array.reshape(10, 128, 8, 8).transpose(2, 3, 1, 0).reshape(-1, 10)
            if array.ndim == 4:
                array = array.transpose(2, 3, 1, 0)
            variable.load(array, session)
        return session.run(logits)


def main() -> None:
    tensorflow1.begin(sys.argv[1])
    tensorflow1.as_version1()
    sys.path.append(f"{sys.argv[1]}/eval/inception")
    import train as inception
    import train_wavegan
    import wavegan

    inception.args = SimpleNamespace(infer_legacy=False)
    arrays = begun(train_wavegan)
    arrays["shuffled"] = shuffled(wavegan)
    tensorflow1.in_float64()
    arrays["classifier"] = classified(inception.model)
    for name, (length, upsample, filtered) in VARIANTS.items():
        found = measured(train_wavegan, arguments(length, upsample, filtered, DIM))
        arrays |= {f"{name}/{key}": each for key, each in found.items()}
    print(oracles.save("wavegan", arrays), tensorflow1.versions())


if __name__ == "__main__":
    main()
