"""A likelihood whose distortion is an absolute error."""

import keras
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.likelihoods.base import Likelihood


@keras.saving.register_keras_serializable("zoo")
class Laplace(Likelihood):
    """Independent Laplace values around what the decoder returns, all of one scale.

        -log p(x|z) = sum |x - loc| / scale + log(2 scale)

    A density (nats per image or row).

    Args:
        scale: mean absolute deviation, in the units of the data.

    Raises:
        ValueError: if `scale` is not positive.
    """

    def __init__(self, scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        checks.require(scale > 0, "`scale` must be positive.", f"{scale=}")
        self.scale = scale

    def call(self, loc) -> tfd.Distribution:
        return self.event(_Laplace(loc, self.scale))


class _Laplace(tfd.Laplace):
    """TFP's, whose mean is of a shape that graphs know, a channel of one included."""

    def _mean(self):
        return self.loc
