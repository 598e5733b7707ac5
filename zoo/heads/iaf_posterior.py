"""A diagonal normal, bent by inverse autoregressive flow."""

from collections.abc import Sequence

import keras
from tensorflow_probability import distributions as tfd

from zoo.flows.iaf import IAF
from zoo.heads.base import Head
from zoo.heads.diagonal_normal import DiagonalNormal


@keras.saving.register_keras_serializable("zoo")
class IAFPosterior(Head):
    """q(z|x) = IAF(z_0; h) with z_0 ~ N(loc, diag(scale^2)).

    loc, scale and the context h come from the encoder's features. A draw and its
    log q(z|x) take one pass; the density of any other z takes D passes a step.

    Args:
        latent_dim: number of latent dimensions D.
        context_dim: size of the context h; 0 for none.
        steps, units, gated, forget_bias, activation, weight_norm: as for `zoo.IAF`.

    Reference: Kingma et al., 2016, algorithm 1.
    """

    def __init__(
        self,
        latent_dim: int,
        steps: int = 4,
        units: Sequence[int] = (256,),
        context_dim: int = 64,
        gated: bool = True,
        forget_bias: float = 2.0,
        activation: str = "elu",
        weight_norm: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.context_dim = context_dim
        self.base = DiagonalNormal(latent_dim)
        if context_dim:
            self.context = keras.layers.Dense(context_dim, "elu", dtype="float32")
        self.flow = IAF(
            latent_dim, steps, units, gated, forget_bias, activation, weight_norm
        )

    def build(self, features_shape):
        self.base.build(features_shape)
        if self.context_dim:
            self.context.build(features_shape)
        self.flow.build((None, self.context_dim) if self.context_dim else None)

    def call(self, features) -> tfd.Distribution:
        flow = self.flow(self.context(features) if self.context_dim else None)
        return tfd.TransformedDistribution(self.base(features), flow)
