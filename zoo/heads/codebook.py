"""A codebook: vectors that features are rounded to."""

import keras
import tensorflow as tf

from zoo import checks, devices
from zoo.heads.base import Head

DEAD = 0.01  # share of a code's fair part of all encodings below which it starts anew


@keras.saving.register_keras_serializable("zoo")
class Codebook(Head):
    """K vectors of D numbers, each the moving average of the encodings nearest to it.

        N_k <- decay N_k + (1 - decay) n_k,  m_k <- decay m_k + (1 - decay) sum_j e_j

    over the n_k encodings e_j of a training batch whose nearest code is k; it is
    m_k / N_k. No gradient reaches it. A code that hardly any encoding takes starts anew
    at an encoding of the batch, picked at random, with the weight of a fair share: it
    stays there for some hundreds of steps at least.

    Args:
        num_codes: number of vectors K.
        code_dim: their size D.
        decay: of the moving averages.

    Raises:
        ValueError: if a number is out of its range, or within the scope of a strategy
            of several devices.

    Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017,
    appendix A.1; codes that start anew: Dhariwal et al., "Jukebox", 2020, section 3.2.
    """

    def __init__(self, num_codes: int, code_dim: int, decay: float = 0.99, **kwargs):
        super().__init__(**kwargs)
        checks.at_least(1, num_codes=num_codes, code_dim=code_dim)
        checks.require(0 <= decay < 1, "`decay` must be in [0, 1).", f"{decay=}")
        self.num_codes = num_codes
        self.code_dim = code_dim
        self.decay = decay

    def build(self, _=None):
        wanted = "A codebook follows the encodings of one device."
        checks.require(not devices.in_scope(), wanted, "a strategy of several")
        shape = (self.num_codes, self.code_dim)
        state = {"trainable": False, "aggregation": "mean"}
        self.counts = self.add_weight(shape[:1], "ones", name="counts", **state)
        self.sums = self.add_weight(shape, "random_normal", name="sums", **state)
        self.batches = self.add_weight((), "zeros", "int32", name="batches", **state)

    def codes(self) -> tf.Tensor:
        """All vectors, `[K, D]`."""
        return self.sums / (self.counts + 1e-5)[:, None]

    def nearest(self, encodings) -> tf.Tensor:
        """Indices `[...]`, int32, of the codes nearest to encodings `[..., D]`."""
        codes = self.codes()
        # |e - c|^2 without |e|^2, which is the same for all codes.
        products = tf.tensordot(encodings, codes, [[-1], [1]])
        gaps = tf.reduce_sum(codes**2, axis=-1) - 2.0 * products
        return tf.argmin(gaps, axis=-1, output_type=tf.int32)

    def call(self, index, encodings=None, training=False):
        """The codes `[..., D]` of indices; training moves them to their encodings."""
        codes = tf.gather(self.codes(), index)
        if training and encodings is not None:
            flat = tf.reshape(tf.stop_gradient(encodings), [-1, self.code_dim])
            self.follow(tf.reshape(index, [-1]), flat)
        return codes

    def follow(self, index, encodings) -> None:
        """One step of the moving averages, by encodings `[N, D]` and their codes."""
        chosen = tf.one_hot(index, self.num_codes)
        counts = self._moved(self.counts, tf.reduce_sum(chosen, axis=0))
        sums = self._moved(self.sums, tf.matmul(chosen, encodings, transpose_a=True))
        seed = tf.stack([0, self.batches.assign_add(1)])
        last = tf.shape(encodings)[0]
        rows = tf.random.stateless_uniform([self.num_codes], seed, 0, last, tf.int32)
        fair = tf.reduce_mean(counts)
        dead, anew = counts < DEAD * fair, fair * tf.gather(encodings, rows)
        self.counts.assign(tf.where(dead, fair, counts))
        self.sums.assign(tf.where(dead[:, None], anew, sums))

    def _moved(self, average, value):
        return self.decay * average + (1.0 - self.decay) * value


def perplexity(index: tf.Tensor, num_codes: int) -> tf.Tensor:
    """exp of the entropy of the codes' use, `[]`: how many are in use, so to speak."""
    share = tf.reduce_mean(tf.one_hot(tf.reshape(index, [-1]), num_codes), axis=0)
    return tf.exp(-tf.reduce_sum(tf.math.xlogy(share, share)))
