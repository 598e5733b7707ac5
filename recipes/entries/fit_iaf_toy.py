"""A flow alone: four IAF steps bend a normal into a square and into a banana.

No data and no autoencoder: q = IAF(N(0, I)) is fitted to a density p by minimising
KL(q || p) = E_q[log q - log p]. Both targets are normalised, so the figures are the
divergence itself in nats: the ELBO that a posterior of that shape would lose. Gates
only ever shrink z, which steadies a VAE but costs here; the picture shows the plain
form. No entry is written, only the picture and its numbers.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from recipes import runs
from recipes.runs import Run
from zoo.flows import IAF

tfd = tfp.distributions

EPOCHS = 20
STEPS = 100  # training steps of an epoch
BATCH = 1024  # draws of a training step


def square(z) -> tf.Tensor:
    """log p of a square of side 3 with edges a few hundredths wide, `[..., 2]`.

    p(z) = prod_d sigmoid((a - |z_d|) / t) / (2 t softplus(a / t))
    """
    half, edge = 1.5, 0.05
    mass = 2 * edge * tf.nn.softplus(half / edge)
    log_p = tf.math.log_sigmoid((half - tf.abs(z)) / edge) - tf.math.log(mass)
    return tf.reduce_sum(log_p, axis=-1)


def banana(z) -> tf.Tensor:
    """log p of z_1 ~ N(0, 1), z_2 ~ N(z_1^2 - 1, 0.3^2), `[..., 2]`."""
    first, second = tf.unstack(z, axis=-1)
    bent = tfd.Normal(first**2 - 1, 0.3).log_prob(second)
    return tfd.Normal(0.0, 1.0).log_prob(first) + bent


TARGETS = {"square": square, "banana": banana}
FORMS = {"gated": True, "plain": False}


def train(run: Run) -> None:
    flows, numbers = {}, {}
    table = Table(title="KL(q || p), nats")
    for column in ("target", "before", *FORMS):
        table.add_column(column, justify="left" if column == "target" else "right")
    for name, target in TARGETS.items():
        base = divergence(tfd.MultivariateNormalDiag(tf.zeros(2)), target)
        numbers[name] = {"before": base}
        for form, gated in FORMS.items():
            keras.utils.set_random_seed(run.seed)
            flow = flows[name, form] = IAF(2, steps=4, units=(64, 64), gated=gated)
            flow.build()
            fit(flow, target, run.epochs * STEPS)
            numbers[name][form] = divergence(posterior(flow), target)
        table.add_row(name, *(f"{value:.3f}" for value in numbers[name].values()))
    runs.write_json(
        run.folder / "results.json", {"KL(q || p)": {"unit": "nats", **numbers}}
    )
    console = Console()
    console.print(table)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    figure = draw({name: flows[name, "plain"] for name in TARGETS})
    figure.savefig(folder / "targets.png")
    console.print(str(folder / "targets.png"), highlight=False)


def posterior(flow: IAF) -> tfd.Distribution:
    base = tfd.Independent(tfd.Normal(tf.zeros(2), 1.0), 1)
    return tfd.TransformedDistribution(base, flow())


def fit(flow: IAF, target, steps: int) -> None:
    """Minimises KL(q || p) by Adam on fresh draws."""
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps, alpha=0.01)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(flow.trainable_variables)

    @tf.function(autograph=False, jit_compile=True)
    def step(seed):
        with tf.GradientTape() as tape:
            q = posterior(flow)
            z, log_q = q.experimental_sample_and_log_prob(BATCH, seed=seed)
            loss = tf.reduce_mean(log_q - target(z))
        optimizer.apply(tape.gradient(loss, flow.trainable_variables))

    for seed in range(steps):
        step(tf.constant([seed, 0]))


def divergence(q: tfd.Distribution, target, num_samples: int = 100_000) -> float:
    """KL(q || p) from many draws, in nats."""
    z, log_q = q.experimental_sample_and_log_prob(num_samples, seed=[0, 1])
    return float(tf.reduce_mean(log_q - target(z)))


def draw(flows: dict[str, IAF], num_samples: int = 5000) -> Figure:
    """The same draws after each step; colour tells their first latent in the base."""
    base = np.random.default_rng(0).normal(size=(num_samples, 2)).astype("float32")
    rows, columns = len(flows), flows["square"].steps + 2
    figure = Figure(figsize=(2.1 * columns, 2.4 * rows), dpi=150, layout="constrained")
    grid_of_axes = figure.subplots(rows, columns, sharex=True, sharey=True)
    z1, z2 = np.meshgrid(np.linspace(-3.4, 3.4, 400), np.linspace(-2.9, 3.9, 400))
    grid = np.stack([z1, z2], axis=-1).astype("float32")
    for axes, (name, flow) in zip(grid_of_axes, flows.items()):
        clouds = [base, *flow().path(base)[0].numpy()]
        density = np.exp(TARGETS[name](grid))
        dots = {"c": base[:, 0], "cmap": "viridis", "vmin": -2, "vmax": 2}
        for index, (panel, z) in enumerate(zip(axes, clouds)):
            panel.scatter(*z.T, s=2, linewidths=0, **dots)
            edge = [0.02 * density.max()]
            panel.contour(z1, z2, density, edge, colors="black", linewidths=0.6)
            panel.set_title(f"after step {index}" if index else "base")
        axes[-1].contourf(
            z1, z2, density, np.linspace(0, density.max(), 13), cmap="Greys"
        )
        axes[-1].set_title(f"target: {name}")
        axes[0].set_ylabel("z2")
    for panel in grid_of_axes.flat:
        panel.set(xlim=(-3.4, 3.4), ylim=(-2.9, 3.9), aspect="equal")
    for panel in grid_of_axes[-1]:
        panel.set_xlabel("z1")
    return figure
