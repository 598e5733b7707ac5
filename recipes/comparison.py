"""Entries on binarised images side by side: a table and a page's part."""

import json
from pathlib import Path
from typing import NamedTuple

from rich.markup import escape
from rich.table import Table

from recipes import chart
from recipes.cards import ENTRIES, card, card_of_numbers, docstring, pictured
from recipes.tables import draws_of, dtype_of

ROOT = Path(__file__).parent.parent
PAGE, PICTURE = ROOT / "docs" / "results.md", ROOT / "docs" / "results.png"
README = ROOT / "README.md"
RATES = ROOT / "recipes" / "results" / "layer_rates" / "layer_rates.png"
START, END = "<!-- entries: python -m recipes results -->", "<!-- end -->"
DATA = "mnist", "fashion_mnist"  # of which likelihoods of binary images compare
HIERARCHIES = {  # records of models with the same layers
    "recipes/results/hierarchical_vae_mnist": "plain, 20 epochs",
    "recipes/results/hierarchical_vae_bn_mnist": "plain, BN, warm-up, 20 epochs",
    "recipes/results/ladder_vae_mnist_20_epochs": "ladder, 20 epochs",
    "saved_models/ladder_vae_mnist": "ladder, 1200 epochs",
}
TITLES = ("entry", "parameters", "minutes", "epochs", "-ELBO", "NLL [samples]")
TITLES += ("published", "gap")


class Published(NamedTuple):
    """A paper's test NLL on the same images, dynamically binarised, in nats."""

    nll: float
    samples: int
    source: str


_VAMP_PRIOR = Published(
    81.24, 5000, "Tomczak & Welling, 2018, two layers of latents under a VampPrior"
)
PUBLISHED = {
    "vae_mnist": Published(86.76, 5000, "Burda et al., 2016"),
    "iwae_mnist": Published(84.78, 5000, "Burda et al., 2016"),
    "ladder_vae_mnist": Published(
        81.84, 5000, "Sonderby et al., 2016, after fine-tuning"
    ),
    "conv_vae_mnist": Published(
        81.08, 128, "Kingma et al., 2016, a larger network, -ELBO 84.08"
    ),
    "flow_prior_vae_mnist": _VAMP_PRIOR,
    "vamp_prior_vae_mnist": _VAMP_PRIOR,
    "iaf_vae_mnist": Published(
        79.77, 128, "Kingma et al., 2016, larger convolutional networks"
    ),
    "biva_mnist": Published(78.41, 1000, "Maaloe et al., 2019, a larger network"),
    "nvae_mnist": Published(78.01, 1000, "Vahdat & Kautz, 2020, 33 M parameters"),
    "vae_fashion_mnist": Published(228.70, 5000, "Norouzi et al., 2020"),
    "flow_prior_vae_fashion_mnist": Published(
        227.35, 5000, "Norouzi et al., 2020, a VampPrior"
    ),
}


class Row(NamedTuple):
    """What one training came to: its test figures in nats, and what it took."""

    name: str
    folder: Path  # of its record
    data: str
    parameters: int
    minutes: float
    cpu_minutes: float  # counted, or at most
    epochs: int
    elbo: float
    nll: float
    samples: str  # or "exact"; with a star if networks were in mixed_bfloat16
    processor: str

    @property
    def is_entry(self) -> bool:
        """Whether its model is kept, and not its numbers alone."""
        return self.folder.parent.name == "saved_models"

    @property
    def draws(self) -> str:
        """The samples without their star."""
        return self.samples.rstrip("*")

    def cells(self) -> list[str]:
        """As a reader sees them, in the order of `TITLES`.

        A gap in brackets is of another number of samples than the published one.
        """
        published = gap = ""
        if self.name in PUBLISHED:
            nll, samples, _ = PUBLISHED[self.name]
            published, gap = f"{nll:.2f} [{samples}]", f"{self.nll - nll:+.2f}"
            gap = gap if self.draws == str(samples) else f"({gap})"
        return [
            self.name,
            f"{self.parameters / 1e6:.2f} M",
            f"{self.minutes:.1f}",
            str(self.epochs),
            f"{-self.elbo:.2f}",
            f"{self.nll:.2f} [{self.samples}]",
            published,
            gap,
        ]


def rows() -> list[Row]:
    """Every record that compares, by data set and the best NLL first."""
    found = []
    for file in (
        *ROOT.glob("saved_models/*/metadata.json"),
        *ROOT.glob("recipes/results/*/metadata.json"),
    ):
        record = json.loads(file.read_text())
        if "recipe" not in record:  # an entry that somebody made without one
            continue
        metrics, data = record["metrics"], record["data"]
        # Given a condition, likelihoods are of another kind: p(x|given).
        binary = data["name"] in DATA and data["binarise"]
        if binary and not data.get("given") and "nll" in metrics:
            star = "*" if dtype_of(metrics).startswith("mixed") else ""
            at_most = record["seconds"] * (record["machine"]["cores"] or 1)
            row = Row(
                file.parent.name,
                file.parent,
                data["name"],
                record["parameters"],
                record["seconds"] / 60,
                record.get("cpu_seconds", at_most) / 60,
                record["epochs"],
                metrics["elbo"]["value"],
                metrics["nll"]["value"],
                draws_of(metrics) + star,
                record["machine"]["processor"],
            )
            found.append(row)
    return sorted(found, key=lambda row: (DATA.index(row.data), row.nll))


def entries(rows: list[Row]) -> list[Row]:
    """Those whose models are kept."""
    return [row for row in rows if row.is_entry]


def table(rows: list[Row]) -> Table:
    """For the screen."""
    title = "Test images, dynamically binarised, nats"
    result = Table(title=title, box=None, collapse_padding=True, pad_edge=False)
    for title, cells in zip(TITLES, zip(*(row.cells() for row in rows))):
        # Whole in 80 columns: names in one line, numbers and their units in two.
        first = title == "entry"
        words = [len(word) for cell in cells for word in cell.split()]
        result.add_column(
            escape(title),
            justify="left" if first else "right",
            no_wrap=first,
            min_width=max(words, default=0),
            overflow="fold",
        )
    for row in rows:
        result.add_row(*map(escape, row.cells()))
    return result


def lines(rows: list[Row], up: str) -> str:
    """The table in Markdown, whose entries are linked."""
    found = [f"| {' | '.join(TITLES)} |", "|---" + "|---:" * (len(TITLES) - 1) + "|"]
    for row in rows:
        name, *cells = row.cells()
        link = f"`{name}`"
        if row.is_entry:
            link = f"[{link}]({up}{row.folder.relative_to(ROOT).as_posix()})"
        found.append(f"| {' | '.join([link, *cells])} |")
    return "\n".join(found)


def markdown(rows: list[Row]) -> str:
    """For the page: the entries, who published, and what is kept as numbers only."""
    sources = {}
    for row in rows:
        if row.name in PUBLISHED:
            sources.setdefault(PUBLISHED[row.name].source, []).append(f"`{row.name}`")
    published = [f"- {', '.join(names)}: {source}" for source, names in sources.items()]
    others = lines([row for row in rows if not row.is_entry], "../")
    parts = lines(entries(rows), "../"), "Published:", "\n".join(published)
    quick = ", ".join(
        f"`{r.name}` ({r.nll:.2f} after {r.cpu_minutes:.0f})" for r in front(rows)
    )
    best = "On MNIST none is better in fewer CPU minutes (at most; processors differ) "
    best += f"than {quick}."
    return "\n\n".join([*parts, "Kept as numbers only:", others, best])


def front(rows: list[Row]) -> list[Row]:
    """Those on MNIST that no other is better than in as few CPU minutes or fewer."""
    found = []
    for row in sorted(
        by_data(rows)[DATA[0]], key=lambda row: (row.cpu_minutes, row.nll)
    ):
        if not found or row.nll < found[-1].nll:
            found.append(row)
    return found


def by_data(rows: list[Row]) -> dict[str, list[Row]]:
    return {data: [row for row in rows if row.data == data] for data in DATA}


def update(rows: list[Row]) -> list[Path]:
    """Writes the tables of the pages, the picture and all cards anew."""
    texts = {PAGE: markdown(rows), README: lines(entries(rows), "")}
    for page, text in texts.items():
        before, rest = page.read_text().split(START)
        after = rest.split(END, 1)[1]
        page.write_text(f"{before}{START}\n{text}\n{END}{after}")
    chart.draw(by_data(rows)).savefig(PICTURE, metadata={"Description": texts[PAGE]})
    found = cards()
    for file, text in found.items():
        file.write_text(text)
    return [*texts, PICTURE, *found]


def cards() -> dict[Path, str]:
    """Of all entries, with the pictures that they have, and of trainings without one.

    The latter if they have a recipe of their name.
    """
    found = {}
    for file in ROOT.glob("saved_models/*/metadata.json"):
        record, name = json.loads(file.read_text()), file.parent.name
        if "recipe" not in record:
            continue
        about = docstring(ENTRIES / f"{record['recipe']}.py")
        readme = file.with_name("README.md")
        drawn = pictured(readme.read_text())
        found[readme] = card(name, about, record, drawn)
    for file in ROOT.glob("recipes/results/*/metadata.json"):
        recipe = ENTRIES / f"{file.parent.name}.py"
        if recipe.exists():
            record = json.loads(file.read_text())
            text = card_of_numbers(recipe.stem, docstring(recipe), record)
            found[file.with_name("README.md")] = text
    return found


def draw_layer_rates() -> Path:
    """Draws the recorded rates of the hierarchies, layer by layer."""
    from recipes import figures  # which starts TensorFlow

    rates = {}
    for folder, name in HIERARCHIES.items():
        record = json.loads((ROOT / folder / "metadata.json").read_text())
        rates[name] = record["metrics"]["layer_rates"]["value"]
    figures.save(figures.layer_rates(rates), RATES)
    return RATES
