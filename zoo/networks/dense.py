"""Fully connected networks, for vectors and for small images."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from zoo import checks


def dense_encoder(
    shape: Sequence[int],
    units: Sequence[int] = (512, 512),
    activation: str = "relu",
    batch_norm: bool = False,
) -> keras.Model:
    """`[B, *shape]` to features `[B, units[-1]]`.

    Example:
        encoder = zoo.networks.dense_encoder((12,), units=(64, 64))  # a table
    """
    checks.check_shape(shape)
    checks.per_layer(units=units)
    network = keras.Sequential([keras.Input(shape)], name="encoder")
    if len(shape) > 1:
        network.add(layers.Flatten())
    _add_hidden(network, units, activation, batch_norm)
    return network


def dense_decoder(
    latent_dim: int,
    shape: Sequence[int],
    units: Sequence[int] = (512, 512),
    activation: str = "relu",
    batch_norm: bool = False,
) -> keras.Model:
    """Latents `[B, latent_dim]` to likelihood parameters `[B, *shape]`."""
    checks.check_shape(shape)
    checks.per_layer(units=units)
    network = keras.Sequential([keras.Input((latent_dim,))], name="decoder")
    _add_hidden(network, units, activation, batch_norm)
    network.add(layers.Dense(math.prod(shape)))
    if len(shape) > 1:
        network.add(layers.Reshape(shape))
    return network


def gated_encoder(
    shape: Sequence[int], units: Sequence[int] = (300, 300)
) -> keras.Model:
    """`[B, *shape]` to features `[B, units[-1]]` by gated layers.

    Each is (W x + b) * sigmoid(V x + c), which needs no other activation (Dauphin et
    al., "Language Modeling with Gated Convolutional Networks", 2017, eq. 1).
    """
    checks.check_shape(shape)
    checks.per_layer(units=units)
    x = inputs = keras.Input(shape)
    if len(shape) > 1:
        x = layers.Flatten()(x)
    return keras.Model(inputs, _gated(x, units), name="encoder")


def gated_decoder(
    latent_dim: int, shape: Sequence[int], units: Sequence[int] = (300, 300)
) -> keras.Model:
    """Latents `[B, latent_dim]` to likelihood parameters `[B, *shape]`, likewise."""
    checks.check_shape(shape)
    checks.per_layer(units=units)
    z = keras.Input((latent_dim,))
    x = layers.Dense(math.prod(shape))(_gated(z, units))
    if len(shape) > 1:
        x = layers.Reshape(shape)(x)
    return keras.Model(z, x, name="decoder")


def _gated(x, units):
    for width in units:
        gates = layers.Dense(width, "sigmoid")(x)
        x = layers.Multiply()([layers.Dense(width)(x), gates])
    return x


def _add_hidden(network, units, activation, batch_norm):
    for width in units:
        network.add(layers.Dense(width, use_bias=not batch_norm))
        if batch_norm:
            network.add(layers.BatchNormalization())
        network.add(layers.Activation(activation))
