"""Batch normalisation that trains in one pass over the features where TensorFlow computes.

Keras 3 composes it of a dozen operations, each of which reads and writes all features: on a processor that is half of
the time of a training step. TensorFlow has them as one operation with one gradient. Figures are those of Keras up to
rounding; at inference, on other backends and for other shapes this layer is Keras's own.
"""

from __future__ import annotations

from typing import Any

import keras

Tensor = Any


@keras.saving.register_keras_serializable(package="spleenseg", name="BatchNormalization")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """`keras.layers.BatchNormalization` (Ioffe & Szegedy 2015, arXiv:1502.03167), fused in training.

    Takes [N, H, W, C]; statistics are over N, H and W in float32, whatever the features' precision. The class has
    Keras's name, for Keras names what it saves by it: weights saved with either load into the other.
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        """Normalise; in training by the batch, whose statistics go into the running ones."""
        fused = training and self.trainable and mask is None and not self.renorm and self.scale and self.center
        if not fused or keras.backend.backend() != "tensorflow" or len(inputs.shape) != 4 or self.axis not in (-1, 3):
            return super().call(inputs, training=training, mask=mask)
        found, mean, variance = _fused(inputs, self.gamma, self.beta, self.epsilon)
        for running, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(running * self.momentum + new * (1.0 - self.momentum))
        return keras.ops.cast(found, self.compute_dtype)


def _fused(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return normalised features, and the batch's mean and variance as Keras counts it: divided by n, not n - 1."""
    import tensorflow as tf

    gamma, beta = (tf.cast(tf.convert_to_tensor(each), tf.float32) for each in (gamma, beta))
    found, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=epsilon, is_training=True)
    count = tf.cast(tf.size(x) / tf.shape(x)[-1], tf.float32)
    return found, mean, variance * (count - 1.0) / count
