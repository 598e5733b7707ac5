"""Spectral regularisation: kernels whose largest singular value costs something."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("zoo")
class SpectralPenalty(keras.regularizers.Regularizer):
    """weight * s, the largest singular value of a kernel as a matrix `[-1, outputs]`.

    Power iteration finds the two singular vectors, which are held constant: the
    gradient of s is their outer product. As with every regulariser of Keras, the term
    is in `loss` and not in `elbo`.

    Args:
        weight: of the penalty.
        iterations: of the power iteration, from the same vector each time.

    Example:
        conv = keras.layers.Conv2D(32, 3, kernel_regularizer=SpectralPenalty(0.01))

    Reference: Yoshida & Miyato, "Spectral Norm Regularization", 2017, algorithm 1; in
    hierarchies: Vahdat & Kautz, "NVAE", 2020, section 3.2.
    """

    def __init__(self, weight: float, iterations: int = 8):
        self.weight = weight
        self.iterations = iterations

    def __call__(self, kernel):
        w = tf.reshape(tf.cast(kernel, tf.float32), [-1, kernel.shape[-1]])
        held = tf.stop_gradient(w)
        u = tf.random.stateless_normal([w.shape[-1], 1], seed=[0, 0])
        for _ in range(self.iterations):
            v = tf.math.l2_normalize(tf.matmul(held, u))
            u = tf.math.l2_normalize(tf.matmul(held, v, transpose_a=True))
        return self.weight * tf.reduce_sum(v * tf.matmul(w, u))

    def get_config(self):
        return {"weight": self.weight, "iterations": self.iterations}
