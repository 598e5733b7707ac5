"""All parts of the benchmark: tables on the screen, raw figures in a file."""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console

from recipes import datasets, publish
from recipes.bench import limit, quality, scaling, settings, versus

NAMES = [*versus.CASES, "imports", "limit", "settings", "scaling", "quality"]


def run(
    names: list[str], peer: Path | None, json_file: Path | None, console: Console
) -> None:
    """Measures `names`, prints their tables, writes the raw figures and pictures.

    Args:
        names: some of `NAMES`.
        peer: Python interpreter of the peer's environment, None for the zoo alone.
        json_file: where the raw figures go; pictures go beside it.
        console: where the tables go.
    """
    binary = binary_mnist()
    versions = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    record = {"machine": publish.describe_machine(), "versions": versions}
    rows, pictures = [], {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        np.savez(file, images=binary[..., 0])
        for case in versus.CASES:
            if case in names:
                console.print(f"{case} ...")
                more, libraries = versus.compare(case, peer, file)
                rows += more
                record["versions"] |= libraries
    if "imports" in names:
        rows.append(versus.imports(peer))
    if "limit" in names:
        rows += limit.share(binary)
    if rows:
        record["versus"] = versus.as_json(rows)
        console.print(versus.table(rows))
    if "settings" in names:
        record["settings"] = settings.measure(binary)
        console.print(settings.table(record["settings"]))
    if "scaling" in names:
        record["scaling"] = scaling.measure(binary)
        console.print(scaling.table(record["scaling"]))
        pictures["scaling"] = scaling.draw(record["scaling"])
    if "quality" in names:
        record["quality"] = quality.measure()
        console.print(quality.table(record["quality"]))
        pictures["quality"] = quality.draw(record["quality"])
    if json_file:
        json_file.write_text(json.dumps(record, indent=1) + "\n")
        for name, picture in pictures.items():
            picture.savefig(json_file.with_name(f"{name}.png"))


def binary_mnist() -> np.ndarray:
    """All 60 000 training images, binarised once, uint8 `[60000, 28, 28, 1]`."""
    data = datasets.load("mnist")
    images = np.concatenate([data.train, data.validation])
    return datasets.binarise(images).astype(np.uint8)
