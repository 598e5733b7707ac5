"""Ladder VAE."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.heads import ConditionalNormal
from zoo.heads.conditional_normal import mlp
from zoo.heads.diagonal_normal import diagonal_normal, loc_and_scale
from zoo.topdown import TopDown


def normal(loc: tf.Tensor, scale: tf.Tensor) -> tfd.Distribution:
    return tfd.Independent(tfd.Normal(loc, scale), 1)


def merge(evidence: tfd.Distribution, prior: tfd.Distribution) -> tfd.Distribution:
    """The normal proportional to the product of two diagonal normals.

        sigma_q^2 = 1 / (1 / sigma_hat^2 + 1 / sigma_p^2)
        mu_q = sigma_q^2 (mu_hat / sigma_hat^2 + mu_p / sigma_p^2)

    Reference: Sonderby et al., 2016, eqs. 17-18.
    """
    evidence, prior = diagonal_normal(evidence), diagonal_normal(prior)
    precision, prior_precision = 1 / evidence.variance(), 1 / prior.variance()
    variance = 1 / (precision + prior_precision)
    loc = variance * (precision * evidence.mean() + prior_precision * prior.mean())
    return normal(loc, tf.sqrt(variance))


@keras.saving.register_keras_serializable("zoo")
class LadderVAE(TopDown):
    """Infers the layers top-down, as they are generated, and corrects each prior.

    A deterministic pass upwards gathers the evidence of x for every layer, and a pass
    downwards merges it with the prior that the layer above hands down, i = L-1, ..., 1:

        d_i = MLP(d_{i-1}),  N(mu_hat_i, sigma_hat_i^2) from d_i
        q(z_L|x) = N(mu_hat_L, sigma_hat_L^2)
        q(z_i|z_{i+1}, x) ~ N(mu_hat_i, sigma_hat_i^2) p(z_i|z_{i+1})

    d_1 are the encoder's features. To keep the upper layers in use it needs batch
    normalisation and a slowly rising weight of the rate, as in the paper.

    Args:
        *args, **kwargs: as for `TopDown`; `posterior` gives N(mu_hat_1, sigma_hat_1^2).

    Example:
        ladder = zoo.LadderVAE(encoder, decoder, 64, (32, 16), (256, 128))

    Reference: Sonderby et al., "Ladder Variational Autoencoders", 2016, eqs. 13-18.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        norm, dims = self.batch_norm, self.upper_dims
        self.bottom_up = [mlp(units, norm) for units in self.upper_units]
        self.evidence_heads = [ConditionalNormal(dim, None, norm) for dim in dims]

    def features(self, x, given):
        """Mean and scale of every layer's evidence, top first, `[B, D]` each."""
        d = super().features(x, given)
        evidence = [self.posterior_head(d)]
        for network, head in zip(self.bottom_up, self.evidence_heads):
            d = network(d)
            evidence.append(head(d))
        return [loc_and_scale(each) for each in evidence[::-1]]

    def posterior(self, features):
        """q(z_L|x), which is the top layer's evidence."""
        return normal(*features[0])

    def walk(self, draw, features=None, given=None):
        if features is None:
            return self.generate(draw, given)
        z = draw(self.prior(given), self.posterior(features))
        for conditional, evidence in zip(self.conditionals, draw.repeat(features[1:])):
            prior = conditional(z)
            z = draw(prior, merge(normal(*evidence), prior))
        return z
