"""What every prior has in common."""

import keras
from tensorflow_probability import distributions as tfd

from zoo.heads import Head


class Prior(Head):
    """Base of every prior: `distribution(model)` returns p(z), event shape `[D]`.

    `model` is the VAE that asks, for priors made from its posterior; `build` receives
    its input shape `(None, *event_shape)`.
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim

    def distribution(self, model: keras.Model) -> tfd.Distribution:
        raise NotImplementedError
