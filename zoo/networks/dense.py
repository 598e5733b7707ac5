"""Fully connected networks, for vectors and for small images."""

import math
from collections.abc import Sequence

import keras

layers = keras.layers


def dense_encoder(
    shape: Sequence[int],
    units: Sequence[int] = (512, 512),
    activation: str = "relu",
) -> keras.Model:
    """`[B, *shape]` to features `[B, units[-1]]`.

    Example:
        encoder = zoo.networks.dense_encoder((12,), units=(64, 64))  # a table
    """
    network = keras.Sequential([keras.Input(shape)], name="encoder")
    if len(shape) > 1:
        network.add(layers.Flatten())
    for width in units:
        network.add(layers.Dense(width, activation))
    return network


def dense_decoder(
    latent_dim: int,
    shape: Sequence[int],
    units: Sequence[int] = (512, 512),
    activation: str = "relu",
) -> keras.Model:
    """Latents `[B, latent_dim]` to likelihood parameters `[B, *shape]`."""
    network = keras.Sequential([keras.Input((latent_dim,))], name="decoder")
    for width in units:
        network.add(layers.Dense(width, activation))
    network.add(layers.Dense(math.prod(shape)))
    if len(shape) > 1:
        network.add(layers.Reshape(shape))
    return network
