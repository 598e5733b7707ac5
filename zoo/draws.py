"""How latents are drawn: every model walks its layers and calls a draw.

A draw is called once per latent layer with that layer's distribution, in the order of
their dependence. The first call adds the leading sample axis, later layers inherit it.
"""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def seed_words(seed) -> tf.Tensor:
    """A 64-bit integer seed as the `int32[2]` that stateless sampling wants."""
    return tf.bitcast(tf.cast(seed, tf.int64), tf.int32)


class Sample:
    """Draws `num_samples` latents, repeatably: same seed, same draws.

    Args:
        num_samples: size K of the leading axis.
        seed: `int32[2]` stateless seed.
    """

    def __init__(self, num_samples, seed: tf.Tensor):
        self.sample_shape = [num_samples]
        self.seed = seed

    def __call__(self, distribution: tfd.Distribution):
        """Returns z `[K, B, D]` and its log density `[K, B]` in nats."""
        seed, self.seed = tf.unstack(tf.random.split(self.seed, 2))
        shape, self.sample_shape = self.sample_shape, []
        return distribution.experimental_sample_and_log_prob(shape, seed=seed)


class Centre:
    """Takes each distribution's mean: the deterministic code of an image.

    A flow has no closed-form mean; the image of its base mean stands in.
    """

    def __init__(self):
        self.first = True

    def __call__(self, distribution: tfd.Distribution):
        """Returns z `[1, B, D]` and, as nothing was drawn, no log density."""
        if hasattr(distribution, "bijector"):
            z = distribution.bijector.forward(distribution.distribution.mean())
        else:
            z = distribution.mean()
        first, self.first = self.first, False
        return (z[None] if first else z), None
