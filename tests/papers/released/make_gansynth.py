"""Writes gansynth.npz: what GANSynth's released model makes of weights, notes and images from a seed, in float64.

    python make_gansynth.py FOLDER_OF_MAGENTA

README_tensorflow.md says which version of what is needed. Arrays are kept in torch's layout, channels before frames.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import oracles
import tensorflow1
from tensorflow1 import Stop, tf

BLOCKS, START, BASE, MOST, LATENT, PITCHES, BATCH = 4, (2, 16), 64, 8, 6, 4, 4
FRAMES, BINS = START[0] * 2 ** (BLOCKS - 1), START[1] * 2 ** (BLOCKS - 1)
PROGRESS = (0.0, 0.5, 1.0, 2.25, 3.0)
#: Of the spectrograms: samples, and (frames, bins).
SEGMENT, SHAPE = 4096, (32, 256)


def notes() -> np.ndarray:
    """Raw images [B, 2, L, F]: log mel power from -13.8 to 10, instantaneous frequency within 1; nothing is clipped."""
    source = np.random.RandomState(1)
    power = 24 * source.rand(BATCH, FRAMES, BINS) - 13.8
    return np.stack([power, 2 * source.rand(BATCH, FRAMES, BINS) - 1], 1)


REAL_LABELS, FAKE_LABELS = np.array([0, 1, 3, 3]), np.array([2, 0, 1, 3])


class Data:
    """What the model asks of its data."""

    def __init__(self, config: Any) -> None:
        del config

    def provide_data(self, batch: int) -> tuple[Any, Any]:
        del batch
        return tf.constant(notes().transpose(0, 2, 3, 1)), tf.constant(np.eye(PITCHES)[REAL_LABELS])

    def provide_one_hot_labels(self, batch: int) -> Any:
        del batch
        return tf.constant(np.eye(PITCHES)[FAKE_LABELS])


def ours(name: str) -> str | None:
    """A variable's name in our networks, with ``G.`` or ``D.`` before it."""
    scope, _, rest = name.partition("/")
    if scope not in ("Generator", "Discriminator") or "Adam" in name:
        return None
    rest = rest.partition("/")[2]
    parts = [part for part in rest.split("/") if part not in ("conv2d", "dense")]
    if parts[1] == "logits":  # stand in the first block's scope
        del parts[0]
    elif parts[0].startswith("progressive_gan_block_"):
        parts[:1] = ["blocks", str(int(parts[0].rpartition("_")[2]) - 1)]
    parts[-1] = {"kernel": "weight", "bias": "bias"}[parts[-1]]
    return f"{scope[0]}.{'.'.join(parts)}"


def turned(array: np.ndarray) -> np.ndarray:
    """TensorFlow's layout as torch's."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def back(array: np.ndarray) -> np.ndarray:
    """torch's layout as TensorFlow's."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def unit(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Unit normal kernels, as equalised learning rates have them, and small biases; the score's is larger, so that the
    penalty's gradients have norms as in training, about 1."""
    drawn = oracles.weights(shapes, 3)
    made = {name: each * np.sqrt(np.prod(each.shape[1:])) if each.ndim > 1 else each for name, each in drawn.items()}
    return made | {"D.logits.weight": 100 * made["D.logits.weight"]}


def model_at(progress: float, released: Any) -> dict[str, Any]:
    """Builds the released model; gives its losses and networks' outputs before any optimiser is made."""
    tf.reset_default_graph()
    found: dict[str, Any] = {}

    def losses(gan_model: Any, gan_loss: Any, **config: Any) -> None:
        found.update(model=gan_model, loss=gan_loss, config=config)
        raise Stop

    released.train_util.define_train_ops = losses
    released.train_util.make_latent_vectors = lambda *_, **__: tf.constant(oracles.noise(2, BATCH, LATENT))
    released.networks.compute_progress = lambda *_: tf.constant(progress, tf.float64)
    flags = released.lib_flags.Flags(
        {"data_type": "drawn", "latent_vector_size": LATENT, "fmap_base": BASE, "fmap_max": MOST}
        | {"start_height": START[0], "start_width": START[1], "num_resolutions": BLOCKS}
        | {"generator_ac_loss_weight": 10.0, "discriminator_ac_loss_weight": 10.0}
    )
    released.set_flags(flags)
    stage = 2 * BLOCKS - 2  # of all blocks: those that are not grown yet count 0
    try:
        with tf.variable_scope(tf.get_variable_scope(), dtype=tf.float64):
            released.Model(stage, BATCH, flags)
    except Stop:
        return found
    raise AssertionError("the model was built without optimisers")


def measured(progress: float, released: Any) -> dict[str, np.ndarray]:
    """Images, outputs, losses and gradients at a progress."""
    found = model_at(progress, released)
    model, loss = found["model"], found["loss"]
    with tf.variable_scope(model.discriminator_scope, reuse=True):
        _, ends = released.net_fns.discriminator_fn_specgram(model.real_data, **found["config"])
    asked = {
        "fake": tf.transpose(model.generated_data, [0, 3, 1, 2]),
        "score": model.discriminator_real_outputs[:, 0],
        "logits": ends["classification_logits"],
        "loss_g": loss.generator_loss,
        "loss_d": loss.discriminator_loss,
    }
    names = {variable: ours(variable.name.partition(":")[0]) for variable in tf.trainable_variables()}
    for side, total in (("G", loss.generator_loss), ("D", loss.discriminator_loss)):
        own = [variable for variable, name in names.items() if name and name[0] == side]
        for variable, gradient in zip(own, tf.gradients(total, own), strict=True):
            asked[f"gradient/{names[variable]}"] = gradient
    shapes = {name: turned(np.empty(variable.shape)).shape for variable, name in names.items() if name}
    values = unit(shapes)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        condition = {v.name.partition(":")[0]: back(values[name]) for v, name in names.items() if name}
        tensorflow1.assign(session, condition)
        out = session.run(asked)
    turn = {key: turned(each) if key.startswith("gradient") else each for key, each in out.items()}
    return {key: oracles.summary(each) if np.size(each) > 32 else each for key, each in turn.items()}


def growth(released: Any) -> dict[str, np.ndarray]:
    """The schedule: progress after so many images, and both sides' weights of blocks."""
    images = np.array([0, 799_999, 800_008, 1_200_000, 1_600_000, 5_000_000, 9_999_992, 10_399_999, 11_000_000])
    tf.reset_default_graph()
    place = tf.placeholder(tf.int64, [])
    at = released.compute_progress(place, 800_000, 800_000, 7)
    fractions = np.linspace(0, 6, 25)
    point = tf.placeholder(tf.float64, [])
    tables = {
        "alpha_g": [released.networks._generator_alpha(block, point) for block in range(1, 8)],
        "alpha_d": [released.networks._discriminator_alpha(block, point) for block in range(1, 8)],
    }
    with tf.Session() as session:
        found = {"images": images, "progress": [session.run(at, {place: each}) for each in images]}
        for name, table in tables.items():
            found[name] = np.array([session.run(table, {point: each}) for each in fractions])
    return {f"growth/{key}": np.asarray(each) for key, each in found.items()}


def spectrograms(released: Any) -> dict[str, np.ndarray]:
    """Images of noise and of steps of half a turn, and the audio they decode to."""
    tf.reset_default_graph()
    helper = released.SpecgramsHelper(SEGMENT, SHAPE, 0.75, 16000, 1)
    audio = 0.1 * oracles.noise(4, 2, SEGMENT) * np.linspace(1, 0, SEGMENT)
    waves = tf.constant(audio[:, :, None])
    plain, mel = helper.waves_to_specgrams(waves), helper.waves_to_melspecgrams(waves)
    # Every difference of two of these phases that is half a turn is exactly pi or -pi.
    edges = np.pi * np.array([0, 1, 0, -1, 0, 1, -1, 1, 0.5, -0.5, 0, -0.5, 0.5])
    steps = released.spectral_ops.instantaneous_frequency(tf.constant(edges[None, :, None]))
    asked = {
        "plain": tf.transpose(plain, [0, 3, 1, 2]),
        "mel": tf.transpose(mel, [0, 3, 1, 2]),
        "nyquist": plain[:, :, -1, 1],
        "plain_audio": helper.specgrams_to_waves(plain)[:, :, 0],
        "mel_audio": helper.melspecgrams_to_waves(mel)[:, :, 0],
        "edges": steps[0, :, 0],
    }
    with tf.Session() as session:
        out = session.run(asked)
    print("pixels of IF at exactly -1:", int((out["plain"][:, 1] == -1).sum()), "of", out["plain"][:, 1].size)
    for name, count in (("plain", 64), ("mel", 64), ("plain_audio", 64), ("mel_audio", 64)):
        out[name] = oracles.summary(out[name], count)
    return {f"spectrograms/{key}": each for key, each in out.items()}


def begun(released: Any) -> dict[str, np.ndarray]:
    """The first weights' deviation, by name, of the published sizes."""
    tf.reset_default_graph()
    tf.set_random_seed(0)
    schedule = released.networks.ResolutionSchedule("ALL", (2, 16), 2, 7)
    config = {
        "progress": tf.constant(6.0), "resolution_schedule": schedule, "num_blocks": 7, "kernel_size": 3,
        "simple_arch": False, "to_rgb_activation": "tanh", "num_tokens": 61, "fmap_base": 4096, "fmap_decay": 1.0,
        "fmap_max": 256, "data_normalizer": "none",
    }  # fmt: skip
    with tf.variable_scope("Generator"):
        image, _ = released.net_fns.generator_fn_specgram((tf.zeros([1, 256]), tf.zeros([1, 61])), **config)
    with tf.variable_scope("Discriminator"):
        released.net_fns.discriminator_fn_specgram(image, **config)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = session.run({variable.name: variable for variable in tf.trainable_variables()})
    return {f"first/{ours(name.partition(':')[0])}": each.std() for name, each in values.items()}


def main() -> None:
    tensorflow1.begin(sys.argv[1])
    sys.modules["tensorflow_datasets"] = ModuleType("tensorflow_datasets")  # NSynth is not read here
    sys.modules["magenta"] = ModuleType("magenta")  # whose own file imports all of magenta, with what that needs
    sys.modules["magenta"].__path__ = [str(Path(sys.argv[1]) / "magenta")]
    import tensorflow_gan.python.losses.losses_impl as losses
    from magenta.models.gansynth.lib import data_helpers, flags, model, specgrams_helper, spectral_ops

    released = model
    released.lib_flags, released.spectral_ops = flags, spectral_ops
    released.SpecgramsHelper, released.compute_progress = (
        specgrams_helper.SpecgramsHelper,
        model.networks.compute_progress,
    )
    data_helpers.registry["drawn"] = Data
    arrays = begun(released)
    tensorflow1.in_float64()
    arrays |= growth(released)
    losses._to_float = tf.to_float
    losses.tf.random.uniform = lambda shape: tf.constant(np.random.RandomState(5).rand(*shape))
    arrays |= spectrograms(released)
    for progress in PROGRESS:
        arrays |= {f"at {progress:g}/{key}": each for key, each in measured(progress, released).items()}
    print(oracles.save("gansynth", arrays), tensorflow1.versions())


if __name__ == "__main__":
    main()
