"""The picture of all entries on binary images: nats against CPU minutes of training."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator

LABELS = (  # where one may stand beside its mark, in points: the first free place
    (6, -3, "left"), (-6, -3, "right"), (0, 6, "center"), (0, -12, "center"),
    (6, 5, "left"), (6, -11, "left"), (-6, 5, "right"), (-6, -11, "right"),
)  # fmt: skip
FAR = (  # or further off, with a line
    (0, 18, "center"), (0, -24, "center"), (14, -24, "left"), (-14, -24, "right"),
    (14, 18, "left"), (-14, 18, "right"), (28, -38, "left"), (-28, -38, "right"),
)  # fmt: skip
PROCESSORS = {"C0": "AMD EPYC", "C1": "another processor"}  # by colour
DRAWN = 15.0  # nats above the best; what is worse stands at the picture's upper edge


def draw(rows: dict[str, list]) -> Figure:
    """NLL against CPU minutes; hollow where only the numbers are kept.

    Where these were not counted there are those by the clock, times the cores that the
    training could use, which it cannot have exceeded, and a line from those of one.

    Args:
        rows: `comparison.Row`s by data set, the best first: a panel for each.
    """
    figure = Figure(figsize=(8, 7.5), dpi=150, layout="constrained")
    panels = figure.subplots(2, sharex=True, height_ratios=(4, 1))
    for (data, its), axes in zip(rows.items(), panels, strict=True):
        _draw(its, axes)
        axes.set_title(f"{data}, binarised: test images", loc="left", fontsize=10)
    panels[0].set(xscale="log", ylabel="NLL in nats [importance samples]")
    longest = max(row.cpu_minutes for its in rows.values() for row in its)
    panels[0].set_xlim(right=4 * longest)  # for a label
    for color, name in PROCESSORS.items():
        panels[0].plot([], [], "o", color=color, label=f"trained on {name}")
    marks = {"color": "gray", "markerfacecolor": "white"}
    panels[0].plot([], [], "o", **marks, label="only numbers are kept")
    panels[0].plot([], [], "^", **marks, label="above the picture")
    panels[0].plot([], [], lw=0.8, **marks, label="not counted: one core to all")
    panels[0].legend(loc="upper right", fontsize=8)
    panels[1].set(xlabel="CPU minutes of training, counted or at most")
    panels[1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[1].xaxis.set_major_formatter("{x:g}")
    panels[1].xaxis.set_minor_formatter("")
    for axes in panels:
        part_labels(figure, axes)
    return figure


def _draw(rows: list, axes) -> None:
    top = min(row.nll for row in rows) + DRAWN
    for row in rows:
        x, y, outside = row.cpu_minutes, min(row.nll, top), row.nll > top
        color = "C0" if row.processor == PROCESSORS["C0"] else "C1"
        axes.plot([min(row.minutes, x), x], [y, y], color=color, lw=0.8)
        shape, fill = "^" if outside else "o", color if row.is_entry else "white"
        axes.plot(x, y, shape, color=color, markerfacecolor=fill)
        label = row.name.replace(f"_{row.data}", "") + f", {row.nll:.2f}" * outside
        label = f"{label} [{row.draws}]"
        line = {"arrowstyle": "-", "lw": 0.4, "shrinkA": 0, "shrinkB": 3}
        style = {"textcoords": "offset points", "fontsize": 8, "arrowprops": line}
        axes.annotate(label, (x, y), (0, 0), **style)
    axes.margins(y=0.12)
    axes.grid(alpha=0.3)


def part_labels(figure: Figure, axes) -> None:
    """Moves each label to the first place where it covers nothing, or to the last."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()  # from here on, places are in pixels
    taken = [line.get_window_extent(renderer).padded(2) for line in axes.lines]
    for text in axes.texts:
        for x, y, align in LABELS + FAR:
            text.xyann = x, y
            text.arrow_patch.set_visible((x, y, align) in FAR)
            text.set_horizontalalignment(align)
            box = Text.get_window_extent(text, renderer)  # without its line
            if not any(map(box.overlaps, taken)):
                break
        taken.append(box)
