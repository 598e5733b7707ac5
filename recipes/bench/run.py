"""All parts of the benchmark: tables on the screen, raw figures in a file."""

import json
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console

from recipes import datasets, publish
from recipes.bench import limit, quality, scaling, settings, versus
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
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    versions = {name: version(name) for name in LIBRARIES}
    versions["tensorflow threads"] = threads or os.cpu_count()
    record = {"machine": publish.describe_machine(), "versions": versions}
    if json_file and json_file.exists():
        former = json.loads(json_file.read_text())
        same = former["machine"] == record["machine"]
        if same and versions.items() <= former["versions"].items():
            record = former
    rows = []

    def write():
        if json_file:
            json_file.parent.mkdir(parents=True, exist_ok=True)
            write_json(json_file, record)

    def add(more):
        """Takes rows into the table, and writes all there are so far."""
        rows.extend(more)
        figures = {row["figure"]: row for row in record.get("versus", ())}
        figures |= {row["figure"]: row for row in versus.as_json(rows)}
        record["versus"] = list(figures.values())
        write()

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        np.savez(file, images=binary[..., 0])
        for case in versus.CASES:
            if case in names:
                console.print(f"{case} ...")
                more, libraries = versus.compare(case, peer, file)
                record["versions"] |= libraries
                add(more)
        if "starts" in names:
            add(versus.starts(file))
    if "imports" in names:
        add([versus.imports(peer)])
    if "limit" in names:
        add(limit.share(binary))
    if rows:
        console.print(versus.table(rows))

    def finish(part, result, table, picture=None):
        """Writes what there is so far before it shows it."""
        record[part] = result
        write()
        if json_file and picture:
            picture.savefig(json_file.with_name(f"{part}.png"))
        console.print(table)

    if "settings" in names:
        result = settings.measure(binary)
        finish("settings", result, settings.table(result))
    for name, study in (("scaling", scaling), ("quality", quality)):
        if name in names:
            result = study.measure(binary)
            finish(name, result, study.table(result), study.draw(result))


def binary_mnist() -> np.ndarray:
    """All 60 000 training images, binarised once, uint8 `[60000, 28, 28, 1]`."""
    data = datasets.load("mnist")
    images = np.concatenate([data.train, data.validation])
    return datasets.binarise(images).astype(np.uint8)
