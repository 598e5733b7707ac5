"""Larger images: what a latent adds to them, and bicubic interpolation."""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo import checks
from zoo.networks.bias import Conv2D


def upsampler(
    latent_dim: int,
    image_shape: Sequence[int],
    factor: int = 4,
    channels: int = 32,
    blocks: int = 4,
    activation: str = "relu",
) -> keras.Model:
    """Small images `[B, H/factor, W/factor, C]` and z `[B, latent_dim]` to large ones.

    Residual blocks at the small size, modulated by z, then pixel shuffles that double
    it: each makes 2 x 2 places of four channels (Shi et al., 2016, section 3.1). It
    begins with zeros for every image.

    Raises:
        ValueError: if `factor` is no power of two above 1, or does not divide the
            height and width of `image_shape`.

    Example:
        decoder = zoo.networks.upsampler(16, (28, 28, 1), factor=4)
    """
    checks.check_shape(image_shape, axes=3)
    *size, image_channels = image_shape
    checks.require(doubles(factor), "`factor` must be 2, 4, 8, ...", f"{factor=}")
    wanted = f"`factor` must divide the image's height and width: {factor=}."
    fits = all(side % factor == 0 for side in size)
    checks.require(fits, wanted, f"image_shape={tuple(image_shape)}")
    height, width = (side // factor for side in size)
    low, z = keras.Input((height, width, image_channels)), keras.Input((latent_dim,))
    y = Conv2D(channels, 3, padding="same")(low)
    for _ in range(blocks):
        y = _block(y, z, activation)
    while height < size[0]:
        y = Conv2D(4 * channels, 3, padding="same")(y)
        y = layers.Reshape((height, width, 2, 2, channels))(y)
        height, width = 2 * height, 2 * width
        y = layers.Permute((1, 3, 2, 4, 5))(y)
        y = layers.Reshape((height, width, channels))(y)
        y = layers.Activation(activation)(y)
    out = Conv2D(image_channels, 3, padding="same", kernel_initializer="zeros")
    return keras.Model([low, z], out(y), name="upsampler")


def doubles(factor) -> bool:
    """Whether it is 2, 4, 8, ..."""
    return isinstance(factor, int) and factor > 1 and factor & (factor - 1) == 0


def _block(y, z, activation):
    """y + Conv(act((1 + gamma(z)) Conv(act(y)) + beta(z))), gamma and beta linear."""
    width = y.shape[-1]
    h = Conv2D(width, 3, padding="same")(layers.Activation(activation)(y))
    scale = layers.Dense(width, bias_initializer="ones")(z)  # 1 + gamma
    shift = layers.Dense(width)(z)
    h = layers.Multiply()([h, layers.Reshape((1, 1, width))(scale)])
    h = layers.Add()([h, layers.Reshape((1, 1, width))(shift)])
    h = Conv2D(width, 3, padding="same")(layers.Activation(activation)(h))
    return layers.Add()([y, h])


def bicubic(images: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """`tf.image.resize(images, size, "bicubic")` of `[B, h, w, C]` to `[B, *size, C]`.

    As products of matrices, as XLA knows no bicubic resizing.
    """
    rows, columns = map(_bicubic_matrix, images.shape[1:3], size)
    return tf.einsum("hi,bijc,wj->bhwc", rows, images, columns)


@functools.cache
def _bicubic_matrix(short: int, long: int) -> np.ndarray:
    """What each of `long` places takes of `short` ones, `[long, short]`."""
    with tf.init_scope():
        points = tf.eye(short)[..., None]
        return tf.image.resize(points, (long, short), "bicubic")[..., 0].numpy()
