"""Toy of the IAF paper: four data points, two latents, with and without the flow.

Each of four one-hot data points has a quarter of the prior to itself in the best
possible VAE, whose ELBO is then log(1/4) = -1.386 nats. Diagonal posteriors are
ellipses and leave gaps between them; the flow's fill the prior (Kingma et al., 2016,
figure 1). Both models have the same networks and the same training; no entry is
written, only a picture and the figures' numbers.
"""

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

import zoo
from recipes import runs
from recipes.runs import Run
from zoo.draws import Sample, seed_words

EPOCHS = 100
SEEDS = 3
STEPS = 50  # training steps of an epoch
NUM_SAMPLES = 64  # draws of z per data point and step

POINTS = np.eye(4, dtype="float32")
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")  # Okabe & Ito


def train(run: Run) -> None:
    seeds = range(run.seed, run.seed + SEEDS)
    models = {
        name: [fit(cls, seed, run.epochs, **options) for seed in seeds]
        for name, cls, options in (
            ("diagonal", zoo.VAE, {}),
            ("IAF", zoo.IAFVAE, {"steps": 4, "units": (32,), "context_dim": 16}),
        )
    }
    elbos = {name: [elbo(model) for model in group] for name, group in models.items()}
    runs.write_json(
        run.folder / "results.json",
        {
            "elbo": {"unit": "nats", "seeds": list(seeds), **elbos},
            "best possible": float(np.log(1 / len(POINTS))),
        },
    )
    console = Console()
    console.print(table(seeds, elbos))
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    first = {
        f"{name} posteriors\nELBO {elbos[name][0]:.3f} nats": group[0]
        for name, group in models.items()
    }
    draw(first).savefig(folder / "posteriors.png")
    console.print(str(folder / "posteriors.png"), highlight=False)


def fit(cls, seed: int, epochs: int, **options) -> zoo.VAE:
    """A trained model of the four points with two latents."""
    keras.utils.set_random_seed(seed)
    model = cls(
        zoo.networks.dense_encoder((4,), units=(32,), activation="elu"),
        zoo.networks.dense_decoder(2, (4,), units=(64, 64), activation="elu"),
        latent_dim=2,
        objective=zoo.objectives.ELBO(num_samples=NUM_SAMPLES),
        seed=seed,
        **options,
    )
    rate = keras.optimizers.schedules.CosineDecay(3e-3, STEPS * epochs, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate))
    batches = tf.data.Dataset.from_tensors(POINTS).repeat()
    model.fit(batches, steps_per_epoch=STEPS, epochs=epochs, shuffle=False, verbose=0)
    return model


def elbo(model: zoo.VAE, num_samples: int = 20_000) -> float:
    """ELBO averaged over the four points and many draws, in nats."""
    log_w = model.log_weights(POINTS, num_importance_samples=num_samples, seed=1)
    return float(tf.reduce_mean(log_w))


def table(seeds: range, elbos: dict[str, list[float]]) -> Table:
    """One row per seed, one column per posterior."""
    result = Table(title=f"ELBO, nats (at most {np.log(1 / len(POINTS)):.3f})")
    for column in ("seed", *elbos, "gain"):
        result.add_column(column, justify="right")
    for seed, diagonal, flow in zip(seeds, *elbos.values()):
        numbers = (diagonal, flow, flow - diagonal)
        result.add_row(str(seed), *(f"{number:.3f}" for number in numbers))
    return result


def draw(models: dict[str, zoo.VAE], num_samples: int = 2000) -> Figure:
    """The prior beside each model's posteriors, one colour per data point."""
    figure = Figure(figsize=(10.5, 4), dpi=150, layout="constrained")
    prior, *others = figure.subplots(1, 1 + len(models), sharex=True, sharey=True)
    dots = {"s": 3, "alpha": 0.5, "linewidths": 0}
    z = np.random.default_rng(0).normal(size=(len(POINTS) * num_samples, 2))
    prior.scatter(*z.T, color="0.45", **dots)
    prior.set_title("prior\n")
    for axes, (title, model) in zip(others, models.items()):
        draw = Sample(seed_words(0), len(POINTS) * num_samples, num_samples)
        model.walk(draw, model.features(POINTS, {}), {})
        clouds = draw.split(draw.latents[0].z).numpy()
        for index, colour in enumerate(COLOURS):
            cloud = clouds[:, index]
            axes.scatter(*cloud.T, color=colour, label=f"x{index + 1}", **dots)
        axes.set_title(title)
    for axes in (prior, *others):
        for radius in (1, 2, 3):  # standard deviations of the prior
            angle = np.linspace(0, 2 * np.pi, 200)
            circle = radius * np.cos(angle), radius * np.sin(angle)
            axes.plot(*circle, color="black", linewidth=0.6, alpha=0.6)
        axes.set(xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), aspect="equal", xlabel="z1")
    prior.set_ylabel("z2")
    figure.legend(
        *others[-1].get_legend_handles_labels(),
        loc="outside right center",
        title="q(z|x)",
        markerscale=5,
        frameon=False,
    )
    return figure
