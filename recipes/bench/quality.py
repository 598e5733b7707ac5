"""Time to quality: validation nats against CPU minutes, from the first step on."""

import time

import keras
import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

import zoo
from recipes import burda, datasets

EPOCHS = 8
NLL_SAMPLES = 100


def _vae():
    return zoo.VAE(*burda.networks(), burda.LATENT_DIM)


def _iaf_vae():
    return zoo.IAFVAE(*burda.networks(), burda.LATENT_DIM, steps=4, units=(320,))


MODELS = {  # name: model, precision of its networks, and number of seeds
    "vae_mnist": (_vae, "float32", 10),
    "vae_mnist, mixed_bfloat16": (_vae, "mixed_bfloat16", 10),
    "iaf_vae_mnist": (_iaf_vae, "float32", 3),
}


def measure(images: np.ndarray) -> dict[str, dict[str, list]]:
    """Validation -ELBO after every epoch, and the CPU minutes of training until then.

    The models of two recipes, for a few epochs and several seeds.

    Args:
        images: binary `[N, 28, 28, 1]`, uint8; the last 10 000 are for validation.

    Returns:
        For every model, and within it for every seed: the CPU minutes and the nats of
        its epochs, and its NLL at the end.
    """
    train = images[:-10_000] * np.uint8(255)
    validation = images[-10_000:].astype(np.float32)
    results = {name: {"cpu_minutes": [], "nats": [], "nll": []} for name in MODELS}
    for name, (build, precision, seeds) in MODELS.items():
        for seed in range(seeds):
            print(f"quality: {name}, seed {seed}")
            curve = _Curve(validation)
            model = trained(build, precision, train, seed, curve)
            results[name]["cpu_minutes"].append(curve.minutes)
            results[name]["nats"].append(curve.nats)
            results[name]["nll"].append(nll(model, validation))
    return results


def trained(build, precision, images, seed, callback) -> zoo.VAE:
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    model = build()
    keras.config.set_dtype_policy("float32")
    burda.compile_cosine(model, EPOCHS, images)
    model.fit(
        datasets.stream(images, burda.BATCH_SIZE, seed=seed),
        steps_per_epoch=datasets.steps_per_epoch(images, burda.BATCH_SIZE),
        epochs=EPOCHS,
        callbacks=[callback],
        verbose=0,
    )
    return model


def nll(model: zoo.VAE, images: np.ndarray) -> float:
    log_p = zoo.evaluation.log_likelihood(model, images, NLL_SAMPLES, verbose=0)
    return -float(log_p.mean(dtype=np.float64))


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


def table(results: dict[str, dict[str, list]]) -> Table:
    """After the last epoch: means over the seeds, and the standard error of the NLL."""
    title = f"After {EPOCHS} epochs, validation images, {NLL_SAMPLES} samples"
    result = Table(title=title)
    for column in ("model", "-ELBO", "NLL", "standard error", "seeds", "CPU minutes"):
        result.add_column(column, justify="left" if column == "model" else "right")
    for name, runs in results.items():
        seeds = len(runs["nll"])
        error = np.std(runs["nll"], ddof=1) / np.sqrt(seeds)
        elbo, minutes = (
            np.mean([run[-1] for run in runs[figure]])
            for figure in ("nats", "cpu_minutes")
        )
        figures = (elbo, np.mean(runs["nll"]), error, seeds, minutes)
        result.add_row(name, *(f"{figure:.4g}" for figure in figures))
    return result


def draw(results: dict[str, dict[str, list]]) -> Figure:
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for index, (name, runs) in enumerate(results.items()):
        for seed, curve in enumerate(zip(runs["cpu_minutes"], runs["nats"])):
            label = None if seed else name
            axes.plot(*curve, "o-", color=f"C{index}", label=label, linewidth=1)
    axes.set(xlabel="CPU minutes", ylabel="-ELBO of the validation images, nats")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
