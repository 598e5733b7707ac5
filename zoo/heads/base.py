"""What posteriors, priors and likelihoods have in common."""

import keras

LAYER = frozenset(vars(keras.layers.Layer()))  # attributes of every layer


class Head(keras.layers.Layer):
    """A layer that owns its weights and returns a `tfd.Distribution`.

    Densities are float32 under every Keras dtype policy: sums over hundreds of pixels
    overflow in half precision, so only the networks may use it.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def __setattr__(self, name, value):
        """As in Keras, but what a built head has stays: graphs hold it."""
        if vars(self).get("built") and not name.startswith("_") and self._has(name):
            kind = type(self).__name__
            raise AttributeError(
                f"`{name}` of a built {kind} is fixed: make another one, or `assign` a "
                "weight."
            )
        super().__setattr__(name, value)

    def _has(self, name: str) -> bool:
        """Whether it is the head's own, and not of every layer."""
        classes = [base for base in type(self).__mro__ if issubclass(base, Head)]
        own = name in vars(self) or any(name in vars(base) for base in classes)
        return own and name not in LAYER
