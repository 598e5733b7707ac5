"""One training run in its folder: checkpoints, logs and a history that survive a kill.

<run>/run.json            what was asked for: recipe and its code, seed, epochs
<run>/checkpoint.keras    model, optimizer and seeds after the last checked epoch
<run>/history.json        metrics, seconds and CPU seconds of every epoch
<run>/logs/               TensorBoard, with images
<run>/<name>/             the finished entry
<run>/<part>/             the same of each part, where a training has several
"""

import ast
import fcntl
import hashlib
import json
import math
import os
import time
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from recipes import datasets, figures
from recipes.cards import ENTRIES
from zoo.evaluation.precision import check_dtype, with_dtype


class RunMismatch(ValueError):
    """The folder is of a run with other settings, or of a recipe since changed."""


class RunInUse(RuntimeError):
    """Another process writes into the folder."""


@dataclass
class Run:
    """A recipe's settings and its folder.

    Attributes:
        name: name of the entry and, where `recipe` is None, of the recipe.
        folder: where everything is written.
        epochs: passes over the training images.
        seed: of the weights, the batches and the noise.
        num_importance_samples: importance samples per image of the final test NLL; 0
            for none, where it would take too long.
        test_images: how many test images it is measured on, None for all.
        recipe: name of the recipe, where it makes several entries.
        dtype: Keras' policy of the networks while they train.
        parts: the runs that this one is made of, see `part`.
    """

    name: str
    folder: Path
    epochs: int
    seed: int
    num_importance_samples: int = 500
    test_images: int | None = None
    recipe: str | None = None
    dtype: str = "float32"
    parts: "list[Run]" = field(default_factory=list, init=False, repr=False)

    def __post_init__(self):
        check_dtype(self.dtype)
        self.folder = Path(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # The lock is held as long as this object, or its process, lives.
        weakref.finalize(self, os.close, _lock(self.folder))
        settings = {"recipe": self.name, "epochs": self.epochs, "seed": self.seed}
        settings |= self.precision | code_of(self.recipe or self.name)
        keras.utils.set_random_seed(self.seed)
        file = self.folder / "run.json"
        if file.exists():
            found = json.loads(file.read_text())
            if found != settings:
                raise RunMismatch(
                    f"{self.folder} holds another run; resume it with its own "
                    "settings and recipe, or choose another --run-dir. Received: "
                    f"{settings}, found: {found}"
                )
        else:
            write_json(file, settings)
        keras.config.set_dtype_policy(self.dtype)

    @property
    def precision(self) -> dict[str, str]:
        """The dtype as records have it: where it is not float32."""
        return {} if self.dtype == "float32" else {"dtype": self.dtype}

    def fit(
        self,
        model: keras.Model,
        data: datasets.Dataset,
        *,
        batch_size: int,
        binarise: bool = False,
    ) -> keras.Model:
        """Trains for `epochs`, or goes on from the last checkpoint.

        Returns the model, of float32 networks whatever they were trained in.

        Every epoch is checked: validated, drawn and saved. Of a long run it is one in
        `epochs` // 100, where that divides `epochs`: 1500 are checked 100 times.

        The batches of an epoch depend on the seed and its number only, so a resumed
        run sees what an uninterrupted one would have seen.
        """
        every = math.gcd(self.epochs, max(1, self.epochs // 100))
        checkpoint = Checkpoint(self.folder, every)
        steps = datasets.steps_per_epoch(data.train, batch_size)
        model = checkpoint.restore(model, steps)
        done = len(checkpoint.history)
        train = datasets.stream(
            data.train,
            batch_size,
            seed=self.seed,
            binarise=binarise,
            start_epoch=done,
            given=data.given(model, "train"),
        )
        validation = evaluation_images(data.validation, binarise)
        given = data.given(model, "validation")
        held_out = {"x": validation, **given} if given else validation
        pictured = {name: rows[:10] for name, rows in given.items()}
        # One that may skip its steps says NaN until it has taken one; a whole epoch
        # without is stopped by `Checkpoint`.
        guarded = model.get_compile_config().get("skip_non_finite", False)
        if done < self.epochs:
            print("The first step is compiled, which takes seconds ...", flush=True)
        model.fit(
            train,
            steps_per_epoch=steps,
            epochs=self.epochs,
            initial_epoch=done,
            validation_data=tf.data.Dataset.from_tensor_slices(held_out).batch(500),
            validation_freq=every,
            callbacks=[
                *([] if guarded else [keras.callbacks.TerminateOnNaN()]),
                keras.callbacks.TensorBoard(self.folder / "logs", write_graph=False),
                Pictures(self.folder / "logs", validation[:10], pictured, every),
                checkpoint,
            ],
        )
        if len(checkpoint.history) < self.epochs:
            raise RuntimeError(
                f"Training diverged in epoch {len(checkpoint.history) + 1}: the loss "
                f"is not finite. {self.folder} keeps the checkpoint before it."
            )
        return with_dtype(model, "float32") if self.precision else model

    def part(self, name: str, epochs: int) -> "Run":
        """A run in a folder of this one, the next part of what it trains."""
        part = replace(self, folder=self.folder / name, epochs=epochs)
        self.parts.append(part)
        return part

    @property
    def history(self) -> list[dict]:
        """What every epoch so far came to and took, one part after the other."""
        if self.parts:
            return [epoch for part in self.parts for epoch in part.history]
        return Checkpoint(self.folder).history


class Checkpoint(keras.callbacks.Callback):
    """Saves under a temporary name, then renames: never half a file.

    Args:
        folder: where `checkpoint.keras` and `history.json` live.
        every: epochs from one save to the next.
    """

    def __init__(self, folder: Path, every: int = 1):
        super().__init__()
        self.every = every
        self.file = folder / "checkpoint.keras"
        self.history_file = folder / "history.json"
        self.history = []
        if self.file.exists():
            self.history = json.loads(self.history_file.read_text())

    def restore(self, model: keras.Model, steps_per_epoch: int) -> keras.Model:
        """The model of the last checkpoint; `model` itself where there is none.

        A kill between the two files leaves the history an epoch ahead; it is cut.
        """
        if not self.file.exists():
            return model
        restored = keras.saving.load_model(self.file)
        self.history = self.history[: int(restored.step) // steps_per_epoch]
        return restored

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite(logs["loss"]):
            self.model.stop_training = True
            return
        seconds, cpu_seconds = time.perf_counter(), time.process_time()
        seconds, cpu_seconds = seconds - self.started[0], cpu_seconds - self.started[1]
        took = {"seconds": seconds, "cpu_seconds": cpu_seconds}
        self.history.append({**logs, **took})
        if (epoch + 1) % self.every:
            return
        write_json(self.history_file, self.history)
        partial = self.file.with_name("partial.keras")
        self.model.save(partial)
        os.replace(partial, self.file)


class Pictures(keras.callbacks.Callback):
    """Samples and reconstructions as training goes on, for TensorBoard's image tab."""

    def __init__(self, folder: Path, images: np.ndarray, given: dict, every: int):
        super().__init__()
        self.every = every
        self.writer = tf.summary.create_file_writer(str(folder / "images"))
        self.images = images
        self.given = given

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every or not np.isfinite(logs["loss"]):
            return
        pictures = {"samples": figures.samples(self.model, 50, given=self.given)}
        if figures.has_latents(self.model):
            shown = figures.reconstructions(self.model, self.images, self.given)
            pictures["reconstructions"] = shown
        with self.writer.as_default(step=epoch):
            for name, figure in pictures.items():
                tf.summary.image(name, figures.as_array(figure)[None])


def code_of(recipe: str) -> dict[str, str]:
    """A digest of what a recipe does, whatever it says of itself; empty without one."""
    file = ENTRIES / f"{recipe}.py"
    if not file.exists():
        return {}
    tree = ast.parse(file.read_text())
    tree.body = tree.body[ast.get_docstring(tree) is not None :]
    return {"code": hashlib.sha256(ast.unparse(tree).encode()).hexdigest()}


def _lock(folder: Path) -> int:
    """A file descriptor that locks the folder until it is closed.

    Raises:
        RunInUse: if another run holds it.
    """
    file = os.open(folder / ".lock", os.O_CREAT | os.O_WRONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise RunInUse(
            f"Another run is at work in {folder}: wait for its end or choose another "
            "--run-dir."
        ) from None
    return file


def round_weights(model: keras.Model) -> None:
    """Leaves weights the eight significant bits of bfloat16, in place.

    Compressed files are half as large. `publish` does it first; a recipe that measures
    what it publishes does it before.
    """
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(tf.cast(tf.cast(weight, tf.bfloat16), tf.float32))


def evaluation_images(images: np.ndarray, binarise: bool) -> np.ndarray:
    """Images as a model is judged on them, float32 in [0, 1]; binarised only once."""
    if binarise:
        return datasets.binarise(images)
    return images if images.dtype == np.float32 else np.float32(images) / 255


def write_json(file: Path, content) -> None:
    """Writes JSON under a temporary name, then renames."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, file)
