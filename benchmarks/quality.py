"""Time to quality: validation nats against CPU minutes, from the first step on."""

import time

import keras
import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

import zoo
from recipes import datasets

EPOCHS = 8
BATCH_SIZE = 100
NLL_SAMPLES = 100


def _parts():
    """Encoder, decoder and number of latents of both recipes."""
    shape, latent_dim = (28, 28, 1), 50
    return (
        zoo.networks.dense_encoder(shape, (200, 200), "tanh"),
        zoo.networks.dense_decoder(latent_dim, shape, (200, 200), "tanh"),
        latent_dim,
    )


def _vae():
    return zoo.VAE(*_parts())


def _iaf_vae():
    return zoo.IAFVAE(*_parts(), steps=4, units=(320,))


MODELS = {  # name: model, precision of its networks, and number of seeds
    "vae_mnist": (_vae, "float32", 10),
    "vae_mnist, mixed_bfloat16": (_vae, "mixed_bfloat16", 10),
    "iaf_vae_dense_mnist": (_iaf_vae, "float32", 3),
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


def trained(
    build, precision, images, seed, callback, epochs=EPOCHS, batch_size=BATCH_SIZE
) -> zoo.VAE:
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    model = build()
    keras.config.set_dtype_policy("float32")
    steps = datasets.steps_per_epoch(images, batch_size)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(
        datasets.stream(images, batch_size, seed=seed),
        steps_per_epoch=steps,
        epochs=epochs,
        callbacks=[callback],
        verbose=0,
    )
    return model


def nll(model: zoo.VAE, images: np.ndarray) -> float:
    log_p = zoo.evaluation.log_prob(
        model, images, num_importance_samples=NLL_SAMPLES, verbose=0
    )
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
        self.nats.append(-info["elbo"])


def table(results: dict[str, dict[str, list]]) -> Table:
    """Means over the seeds after the last epoch.

    The NLL also as a difference to the first model's of the same seed, +- its standard
    error.
    """
    title = f"After {EPOCHS} epochs, validation images, {NLL_SAMPLES} samples"
    result = Table(title=title)
    for column in ("model", "seeds", "-ELBO", "NLL", "difference", "CPU minutes"):
        result.add_column(column, justify="left" if column == "model" else "right")
    first, *_ = results.values()
    for name, runs in results.items():
        elbo, minutes = (
            np.mean([run[-1] for run in runs[figure]])
            for figure in ("nats", "cpu_minutes")
        )
        seeds = len(runs["nll"])
        differences = np.subtract(runs["nll"], first["nll"][:seeds])
        error = differences.std(ddof=1) / np.sqrt(seeds)
        result.add_row(
            name,
            str(seeds),
            f"{elbo:.2f}",
            f"{np.mean(runs['nll']):.2f}",
            f"{differences.mean():+.2f} +- {error:.2f}",
            f"{minutes:.2f}",
        )
    return result


def draw(results: dict[str, dict[str, list]]) -> Figure:
    """Every seed's curve, and in bold their mean."""
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for index, (name, runs) in enumerate(results.items()):
        color = f"C{index}"
        for curve in zip(runs["cpu_minutes"], runs["nats"]):
            axes.plot(*curve, color=color, linewidth=0.6, alpha=0.4)
        mean = np.mean([runs["cpu_minutes"], runs["nats"]], axis=1)
        label = f"{name}, {len(runs['nats'])} seeds"
        axes.plot(*mean, "o-", color=color, markersize=4, label=label)
    axes.set(xlabel="CPU minutes", ylabel="-ELBO of the validation images, nats")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
