"""What posteriors, priors and likelihoods have in common."""

import keras


class Head(keras.layers.Layer):
    """A layer that owns its weights and returns a `tfd.Distribution`.

    Densities are float32 under every Keras dtype policy: sums over hundreds of pixels
    overflow in half precision, so only the networks may use it.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
