"""Batch normalisation's statistics, recomputed before a model is judged."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo import checks, internals


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
    layers = internals.layers_of(model, keras.layers.BatchNormalization)
    wanted = "`model` must have BatchNormalization layers."
    checks.require(layers, wanted, f"{type(model).__name__} without any")
    state = [(v, v.numpy()) for v in model.variables if not v.trainable]
    momenta = [layer.momentum for layer in layers]

    @tf.function(autograph=False)
    def moments(x):
        """Mean and mean square of each layer's inputs in one batch."""
        model(x, training=True)
        pairs = [(layer.moving_mean, layer.moving_variance) for layer in layers]
        return [(mean.value, variance + mean**2) for mean, variance in pairs]

    size, total = 0, 0.0
    try:
        for layer in layers:
            layer.momentum = 0.0  # moving statistics are the last batch's own
        for x in batches:
            rows = len(tf.nest.flatten(x)[0])
            flat = np.concatenate([m.numpy() for m in tf.nest.flatten(moments(x))])
            total += rows * flat.astype("float64")
            size += rows
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        for variable, value in state:
            variable.assign(value)
    checks.require(size, "`batches` must not be empty.", batches)
    widths = [layer.moving_mean.shape[0] for layer in layers for _ in range(2)]
    means = iter(np.split(total / size, np.cumsum(widths)[:-1]))
    for layer, mean, mean_square in zip(layers, means, means):
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(mean_square - mean**2)
