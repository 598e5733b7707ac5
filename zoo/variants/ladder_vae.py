"""Ladder VAE."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.bounds import Latent
from zoo.hierarchy import ConditionalNormal, Hierarchy, mlp
from zoo.posteriors import diagonal_normal

tfd = tfp.distributions


def merge(evidence: tfd.Distribution, prior: tfd.Distribution) -> tfd.Distribution:
    """The normal proportional to the product of two diagonal normals.

        sigma_q^2 = 1 / (1 / sigma_hat^2 + 1 / sigma_p^2)
        mu_q = sigma_q^2 (mu_hat / sigma_hat^2 + mu_p / sigma_p^2)

    Raises:
        ValueError: if either is of another form.

    Reference: Sonderby et al., 2016, eqs. 17-18.
    """
    evidence, prior = diagonal_normal(evidence), diagonal_normal(prior)
    precision, prior_precision = 1 / evidence.variance(), 1 / prior.variance()
    variance = 1 / (precision + prior_precision)
    loc = variance * (precision * evidence.mean() + prior_precision * prior.mean())
    return tfd.Independent(tfd.Normal(loc, tf.sqrt(variance)), 1)


@keras.saving.register_keras_serializable("zoo")
class LadderVAE(Hierarchy):
    """Infers the layers top-down, as they are generated, and corrects each prior.

    A deterministic pass upwards gathers the evidence of x for every layer, and a pass
    downwards merges it with the prior that the layer above hands down, i = L-1, ..., 1:

        d_i = MLP(d_{i-1}),  N(mu_hat_i, sigma_hat_i^2) from d_i
        q(z_L|x) = N(mu_hat_L, sigma_hat_L^2)
        q(z_i|z_{i+1}, x) ~ N(mu_hat_i, sigma_hat_i^2) p(z_i|z_{i+1})

    d_1 are the encoder's features. To keep the upper layers in use it needs batch
    normalisation and a slowly rising weight of the rate, `beta`, as in the paper.

    Args:
        *args: as for `zoo.hierarchy.Hierarchy`.
        **kwargs: likewise; `posterior` gives N(mu_hat_1, sigma_hat_1^2).

    Example:
        ladder = zoo.LadderVAE(
            zoo.networks.dense_encoder((28, 28, 1), (512, 512)),
            zoo.networks.dense_decoder(64, (28, 28, 1), (512, 512)),
            latent_dim=64,
            upper_dims=(32, 16, 8, 4),
            upper_units=(256, 128, 64, 32),
            beta=zoo.schedules.Linear(0.0, 1.0, steps=200 * steps_per_epoch),
        )

    Reference: Sonderby et al., "Ladder Variational Autoencoders", 2016, eqs. 13-18.
    """

    def add_inference_layers(self):
        self.bottom_up = [mlp(units, self.batch_norm) for units in self.upper_units]
        self.evidence_heads = [
            ConditionalNormal(dim, batch_norm=self.batch_norm)
            for dim in self.upper_dims
        ]

    def infer(self, x, draw):
        features = self.features(x)
        evidence = [self.posterior_head(features)]
        for network, head in zip(self.bottom_up, self.evidence_heads):
            features = network(features)
            evidence.append(head(features))
        posterior, prior = evidence.pop(), self.prior()
        latents = [Latent(*draw(posterior), posterior, prior)]
        for conditional in self.conditionals:
            prior = conditional(latents[-1].z)
            posterior = merge(evidence.pop(), prior)
            latents.append(Latent(*draw(posterior), posterior, prior))
        return latents
