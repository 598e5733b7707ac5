"""From a trained model to an entry: measured, drawn, saved, exported, described."""

import contextlib
import math
import os
import platform
import shutil
import time
from pathlib import Path

import numpy as np

import zoo
import zoo.evaluation
import zoo.serving
from recipes import datasets, figures, history
from recipes.cards import ARRAY, FOLDER, card, facts, serving_note, show
from recipes.runs import Run, evaluation_images, round_weights, write_json

CHECK_IMAGES = 1000  # test images whose ELBO a card lets its reader check
SPLIT = "train", "validation", "test"
RARITY_IMAGES = 10_000  # training images that `anomaly_score` compares with
OF_LAYERS = "rate_", "active_units_"  # of one each: a card has them in one row
UNITS = {"accuracy": "share of images", "perplexity": "codes"}  # others are in nats


def publish(
    run: Run,
    model: zoo.GenerativeModel,
    data: datasets.Dataset,
    *,
    about: str,
    binarise: bool = False,
    more: dict[str, dict] | None = None,
) -> Path:
    """Evaluates a model once on the test set and writes its entry in the run's folder.

    Its networks are float32, also where they were trained in another precision, and
    its weights are rounded, see `recipes.runs.round_weights`.

    Args:
        run: the run that trained it.
        model: the trained model.
        data: its data set.
        about: what the entry is and what it compares with, for its card.
        binarise: whether it was trained on binarised images.
        more: figures of merit that the recipe has measured itself.

    Returns:
        The entry's folder.
    """
    if run.precision:  # layers that a recipe adds to the trained model have it
        model = zoo.evaluation.with_dtype(model, "float32")
    round_weights(model)
    images = evaluation_images(data.test, binarise)
    measured, epochs = images[: run.test_images], run.history
    print(f"\nTest: {len(measured)} images")
    metadata = {
        "recipe": run.recipe or run.name,
        "data": {
            "name": data.name,
            "image_size": data.image_size,
            "binarise": binarise,
            "source": data.source,
            "licence": data.licence,
            "checksum": data.checksum,
            "split": {part: len(getattr(data, part)) for part in SPLIT},
            "given": list(data.given(model, "test")),
        },
        "seed": run.seed,
        "epochs": run.epochs,
        **run.precision,
        "rounded": "bfloat16",
        **history.totals(epochs),
        "machine": describe_machine(),
        "metrics": {
            **measure(model, data, measured, run.num_importance_samples),
            **(more or {}),
        },
        "check": check(model, data, images),
        "rarity": rarity(model, data, binarise),
    }
    entry = zoo.presets.save(model, run.folder / run.name, metadata)
    history.write(entry, epochs)
    drawn = figures.draw(model, data, images, entry / "figures", epochs)
    export(model, entry, metadata)
    metadata = zoo.presets.read_metadata(entry)
    (entry / "README.md").write_text(card(run.name, about, metadata, drawn))
    return entry


def republish(path: str | os.PathLike) -> Path:
    """Exports a finished entry anew in place of its exports; its weights stay.

    What `anomaly_score` compares with is measured for it, and recorded.

    Returns:
        The entry's folder.

    Raises:
        ValueError: if the entry is damaged, names no data set, or it is another here.
    """
    entry, model = zoo.presets.find(path), zoo.load(path)
    before = zoo.presets.read_metadata(entry)
    data, _ = test_images(before)
    table = rarity(model, data, before["data"]["binarise"])
    after = {**before, "rarity": table}
    export(model, entry, after)
    write_json(entry / zoo.presets.METADATA, after)
    file = entry / "README.md"
    notes = serving_note(before), serving_note(after)
    file.write_text(file.read_text().replace(*notes))
    return entry


def record(path: str | os.PathLike, metrics: dict) -> None:
    """Keeps a likelihood of all test images in an entry's record and on its card."""
    entry = zoo.presets.find(path)
    before = zoo.presets.read_metadata(entry)
    measured = ("nll", "bits_per_dim", "nll_seconds")
    kept = {name: metrics[name] for name in measured if name in metrics}
    after = {**before, "metrics": {**before["metrics"], **kept}}
    write_json(entry / zoo.presets.METADATA, after)
    file = entry / "README.md"
    texts = (facts(entry.name, metadata) for metadata in (before, after))
    file.write_text(file.read_text().replace(*texts))


def redraw(path: str | os.PathLike, folder: Path | None = None) -> list[Path]:
    """Draws a finished entry's pictures anew, in another folder or for its card.

    Returns:
        The pictures' files; the curve stays as it is where no history is kept.

    Raises:
        ValueError: if the entry is damaged, names no data set, or it is another here.
    """
    entry, model = zoo.presets.find(path), zoo.load(path)
    data, images = test_images(zoo.presets.read_metadata(entry))
    kept = history.read(entry)
    drawn = figures.draw(model, data, images, folder or entry / "figures", kept)
    if folder is None:
        file, curve = entry / "README.md", entry / "figures" / "history.png"
        shown = [*drawn, curve] if curve.exists() and not kept else drawn
        file.write_text(show(shown, file.read_text()))
    return drawn


def export(model: zoo.GenerativeModel, entry: Path, metadata: dict) -> None:
    """Writes the entry's first export, in place of any that are there."""
    new, old = entry / ".serving", entry / "serving"
    if new.exists():  # of an export that was killed
        shutil.rmtree(new)
    zoo.serving.export(model, new, rarity=metadata["rarity"])
    if old.exists():
        shutil.rmtree(old)
    new.rename(old)


def rarity(model: zoo.GenerativeModel, data: datasets.Dataset, binarise: bool) -> dict:
    """How likely the first training images are, see `zoo.evaluation.rarity`."""
    images = evaluation_images(data.train[:RARITY_IMAGES], binarise)
    print(f"\nTraining: {len(images)} images, for anomaly scores")
    given = data.given(model, "train", len(images))
    return zoo.evaluation.rarity(model, images, given)


def measure(
    model: zoo.GenerativeModel,
    data: datasets.Dataset,
    images: np.ndarray,
    num_importance_samples: int,
    dtype: str | None = None,
) -> dict[str, dict]:
    """Every figure of merit of the first test images, with its unit and protocol.

    Without samples there is no NLL. With a `dtype` they are those of
    `zoo.evaluation.with_dtype`.
    """
    if dtype:
        model = zoo.evaluation.with_dtype(model, dtype)
    given = data.given(model, "test", len(images))
    info = zoo.evaluation.information(model, images, given)
    one = f"one draw per image, {len(images)} test images"
    many = f"{num_importance_samples} importance samples per image, {len(images)} "
    many += "test images"
    if given:
        one, many = (f"{text}, given {', '.join(given)}" for text in (one, many))
    if model.exact:
        one = many = f"exact, {len(images)} test images"
    if dtype:
        one, many = (f"{text}, networks in {dtype}" for text in (one, many))
    metrics = {}
    bounded = info.keys() & {"elbo", "log_prob"} and num_importance_samples
    if model.exact or bounded:
        started = time.perf_counter()
        log_p = zoo.evaluation.log_prob(
            model, images, given, num_importance_samples=num_importance_samples
        )
        seconds = time.perf_counter() - started
        nll = -float(np.mean(log_p, dtype=np.float64))
        error = float(np.std(log_p, dtype=np.float64)) / math.sqrt(len(images))
        metrics["nll"] = figure(nll, "nats", many, standard_error=error)
        metrics["nll_seconds"] = figure(seconds, "s", many)
        if model.is_mass:
            bits = zoo.bounds.bits_per_dim(-nll, model.event_shape)
            metrics["bits_per_dim"] = figure(bits, "bits", many)
    layers = [rate for name, rate in info.items() if name.startswith("rate_")]
    for name, value in info.items():
        if isinstance(value, float) and not name.startswith(OF_LAYERS):
            metrics[name] = figure(value, UNITS.get(name.split("_")[0], "nats"), one)
    if "active_units" in info:
        metrics["active_units"] = figure(
            info["active_units"], "units per layer", "variance of the code above 0.01"
        )
    if "rate" in info:
        layers = layers or [info["rate"]]
        metrics["layer_rates"] = figure(layers, "nats per layer", one)
    return metrics


def check(
    model: zoo.GenerativeModel, data: datasets.Dataset, images: np.ndarray
) -> dict:
    """The ELBO of the first test images, or log p(x) where the model knows it.

    Without either it is the distortion. It is what a loaded entry must give again.
    """
    images = images[:CHECK_IMAGES]
    given = data.given(model, "test", len(images))
    if model.exact:
        log_p = zoo.evaluation.log_prob(model, images, given, verbose=0)
        return {"images": len(images), "log_prob": float(np.mean(log_p))}
    info = zoo.evaluation.information(model, images, given)
    name = next(n for n in ("elbo", "log_prob", "distortion") if n in info)
    return {"images": len(images), name: info[name]}


def test_images(metadata: dict) -> tuple[datasets.Dataset, np.ndarray]:
    """The data set of an entry, and its test images as the entry was judged on them.

    Raises:
        ValueError: if the entry names no data set, or it is another one here.
    """
    if "data" not in metadata:
        raise ValueError("This entry was not made by a recipe: it names no data set.")
    record = metadata["data"]
    source, origin = record["name"], record["source"]
    if origin == ARRAY:
        raise ValueError("This entry was made of an array: its images are not kept.")
    if origin.startswith(FOLDER):
        source = Path(origin.removeprefix(FOLDER))
    data = datasets.load(source, image_size=record.get("image_size"))
    if data.checksum != record["checksum"]:
        raise ValueError(
            f"The images of {data.name} here are not those the entry was trained on. "
            f"Received: checksum={data.checksum}"
        )
    return data, evaluation_images(data.test, record["binarise"])


def describe_machine() -> dict:
    """What the seconds in a record were measured on."""
    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": _cores(),
        "python": platform.python_version(),
    }


def _cores() -> int | None:
    """Those that this process may use, where the system tells it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _processor() -> str:
    """Its model where Linux tells it, otherwise its architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def figure(value, unit: str, protocol: str, **more) -> dict:
    """A figure of merit as an entry records it."""
    return {"value": value, "unit": unit, "protocol": protocol, **more}
