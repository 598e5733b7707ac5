"""Batch normalisation's statistics, recomputed before a model is judged."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo import checks, internals
from zoo.latent import LatentVariableModel


def refresh_batch_norm(model: keras.Model, batches: Iterable[tf.Tensor]) -> None:
    """Sets every moving mean and variance to those of all `batches` together.

    Training leaves moving averages over the weights' recent past; this is one pass
    with the final weights. Each layer sees inputs normalised by their own batch, as in
    training, so that batches should be of training's size. Nothing else changes.

    Raises:
        ValueError: if the model has no batch normalisation, or there are no batches.

    Example:
        train = stream(images, 256, seed=1, binarise=True)
        refresh_batch_norm(ladder, train.take(len(images) // 256))

    Reference: Sonderby et al., 2016.
    """
    _refresh(model, batches, lambda x: model(x, training=True))


def refresh_batch_norm_of_samples(
    model: keras.Model,
    temperature: float,
    *,
    batches: int = 20,
    batch_size: int = 100,
    seed: int = 0,
) -> None:
    """Sets the moving statistics to those of images drawn at a temperature.

    Where z varies less than in training, layers behind it get inputs for which they
    were not normalised. After this `model.sample(n, temperature=temperature)` is what
    it would be in batches. Layers that draw no images keep their statistics, but
    likelihoods change, and so it is for a copy, such as another `zoo.load`.

    Args:
        model: a model of latents with batch normalisation; changed in place.
        temperature: of the priors, as `sample` takes it.
        batches, batch_size: how many images are drawn.
        seed: of the draws.

    Raises:
        ValueError: if the model has no batch normalisation, no prior to draw from or
            asks for conditions, or if a number is too small.

    Reference: Vahdat & Kautz, "NVAE", 2020, section 4.
    """
    checks.at_least(1, batches=batches, batch_size=batch_size)
    alone = isinstance(model, LatentVariableModel) and not model.given_fields
    wanted = "`model` must draw images of latents, and of nothing else."
    checks.require(alone, wanted, type(model).__name__)
    draw = _Sampling(model, batch_size, temperature)
    with internals.eagerly():  # `sample` must leave no trace of training
        seeds = seed + np.arange(batches)[:, None]
        _refresh(model, seeds, lambda x: draw(x, training=True))


class _Sampling(keras.layers.Layer):
    """A model's samples as a call, which is what puts layers into training."""

    def __init__(self, model, count, temperature):
        super().__init__()
        self.model = model
        self.count = count
        self.temperature = temperature

    def call(self, seed):
        return self.model.sample(self.count, seed=seed[0], temperature=self.temperature)


def _refresh(model, batches: Iterable, run: Callable) -> None:
    """Sets the statistics to those of all batches that are run."""
    layers = internals.layers_of(model, keras.layers.BatchNormalization)
    wanted = "`model` must have BatchNormalization layers."
    checks.require(layers, wanted, f"{type(model).__name__} without any")
    state = [(v, v.numpy()) for v in model.variables if not v.trainable]
    momenta = [layer.momentum for layer in layers]

    @tf.function(autograph=False)
    def moments(x):
        """Mean and variance of each layer's inputs in one batch."""
        run(x)
        return [(n.moving_mean.value, n.moving_variance.value) for n in layers]

    def average(arrays):
        """Of each layer's, weighed by the rows of the batches."""
        return [np.average(a, axis=0, weights=rows) for a in zip(*arrays)]

    rows, means, variances = [], [], []
    try:
        for layer in layers:
            layer.momentum = 0.0  # moving statistics are the last batch's own
        for x in batches:
            rows.append(len(tf.nest.flatten(x)[0]))
            found = [np.float64(pair) for pair in moments(x)]
            means.append([mean for mean, _ in found])
            variances.append([variance for _, variance in found])
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        for variable, value in state:
            variable.assign(value)
    checks.require(rows, "`batches` must not be empty.", batches)
    centre, within = average(means), average(variances)
    between = average([[(m - c) ** 2 for m, c in zip(ms, centre)] for ms in means])
    for layer, mean, inner, outer in zip(layers, centre, within, between):
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(inner + outer)
