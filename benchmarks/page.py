"""`python -m benchmarks.page`: the first table of docs/speed.md, from results.json."""

import json
import statistics
from pathlib import Path

from benchmarks.protocol import ROOT
from benchmarks.versus import Row

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "speed.md"
START, END = "<!-- figures: python -m benchmarks.page -->", "<!-- end -->"
PLAIN = {  # the rows that are shown, in the words of the page
    "training dense, batch 128": "training, dense, batches of 128",
    "training dense, batch 512": "training, dense, batches of 512",
    "training conv, batch 128": "training, convolutional",
    "training IAF, batch 128": "training, IAF",
    "NLL, 5000 samples": "log-likelihood, 5000 samples for each image",
    "sampling 10 000": "drawing 10 000 images",
    "encoding 60 000": "encoding 60 000 images",
    "start of training dense": "wait for the first step, dense",
    "start of training IAF": "wait for the first step, IAF",
    "start of training ladder": "wait for the first step, ladder of five layers",
    "import after TensorFlow, PyTorch": "import, after TensorFlow's or PyTorch's own",
    "memory of training dense, batch 128": "memory, training, dense",
    "memory of training IAF, batch 128": "memory, training, IAF",
    "memory of NLL, 5000 samples": "memory, log-likelihood",
    "used by training, batch 512": "share of the processor's rate that training uses",
}


def table(rows: dict[str, Row]) -> str:
    """Markdown: medians of both sides, their ratio and the aim, by figure."""
    lines = ["| what | zoo | pythae | ratio | aim |", "|---" * 5 + "|"]
    for figure, plain in PLAIN.items():
        row = rows[figure]
        ratio = f"**{row.ratio:.2f}**" if row.peer else ""
        sides = shown(row.zoo, row.unit), shown(row.peer, row.unit)
        lines.append(f"| {' | '.join([plain, *sides, ratio, row.aim])} |")
    return "\n".join(lines)


def shown(values: list[float], unit: str) -> str:
    """The median in three digits, or whole; nothing where nothing was measured."""
    if not values:
        return ""
    median = statistics.median(values)
    number = f"{median:,.0f}".replace(",", " ") if median >= 100 else f"{median:.3g}"
    return f"{number} {unit}"


def recorded() -> dict[str, Row]:
    """The rows of results.json by their figure."""
    rows = json.loads(RESULTS.read_text())["versus"]
    names = ("figure", "unit", "aim", "zoo", "peer")
    return {row["figure"]: Row(*(row[name] for name in names)) for row in rows}


def update() -> Path:
    """Writes the table anew into the page."""
    before, rest = PAGE.read_text().split(START)
    PAGE.write_text(f"{before}{START}\n{table(recorded())}\n{END}{rest.split(END)[1]}")
    return PAGE


if __name__ == "__main__":
    print(update())
