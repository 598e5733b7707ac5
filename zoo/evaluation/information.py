"""What a model reports over a data set, and which latents it uses."""

import keras
import numpy as np
import tensorflow as tf

from zoo import checks
from zoo.draws import ACTIVE, batch_seed, seed_words
from zoo.evaluation.likelihood import batches


def information(
    model: keras.Model,
    x: np.ndarray,
    given: dict | None = None,
    *,
    num_samples: int = 1,
    batch_size: int = 500,
    seed: int = 0,
    threshold: float = ACTIVE,
) -> dict:
    """The metrics of a data set as training reports them, and its active units.

    In nats per image: for a VAE `elbo`, `rate` and `distortion`, and for several layers
    `rate_L`, ..., `rate_1`; `active_units` has one number per layer, top layer first.
    It is left out where codes are the names of codebooks' entries.

    A unit is active where the variance over the data of its posterior mean exceeds
    `threshold` (Burda et al., 2016, section 5: Cov_x E[u|x] > 0.01). In a hierarchy the
    code of a lower layer also varies with what the layers above hand down: whether x
    adds to it, its rate tells.

    Args:
        model, x, given, batch_size, seed: as for `zoo.evaluation.log_prob`.
        num_samples: draws of z per image behind the averages.
        threshold: variance above which a unit counts as active.

    Raises:
        ValueError: if the data are not what the model was built for, or a number is
            less than one.
    """
    checks.at_least(1, num_samples=num_samples)

    @tf.function(reduce_retracing=True, autograph=False)
    def measure(x, given, seed):
        measures = model.measure(x, given, seed_words(seed), num_samples)
        return measures.metrics, dict(measures.weights)

    metrics, weights, codes = [], [], []
    for index, (rows, conditions) in enumerate(batches(model, x, given, batch_size)):
        arguments = rows, conditions, batch_seed(seed, index)
        # Each call has a function of its own, as objectives change: TensorFlow, if it
        # traced them by itself, would warn that they are many.
        values, unequal = measure.get_concrete_function(*arguments)(*arguments)
        metrics.append({k: np.reshape(v, [-1, len(rows)]) for k, v in values.items()})
        weights.append({k: unequal.get(k, tf.ones(len(rows))) for k in values})
        codes.append([code.numpy() for code in model.encode(rows, conditions)])
    result = {
        name: mean([m[name] for m in metrics], [w[name] for w in weights])
        for name in metrics[0]
    }
    layers = [np.concatenate(layer) for layer in zip(*codes)]
    if any(layer.dtype.kind == "i" for layer in layers):  # names of codes
        return result
    active = [int((layer.var(axis=0) > threshold).sum()) for layer in layers]
    return {**result, "active_units": active}


def mean(values: list[np.ndarray], weights: list[np.ndarray]) -> float:
    """Of batches `[draws, B]`, with weights `[B]`; 0 if all of these are 0."""
    rows = np.concatenate(values, axis=1).mean(axis=0, dtype="float64")
    weights = np.concatenate(weights)
    return float(rows @ weights / weights.sum()) if weights.any() else 0.0
