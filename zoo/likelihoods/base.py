"""What every likelihood has in common."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.heads import Head


class Likelihood(Head):
    """Base of every likelihood: `call(params)` returns p(x|z).

    A decoder returns the data's shape with `params_per_channel` values for each
    channel on its last axis; a channel's values lie together.
    """

    params_per_channel = 1
    support = (float("-inf"), float("inf"))  # closed interval that data must lie in
    is_mass = False  # otherwise a density
    takes_logits = False  # from the decoder: no sigmoid, relu or so at its end

    def per_channel(self, params) -> tf.Tensor:
        """`[..., C * P]` as `[..., C, P]`, with P = `params_per_channel`."""
        channels = params.shape[-1] // self.params_per_channel
        shape = [channels, self.params_per_channel]
        return tf.reshape(params, tf.concat([tf.shape(params)[:-1], shape], axis=0))

    def event(self, distribution: tfd.Distribution) -> tfd.Distribution:
        """One event per image: log_prob sums over pixels and channels."""
        return tfd.Independent(distribution, distribution.batch_shape.rank - 1)
