"""Test log-likelihood by importance sampling."""

import keras
import numpy as np
import tensorflow as tf


def log_likelihood(
    model: keras.Model,
    images: np.ndarray,
    num_samples: int = 500,
    *,
    batch_size: int = 100,
    chunk: int = 50,
    seed: int = 0,
    verbose: int = 1,
) -> np.ndarray:
    """Importance-weighted estimate of log p(x) of every image in nats, `[N]`.

    A lower bound in expectation that tightens with `num_samples` (Burda et al., 2016,
    theorem 1): say the number beside every result. Memory is bounded by
    `batch_size * chunk` decoded images, whatever `num_samples` and N are.

    Args:
        model: a VAE.
        images: data `[N, *event_shape]` in the likelihood's support.
        num_samples: importance samples K per image.
        batch_size: images at a time.
        chunk: samples of each image at a time.
        seed: seed of the draws; batches use consecutive seeds.
        verbose: 0 for silence, 1 for a progress bar.

    Raises:
        ValueError: if the images are not what the model was built for.
    """
    model.check(images)
    bar = keras.utils.Progbar(-(-len(images) // batch_size), verbose=verbose)
    results = []
    for index, start in enumerate(range(0, len(images), batch_size)):
        x = tf.constant(images[start : start + batch_size], tf.float32)
        estimate = model.log_likelihood(x, num_samples, seed + index, chunk)
        results.append(estimate.numpy())
        bar.update(index + 1, values=[("nats", np.mean(np.concatenate(results)))])
    return np.concatenate(results)
