"""Anomaly scores: what the upper latents explain of log p(x), and how rare it is."""

import keras
import numpy as np
import tensorflow as tf

from zoo import bounds, checks
from zoo import rarity as tables
from zoo.draws import UpperSample, batch_seed, seed_words
from zoo.evaluation.likelihood import batches


def log_prob_above(
    model: keras.Model,
    x: np.ndarray,
    k: int,
    given: dict | None = None,
    *,
    num_importance_samples: int = 100,
    batch_size: int = 100,
    chunk: int = 50,
    seed: int = 0,
) -> np.ndarray:
    """L^{>k} of every image in nats, `[N]`: log p(x) if its details came by chance.

    The upper layers of latents are inferred, the lowest k drawn from their priors:

        L^{>k} = E[log p(x|z) + log p(z_{>k}) - log q(z_{>k}|x)],
        z_{>k} ~ q(z_{>k}|x),  z_{<=k} ~ p(z_{<=k}|z_{>k})

    and for K draws the log-mean-exp: a lower bound on log p(x) like any other. It asks
    whether what the upper layers know of x is enough, where the plain bound of an
    anomaly may be high on account of its details. k = 0 is `zoo.evaluation.log_prob`,
    but of a `SemiSupervisedVAE`, which needs labels here: log p(x|label).

    Args:
        model: any model with layers of latents.
        x: data `[N, *event_shape]` in the likelihood's support.
        k: how many latents come from the prior, counted in `latent_fields` from its
            end. A BIVA has two for each layer.
        given: what x is conditioned on, N rows each.
        num_importance_samples: draws K per image.
        batch_size: images at a time.
        chunk: draws of each image at a time.
        seed: seed of the draws.

    Raises:
        ValueError: if the data are not what the model was built for, if it has no
            latents or fewer than k, or if a number is less than one.

    Reference: Maaloe et al., "BIVA", 2019, section 4 (anomaly detection).
    """
    layers, total = len(getattr(model, "latent_fields", ())), num_importance_samples
    wanted = "`k` must be from 0 to the number of the model's latents."
    counts = isinstance(k, int | np.integer) and 0 <= k <= layers
    checks.require(counts and layers, wanted, f"{k=}, {layers} latents")
    checks.at_least(1, num_importance_samples=total, batch_size=batch_size, chunk=chunk)

    @tf.function(reduce_retracing=True, autograph=False)
    def bound(x, given, seed):
        features, rows = model.features(x, given), tf.shape(x)[0]

        def log_w(index, count):
            key = tf.random.fold_in(seed, index)
            draw = UpperSample(key, count * rows, count, layers - k)
            return model.log_weights_of(draw, x, given, features)

        return bounds.streamed_iw_elbo(log_w, rows, total, chunk)

    results = []
    for index, (rows, conditions) in enumerate(batches(model, x, given, batch_size)):
        model.check_conditions(conditions)
        key = seed_words(batch_seed(seed, index))
        results.append(bound(rows, conditions, key).numpy())
    return np.concatenate(results)


def likelihood_ratio(
    model: keras.Model, x: np.ndarray, k: int, given: dict | None = None, **options
) -> np.ndarray:
    """L - L^{>k} of every image in nats, `[N]`: what its lowest k latents know of it.

    The greater, the more likely an anomaly: its details must be inferred, as they do
    not follow from its upper layers. Both bounds have the same number of draws. It is
    for anomalies that the model can describe: on others, such as digits in inverse
    video, the posterior fails, the plain bound is the looser one, and itself tells.

    Args:
        model, x, k, given: as for `log_prob_above`.
        **options: likewise.

    Raises:
        ValueError: as `log_prob_above`.

    Example:
        score = zoo.evaluation.likelihood_ratio(ladder, images, k=2)

    Reference: Havtorn et al., "Hierarchical VAEs Know What They Don't Know", 2021,
    section 4.
    """
    above = [log_prob_above(model, x, n, given, **options) for n in (0, k)]
    return above[0] - above[1]


def rarity(
    model: keras.Model,
    x: np.ndarray,
    given: dict | None = None,
    *,
    num_importance_samples: int = 16,
    batch_size: int = 500,
) -> dict:
    """Quantiles of the negative log-likelihood of images, for `anomaly_score`.

    The table is ready for JSON: an entry keeps it in its metadata, and an export that
    is given it has the signature `anomaly_score`.

    Args:
        model: any generative model.
        x: training images `[N, *event_shape]`, as the model saw them, or a data set.
        given: what an array x is conditioned on, N rows each.
        num_importance_samples: draws K per image; nothing to an exact model.
        batch_size: images at a time.

    Raises:
        ValueError: if the data are not what the model was built for.
    """
    checks.at_least(1, num_importance_samples=num_importance_samples)
    draws = None if model.exact else num_importance_samples
    nats = _negative_log_prob(model, x, given, draws, batch_size)
    return tables.make_table(nats, draws)


def anomaly_score(
    model: keras.Model,
    x: np.ndarray,
    rarity: dict,
    given: dict | None = None,
    *,
    batch_size: int = 500,
) -> np.ndarray:
    """The share of the table's images whose -log p(x) is lower, `[N]` in [0, 1].

    0.99 means rarer than 99 % of them. An image has the same score in any batch.

    Args:
        model, x, given, batch_size: as for `rarity`.
        rarity: its table, for the same model.

    Raises:
        ValueError: if the data or the table are not the model's.

    Example:
        table = zoo.evaluation.rarity(vae, train_images[:10_000])
        score = zoo.evaluation.anomaly_score(vae, images, table)
    """
    tables.check_table(model, rarity)
    draws = rarity["num_importance_samples"]
    nats = _negative_log_prob(model, x, given, draws, batch_size)
    return tables.score(nats, rarity).numpy()


def _negative_log_prob(model, x, given, draws, batch_size):
    """-log p(x) of every image in nats, `[N]`, as a table has it."""
    parts = [
        tables.negative_log_prob(model, *batch, draws)
        for batch in batches(model, x, given, batch_size)
    ]
    return np.concatenate(parts)
