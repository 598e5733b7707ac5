"""The whole way in a few minutes: a shipped entry checked, then one of your own."""

import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import zoo
import zoo.evaluation
from recipes import publish
from recipes.entries import conv_vae_mnist
from recipes.runs import Run
from recipes.tables import print_metrics

ENTRY = "conv_vae_mnist"

# Runs in a process of its own that knows nothing of this library.
REQUEST = """
import sys, tensorflow as tf
sample = tf.saved_model.load(sys.argv[1]).signatures["sample"]
images = sample(n=tf.constant(3), seed=tf.constant(42, tf.int64))["x"]
print(f"3 samples, shape {images.shape}, mean {float(tf.reduce_mean(images)):.4f}")
"""


def run_demo(folder: Path, epochs: int, console: Console) -> None:
    """Checks the shipped entry, trains one like it, and asks its export for samples.

    Args:
        folder: where everything goes; a demo that is there already is removed.
        epochs: length of the training.
        console: where the story is told.

    Raises:
        RuntimeError: if the shipped entry or the export does not do what it should.
        ValueError: if `folder` holds something other than a demo.
    """
    _empty(folder)
    console.rule("1. The entry that comes with the zoo")
    _check_card(console)
    console.rule(f"2. One of your own: {epochs} epochs on binarised MNIST")
    run = Run(
        ENTRY, folder, epochs, seed=0, num_importance_samples=100, test_images=1000
    )
    conv_vae_mnist.train(run)
    entry = folder / ENTRY
    print_metrics(zoo.presets.read_metadata(entry)["metrics"], "Your model", console)
    console.rule("3. One request to its SavedModel, from another process")
    version = max((entry / "serving").iterdir(), key=lambda path: int(path.name))
    console.print(_request(version), highlight=False)
    console.rule("What there is now")
    console.print(_inventory(folder, entry, version))


def _empty(folder: Path) -> None:
    mark = folder / ".demo"
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise ValueError(
            f"--run-dir must be a new or a demo's folder. Received: {folder}"
        )
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    mark.touch()


def _check_card(console: Console) -> None:
    metadata = zoo.presets.read_metadata(ENTRY)
    data, images = publish.test_images(metadata)
    promised = metadata["check"]["elbo"]
    found = publish.check(zoo.load(ENTRY), data, images)["elbo"]
    console.print(
        f"zoo.load({ENTRY!r}): ELBO of {publish.CHECK_IMAGES} test images "
        f"{found:.3f} nats, its card says {promised:.3f}; "
        f"test NLL {metadata['metrics']['nll']['value']:.2f} nats "
        f"({metadata['metrics']['nll']['protocol']})",
        highlight=False,
    )
    if abs(found - promised) > 1e-3 * abs(promised):  # float sums differ by machine
        raise RuntimeError(f"{ENTRY} does not give the ELBO its card promises.")


def _request(version: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", REQUEST, str(version)], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"The export at {version} failed:\n{done.stderr}")
    return done.stdout.strip()


def _inventory(folder: Path, entry: Path, version: Path) -> Table:
    table = Table()
    table.add_column("what")
    table.add_column("where", overflow="fold")
    for what, where in {
        "model: zoo.load(PATH)": entry,
        "model card": entry / "README.md",
        "pictures": entry / "figures",
        "SavedModel for TensorFlow Serving": version,
        "training curves: tensorboard --logdir PATH": folder / "logs",
        "checkpoint": folder / "checkpoint.keras",
    }.items():
        if not where.exists():
            raise RuntimeError(f"The demo did not make {where}.")
        table.add_row(what, str(where))
    return table
