"""Residual convolutional networks: deeper, better in nats, slower.

Pre-activation blocks (He et al., 2016, "Identity Mappings in Deep Residual
Networks") without batch normalisation, whose noise a VAE's likelihood does not
forgive; each block starts as the identity.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers

from zoo import checks
from zoo.networks.bias import Conv2D, Conv2DTranspose


def residual_encoder(
    image_shape: Sequence[int],
    filters: Sequence[int] = (32, 64),
    blocks: int = 1,
    units: int | None = 128,
    activation: str = "relu",
) -> keras.Model:
    """Images `[B, *image_shape]` to features `[B, units]`.

    Each filter count halves the image and adds `blocks` residual blocks. Where `units`
    is None there is no dense layer: the features are all that the last maps hold.
    """
    checks.check_shape(image_shape, axes=3)
    checks.per_layer(filters=filters)
    x = inputs = keras.Input(image_shape)
    for width in filters:
        x = Conv2D(width, 3, 2, "same")(x)
        for _ in range(blocks):
            x = _block(x, activation)
    x = layers.Flatten()(layers.Activation(activation)(x))
    if units is not None:
        x = layers.Dense(units, activation)(x)
    return keras.Model(inputs, x, name="encoder")


def residual_decoder(
    latent_dim: int,
    image_shape: Sequence[int],
    filters: Sequence[int] = (64, 32),
    blocks: int = 1,
    units: int | None = 128,
    activation: str = "relu",
) -> keras.Model:
    """Latents `[B, latent_dim]` to likelihood parameters `[B, *image_shape]`.

    Where `units` is None the first maps are linear in the latents.
    """
    checks.check_shape(image_shape, axes=3)
    checks.per_layer(filters=filters)
    checks.not_empty(filters=filters)
    *size, channels = image_shape
    grid = tuple(math.ceil(side / 2 ** len(filters)) for side in size)
    x = z = keras.Input((latent_dim,))
    if units is not None:
        x = layers.Dense(units, activation)(x)
    x = layers.Dense(math.prod(grid) * filters[0])(x)
    x = layers.Reshape((*grid, filters[0]))(x)
    for maps in (*filters[1:], filters[-1]):
        for _ in range(blocks):
            x = _block(x, activation)
        x = layers.Activation(activation)(x)
        x = Conv2DTranspose(maps, 3, 2, "same")(x)
    x = Conv2D(channels, 3, 1, "same")(layers.Activation(activation)(x))
    excess = [got - want for got, want in zip(x.shape[1:3], size)]
    if any(excess):
        x = layers.Cropping2D([(e // 2, e - e // 2) for e in excess])(x)
    return keras.Model(z, x, name="decoder")


def _block(x, activation):
    width = x.shape[-1]
    h = Conv2D(width, 3, 1, "same")(layers.Activation(activation)(x))
    h = layers.Activation(activation)(h)
    h = Conv2D(width, 3, 1, "same", kernel_initializer="zeros")(h)
    return layers.Add()([x, h])
