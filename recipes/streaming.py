"""Training batches of data sets that are too large for memory."""

from __future__ import annotations

import os

import tensorflow as tf
import tensorflow_datasets as tfds

from recipes import pipelines, sources

_SHUFFLED = 10_000  # images among which the next one is drawn


def stream_from_disk(
    name: str,
    batch_size: int,
    *,
    seed: int,
    split: str = "train",
    binarise: bool = False,
    image_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
    local_dir: str | os.PathLike | None = None,
) -> tf.data.Dataset:
    """Infinite training batches `[batch_size, H, W, C]`, float32 in [0, 1].

    As `stream`, for a TFDS set whose images are read and decoded while the model
    trains, in parallel and ahead of it. The files are shuffled, and so is a buffer of
    10 000 images; an epoch's last images begin the first batch of the next.

    Args:
        name: name of the data set, such as `"celeb_a"`.
        batch_size: images in a batch.
        seed: any integer; together with TensorFlow's global seed it repeats the same
            batches.
        split: TFDS's name of the images, such as `"train[:-10000]"`.
        binarise, image_size, data_dir, local_dir: as for `stream` and `load`.

    Raises:
        DatasetUnavailable: if the data set is neither on this machine nor to be had.
        ValueError: if an argument is out of its range, or the data set unknown.

    Example:
        >>> batches = stream_from_disk("celeb_a", 128, seed=0, image_size=64)
        >>> vae.fit(batches, steps_per_epoch=162_770 // 128)
    """
    pipelines.check_batch_size(batch_size)
    pipelines.check_image_size(image_size)
    builder = sources.find(name, data_dir)
    sources.check_images(builder, image_size)
    builder = sources.prepare(builder, local_dir)
    order = tfds.ReadConfig(shuffle_seed=seed, try_autocache=False)
    examples = builder.as_dataset(split=split, shuffle_files=True, read_config=order)

    def image(example):
        x = example["image"]
        return x if image_size is None else pipelines.resize(x, image_size)

    def batch(index, images):
        x = pipelines.scale(images)
        key = tf.random.fold_in([seed, 0], index)
        return pipelines.draw_binary(x, key) if binarise else x

    images = examples.map(image, tf.data.AUTOTUNE).shuffle(_SHUFFLED, seed)
    batches = images.repeat().batch(batch_size, drop_remainder=True).enumerate()
    return batches.map(batch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
