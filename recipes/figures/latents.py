"""Pictures of a model's latents: what each does to an image, and where codes lie."""

from collections.abc import Iterable, Sequence
from statistics import NormalDist

import numpy as np
import tensorflow as tf
from matplotlib import cm
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage, TextArea, VPacker
from tensorflow_probability import distributions as tfd

import zoo
import zoo.evaluation
from recipes.figures.grids import every_class, grid, with_texts
from zoo import checks
from zoo.draws import ACTIVE, Mean, SampleEach, seed_words

WIDTH = 0.36  # inches of a traversal's image: there may be many rows
MAPPED = 2000  # codes of a map by t-SNE, which takes seconds


def traversal(
    model: zoo.GenerativeModel,
    images: np.ndarray,
    rows: int = 64,
    given: dict | None = None,
) -> Figure:
    """One image's code, one active latent per row moved from -3 to 3.

    Active are those whose code varies over `images` by more than `zoo.draws.ACTIVE`;
    dead ones are counted, not drawn, and so are active ones beyond `rows`. Each says
    its rate, the highest first; where it has none of its own, the one that varies most
    is first. Of several latent layers the top one moves, and those below follow in the
    mean. If none is active, the code's image stands alone.
    """
    top = model.encode(images, given)[0].numpy()
    active = most_active(top, len(top[0]))
    name, rate, rates = top_rates(model, images, given)
    if rates is not None:
        active = active[np.argsort(-rates[active])]
    labels, pictures, steps = [], [], np.linspace(-3, 3, 11, dtype=np.float32)
    asked = model.given_fields.keys() & (given or {}).keys()
    same = {key: np.repeat(given[key][:1], len(steps), axis=0) for key in asked}
    for dimension in active[:rows]:
        nats = "" if rates is None else f"  {rates[dimension]:.2f} nats"
        labels.append(f"{name}[{dimension}]{nats}")
        z = np.repeat(top[:1], len(steps), axis=0)
        z[:, dimension] = steps
        pictures.append(model.decode(z, given=same).numpy())
    title = f"One code in {name}{rate}: {counted(rows, len(active), len(top[0]))}"
    if rate and rates is None:
        title += "\nno rate of each: prior or posterior joins them"
    if not pictures:
        same = {key: value[:1] for key, value in same.items()}
        image = model.decode(top[:1], given=same).numpy()
        return with_texts(grid([image], width=WIDTH), title)
    columns = [f"{step:g}" for step in np.round(steps, 1)]
    figure = grid(pictures, labels, columns, WIDTH)
    width = pictures[0].shape[2]
    between = np.arange(1, len(columns)) * width - 0.5  # what moves is seen to move
    figure.axes[0].vlines(between, *figure.axes[0].get_ylim(), color="0.4", lw=0.5)
    return with_texts(figure, title, "value of the row's latent")


def counted(rows: int, active: int, dimensions: int) -> str:
    """In words: how many latents of a layer are active and drawn, and how many dead."""
    if not active:
        return f"none of {dimensions} latents is active"
    few = f"{rows} of " if rows < active else ""
    dead = dimensions - active
    return f"{few}{active} active latents, one per row" + (
        f"\n{dead} dead left out: variance of the code up to {ACTIVE:g}" if dead else ""
    )


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
    """The active dimensions of codes `[N, D]`, at most `count`, most varying first.

    See `zoo.evaluation.information` for when a dimension is active.
    """
    variances = codes.var(axis=0)
    order = np.argsort(-variances)[:count]
    return order[variances[order] > ACTIVE]


def levels(model: zoo.LatentVariableModel, columns: int = 10, seed: int = 0) -> Figure:
    """One row per latent layer, top first: images that share all layers above it.

    The layer itself and all below are drawn anew for each image, so a row shows what
    the layers above leave open. Of a `VLAE`, whose levels are independent, one is drawn
    anew and all others are held. The first image is the same in all rows.
    """
    rows, shapes = [], [field.shape for field in model.latent_fields.values()]
    first = every_class(model, 1)
    given = {name: np.repeat(row, columns, axis=0) for name, row in first.items()}
    for top in range(len(shapes)):
        anew = [top] if isinstance(model, zoo.VLAE) else range(top, len(shapes))
        out = model.walk(SomeLayers(seed, columns, anew, shapes), None, given)
        rows.append(model.likelihood(out, given).mean().numpy())
    return grid(rows, list(model.latent_fields))


class SomeLayers(SampleEach):
    """Draws with the same noise for every row, but for the layers `anew`."""

    def __init__(self, seed: int, rows: int, anew: Iterable[int], shapes):
        words = seed_words(seed)
        super().__init__(tf.tile(words[None], [rows, 1]), shapes)
        others = tf.stack([tf.random.fold_in(words, row) for row in range(rows)])
        fresh = SampleEach(others, shapes).layers
        for i in anew:
            pairs = zip(self.layers[i], fresh[i])
            self.layers[i] = [tf.concat([k[:1], f[1:]], axis=0) for k, f in pairs]


def latent_space(
    model: zoo.GenerativeModel,
    images: np.ndarray,
    labels: np.ndarray,
    given: dict | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """The top layer's codes by class, with the images of two points beside them.

    The legend has the names of the classes 0, 1, ..., or their numbers without.

    More than two dimensions are shown by t-SNE, a map that keeps near codes near (van
    der Maaten & Hinton, 2008): its axes have no units, and how far apart groups lie
    says little. It shows the first 2000 codes at most, and takes seconds.
    """
    codes = model.encode(images, given)[0].numpy()
    figure = Figure(figsize=(5, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    mapped = codes.shape[1] > 2
    if mapped:
        codes, labels = neighbours(codes[:MAPPED]), labels[:MAPPED]
        given = {key: rows[:MAPPED] for key, rows in (given or {}).items()}
    name, rate, _ = top_rates(model, images[: len(codes)], given)
    title = f"Codes of {len(codes)} images in {name}{rate}"
    if mapped:
        title += "\nt-SNE: near codes stay near, axes have no units"
        axes.set(xticks=[], yticks=[])
    else:
        axes.set(xlabel=f"{name}[0]", ylabel=f"{name}[1]")
    scatter(axes, codes, labels, classes)
    if of_two_dimensions(model):
        _show_decoded(axes, model, np.float32([[-1, 1], [1, 1]]))
    class_legend(axes)
    axes.set_title(title, fontsize=10)
    return figure


def scatter(
    axes,
    codes: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str] | None = None,
    size: float = 4,
) -> None:
    """Codes `[N, 2]` as dots, in a colour for each class; see `class_legend`."""
    for label in np.unique(labels):
        dots = codes[labels == label].T
        called = str(label) if classes is None else classes[label]
        axes.scatter(*dots, s=size, color=cm.tab10(label % 10), label=called)


def class_legend(axes, scale: float = 3) -> None:
    """Names the classes of `scatter`, outside on the right, by dots `scale` as wide."""
    axes.legend(
        title="class",
        markerscale=scale,
        fontsize=8,
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )


def neighbours(codes: np.ndarray) -> np.ndarray:
    """A map `[N, 2]` of codes `[N, D]` by t-SNE: same codes, same map."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30, (len(codes) - 1) / 3)  # scikit-learn's own, but of few codes
    tsne = TSNE(perplexity=perplexity, init="pca", max_iter=500, random_state=0)
    with threadpool_limits(1):  # two that share a busy machine wait for one another
        return tsne.fit_transform(codes)


def _show_decoded(axes, model, points: np.ndarray) -> None:
    """Marks points of a two-dimensional latent space and draws their images."""
    for z, image in zip(points, model.decode(points).numpy()):
        pixels = image[..., 0] if image.shape[-1] == 1 else image
        picture = OffsetImage(np.clip(pixels, 0, 1), zoom=1.2, cmap="gray")
        where = TextArea(f"({z[0]:g}, {z[1]:g})", textprops={"fontsize": 8})
        axes.add_artist(
            AnnotationBbox(
                VPacker(children=[where, picture], align="center", pad=0, sep=2),
                z,
                xybox=(0.5 + 0.42 * np.sign(z[0]), 0.9),  # in the upper corners
                boxcoords="axes fraction",
                pad=0.1,
                arrowprops={"arrowstyle": "-"},
            )
        )
        axes.plot(*z, "o", color="black", markersize=5, markerfacecolor="white")


def decoded_grid(model: zoo.GenerativeModel, side: int = 17) -> Figure:
    """Images of a latent space of two dimensions, at the codes of `plane`."""
    codes, (name,) = plane(side), model.latent_fields
    rows = [f"{step:.1f}" for step in codes[:, 0, 1]]
    columns = [f"{step:.1f}" for step in codes[0, :, 0]]
    figure = grid(list(model.decode(codes).numpy()), rows, columns)
    title = f"Rows: {name}[1], columns: {name}[0], at equal shares of the prior"
    return with_texts(figure, title)


def plane(side: int) -> np.ndarray:
    """Codes `[side, side, 2]` of two dimensions, the first to the right.

    The lines of the grid hold equal shares of the prior N(0, I), outermost 1 %.
    """
    steps = NormalDist().inv_cdf
    steps = np.float32([steps(p) for p in np.linspace(0.01, 0.99, side)])
    return np.stack(np.meshgrid(steps, steps[::-1]), axis=-1)


def has_latents(model: zoo.GenerativeModel, ndims: int | None = None) -> bool:
    """Whether a model draws latents, and each of `ndims` axes where that is given."""
    fields = getattr(model, "latent_fields", {}).values()
    return bool(fields) and all(ndims in (None, len(f.shape)) for f in fields)


def of_two_dimensions(model: zoo.GenerativeModel) -> bool:
    """Whether a model of images alone has one latent, of two dimensions."""
    alone = len(model.fields) == 1
    return alone and [f.shape for f in model.latent_fields.values()] == [(2,)]
