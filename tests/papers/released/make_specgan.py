"""Writes specgan.npz: what SpecGAN's released training graph makes of weights and clips from a seed, in float64, with its
moments, its images and what Griffin-Lim makes of them.

    python make_specgan.py FOLDER_OF_WAVEGAN

README_tensorflow.md says which version of what is needed. Arrays are kept in torch's layout, channels first.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import oracles
import tensorflow1
from make_wavegan import ours
from tensorflow1 import tf

BATCH, LATENT, DIM, SAMPLES = 4, 100, 2, 16384
ITERATIONS = (0, 1, 16)


def clips() -> np.ndarray:
    """Noise of four levels, which fades [B, T]."""
    levels = np.array([0.03, 0.1, 0.2, 0.3])[:, None]
    return levels * oracles.noise(1, BATCH, SAMPLES) * np.exp(-3 * np.arange(SAMPLES) / SAMPLES)


def turned(array: np.ndarray) -> np.ndarray:
    """TensorFlow's layout as torch's."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def back(array: np.ndarray) -> np.ndarray:
    """torch's layout as TensorFlow's."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def arguments(dim: int, mean: Any = None, std: Any = None) -> SimpleNamespace:
    """What the released script's command line gives by default, besides sizes."""
    return SimpleNamespace(
        train_batch_size=BATCH, train_dir="", train_save_secs=0, train_summary_secs=0, data_sample_rate=16000,
        data_fast_wav=False, data_first_slice=True, data_overlap_ratio=0, data_pad_end=True, data_prefetch_gpu_num=-1,
        data_moments_mean=mean, data_moments_std=std, specgan_latent_dim=LATENT, specgan_loss="wgan-gp",
        specgan_ngl=16, specgan_disc_nupdates=5,
        specgan_g_kwargs={"kernel_len": 5, "dim": dim, "use_batchnorm": False, "upsample": "zeros"},
        specgan_d_kwargs={"kernel_len": 5, "dim": dim, "use_batchnorm": False},
    )  # fmt: skip


def moments(released: Any) -> tuple[np.ndarray, np.ndarray]:
    """Each bin's mean and deviation, by the released script."""
    tf.reset_default_graph()

    def one_by_one(*_: Any, **__: Any) -> Any:
        found = tf.data.make_one_shot_iterator(tf.data.Dataset.from_tensor_slices(clips())).get_next()
        return tf.reshape(found, [1, SAMPLES, 1, 1])

    released.loader.decode_extract_and_batch = one_by_one
    condition = arguments(DIM)
    with tempfile.TemporaryDirectory() as folder:
        condition.data_moments_fp = str(Path(folder) / "moments.pkl")
        released.moments([], condition)
        return pickle.loads(Path(condition.data_moments_fp).read_bytes())


def graph(released: Any, condition: SimpleNamespace, dtype: Any = tf.float64) -> tensorflow1.Recorded:
    """The released training graph, of constants where it draws; what it would play back is left out."""
    tf.reset_default_graph()
    tf.set_random_seed(0)
    released.loader.decode_extract_and_batch = lambda *_, **__: tf.constant(clips()[:, :, None, None], dtype)
    drawn = {
        2: tf.constant(2 * np.random.RandomState(2).rand(BATCH, LATENT) - 1, dtype),
        4: tf.constant(np.random.RandomState(3).rand(BATCH, 1, 1, 1), dtype),
    }
    tf.random_uniform = lambda shape, *_, **__: drawn[len(shape)]
    playback, picture = released.f_to_t, released.f_to_img
    released.f_to_t = lambda x, *_: x[:, :, :, 0]
    released.f_to_img = lambda x: x
    with contextlib.redirect_stdout(io.StringIO()), tensorflow1.recorded(released) as record:
        released.train([], condition)
    released.f_to_t, released.f_to_img = playback, picture
    return record


def measured(released: Any, condition: SimpleNamespace) -> dict[str, np.ndarray]:
    """Images, scores, losses and gradients."""
    record = graph(released, condition)
    names = {variable: ours(variable.name.partition(":")[0]) for _, own in record.losses for variable in own}
    asked = {"real": record.read[1], "fake": record.read[2]}
    asked = {key: tf.transpose(each, [0, 3, 1, 2]) for key, each in asked.items()}
    asked |= {"real_score": record.made[1], "fake_score": record.made[2]}
    for side, (loss, own) in zip("GD", record.losses, strict=True):
        asked[f"loss_{side.lower()}"] = loss
        gradients = zip(own, tf.gradients(loss, own), strict=True)
        asked |= {f"gradient/{names[variable]}": gradient for variable, gradient in gradients}
    values = oracles.weights({name: turned(np.empty(v.shape)).shape for v, name in names.items()}, 4)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for variable, name in names.items():
            variable.load(back(values[name]), session)
        out = session.run(asked)
    turn = {key: turned(each) if key.startswith("gradient") else each for key, each in out.items()}
    return {key: oracles.summary(each) if np.size(each) > 32 else each for key, each in turn.items()}


def played(released: Any, mean: np.ndarray, std: np.ndarray) -> dict[str, np.ndarray]:
    """Audio of the clips' own images, after so many iterations of Griffin-Lim."""
    tf.reset_default_graph()
    image = released.t_to_f(tf.constant(clips()[:, :, None]), mean, std)
    asked = {f"played/{count}": released.f_to_t(image, mean, std, count)[:, :, 0] for count in ITERATIONS}
    with tf.Session() as session:
        return {key: oracles.summary(each, 64) for key, each in session.run(asked).items()}


def begun(released: Any, mean: np.ndarray, std: np.ndarray) -> dict[str, np.ndarray]:
    """The first weights' largest magnitude and deviation, by name, of the published sizes; what Adam is given."""
    record = graph(released, arguments(64, mean.astype(np.float32), std.astype(np.float32)), tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = session.run({ours(v.name.partition(":")[0]): v for _, own in record.losses for v in own})
    found = {f"first/{name}": np.array([np.abs(each).max(), each.std()]) for name, each in values.items()}
    given = [[condition["learning_rate"], condition["beta1"], condition["beta2"]] for condition in record.optimisers]
    return found | {"adam": np.array(given)}


def main() -> None:
    tensorflow1.begin(sys.argv[1])
    tensorflow1.as_version1()
    import train_specgan

    mean, std = moments(train_specgan)
    arrays = {"mean": mean, "std": std, **begun(train_specgan, mean, std)}
    tensorflow1.in_float64()
    arrays |= measured(train_specgan, arguments(DIM, mean, std))
    arrays |= played(train_specgan, mean, std)
    print(oracles.save("specgan", arrays), tensorflow1.versions())


if __name__ == "__main__":
    main()
