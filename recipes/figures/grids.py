"""Images side by side: any of them, samples, reconstructions, ways between them."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image

import zoo
import zoo.evaluation

DPI = 150
# Colours of a plot at most; ours have two thousand, samples of emoji ten times that.
PLOT = 10_000


def grid(
    rows: Sequence[np.ndarray],
    labels: Sequence[str] = (),
    columns: Sequence[str] = (),
    width: float = 0.5,
) -> Figure:
    """Images `[columns, H, W, C]` per row, side by side without gaps.

    They are floats, of which what lies outside of [0, 1] is cut off, or uint8, and
    about `width` inches wide: each of their pixels is drawn as a square of whole ones,
    so that nothing is blurred. Rows may have `labels` on their left, and `columns`
    theirs below.

    Raises:
        ValueError: if a row is not as above.
    """
    rows = [np.asarray(row) for row in rows]
    rows = [np.clip(row / 255 if row.dtype == np.uint8 else row, 0, 1) for row in rows]
    for row in rows:
        if row.ndim != 4:
            raise ValueError(
                "`rows` must be a list of images [columns, H, W, C]: `[images]` is one "
                f"row. Received: a row of shape {row.shape}"
            )
    h, w, channels = rows[0].shape[1:]
    mosaic = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    scale = max(1, round(width * DPI / w))
    size = np.array(mosaic.shape[1::-1]) * scale / DPI
    figure = Figure(figsize=size, dpi=DPI)
    axes = figure.add_axes([0, 0, 1, 1])
    shown = mosaic[..., 0] if channels == 1 else mosaic
    axes.imshow(shown, "gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_xticks([(i + 0.5) * w - 0.5 for i in range(len(columns))], columns)
    axes.set_yticks([(i + 0.5) * h - 0.5 for i in range(len(labels))], labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    left = 0.1 + 0.09 * max(map(len, labels)) if labels else 0.0
    return with_margins(figure, left=left, bottom=0.25 * bool(columns))


def with_margins(
    figure: Figure,
    left: float = 0.0,
    right: float = 0.0,
    bottom: float = 0.0,
    top: float = 0.0,
) -> Figure:
    """A grid with as much more room around it, in inches, rounded to whole pixels."""
    sides = [round(side * DPI) for side in (left, right, bottom, top)]
    axes, (x, y, *size), whole = figure.axes[0], figure.axes[0].bbox.bounds, figure.bbox
    width, height = whole.width + sum(sides[:2]), whole.height + sum(sides[2:])
    x, y = round(x) + sides[0], round(y) + sides[2]
    figure.set_size_inches(width / DPI, height / DPI)
    axes.set_position([x / width, y / height, size[0] / width, size[1] / height])
    return figure


def samples(
    model: zoo.GenerativeModel,
    count: int = 100,
    seed: int = 0,
    given: dict | None = None,
) -> Figure:
    """Means of p(x|z), z from the prior, in rows of ten; conditions go by column."""
    told = every_class(model, count, given)
    images = model.sample(count, told, seed=seed).numpy()
    labels = told.get("label", np.empty(0, int))
    alike = np.array_equal(labels[10:], labels[:-10])  # in all rows
    columns = [str(label) for label in labels[:10]] if alike else []
    return grid(np.split(images, count // 10), columns=columns)


def temperatures(model: zoo.NVAE, seed: int = 0) -> Figure:
    """Samples at several temperatures: batch normalisation as it is, and set anew."""
    weights, rows = model.get_weights(), {}
    for temperature in (1.0, 0.7, 0.5):
        rows[f"{temperature:g}"] = model.sample(10, seed=seed, temperature=temperature)
        if temperature < 1.0:
            zoo.evaluation.refresh_batch_norm_of_samples(model, temperature)
            anew = model.sample(10, seed=seed, temperature=temperature)
            rows[f"{temperature:g}, anew"] = anew
            model.set_weights(weights)
    return grid(list(rows.values()), list(rows))


def every_class(
    model: zoo.GenerativeModel, count: int, given: dict | None = None
) -> dict[str, np.ndarray]:
    """All labels in turn for so many images, or the first ten of what else is `given`.

    Nothing where a model asks for nothing.
    """
    asked, told = model.given_fields, {}
    for name in asked.keys() & (given or {}).keys():
        first = given[name][:10]
        told[name] = np.resize(first, (count, *first.shape[1:]))
    if "label" in asked:
        classes = int(asked["label"].support[1]) + 1
        told["label"] = np.arange(count, dtype=np.int32) % classes
    return told


def reconstructions(
    model: zoo.GenerativeModel, images: np.ndarray, given: dict | None = None
) -> Figure:
    """Images above the means of p(x|z) at their codes."""
    return grid([images, model.reconstruct(images, given)], ["data", "model"])


def interpolation(
    model: zoo.GenerativeModel, images: np.ndarray, steps: int = 9
) -> Figure:
    """From one image to another, by the codes on the straight line between theirs.

    Each row has two of the images `[2 * rows, H, W, C]` at its ends. Between them are
    the means of p(x|z) at `steps` codes: the first and the last are reconstructions.
    """
    first, last = images[::2], images[1::2]
    between = model.interpolate(first, last, steps=steps).numpy()
    rows = np.stack([first, *between, last], axis=1)
    shares = [f"{share:.3g}" for share in np.linspace(0, 1, steps)]
    figure = grid(list(rows), columns=["data", *shares, "data"])
    title = "Straight lines between two codes"
    return with_texts(figure, title, "share of the right image's code")


def enlarged(
    model: zoo.RefVAE, images: np.ndarray, given: dict, seed: int = 0
) -> Figure:
    """Images by column: what a model is given, and what bicubic and it make of that."""
    low, reference, size = given["low"], given["reference"], images.shape[1:3]
    rows = {
        "given": tf.image.resize(low, size, "nearest"),
        "bicubic": zoo.networks.bicubic(tf.constant(low), size),
        "sample": model.sample(len(low), {"low": low}, seed=seed),
        "another": model.sample(len(low), {"low": low}, seed=seed + 1),
        "by reference": model.super_resolve(low, reference),
        "reference": reference,
        "data": images,
    }
    return grid(list(rows.values()), list(rows))


def with_texts(figure: Figure, title: str, below: str = "") -> Figure:
    """The grid with a title, and a text below its columns, and room for both."""
    lines, width = title.split("\n"), figure.get_figwidth()
    missing = max(0.0, 0.08 * max(map(len, lines)) - width)  # inches of a letter
    with_margins(figure, missing / 2, missing / 2, 0.2 * bool(below), 0.22 * len(lines))
    figure.suptitle(title, y=1 - 0.04 / figure.get_figheight(), va="top", fontsize=10)
    figure.axes[0].set_xlabel(below)
    return figure


def as_array(figure: Figure) -> np.ndarray:
    """A figure's pixels, `[H, W, 4]` uint8."""
    buffer = BytesIO()
    figure.savefig(buffer, format="rgba")
    width, height = (round(side) for side in figure.bbox.size)
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)


def save(figure: Figure, file: Path) -> None:
    """Writes a PNG; grey ones and plots take half the bytes.

    A plot has a few colours and their mixtures with the background, which 256 near ones
    replace. Images in colour keep theirs, if they are more than `PLOT`.
    """
    picture = Image.fromarray(as_array(figure)).convert("RGB")
    grey = picture.convert("L")
    colourless = np.array_equal(grey.convert("RGB"), picture)
    if colourless:
        picture = grey
    elif picture.getcolors(PLOT):
        picture = picture.quantize(256, kmeans=1, dither=Image.Dither.NONE)
    picture.save(file, optimize=True)
