"""Autoencoder: the baseline without a rate."""

import keras

from zoo.heads import Point
from zoo.objectives import Distortion
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class Autoencoder(VAE):
    """Minimises the distortion alone.

    It trains without a prior, so that it has no rate and no bound, and reports the
    distortion alone. Its `log_prob` is log p(x|z) at the code of x: no bound on
    log p(x), and not to be compared with a VAE's. `sample` decodes codes of a standard
    normal, which training never asked to be good; see
    `zoo.evaluation.fit_mixture_prior`.

    Args:
        encoder, decoder, latent_dim: as for `VAE`.
        **kwargs: those of `VAE`, without `objective`; `prior` is that of `sample`.

    Reference: Rumelhart et al., "Learning representations by back-propagating errors",
    1986.
    """

    derived = ("objective",)

    def __init__(self, encoder, decoder, latent_dim: int, **kwargs):
        kwargs = {"posterior": Point(latent_dim), **kwargs}
        objective = Distortion()
        super().__init__(encoder, decoder, latent_dim, objective=objective, **kwargs)

    def complete(self):
        super().complete()
        self.prior({})  # `sample` asks for it, training does not

    def measure(self, x, given, seed, num_samples=None):
        measures = super().measure(x, given, seed, num_samples)
        distortion = measures.metrics["distortion"]
        return measures._replace(metrics={"distortion": distortion})

    def walk(self, draw, features=None, given=None):
        if features is None:
            return super().walk(draw, features, given)
        posterior = self.posterior(features)
        return draw(posterior, posterior)
