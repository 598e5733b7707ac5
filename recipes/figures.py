"""Pictures of what a model does; every function returns a Matplotlib figure."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import NormalDist

import numpy as np
import tensorflow as tf
from matplotlib import cm
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from tensorflow_probability import distributions as tfd

import zoo
import zoo.evaluation
from zoo import checks
from zoo.draws import Mean, SampleEach, seed_words


def grid(
    rows: Sequence[np.ndarray],
    labels: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Figure:
    """Images `[columns, H, W, C]` per row, side by side without gaps.

    They are floats, of which what lies outside of [0, 1] is cut off, or uint8. Rows
    may have `labels` on their left, and `columns` theirs below.

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
    height, width, channels = rows[0].shape[1:]
    mosaic = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    size = (
        0.5 * len(rows[0]) + 0.12 * max(map(len, labels), default=0),
        0.5 * len(rows) * height / width + 0.3 * bool(columns),
    )
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(
        mosaic[..., 0] if channels == 1 else mosaic, cmap="gray", vmin=0, vmax=1
    )
    axes.set_xticks([(i + 0.5) * width - 0.5 for i in range(len(columns))], columns)
    axes.set_yticks([(i + 0.5) * height - 0.5 for i in range(len(labels))], labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
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
    return grid(np.split(images, count // 10))


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


def traversal(
    model: zoo.GenerativeModel,
    images: np.ndarray,
    rows: int = 10,
    given: dict | None = None,
) -> Figure:
    """One image's code, one latent dimension per row moved from -3 to 3.

    The dimensions are those whose code varies most over `images`, first the most; each
    says its rate, where it has one of its own. Of several latent layers the top one
    moves, and those below follow in the mean.
    """
    top = model.encode(images, given)[0].numpy()
    order = most_active(top, rows)
    steps = np.linspace(-3, 3, 11, dtype=np.float32)
    asked = model.given_fields.keys() & (given or {}).keys()
    same = {name: np.repeat(given[name][:1], len(steps), axis=0) for name in asked}
    name, rate, rates = top_rates(model, images, given)
    labels, rows = [], []
    for dimension in order:
        nats = "" if rates is None else f"  {rates[dimension]:.2f} nats"
        labels.append(f"{name}[{dimension}]{nats}")
        z = np.repeat(top[:1], len(steps), axis=0)
        z[:, dimension] = steps
        rows.append(model.decode(z, given=same).numpy())
    figure = grid(rows, labels, [f"{step:g}" for step in np.round(steps, 1)])
    title = f"One code in {name}{rate}: each row moves one dimension"
    figure.axes[0].set(title=title, xlabel="value of the row's dimension")
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.6)  # of the texts
    return figure


def top_rates(
    model: zoo.LatentVariableModel, images: np.ndarray, given: dict | None = None
) -> tuple[str, str, np.ndarray | None]:
    """The top layer's name, its mean rate over `images` in words, and by dimension.

    `[D]` nats, or None: only diagonal normals have rates of their dimensions. A model
    without a rate says nothing of either.
    """
    name = next(iter(model.latent_fields))
    info = zoo.evaluation.information(model, images, given)
    rate = info.get("rate" + name.removeprefix("z"))
    if rate is None:
        return name, "", None
    draw, told = Mean(len(images)), checks.together(images, given)
    told = checks.completed(told, model.fields, len(images))
    x = told.pop("x")
    model.walk(draw, model.features(x, told), told)
    top = draw.latents[0]
    pair = [getattr(p, "distribution", None) for p in (top.posterior, top.prior)]
    rates = None
    if all(isinstance(p, tfd.Normal) for p in pair):
        rates = np.mean(tfd.kl_divergence(*pair), axis=0)
    return name, f" (rate {rate:.1f} nats)", rates


def most_active(codes: np.ndarray, count: int) -> np.ndarray:
    """The dimensions of codes `[N, D]` that vary most, first the most, `[count]`."""
    return np.argsort(-codes.var(axis=0))[:count]


def levels(model: zoo.LatentVariableModel, columns: int = 10, seed: int = 0) -> Figure:
    """One row per latent layer, top first: images that differ in its noise alone.

    All else is held: independent layers keep their values. In a hierarchy those above
    do, and those below follow from what is drawn, each with the same noise. The first
    image is the same in all rows.
    """
    rows, shapes = [], [field.shape for field in model.latent_fields.values()]
    first = every_class(model, 1)
    given = {name: np.repeat(row, columns, axis=0) for name, row in first.items()}
    for varied in range(len(shapes)):
        out = model.walk(OneLevel(seed, columns, varied, shapes), None, given)
        rows.append(model.likelihood(out, given).mean().numpy())
    return grid(rows, list(model.latent_fields))


class OneLevel(SampleEach):
    """Draws with the same noise for every row, but for the layer `varied`."""

    def __init__(self, seed: int, rows: int, varied: int, shapes):
        words = seed_words(seed)
        super().__init__(tf.tile(words[None], [rows, 1]), shapes)
        others = tf.stack([tf.random.fold_in(words, row) for row in range(rows)])
        pairs = zip(self.layers[varied], SampleEach(others, shapes).layers[varied])
        mixed = [tf.concat([kept[:1], other[1:]], axis=0) for kept, other in pairs]
        self.layers[varied] = mixed


def latent_space(
    model: zoo.GenerativeModel,
    images: np.ndarray,
    labels: np.ndarray,
    given: dict | None = None,
) -> Figure:
    """The top layer's codes by class, with the images of two points beside them.

    More than two dimensions are projected on their main directions, without images.
    The axes say how much of the codes' variance these have.
    """
    from sklearn.decomposition import PCA

    codes = model.encode(images, given)[0].numpy()
    name, rate, _ = top_rates(model, images, given)
    axis_names = [f"{name}[{i}]" for i in range(2)]
    if codes.shape[1] > 2:
        pca = PCA(2)
        codes = pca.fit_transform(codes)
        axis_names = [
            f"{which} main direction of {name}, {share:.0%} of the variance"
            for which, share in zip(("first", "second"), pca.explained_variance_ratio_)
        ]
    figure = Figure(figsize=(5, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for label in np.unique(labels):
        where = labels == label
        axes.scatter(*codes[where].T, s=4, color=cm.tab10(label % 10), label=str(label))
    if of_two_dimensions(model):
        _show_decoded(axes, model, np.float32([[-1, 1], [1, 1]]))
    axes.legend(
        title="class",
        markerscale=3,
        fontsize=8,
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    axes.set(xlabel=axis_names[0], ylabel=axis_names[1])
    axes.set_title(f"Codes of {len(images)} images in {name}{rate}")
    return figure


def _show_decoded(axes, model, points: np.ndarray) -> None:
    """Marks points of a two-dimensional latent space and draws their images."""
    for z, image in zip(points, model.decode(points).numpy()):
        pixels = image[..., 0] if image.shape[-1] == 1 else image
        picture = OffsetImage(np.clip(pixels, 0, 1), zoom=1.2, cmap="gray")
        axes.add_artist(
            AnnotationBbox(
                picture,
                z,
                xybox=(np.sign(z[0]) * 60, 70),
                boxcoords="offset points",
                pad=0.1,
                arrowprops={"arrowstyle": "-"},
            )
        )
        axes.plot(*z, "o", color="black", markersize=5, markerfacecolor="white")


def decoded_grid(model: zoo.GenerativeModel, side: int = 17) -> Figure:
    """Images of a latent space of two dimensions, at the codes of `plane`."""
    return grid(list(model.decode(plane(side)).numpy()))


def plane(side: int) -> np.ndarray:
    """Codes `[side, side, 2]` of two dimensions, the first to the right.

    The lines of the grid hold equal shares of the prior N(0, I), outermost 1 %.
    """
    steps = NormalDist().inv_cdf
    steps = np.float32([steps(p) for p in np.linspace(0.01, 0.99, side)])
    return np.stack(np.meshgrid(steps, steps[::-1]), axis=-1)


def history(epochs: Sequence[dict]) -> Figure:
    """ELBO, rate and distortion, or log p(x), of training and validation by epoch."""
    known = ("elbo", "rate", "distortion", "log_prob")
    names = [name for name in known if name in epochs[0]]
    figure = Figure(figsize=(3 * len(names), 2.8), dpi=150, layout="constrained")
    checked = [i for i, epoch in enumerate(epochs) if f"val_{names[0]}" in epoch]
    for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names):
        for label, key, where in (
            ("training", name, range(len(epochs))),
            ("validation", f"val_{name}", checked),
        ):
            values = [epochs[i][key] for i in where]
            axes.plot([i + 1 for i in where], values, label=label)
        axes.set(title=name, xlabel="epoch", ylabel="nats per image")
        axes.legend(frameon=False)
    return figure


def draw(model, data, images: np.ndarray, folder: Path, epochs=()) -> list[Path]:
    """Writes every figure of an entry as PNG and returns the files.

    Of a model without latents there are samples and the history alone.

    Args:
        model: a model of images.
        data: the data set, for its test labels.
        images: test images as the model is judged on them, `[N, H, W, C]`.
        folder: where the files go.
        epochs: the training history, if known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels, given = data.labels["test"], partial(data.given, model, "test")
    pictures = {"samples": samples(model, given=given(10))}
    if has_latents(model):
        shown = reconstructions(model, images[:10], given(10))
        pictures["reconstructions"] = shown
    if isinstance(model, zoo.RefVAE):
        pictures["enlarged"] = enlarged(model, images[:10], given(10))
    codes = isinstance(model, zoo.VQVAE)  # whose own prior draws noise
    if len(getattr(model, "latent_fields", ())) > 1 and not codes:
        pictures["levels"] = levels(model)
    if has_latents(model, ndims=1):
        pictures["traversal"] = traversal(model, images[:1000], given=given(1000))
        if labels is not None:
            shown = latent_space(model, images[:3000], labels[:3000], given(3000))
            pictures["latent_space"] = shown
        if of_two_dimensions(model):
            pictures["decoded_grid"] = decoded_grid(model)
    if epochs:
        pictures["history"] = history(epochs)
    files = []
    for name, figure in pictures.items():
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1])
    return files


def has_latents(model: zoo.GenerativeModel, ndims: int | None = None) -> bool:
    """Whether a model draws latents, and each of `ndims` axes where that is given."""
    fields = getattr(model, "latent_fields", {}).values()
    return bool(fields) and all(ndims in (None, len(f.shape)) for f in fields)


def of_two_dimensions(model: zoo.GenerativeModel) -> bool:
    """Whether a model has one latent, of two dimensions, and asks for nothing else."""
    alone = len(model.fields) == 1
    return alone and [f.shape for f in model.latent_fields.values()] == [(2,)]


def as_array(figure: Figure) -> np.ndarray:
    """A figure's pixels, `[H, W, 4]` uint8."""
    buffer = BytesIO()
    figure.savefig(buffer, format="rgba")
    width, height = (round(side) for side in figure.bbox.size)
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)
