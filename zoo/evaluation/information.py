"""How much the latents carry: rate, distortion and active units of each layer."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from zoo import bounds
from zoo.draws import Sample, seed_words


class Information(NamedTuple):
    """Averages over a data set, in nats per image; layers are listed top first."""

    elbo: float
    rate: float
    distortion: float
    layer_rates: list[float]
    active_units: list[int]


def information(
    model: keras.Model,
    images: np.ndarray,
    *,
    num_samples: int = 1,
    batch_size: int = 500,
    seed: int = 0,
    threshold: float = 0.01,
) -> Information:
    """ELBO, rate and distortion of a data set, and which latent units are used.

    A unit is active where the variance over the data of its posterior mean exceeds
    `threshold` (Burda et al., 2016, section 5: Cov_x E[u|x] > 0.01). In a hierarchy the
    code of a lower layer also varies with what the layers above hand down: whether x
    adds to it, its rate tells.

    Args:
        model: a VAE.
        images: data `[N, *event_shape]` in the likelihood's support.
        num_samples: draws of z per image behind the averages.
        batch_size: images at a time.
        seed: seed of the draws; batches use consecutive seeds.
        threshold: variance above which a unit counts as active.

    Raises:
        ValueError: if the images are not what the model was built for.
    """
    model.check(images)

    @tf.function(reduce_retracing=True, autograph=False)
    def measure(x, seed):
        latents = model.infer(x, Sample(num_samples, seed_words(seed)))
        likelihood = model.likelihood(*(latent.z for latent in latents))
        rates = [tf.reduce_mean(bounds.rate(latent), axis=0) for latent in latents]
        distortion = bounds.distortion(x, likelihood)
        return tf.stack([*rates, distortion], axis=-1), model.encode(x)

    terms, codes = [], []
    for index, start in enumerate(range(0, len(images), batch_size)):
        x = tf.constant(images[start : start + batch_size], tf.float32)
        batch_terms, batch_codes = measure(x, tf.constant(seed + index, tf.int64))
        terms.append(batch_terms.numpy())
        codes.append([code.numpy() for code in batch_codes])
    *layer_rates, distortion = np.concatenate(terms).mean(axis=0, dtype=np.float64)
    variances = [np.concatenate(layer).var(axis=0) for layer in zip(*codes)]
    return Information(
        elbo=-float(sum(layer_rates) + distortion),
        rate=float(sum(layer_rates)),
        distortion=float(distortion),
        layer_rates=[float(layer_rate) for layer_rate in layer_rates],
        active_units=[int((variance > threshold).sum()) for variance in variances],
    )
