"""What posteriors, priors and likelihoods have in common."""

import functools
import inspect

import keras


class Head(keras.layers.Layer):
    """A layer that owns its weights and returns a `tfd.Distribution`.

    Densities are float32 under every Keras dtype policy: sums over hundreds of pixels
    overflow in half precision, so only the networks may use it.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def __setattr__(self, name, value):
        """As in Keras, but graphs hold what a built head was made with."""
        if vars(self).get("built") and name in _arguments(type(self)):
            kind = type(self).__name__
            raise AttributeError(f"`{name}` of a {kind} is fixed: make another one.")
        super().__setattr__(name, value)


@functools.cache
def _arguments(cls: type) -> frozenset[str]:
    """Names of a head's constructor arguments, but for those of all layers."""
    names = {
        name
        for base in cls.__mro__
        if issubclass(base, Head)
        for name in inspect.signature(base.__init__).parameters
    }
    return frozenset(names - {"self", "args", "kwargs"})
