"""Batches of images: repeatable training streams, evaluation batches, binarising."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_CHUNK = 1000  # images that are binarised or resized at a time


def stream(
    images: np.ndarray,
    batch_size: int,
    *,
    seed: int,
    binarise: bool = False,
    start_epoch: int = 0,
    given: dict[str, np.ndarray] | None = None,
) -> tf.data.Dataset:
    """Infinite training batches `[batch_size, H, W, C]`, float32 in [0, 1].

    Each epoch is a permutation of the images, less the remainder of the last batch. It
    depends on `seed` and the epoch's number alone, so that `start_epoch=k` continues
    an earlier stream batch for batch.

    Args:
        images: `[N, H, W, C]`, uint8 in 0..255 or float in [0, 1].
        batch_size: images in a batch, at most N.
        seed: any integer; the same one repeats the same batches.
        binarise: draw every pixel of every batch anew from a Bernoulli distribution
            with the pixel's intensity as its mean.
        start_epoch: number of the epoch to begin with.
        given: conditions by name, one row for each image, such as labels: batches are
            then dicts, of the images as `x` and of these.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> batches = stream(images, 128, seed=0, binarise=True)
        >>> vae.fit(batches, steps_per_epoch=steps_per_epoch(images, 128))
    """
    steps = steps_per_epoch(images, batch_size)
    if start_epoch < 0:
        raise ValueError(
            f"`start_epoch` must not be negative. Received: start_epoch={start_epoch}"
        )
    with tf.device("CPU"):
        pixels = tf.constant(images)
        given = {name: tf.constant(rows) for name, rows in (given or {}).items()}
    for name, rows in given.items():
        if len(rows) != len(images):
            raise ValueError(
                f"`given` must have {len(images)} rows, one for each image. Received: "
                f"{len(rows)} of `{name}`"
            )

    def epoch(number):
        order_key, pixel_key = tf.unstack(tf.random.split([seed, number], 2))
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(images)), order_key
        )
        rows = tf.reshape(order[: steps * batch_size], [steps, batch_size])
        keys = tf.random.split(pixel_key, steps)
        return tf.data.Dataset.from_tensor_slices((rows, keys))

    def batch(rows, key):
        x = scale(tf.gather(pixels, rows))
        x = draw_binary(x, key) if binarise else x
        more = {name: tf.gather(v, rows) for name, v in given.items()}
        return {"x": x, **more} if more else x

    epochs = tf.data.Dataset.counter(start_epoch).flat_map(epoch)
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    stream = epochs.map(batch, tf.data.AUTOTUNE).apply(endless)
    return stream.prefetch(tf.data.AUTOTUNE)


def batches(images: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """Finite batches `[<= batch_size, H, W, C]` in order, float32 in [0, 1].

    Args:
        images: `[N, H, W, C]`, uint8 in 0..255 or float in [0, 1].
        batch_size: images in a batch; the last one keeps the remainder.

    Raises:
        ValueError: if an argument is out of its range.
    """
    check_images(images)
    check_batch_size(batch_size)
    with tf.device("CPU"):
        pixels = tf.constant(images)
    starts = tf.data.Dataset.range(0, len(images), batch_size)
    return starts.map(
        lambda start: scale(pixels[start : start + batch_size]), tf.data.AUTOTUNE
    ).prefetch(tf.data.AUTOTUNE)


def binarise(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw every pixel once from a Bernoulli with its intensity as mean, float32.

    Args:
        images: `[N, H, W, C]`, uint8 in 0..255 or float in [0, 1].
        seed: the same one draws the same pixels, on every machine.

    Raises:
        ValueError: if `images` are not as above.
    """
    check_images(images)
    draws = np.random.Generator(np.random.PCG64(seed))
    binary = np.empty(images.shape, np.float32)
    for start in range(0, len(images), _CHUNK):
        x = scale(images[start : start + _CHUNK]).numpy()
        binary[start : start + _CHUNK] = draws.random(x.shape, np.float32) < x
    return binary


def steps_per_epoch(images: np.ndarray, batch_size: int) -> int:
    """Number of full batches in `images`.

    Raises:
        ValueError: if `images` are not as `stream` needs them, or not one full batch.
    """
    check_images(images)
    check_batch_size(batch_size)
    if batch_size > len(images):
        raise ValueError(
            "`batch_size` must be at most the number of images. Received: "
            f"batch_size={batch_size}, images.shape={images.shape}"
        )
    return len(images) // batch_size


def scale(x) -> tf.Tensor:
    """uint8 in 0..255 or float in [0, 1] to float32 in [0, 1]."""
    if x.dtype == np.uint8:
        return tf.cast(x, tf.float32) / 255.0
    return tf.cast(x, tf.float32)


def draw_binary(x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Every pixel anew from a Bernoulli with its intensity as mean, float32."""
    return tf.cast(tf.random.stateless_uniform(tf.shape(x), key) < x, tf.float32)


def resize(images: tf.Tensor, size: int) -> tf.Tensor:
    """Resize the central square of `[..., H, W, C]` to `[..., size, size, C]`."""
    side = tf.reduce_min(tf.shape(images)[-3:-1])
    square = tf.image.resize_with_crop_or_pad(images, side, side)
    resized = tf.image.resize(square, [size, size], antialias=True)
    if images.dtype == tf.uint8:
        return tf.saturate_cast(tf.round(resized), tf.uint8)
    return tf.clip_by_value(resized, 0.0, 1.0)


def resize_all(images: np.ndarray, size: int | None) -> np.ndarray:
    """The central squares of images in memory, as `resize`; without a size, as is."""
    if size is None:
        return images
    chunks = np.split(images, range(_CHUNK, len(images), _CHUNK))
    return np.concatenate([resize(tf.constant(chunk), size) for chunk in chunks])


def check_images(images: np.ndarray, ndims: tuple[int, ...] = (4,)) -> None:
    """Raise a ValueError unless `images` are uint8, or floats in [0, 1]."""
    if not hasattr(images, "ndim"):
        raise ValueError(
            "`images` must be an array, such as `.train` of a data set. Received: "
            f"{type(images).__name__}"
        )
    if images.ndim not in ndims or images.size == 0:
        shapes = {3: "[N, H, W]", 4: "[N, H, W, C]"}
        raise ValueError(
            f"`images` must be {' or '.join(shapes[n] for n in ndims)}, not empty. "
            f"Received: images.shape={images.shape}"
        )
    if images.dtype == np.uint8:
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            "`images` must be uint8 in 0..255 or float in [0, 1]. Received: "
            f"images.dtype={images.dtype}"
        )
    if not (images.min() >= 0 and images.max() <= 1):  # NaN is neither
        raise ValueError(
            "`images` of floats must lie in [0, 1]. Received: values from "
            f"{images.min()} to {images.max()}"
        )


def downscale(images: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Images `[N, H, W, C]` to `[N, *size, C]`, float32 in [0, 1]: means of areas.

    Raises:
        ValueError: if `size` does not divide H and W.
    """
    (count, *high, channels), (height, width) = images.shape, size
    if high[0] % height or high[1] % width:
        raise ValueError(
            "`size` must divide the images' height and width. Received: "
            f"size={tuple(size)}, images.shape={images.shape}"
        )
    areas = count, height, high[0] // height, width, high[1] // width, channels
    return np.reshape(scale(images), areas).mean(axis=(2, 4))


def partners(classes: np.ndarray) -> np.ndarray:
    """For every row another of its class `[N]`, each row once; always the same.

    Raises:
        ValueError: if a row is alone in its class.
    """
    order = np.random.default_rng(0).permutation(len(classes))
    others = np.empty_like(order)
    for name in np.unique(classes):
        rows = order[classes[order] == name]
        if len(rows) < 2:
            raise ValueError(f"`classes` must have two rows each. Received: one {name}")
        others[rows] = np.roll(rows, 1)
    return others


def check_image_size(image_size: int | None) -> None:
    if image_size is not None and image_size < 1:
        raise ValueError(
            f"`image_size` must be positive. Received: image_size={image_size}"
        )


def check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(
            f"`batch_size` must be positive. Received: batch_size={batch_size}"
        )
