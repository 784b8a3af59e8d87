"""Writes tensorflow_adam.npz: what TensorFlow's own optimisers make of the same gradients, and its average of the same
weights, in float64.

    python make_tensorflow_adam.py

Needs TensorFlow alone; README_tensorflow.md says which.
"""

from __future__ import annotations

import oracles
import tensorflow.compat.v1 as tf

STEPS, SIZE = 60, 16
#: By name: learning rate, beta1, beta2. WaveGAN and SpecGAN; GANSynth; the defaults of Adam's paper.
ADAMS = {"wavegan": (1e-4, 0.5, 0.9), "gansynth": (8e-4, 0.0, 0.99), "slow": (1e-3, 0.9, 0.999)}


def gradients() -> list:
    """Unit normal noise for each step, times factors from 1 to 1e-12: far above epsilon, about it, far below it."""
    return list(oracles.noise(0, STEPS, SIZE) * 10.0 ** -(12 * (oracles.np.arange(SIZE) / (SIZE - 1))))


def path(optimiser: tf.train.Optimizer) -> list:
    """The weights after each step, from zeros."""
    given = tf.placeholder(tf.float64, [SIZE])
    weights = tf.Variable(tf.zeros([SIZE], tf.float64), use_resource=True)
    step = optimiser.apply_gradients([(given, weights)])
    found = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for each in gradients():
            session.run(step, {given: each})
            found.append(session.run(weights))
    return found


def average() -> list:
    """GANSynth's average of weights, decay 0.999 and no other argument, of a weight that is noise after each step."""
    weights = tf.Variable(tf.ones([SIZE], tf.float64), use_resource=True)
    given, mean = tf.placeholder(tf.float64, [SIZE]), tf.train.ExponentialMovingAverage(decay=0.999)
    with tf.control_dependencies([weights.assign(given)]):
        update = mean.apply([weights])
    found = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for each in oracles.noise(1, STEPS, SIZE):
            session.run(update, {given: each})
            found.append(session.run(mean.average(weights)))
    return found


def wide(value: float) -> tf.Tensor:
    """A number in float64: plain ones are rounded to float32."""
    return tf.constant(value, tf.float64)


def main() -> None:
    tf.disable_v2_behavior()
    arrays = {
        name: path(tf.train.AdamOptimizer(wide(lr), wide(beta1), wide(beta2), wide(1e-8)))
        for name, (lr, beta1, beta2) in ADAMS.items()
    }
    arrays["average"] = average()
    # Where the mean square begins cannot be seen in small gradients: it is 1.
    arrays["rmsprop"] = path(tf.train.RMSPropOptimizer(wide(5e-5), wide(0.9), wide(0.0), wide(1e-10)))
    print(oracles.save("tensorflow_adam", arrays))


if __name__ == "__main__":
    main()
