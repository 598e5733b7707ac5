"""`python -m benchmarks.page`: two tables of docs/speed.md, from their JSON files."""

import json
import statistics

from benchmarks.protocol import ROOT
from benchmarks.versus import Row

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "speed.md"
ENTRIES = ROOT / "benchmarks" / "entries.json"
START, END = "<!-- figures: python -m benchmarks.page -->", "<!-- end -->"
ENTRIES_START = "<!-- entries: python -m benchmarks.page -->"
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


def shown(values: list[float], unit: str = "") -> str:
    """The median in three digits, or whole; nothing where nothing was measured."""
    if not values:
        return ""
    median = statistics.median(values)
    number = f"{median:,.0f}".replace(",", " ") if median >= 100 else f"{median:.3g}"
    return f"{number} {unit}".rstrip()


def recorded() -> dict[str, Row]:
    """The rows of results.json by their figure."""
    rows = json.loads(RESULTS.read_text())["versus"]
    names = ("figure", "unit", "aim", "zoo", "peer")
    return {row["figure"]: Row(*(row[name] for name in names)) for row in rows}


def entries_table(entries: dict[str, dict]) -> str:
    """Markdown: how fast each entry trains, and its share of the matmul's rate."""
    lines = ["| entry | images/s | million multiply-adds | GFLOP/s | share |"]
    lines += ["|---" * 5 + "|", *(entry_row(*item) for item in entries.items())]
    return "\n".join(lines)


def entry_row(name: str, entry: dict) -> str:
    """One row of it; the share is the median over the pairs of epoch and matmul."""
    operations = 2 * entry["multiply_adds"]
    rates = [operations * speed for speed in entry["images_per_second"]]
    shares = [100 * rate / best for rate, best in zip(rates, entry["matmul"])]
    cells = (
        f"`{name}`",
        shown(entry["images_per_second"]),
        shown([operations / 2e6]),
        shown([rate / 1e9 for rate in rates]),
        shown(shares, "%"),
    )
    return f"| {' | '.join(cells)} |"


def recorded_entries() -> dict[str, dict]:
    """The entries of entries.json; none where it is not there."""
    return json.loads(ENTRIES.read_text())["entries"] if ENTRIES.exists() else {}


def updated(text: str) -> str:
    """The page with its tables as recorded; without that of the entries if none are."""
    entries = recorded_entries()
    text = replaced(text, START, table(recorded()))
    return replaced(text, ENTRIES_START, entries_table(entries) if entries else "")


def replaced(text: str, start: str, content: str) -> str:
    """The text with other content between a start and the end that follows it."""
    before, rest = text.split(start)
    after = END + rest.split(END, 1)[1]
    return "\n".join(filter(None, [before + start, content, after]))


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
    print(PAGE)
