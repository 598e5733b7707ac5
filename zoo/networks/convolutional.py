"""Convolutional networks for images of any size and channel count."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from zoo import checks
from zoo.networks.bias import Conv2D, Conv2DTranspose


def conv_encoder(
    image_shape: Sequence[int],
    filters: Sequence[int] = (32, 64, 128),
    units: int = 256,
    activation: str = "relu",
) -> keras.Model:
    """Images `[B, *image_shape]` to features `[B, units]`; each filter count halves.

    Example:
        encoder = zoo.networks.conv_encoder((28, 28, 1), filters=(32, 64))
    """
    checks.check_shape(image_shape, axes=3)
    checks.per_layer(filters=filters)
    network = keras.Sequential([keras.Input(image_shape)], name="encoder")
    for width in filters:
        network.add(Conv2D(width, 3, 2, "same", activation=activation))
    network.add(layers.Flatten())
    network.add(layers.Dense(units, activation))
    return network


def conv_decoder(
    latent_dim: int,
    image_shape: Sequence[int],
    filters: Sequence[int] = (128, 64, 32),
    units: int = 256,
    activation: str = "relu",
) -> keras.Model:
    """Latents `[B, latent_dim]` to likelihood parameters `[B, *image_shape]`.

    Starts from `filters[0]` maps of the smallest size and doubles `len(filters)`
    times; what exceeds the image is cropped.
    """
    checks.check_shape(image_shape, axes=3)
    checks.per_layer(filters=filters)
    checks.not_empty(filters=filters)
    height, width, channels = image_shape
    grid = tuple(math.ceil(size / 2 ** len(filters)) for size in (height, width))
    network = keras.Sequential([keras.Input((latent_dim,))], name="decoder")
    network.add(layers.Dense(units, activation))
    network.add(layers.Dense(math.prod(grid) * filters[0], activation))
    network.add(layers.Reshape((*grid, filters[0])))
    for maps in filters[1:]:
        network.add(Conv2DTranspose(maps, 3, 2, "same", activation=activation))
    network.add(Conv2DTranspose(channels, 3, 2, "same"))
    return crop(network, image_shape)


def crop(network: keras.Sequential, image_shape: Sequence[int]) -> keras.Sequential:
    """Cuts the network's maps down to the image size, evenly on both sides."""
    excess = [a - b for a, b in zip(network.output_shape[1:3], image_shape)]
    if any(excess):
        network.add(layers.Cropping2D([(e // 2, e - e // 2) for e in excess]))
    return network


def conv_discriminator(
    image_shape: Sequence[int], filters: Sequence[int] = (32, 64)
) -> keras.Model:
    """Images `[B, *image_shape]` to a number for each patch of them, `[B, h, w, 1]`.

    Each filter count halves; two of them see patches of 18 x 18 pixels. There is no
    normalisation, through which images of a batch would judge one another.
    """
    checks.check_shape(image_shape, axes=3)
    checks.per_layer(filters=filters)
    network = keras.Sequential([keras.Input(image_shape)], name="discriminator")
    for width in filters:
        network.add(Conv2D(width, 4, 2, "same"))
        network.add(layers.LeakyReLU(0.2))
    network.add(Conv2D(1, 3, padding="same"))
    return network
