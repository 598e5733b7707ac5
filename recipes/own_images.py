"""Images of your own, an array or a folder of files, with their classes: splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from recipes.pipelines import check_images, resize, resize_all

SUFFIXES = (".png", ".jpg", ".jpeg")
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def split_array(
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray | None = None,
    image_size: int | None = None,
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Images `[N, H, W, C]` and labels `[N]`, or None, of each split, shuffled.

    Args:
        images: `[N, H, W]` or `[N, H, W, C]`, uint8 or float in [0, 1].
        labels: `[N]` whole numbers.
        image_size: side in pixels to which the central squares are resized.

    Raises:
        ValueError: if the images or the labels are not as above.
    """
    check_images(images, ndims=(3, 4))
    images = images if images.ndim == 4 else images[..., np.newaxis]
    if len(images) < 3:
        raise ValueError(
            "`images` must be at least 3, one for each split. Received: "
            f"images.shape={images.shape}"
        )
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(images))
    held_out = max(1, len(images) // 10)
    ends = [-2 * held_out, -held_out]
    parts = np.split(resize_all(images[order], image_size), ends)
    classes = [None] * 3
    if labels is not None:
        classes = np.split(_checked(labels, len(images))[order], ends)
    return dict(zip(("train", "validation", "test"), zip(parts, classes)))


def split_folder(
    folder: Path, image_size: int | None = None
) -> tuple[dict, tuple[str, ...] | None]:
    """What `split_array` returns of a folder's files, and the names of the classes.

    Hidden files and folders are left out.

    Raises:
        ValueError: if there are no images, if one cannot be read, if they vary in
            size and `image_size` is not given, or if its subfolders are splits.
    """
    found = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    paths = sorted(p for p in found if p.is_file())
    paths = [p for p in paths if "/." not in f"/{p.relative_to(folder).as_posix()}"]
    if not paths:
        raise ValueError(
            f"`source` must be a folder with png or jpg images. Received: {folder}"
        )
    images = [_decode(path, image_size) for path in paths]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ValueError(
            "`image_size` must be given where images vary in size. Received: "
            f"image_size=None, {len(shapes)} sizes in {folder}"
        )
    images = np.stack(images)
    if (images == images[..., :1]).all():
        images = images[..., :1]
    names = [path.relative_to(folder).parts[0] for path in paths]
    if folder in {path.parent for path in paths}:
        return split_array(images), None
    classes, labels = np.unique(names, return_inverse=True)
    if {name.lower() for name in classes} <= SPLITS:
        raise ValueError(
            "`source` must be a folder of one split, as the zoo makes its own splits "
            "and takes subfolders for classes. Received: a folder of "
            f"{', '.join(classes)}; {folder / classes[0]} is one split"
        )
    return split_array(images, labels), tuple(map(str, classes))


def _decode(path: Path, image_size: int | None) -> np.ndarray:
    """Return the RGB image of a file, `[H, W, 3]`, uint8."""
    try:
        image = tf.io.decode_image(path.read_bytes(), 3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"`{path}` is not a readable image.") from error
    return (image if image_size is None else resize(image, image_size)).numpy()


def _checked(labels, count: int) -> np.ndarray:
    """Labels as an array; raises a ValueError unless one whole number per image."""
    labels = np.asarray(labels)
    wanted = "`labels` must be one whole number for each image"
    if labels.ndim == 2:
        column = labels.shape[1] == 1
        wanted += f": `{'labels[:, 0]' if column else 'labels.argmax(axis=1)'}`"
    elif labels.dtype.kind in "US":
        wanted += ": `np.unique(labels, return_inverse=True)[1]`"
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{wanted}. Received: labels.shape={labels.shape}, "
            f"labels.dtype={labels.dtype}, {count} images"
        )
    return labels
