"""Hierarchical VAE with bottom-up inference."""

import keras

from zoo.heads import ConditionalNormal
from zoo.topdown import TopDown


@keras.saving.register_keras_serializable("zoo")
class HierarchicalVAE(TopDown):
    """Infers each layer from the one below: q(z|x) = q(z_1|x) prod_i q(z_{i+1}|z_i).

    Without batch normalisation and a warm-up of the rate it tends to leave the upper
    layers unused. `LadderVAE` has the same generative model and another inference.

    Only the top layer's rate is analytic. Below it z_{i+1} was drawn given z_i, so that
    KL(q(z_i|z_{i-1}) || p(z_i|z_{i+1})) at that z_{i+1} would not average to the rate;
    its one-sample estimate log q - log p does.

    Args:
        *args, **kwargs: as for `zoo.topdown.TopDown`.

    Reference: Rezende, Mohamed & Wierstra, "Stochastic Backpropagation", 2014; as
    compared with in Sonderby et al., "Ladder Variational Autoencoders", 2016.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.bottom_up = [  # q(z_{i+1}|z_i), bottom first
            ConditionalNormal(dim, units, self.batch_norm)
            for dim, units in zip(self.upper_dims, self.upper_units)
        ]

    def walk(self, draw, features=None, given=None):
        if features is None:
            return self.generate(draw, given)
        posterior, below = self.posterior(features), []
        for conditional in self.bottom_up:
            below.append((posterior, draw.take(posterior)))
            posterior = conditional(below[-1][1][0])
        z = draw(self.prior(given), posterior)
        for conditional, (posterior, taken) in zip(self.conditionals, below[::-1]):
            z = draw(conditional(z), posterior, taken)
        return z
