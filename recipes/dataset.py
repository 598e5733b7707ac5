"""Images of one data set in memory: what `recipes.datasets.load` returns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from recipes.pipelines import check_images, downscale, partners, scale

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images of one data set, split once and for all.

    Attributes:
        name: name of the data set.
        train: `[N, H, W, C]`, uint8 in 0..255 or float32 in [0, 1].
        validation: as `train`; held out from the end of the training images unless
            the data set has a validation split of its own.
        test: as `train`.
        labels: classes `[N]` of each split by its name, None where there are none.
        classes: names of the classes 0, 1, ...; None where they are not known.
        licence: licence of the images.
        source: where the images come from, such as `"TFDS mnist 3.0.1"`.
        checksum: sha256 over the bytes of `train`, `validation` and `test`.
        image_size: as `load` was told, so that it loads the same images again.
        factors: what the images were drawn from, `[N, F]` int32 for each split by its
            name; None where that is not known.
        factor_sizes: how many values each factor has, by its name, in their order.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    labels: dict[str, np.ndarray | None]
    classes: tuple[str, ...] | None
    licence: str
    source: str
    checksum: str
    image_size: int | None
    factors: dict[str, np.ndarray] | None = None
    factor_sizes: dict[str, int] | None = None

    def __repr__(self):
        """How many images of what shape, which classes and licence; on one line."""
        counts = ", ".join(f"{len(getattr(self, name))} {name}" for name in SPLITS)
        labels = "no labels"
        if self.classes is not None:
            first, more = ", ".join(self.classes[:3]), self.classes[3:]
            labels = f"{len(self.classes)} classes ({first}{', ...' if more else ''})"
        elif self.labels["train"] is not None:
            labels = f"{len(np.unique(self.labels['train']))} classes"
        shape = f"{self.train.dtype} {self.train.shape[1:]}"
        licence = f"licence {self.licence}"
        return f"<Dataset {self.name}: {counts}, {shape}, {labels}, {licence}>"

    def holding_out(self, count: int) -> Dataset:
        """The same images, but only the last `count` stay held out for validation.

        For a protocol that trains on more of them, once the settings are chosen.

        Raises:
            ValueError: unless `count` is between 1 and the number held out so far.
        """
        end = len(self.validation) - count
        if not 0 <= end < len(self.validation):
            raise ValueError(
                f"`count` must be from 1 to {len(self.validation)}, which are held out "
                f"so far. Received: count={count}"
            )

        def move(tables: dict | None) -> dict | None:
            if tables is None or tables["train"] is None:
                return tables
            train = np.concatenate([tables["train"], tables["validation"][:end]])
            return tables | {"train": train, "validation": tables["validation"][end:]}

        images = move({"train": self.train, "validation": self.validation})
        tables = {"labels": move(self.labels), "factors": move(self.factors)}
        return replace(self, **images, **tables)

    def given(self, model, split: str, count: int | None = None) -> dict:
        """What a model is told beside the first images: that which it asks for.

        It is their labels as `label`, the images at a smaller size as `low`, and as
        `reference` for each another image of its class, or where there are no classes
        of all; see `recipes.pipelines.partners`.
        """
        fields, told = model.fields, {}
        images, labels = getattr(self, split), self.labels[split]
        if "label" in fields:
            if labels is None:
                raise ValueError(
                    "The model is told the class of each image: the data set must have "
                    f"labels. Received: {self}"
                )
            told["label"] = np.int32(labels[:count])
        if "low" in fields:
            told["low"] = downscale(images[:count], fields["low"].shape[:2])
        if "reference" in fields:
            classes = np.zeros(len(images)) if labels is None else labels
            told["reference"] = scale(images[partners(classes)[:count]]).numpy()
        return told


def of_splits(
    name: str,
    splits: dict,
    image_size: int | None,
    *,
    licence: str,
    source: str,
    classes=None,
) -> Dataset:
    """A data set of images and labels, or None, by the names of the splits.

    Raises:
        ValueError: if the images are not as a `Dataset` has them.
    """
    images = {split: splits[split][0] for split in SPLITS}
    digest = hashlib.sha256()
    for part in images.values():
        check_images(part)
        digest.update(np.ascontiguousarray(part))
    return Dataset(
        name,
        **images,
        labels={split: splits[split][1] for split in images},
        classes=classes,
        licence=licence,
        source=source,
        checksum=digest.hexdigest(),
        image_size=image_size,
    )
