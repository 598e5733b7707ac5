"""Time to quality: validation nats against CPU minutes, from the first step on."""

import time

import keras
import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

import zoo
from recipes import burda, datasets

EPOCHS = 12
NLL_SAMPLES = 100


def _vae():
    return zoo.VAE(*burda.networks(), burda.LATENT_DIM)


def _iaf_vae():
    return zoo.IAFVAE(*burda.networks(), burda.LATENT_DIM, steps=4, units=(320,))


MODELS = {  # name: model and precision of its networks
    "vae_mnist": (_vae, "float32"),
    "vae_mnist, mixed_bfloat16": (_vae, "mixed_bfloat16"),
    "iaf_vae_mnist": (_iaf_vae, "float32"),
}


def measure(images: np.ndarray) -> dict[str, dict]:
    """Validation -ELBO after every epoch, and the CPU minutes of training until then.

    The models of two recipes, for a few epochs; and their NLL at the end.

    Args:
        images: binary `[N, 28, 28, 1]`, uint8; the last 10 000 are for validation.
    """
    train = images[:-10_000] * np.uint8(255)
    validation = images[-10_000:].astype(np.float32)
    results = {}
    for name, (build, precision) in MODELS.items():
        print(f"quality: {name}")
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(precision)
        model = build()
        keras.config.set_dtype_policy("float32")
        model.compile(keras.optimizers.Adam(1e-3))
        curve = _Curve(validation)
        model.fit(
            datasets.stream(train, burda.BATCH_SIZE, seed=0),
            steps_per_epoch=datasets.steps_per_epoch(train, burda.BATCH_SIZE),
            epochs=EPOCHS,
            callbacks=[curve],
            verbose=0,
        )
        nll = -zoo.evaluation.log_likelihood(model, validation, NLL_SAMPLES, verbose=0)
        results[name] = {
            "cpu_minutes": curve.minutes,
            "nats": curve.nats,
            "nll": float(nll.mean(dtype=np.float64)),
        }
    return results


class _Curve(keras.callbacks.Callback):
    """-ELBO of `images` against the CPU time of training alone."""

    def __init__(self, images: np.ndarray):
        super().__init__()
        self.images = images
        self.minutes, self.nats = [], []
        self.used = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        self.used += time.process_time() - self.started
        self.minutes.append(self.used / 60)
        info = zoo.evaluation.information(self.model, self.images)
        self.nats.append(-info.elbo)


def table(results: dict[str, dict]) -> Table:
    title = f"After {EPOCHS} epochs, validation images, {NLL_SAMPLES} samples"
    result = Table(title=title)
    for column in ("model", "-ELBO", "NLL", "CPU minutes"):
        result.add_column(column, justify="left" if column == "model" else "right")
    for name, curve in results.items():
        values = curve["nats"][-1], curve["nll"], curve["cpu_minutes"][-1]
        result.add_row(name, *(f"{value:.2f}" for value in values))
    return result


def draw(results: dict[str, dict]) -> Figure:
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for name, result in results.items():
        axes.plot(result["cpu_minutes"], result["nats"], "o-", label=name)
    axes.set(xlabel="CPU minutes", ylabel="-ELBO of the validation images, nats")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
