"""Hierarchical VAE with bottom-up inference."""

import keras
import tensorflow_probability as tfp

from zoo.bounds import Latent
from zoo.hierarchy import ConditionalNormal, Hierarchy

tfb = tfp.bijectors
tfd = tfp.distributions


@keras.saving.register_keras_serializable("zoo")
class HierarchicalVAE(Hierarchy):
    """Infers each layer from the one below: q(z|x) = q(z_1|x) prod_i q(z_{i+1}|z_i).

    The plain way to stack latents. Without batch normalisation and a warm-up of the
    rate it tends to leave the upper layers unused, with rates near zero. `LadderVAE`
    has the same generative model and another inference.

    Only the top layer's rate is analytic. Below it z_{i+1} was drawn given z_i, so that
    KL(q(z_i|z_{i-1}) || p(z_i|z_{i+1})) at that z_{i+1} would not average to the rate;
    its one-sample estimate log q - log p does.

    Args:
        *args: as for `zoo.hierarchy.Hierarchy`.
        **kwargs: likewise.

    Example:
        vae = zoo.HierarchicalVAE(
            encoder, decoder, latent_dim=64, upper_dims=(32, 16), upper_units=(256, 128)
        )

    Reference: Rezende, Mohamed & Wierstra, "Stochastic Backpropagation", 2014; as
    compared with in Sonderby et al., "Ladder Variational Autoencoders", 2016.
    """

    def add_inference_layers(self):
        self.bottom_up = [  # q(z_{i+1}|z_i), bottom first
            ConditionalNormal(dim, units, self.batch_norm)
            for dim, units in zip(self.upper_dims, self.upper_units)
        ]

    def infer(self, x, draw):
        posterior = self.posterior(x)
        layers = [(*draw(posterior), posterior)]
        for conditional in self.bottom_up:
            z_below, log_q, posterior = layers[0]
            layers[0] = (z_below, log_q, sampled(posterior))
            posterior = conditional(z_below)
            layers.insert(0, (*draw(posterior), posterior))
        priors = [self.prior()]
        for conditional, (z, *_) in zip(self.conditionals, layers):
            priors.append(conditional(z))
        return [Latent(*layer, prior) for layer, prior in zip(layers, priors)]


def sampled(posterior: tfd.Distribution) -> tfd.Distribution:
    """The same distribution, for whose rate TFP knows no formula."""
    return tfd.TransformedDistribution(posterior, tfb.Identity())
