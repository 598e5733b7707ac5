"""Loads data sets by name, folder or array; and the batches drawn from them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from recipes import own_images, photos, sources, sprites
from recipes.cards import ARRAY, FOLDER
from recipes.dataset import SPLITS, Dataset, of_splits
from recipes.pipelines import (
    batches,
    binarise,
    check_image_size,
    resize,
    resize_all,
    steps_per_epoch,
    stream,
)
from recipes.sources import DatasetUnavailable
from recipes.streaming import stream_from_disk

__all__ = [
    "Dataset",
    "DatasetUnavailable",
    "batches",
    "binarise",
    "load",
    "steps_per_epoch",
    "stream",
    "stream_from_disk",
]

_LICENCES = {
    "mnist": "CC BY-SA 3.0",
    "fashion_mnist": "MIT",
    "celeb_a": "non-commercial research only",
    "digits": "CC BY 4.0",
    "photo_patches": "CC BY 2.0",
    "sprites": "Apache-2.0",  # this project's own
}

# Mean of all training pixels in [0, 1]: tells apart sets with files of equal names.
_TRAIN_MEANS = {"mnist": 0.1307, "fashion_mnist": 0.2860}

_CHUNK = 1000  # images that are read at a time


def load(
    source: str | os.PathLike | np.ndarray,
    *,
    labels: Sequence[int] | np.ndarray | None = None,
    image_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
    local_dir: str | os.PathLike | None = None,
) -> Dataset:
    """Load a data set into memory.

    | `source` | splits |
    |---|---|
    | name of a TFDS set, such as `"mnist"` or `"emnist/letters"` | TFDS's own |
    | `"emoji"`, colour pictures of 32x32, or `"emoji/64"` | by what they show |
    | `"digits"`, scikit-learn's 8x8 digits as floats | none |
    | `"photo_patches"`, of `image_size`, of scikit-learn's two photographs | one each |
    | `"sprites"`, binary shapes of 32x32 whose factors are known | none |
    | folder of png and jpg images, searched recursively | none |
    | array `[N, H, W]` or `[N, H, W, C]`, uint8 or float in [0, 1] | none |

    A missing test split is TFDS's validation split, else it is held out from the end
    of the training images; so is then a missing validation split. Held out are 10 000
    images, or a sixth when there are fewer than 20 000. Folders and arrays are instead
    shuffled with a fixed seed, and 10 % each held out.

    Where every image of a folder lies in a subfolder, the subfolders are its classes:
    in the order of their names they are the labels 0, 1, ...

    Args:
        source: see the table. The name of a TFDS set goes before that of a folder, but
            with a configuration, such as `"emnist/letters"`, behind it.
        labels: classes of an array's images, `[N]` whole numbers.
        image_size: side in pixels to which the central square of every image is
            resized, smoothly; by default the images stay as they are.
        data_dir: TFDS's folder of prepared data sets; by default `TFDS_DATA_DIR` or
            `~/tensorflow_datasets`.
        local_dir: folder with the archives that TFDS would download. MNIST's come
            with this repository; Fashion-MNIST's are found by themselves where Debian's
            dataset-fashion-mnist is installed.

    Raises:
        DatasetUnavailable: if the data set is neither on this machine nor to be had.
        RuntimeError: if TFDS cannot prepare the data set in `data_dir`, or if the
            images found there are those of another one.
        TypeError: if `source` is of another type.
        ValueError: if the data set is unknown, damaged or without images, if its
            images vary in size and `image_size` is not given, or if `labels` are not
            one whole number for each image of an array.

    Example:
        >>> load("mnist").train.shape
        (50000, 28, 28, 1)
    """
    check_image_size(image_size)
    if isinstance(source, np.ndarray):
        splits = own_images.split_array(source, labels, image_size)
        return of_splits("array", splits, image_size, licence="unknown", source=ARRAY)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "`source` must be a name, a folder or an array. Received: source of type "
            f"{type(source).__name__}"
        )
    if labels is not None:
        raise ValueError(
            "`labels` are for an array of images; a folder has a subfolder for each "
            f"class. Received: labels with source={source!r}"
        )
    if source == "digits":
        return _from_digits(image_size)
    if source == "photo_patches":
        return _from_photos(image_size)
    if source == "sprites":
        return _from_sprites(image_size)
    known = tfds.list_builders(with_community_datasets=False)
    if isinstance(source, os.PathLike) or (
        source not in known and Path(source).expanduser().is_dir()
    ):
        return _from_folder(Path(source).expanduser(), image_size)
    return _from_tfds(sources.find(source, data_dir), image_size, local_dir)


def _from_folder(folder: Path, image_size: int | None) -> Dataset:
    splits, classes = own_images.split_folder(folder, image_size)
    source = f"{FOLDER}{folder.resolve()}"
    return of_splits(
        folder.name or folder.resolve().name,
        splits,
        image_size,
        licence="unknown",
        source=source,
        classes=classes,
    )


def _from_tfds(builder, image_size, local_dir) -> Dataset:
    sources.check_images(builder, image_size)
    builder = sources.prepare(builder, local_dir)
    splits = {
        name: _read(builder, name, image_size)
        for name in SPLITS
        if name in builder.info.splits
    }
    if "train" not in splits:
        raise ValueError(
            "`source` must be a data set with a split to train on. Received: "
            f"source={builder.name!r}, splits: {', '.join(builder.info.splits)}"
        )
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    for name in ("test", "validation"):
        if name not in splits:
            splits["train"], splits[name] = _hold_out(*splits["train"])
    expected = _TRAIN_MEANS.get(builder.name)
    mean = splits["train"][0].mean(dtype=np.float64) / 255
    if expected is not None and abs(mean - expected) > 0.01:
        raise RuntimeError(
            f"The images in `{builder.data_path}` are not those of {builder.name}: "
            f"their mean is {mean:.4f}, not {expected}. Delete that folder, and "
            f"`{builder.data_dir_root / 'downloads'}`, and load again."
        )
    info = builder.info
    licence = info.redistribution_info.license or f"see {info.homepage}"
    return of_splits(
        info.full_name.rsplit("/", 1)[0],  # with its configuration, less its version
        splits,
        image_size,
        licence=_LICENCES.get(builder.name, licence),
        source=f"TFDS {info.full_name.replace('/', ' ')}",
        classes=_classes(builder),
    )


def _read(builder, split: str, image_size: int | None):
    """Return the images `[N, H, W, C]` and labels `[N]`, or None, of a TFDS split."""
    labelled = _classes(builder) is not None

    def select(example):
        image = example["image"]
        if image_size is not None:
            image = resize(image, image_size)
        return (image, example["label"]) if labelled else (image,)

    examples = builder.as_dataset(
        split=split, read_config=tfds.ReadConfig(try_autocache=False)
    )
    chunks = examples.map(select, tf.data.AUTOTUNE).batch(_CHUNK).prefetch(1)
    size = builder.info.splits[split].num_examples
    arrays = [
        np.empty((size, *spec.shape[1:]), spec.dtype.as_numpy_dtype)
        for spec in chunks.element_spec
    ]
    for index, chunk in enumerate(chunks.as_numpy_iterator()):
        for array, values in zip(arrays, chunk, strict=True):
            array[index * _CHUNK : (index + 1) * _CHUNK] = values
    return arrays[0], arrays[1] if labelled else None


def _classes(builder) -> tuple[str, ...] | None:
    """The names of a TFDS set's classes, if it has any."""
    label = dict(builder.info.features.items()).get("label")
    classified = isinstance(label, tfds.features.ClassLabel)
    return tuple(label.names) if classified else None


def _from_digits(image_size: int | None) -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.float32(digits.images[..., np.newaxis]) / 16  # 17 levels, exactly
    return of_splits(
        "digits",
        _in_three(resize_all(images, image_size), digits.target),
        image_size,
        licence=_LICENCES["digits"],
        source="scikit-learn digits",
        classes=tuple(map(str, digits.target_names)),
    )


def _from_photos(image_size: int | None) -> Dataset:
    splits = photos.splits(image_size or 32)
    return of_splits(
        "photo_patches",
        {name: (images, None) for name, images in splits.items()},
        image_size,
        licence=_LICENCES["photo_patches"],
        source="scikit-learn sample images",
    )


def _from_sprites(image_size: int | None) -> Dataset:
    images, factors = sprites.draw()
    parts = _in_three(resize_all(images, image_size), factors)
    data = of_splits(
        "sprites",
        {name: (images, table[:, 0]) for name, (images, table) in parts.items()},
        image_size,
        licence=_LICENCES["sprites"],
        source="Drawn by recipes.sprites",
        classes=tuple(sprites.SHAPES),
    )
    tables = {name: table for name, (_, table) in parts.items()}
    return replace(data, factors=tables, factor_sizes=sprites.FACTORS)


def _in_three(images, labels) -> dict:
    """Train, validation and test, where a data set has no splits of its own."""
    rest, test = _hold_out(images, labels)
    train, validation = _hold_out(*rest)
    return {"train": train, "validation": validation, "test": test}


def _hold_out(images, labels):
    """Split the last 10 000 images off, or a sixth of fewer than 20 000."""
    end = len(images) - (10_000 if len(images) >= 20_000 else len(images) // 6)
    if labels is None:
        return (images[:end], None), (images[end:], None)
    return (images[:end], labels[:end]), (images[end:], labels[end:])
