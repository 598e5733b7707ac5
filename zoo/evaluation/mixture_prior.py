"""A prior fitted once training is over, to the codes of the training data."""

import keras
import numpy as np
import tensorflow as tf

from zoo import checks
from zoo.draws import Sample, seed_words
from zoo.evaluation.likelihood import batches
from zoo.model import weights_beside
from zoo.priors import MixturePrior


def fit_mixture_prior(
    model: keras.Model,
    x: np.ndarray,
    components: int = 10,
    *,
    given: dict | None = None,
    seed: int = 0,
) -> keras.Model:
    """A copy of a model whose prior is a mixture of normals that fits its codes.

    Codes are drawn from the posteriors of all x, and scikit-learn fits the mixture to
    them. Samples then resemble reconstructions, also those of an autoencoder, which has
    no prior of its own. All other weights stay as they are.

    Args:
        model: a `VAE` or a subclass; of several layers the top one's prior is fitted.
        x: data `[N, *event_shape]` or a data set, most often the training images.
        components: number of normals, with diagonal covariances.
        given: what an array x is conditioned on, N rows each.
        seed: seed of the codes' draws and of the fit.

    Raises:
        ValueError: if the model has no prior to replace, or the data do not suit it.

    Example:
        sampler = zoo.evaluation.fit_mixture_prior(vae, images, components=10)
        sampler.sample(16)

    Reference: Ghosh et al., "From Variational to Deterministic Autoencoders", 2020,
    section 4 (ex-post density estimation).
    """
    from sklearn.mixture import GaussianMixture  # slow to import, and needed here alone

    wanted = "`model` must be a VAE, whose `prior` can be replaced."
    checks.require("prior" in model.get_config(), wanted, type(model).__name__)

    @tf.function(reduce_retracing=True, autograph=False)
    def draw_codes(rows, conditions, seed):
        draw = Sample(seed, tf.shape(rows)[0])
        model.walk(draw, model.features(rows, conditions), conditions)
        return draw.latents[0].z

    codes, words = [], seed_words(seed)
    for index, (rows, conditions) in enumerate(batches(model, x, given, 500)):
        model.check_conditions(conditions)
        codes.append(draw_codes(rows, conditions, tf.random.fold_in(words, index)))
    mixture = GaussianMixture(components, covariance_type="diag", random_state=seed)
    mixture.fit(np.concatenate(codes))

    prior = MixturePrior(model.top_dim, components)
    config = model.get_config() | {"prior": keras.saving.serialize_keras_object(prior)}
    copy = type(model).from_config(config)
    own, values = (weights_beside(m, m.prior_head) for m in (copy, model))
    for weight, value in zip(own, values):
        weight.assign(value)
    scales = np.sqrt(mixture.covariances_) - prior.min_scale
    copy.prior_head.logits.assign(np.log(mixture.weights_))
    copy.prior_head.loc.assign(mixture.means_)
    copy.prior_head.raw_scale.assign(np.log(np.expm1(np.maximum(scales, 1e-6))))
    return copy
