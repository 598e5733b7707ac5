"""All parts of the benchmark: tables on the screen, raw figures in a file."""

import json
import os
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from rich.console import Console

from benchmarks import limit, quality, scaling, settings, versus
from recipes import datasets, publish
from recipes.runs import write_json

LIBRARIES = ("tensorflow", "tensorflow-probability", "keras", "numpy")
NAMES = [*versus.CASES, "starts", "imports", "limit", "settings", "scaling", "quality"]


def run(
    names: list[str], peer: Path | None, json_file: Path | None, console: Console
) -> None:
    """Measures `names`, prints their tables, writes the raw figures and pictures.

    Args:
        names: some of `NAMES`.
        peer: Python interpreter of the peer's environment, None for the zoo alone.
        json_file: where the raw figures go; pictures go beside it. What it has of
            other names stays there if machine and versions are the same.
        console: where the tables go.
    """
    binary = binary_mnist()
    record = Record(json_file)
    rows = []

    def keep(more):
        record.add_rows(more)
        rows.extend(more)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        np.savez(file, images=binary[..., 0])
        for case in versus.CASES:
            if case in names:
                console.print(f"{case} ...")
                more, libraries = versus.compare(case, peer, file)
                record.content["versions"] |= libraries
                keep(more)
        if "starts" in names:
            keep(versus.starts(file))
    if "imports" in names:
        keep([versus.imports(peer)])
    if "limit" in names:
        keep(limit.share(binary))
    if rows:
        console.print(versus.table(rows))
    if "settings" in names:
        result = settings.measure(binary)
        record.add("settings", result)
        console.print(settings.table(result))
    for name, study in (("scaling", scaling), ("quality", quality)):
        if name in names:
            result = study.measure(binary)
            record.add(name, result, study.draw(result))
            console.print(study.table(result))


class Record:
    """The raw figures, written to a file as soon as there are new ones.

    Args:
        file: JSON file, which may have figures already; None to write nothing.
    """

    def __init__(self, file: Path | None):
        self.file = file
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        versions = {name: version(name) for name in LIBRARIES}
        versions["tensorflow threads"] = threads or os.cpu_count()
        machine = publish.describe_machine()
        self.content = {"machine": machine, "versions": versions}
        if file and file.exists():
            former = json.loads(file.read_text())
            same = former["machine"] == machine
            if same and versions.items() <= former["versions"].items():
                self.content = former

    def add(self, part: str, result, picture: Figure | None = None) -> None:
        self.content[part] = result
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.file, self.content)
            if picture:
                picture.savefig(self.file.with_name(f"{part}.png"))

    def add_rows(self, rows: Sequence[versus.Row]) -> None:
        """Rows take the place of former ones of the same figure."""
        figures = {row["figure"]: row for row in self.content.get("versus", ())}
        figures |= {row["figure"]: row for row in versus.as_json(rows)}
        self.add("versus", list(figures.values()))


def binary_mnist() -> np.ndarray:
    """All 60 000 training images, binarised once, uint8 `[60000, 28, 28, 1]`."""
    data = datasets.load("mnist")
    images = np.concatenate([data.train, data.validation])
    return datasets.binarise(images).astype(np.uint8)
