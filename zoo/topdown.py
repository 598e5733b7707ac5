"""Layers of latents on top of one another: p(z) = p(z_L) prod_i p(z_i|z_{i+1}).

The generative half that hierarchical VAEs share. z_1 is the bottom layer, which the
decoder sees, and z_L the top one; lists of latents are nevertheless top layer first.
"""

from collections.abc import Sequence

import keras

from zoo import checks
from zoo.heads import ConditionalNormal
from zoo.priors import Prior, StandardNormal, VampPrior
from zoo.vae import VAE


class TopDown(VAE):
    """Base of the hierarchical VAEs: a VAE with further latent layers above its own.

    p(x, z) = p(x|z_1) p(z_1|z_2) ... p(z_{L-1}|z_L) p(z_L), where the conditionals are
    normal and learned. A subclass says how z is inferred.

    Args:
        encoder, decoder, latent_dim: as for `VAE`; the decoder sees z_1.
        upper_dims: numbers of dimensions of z_2, ..., z_L.
        upper_units: widths of the MLPs between z_1 and z_2, ..., z_{L-1} and z_L, up
            and down alike.
        batch_norm: batch normalise these MLPs and all means and variances; after
            training, see `zoo.evaluation.batch_norm`.
        posterior: head of the bottom layer, by default `ConditionalNormal`.
        prior: p(z_L), by default `StandardNormal`.
        **kwargs: as for `VAE`.

    Raises:
        ValueError: if the networks, the heads and the sizes do not fit together.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int,
        upper_dims: Sequence[int],
        upper_units: Sequence[int],
        *,
        batch_norm: bool = True,
        posterior: keras.layers.Layer | None = None,
        prior: Prior | None = None,
        **kwargs,
    ):
        checks.per_layer(upper_dims=upper_dims, upper_units=upper_units)
        upper_dims, upper_units = tuple(upper_dims), tuple(upper_units)
        wanted = "`upper_dims` and `upper_units` must have one entry for each layer "
        alike, sizes = (
            len(upper_dims) == len(upper_units),
            f"{upper_dims=}, {upper_units=}",
        )
        checks.require(alike, wanted + "above the bottom.", sizes)
        wanted = "`prior` stands above the top layer, but a VampPrior is made of the "
        vamp = isinstance(prior, VampPrior)
        checks.require(not vamp, wanted + "bottom layer's posterior.", f"{prior=}")
        *lower_dims, top_dim = (latent_dim, *upper_dims)
        posterior = posterior or ConditionalNormal(latent_dim, batch_norm=batch_norm)
        heads = {"posterior": posterior, "prior": prior or StandardNormal(top_dim)}
        super().__init__(encoder, decoder, latent_dim, **heads, **kwargs)
        self.upper_dims = upper_dims
        self.upper_units = upper_units
        self.batch_norm = batch_norm
        self.conditionals = [  # p(z_i|z_{i+1}), top first
            ConditionalNormal(dim, units, batch_norm)
            for dim, units in zip(lower_dims[::-1], self.upper_units[::-1])
        ]

    @property
    def top_dim(self):
        return (self.latent_dim, *self.upper_dims)[-1]

    def generate(self, draw, given):
        """Draws all layers from their priors, top first; returns z_1."""
        z = draw(self.prior(given))
        for conditional in self.conditionals:
            z = draw(conditional(z))
        return z
