"""Side by side: the zoo's figures and the peer's, taken in turns."""

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from benchmarks.protocol import ROOT, Worker

RUNS = 9  # the machine is not always alone
WORKERS = {"zoo": "benchmarks.zoo_worker", "peer": "benchmarks.peer_worker"}
CASES = {  # title and the ratio to reach, in images per second
    "train_dense_128": ("training dense, batch 128", "2x"),
    "train_dense_512": ("training dense, batch 512", "1.6x"),
    "train_conv_128": ("training conv, batch 128", "1.5x"),
    "train_iaf_128": ("training IAF, batch 128", "2x"),
    "nll": ("NLL, 5000 samples", "10x"),
    "sample": ("sampling 10 000", "2x"),
    "encode": ("encoding 60 000", "2x"),
}
STARTS = ("dense", "IAF", "ladder")
PROCESSES = 3  # to start a training in
IMPORTS = {
    "zoo": "import tensorflow; started = clock(); import zoo",
    "peer": "import torch; started = clock(); import pythae.models",
}


@dataclass
class Row:
    """One figure of both sides.

    Attributes:
        figure: what was measured.
        unit: of all its values; where the peer has a value too, more is better of
            "images/s", less of anything else.
        aim: what it should reach, as a ratio or in its unit.
        zoo: the zoo's values, one for each run.
        peer: the peer's, run in turns with the zoo's; empty where it was not there.
    """

    figure: str
    unit: str
    aim: str
    zoo: list[float]
    peer: list[float]

    @property
    def ratio(self) -> float | None:
        """Median over the pairs of runs; above 1 the zoo is ahead."""
        ratios = [a / b for a, b in zip(self.zoo, self.peer)]
        if not ratios:
            return None
        ratio = statistics.median(ratios)
        return ratio if self.unit == "images/s" else 1 / ratio


def compare(case: str, peer: Path | None, images: Path) -> tuple[list[Row], dict]:
    """One case on both sides, a run of the one and a run of the other in turns.

    Args:
        case: key of `CASES`.
        peer: the peer's Python interpreter, or None to measure the zoo alone.
        images: file of the images, see `protocol.serve`.

    Returns:
        Its rows, speed and peak memory, and library versions.
    """
    title, aim = CASES[case]
    speed = Row(title, "images/s", aim, [], [])
    memory = Row(f"memory of {title}", "MB", "1x", [], [])
    versions = {}
    with contextlib.ExitStack() as stack:
        workers = {
            side: stack.enter_context(
                Worker(python, WORKERS[side], case, images, images.with_name(side))
            )
            for side, python in interpreters(peer).items()
        }
        for _ in range(RUNS):
            for side, worker in workers.items():
                getattr(speed, side).append(worker.images / worker.run())
        for side, worker in workers.items():
            versions |= worker.versions
            getattr(memory, side).append(worker.close())
    return [speed, memory], versions


def starts(images: Path) -> list[Row]:
    """Seconds that a first short `fit()` takes beyond a second, in new processes."""
    rows = []
    for name in STARTS:
        row = Row(f"start of training {name}", "s", "10 s", [], [])
        case = f"start_{name.lower()}_128"
        for _ in range(PROCESSES):
            log = images.with_name("start")
            with Worker(sys.executable, WORKERS["zoo"], case, images, log) as worker:
                row.zoo.append(worker.warm_up)
        rows.append(row)
    return rows


def imports(peer: Path | None) -> Row:
    """Seconds of importing each library after its framework, in new processes."""
    row = Row("import after TensorFlow, PyTorch", "s", "1 s", [], [])
    for _ in range(RUNS):
        for side, python in interpreters(peer).items():
            code = f"from time import perf_counter as clock; {IMPORTS[side]}; "
            command = [python, "-c", f"{code}print(clock() - started)"]
            done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
            getattr(row, side).append(float(done.stdout))
    return row


def interpreters(peer: Path | None) -> dict[str, Path]:
    return {"zoo": Path(sys.executable)} | ({"peer": peer} if peer else {})


def table(rows: Sequence[Row]) -> Table:
    """Median (smallest-largest) of both sides, their ratio and the aim, by unit."""
    result = Table(title="Median (smallest-largest); ratios above 1: the zoo is ahead")
    for column in ("figure", "unit", "zoo", "peer", "ratio", "aim"):
        text = column in ("figure", "unit")
        result.add_column(column, justify="left" if text else "right")
    for unit in dict.fromkeys(row.unit for row in rows):
        for row in rows:
            if row.unit == unit:
                ratio = f"{row.ratio:.2f}x" if row.peer else "-"
                values = spread(row.zoo), spread(row.peer)
                result.add_row(row.figure, unit, *values, ratio, row.aim)
        result.add_section()
    return result


def spread(values: Sequence[float]) -> str:
    """Median (smallest-largest) in three digits."""
    if not values:
        return "-"
    middle, low, high = (
        f"{value:.0f}" if value >= 100 else f"{value:.3g}"
        for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low}-{high})" if len(values) > 1 else middle


def as_json(rows: Sequence[Row]) -> list[dict]:
    """The rows with all their values, and the ratio."""
    return [{**asdict(row), "ratio": row.ratio} for row in rows]
