"""Numbers as curves and bars: training, rates of layers, rate and distortion."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recipes.history import DRAWN


def history(epochs: Sequence[dict]) -> Figure:
    """Bounds, rate and distortion, or log p(x), of training and validation by epoch.

    Of ten or more the first tenth may lie outside: the end is to be read.
    """
    names = [name for name in DRAWN if name in epochs[0]]
    figure = Figure(figsize=(3 * len(names), 2.8), dpi=150, layout="constrained")
    checked = [i for i, epoch in enumerate(epochs) if f"val_{names[0]}" in epoch]
    panels = np.ravel(figure.subplots(1, len(names)))
    for axes, name in zip(panels, names):
        ends = []
        for label, key, where in (
            ("training", name, range(len(epochs))),
            ("validation", f"val_{name}", checked),
        ):
            values = [epochs[i][key] for i in where]
            axes.plot([i + 1 for i in where], values, label=label)
            ends += [v for i, v in zip(where, values) if i >= len(epochs) // 10]
        _by_epoch(axes, name, ends)
    _explain(panels[0], "nats per image")
    return figure


def compared(curves: dict[str, dict[str, Sequence[float]]], ylabel: str) -> Figure:
    """Panels by title with a curve of each model by epoch, all equally long.

    Of ten epochs or more the first tenth may lie outside: the end is to be read.
    """
    figure = Figure(figsize=(3 * len(curves), 2.8), dpi=150, layout="constrained")
    panels = np.ravel(figure.subplots(1, len(curves)))
    for axes, (title, models) in zip(panels, curves.items()):
        for label, values in models.items():
            axes.plot(range(1, len(values) + 1), values, label=label)
        _by_epoch(axes, title, [v for c in models.values() for v in c[len(c) // 10 :]])
    _explain(panels[0], ylabel)
    return figure


def _by_epoch(axes, title: str, shown: Sequence[float]) -> None:
    """Names axes and leaves room for the values that must be seen."""
    if shown:
        low, high = min(shown), max(shown)
        # What is constant but for rounding must not look like a curve.
        room = max(0.05 * (high - low), 1e-3 * max(-low, high)) or 1.0
        axes.set_ylim(low - room, high + room)
        axes.ticklabel_format(axis="y", useOffset=False)
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _explain(axes, ylabel: str) -> None:
    """What holds for all panels, in the first."""
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False)


def layer_rates(models: dict[str, Sequence[float]]) -> Figure:
    """The rate of each layer in nats, top first, as bars beside those of other models.

    All have as many layers; the bottom one is z_1.
    """
    figure = Figure(figsize=(7, 3), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(models)
    for i, (name, rates) in enumerate(models.items()):
        places = np.arange(len(rates)) + (i - (len(models) - 1) / 2) * width
        label = f"{name} ({sum(rates):.1f} in all)"
        heights = np.maximum(rates, 0.0)  # estimates of 0 may lie below it
        bars = axes.bar(places, heights, width, label=label)
        axes.bar_label(bars, fmt="%.1f", fontsize=6)
    names = [f"z_{i}" for i in range(len(rates), 0, -1)]
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="rate, nats per image", xlabel="layer, the top one first")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def rate_distortion(curves: dict[str, Sequence[tuple[float, float, float]]]) -> Figure:
    """Distortion against rate in nats: points (beta, rate, distortion) by curve.

    Beside each point is its beta. Dotted are lines of equal rate + distortion, which is
    -ELBO, 20 nats apart.
    """
    figure = Figure(figsize=(5.6, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.margins(0.1)
    for name, points in curves.items():
        _, rates, distortions = zip(*points)
        (line,) = axes.plot(rates, distortions, "o-", markersize=4, label=name)
        style = {"color": line.get_color(), "fontsize": 8, "ha": "center"}
        style |= {"va": "center", "textcoords": "offset points"}
        others = [curve for other, curve in curves.items() if other != name]
        for beta, *place in points:
            side = 1 if all(_is_above(*place, curve) for curve in others) else -1
            axes.annotate(f"{beta:g}", place, xytext=(8 * side, 7 * side), **style)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for total in np.arange(20 * np.ceil((left + low) / 20), right + high, 20):
        line = axes.axline((0, total), slope=-1, color="grey", lw=0.6, ls=":", zorder=0)
    line.set_label("equal ELBO, 20 nats apart")
    axes.set(xlim=(left, right), ylim=(low, high))
    axes.set(xlabel="rate, nats per image", ylabel="distortion, nats per image")
    axes.legend(frameon=False, title="beta beside its point", alignment="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _is_above(rate: float, distortion: float, points) -> bool:
    """Whether a place has more distortion than a curve of points has at its rate."""
    _, rates, distortions = zip(*sorted(points, key=lambda point: point[1]))
    return distortion > np.interp(rate, rates, distortions)
