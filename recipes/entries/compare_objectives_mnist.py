"""Objectives and priors side by side on binary MNIST, a few epochs each.

One row per model, all with the networks and the warm-up of normal_prior_vae_mnist:
-ELBO, rate and distortion of the test images, the NLL, and the rate's parts in the mean
(Chen et al., 2018, eq. 2): mutual information, total correlation and dimension-wise KL,
with q(z) the posterior averaged over all test images. Of N images they can tell no more
mutual information than log N, which is 9.21 nats of 10 000. Ten epochs rank what learns
fast, not what ends best. A study: it makes a table and a picture, no entry.
"""

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures
from recipes.runs import Run, evaluation_images, write_json
from zoo.draws import Sample, seed_words
from zoo.objectives import ELBO, IWELBO, Capacity, TotalCorrelation, decompose

EPOCHS = 10
SHAPE, LATENT_DIM, BATCH_SIZE = (28, 28, 1), 40, 100
IMAGES = 1000  # test images of the NLL
ROWS = 100  # draws of z at a time, against the posteriors of all images
NUM_IMPORTANCE_SAMPLES = 500
PARTS = ("mutual information", "total correlation", "dimension-wise KL")
SCALES = tuple(float(scale) for scale in np.geomspace(2.0, 0.2, LATENT_DIM))

MODELS = {  # what each one changes of the VAE; `ramp(b)` is the warm-up to beta = b
    "VAE": lambda ramp: {},
    "beta-VAE, beta 4": lambda ramp: {"objective": ELBO(ramp(4.0))},
    "beta-TCVAE, beta 4": lambda ramp: {
        "objective": TotalCorrelation(dataset_size=50_000, beta=ramp(4.0))
    },
    "capacity 15 nats": lambda ramp: {"objective": Capacity(gamma=10.0, capacity=15.0)},
    "IWAE, K 5": lambda ramp: {"objective": IWELBO(5, ramp(1.0))},
    "IWAE, K 5, DReG": lambda ramp: {
        "objective": IWELBO(5, ramp(1.0), doubly_reparameterised=True)
    },
    "mixture prior": lambda ramp: {"prior": zoo.MixturePrior(LATENT_DIM, 100)},
    "RealNVP prior": lambda ramp: {"prior": zoo.FlowPrior(LATENT_DIM, 6, 128)},
    "anisotropic prior": lambda ramp: {
        "prior": zoo.AnisotropicNormal(LATENT_DIM, SCALES)
    },
    "Student-t prior": lambda ramp: {"prior": zoo.StudentT(LATENT_DIM)},
    "sparse prior": lambda ramp: {"prior": zoo.SparsePrior(LATENT_DIM)},
}


def train(run: Run) -> None:
    data = datasets.load("mnist")
    test = evaluation_images(data.test, binarise=True)
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    total = run.epochs * steps

    def ramp(beta):
        return zoo.schedules.Linear(0.0, beta, steps=max(1, total // 5))

    results, rows = [], [test[:12]]
    for name, change in MODELS.items():
        print(name)
        keras.utils.set_random_seed(run.seed)
        model = zoo.VAE(
            zoo.networks.dense_encoder(SHAPE, (300, 300)),
            zoo.networks.dense_decoder(LATENT_DIM, SHAPE, (300, 300)),
            LATENT_DIM,
            seed=run.seed,
            **{"objective": ELBO(ramp(1.0)), **change(ramp)},
        )
        rate = keras.optimizers.schedules.CosineDecay(1e-3, total, alpha=0.01)
        model.compile(keras.optimizers.Adam(rate))
        batches = datasets.stream(data.train, BATCH_SIZE, seed=run.seed, binarise=True)
        model.fit(batches, steps_per_epoch=steps, epochs=run.epochs, verbose=2)
        info = zoo.evaluation.information(model, test)
        log_p = zoo.evaluation.log_prob(
            model, test[:IMAGES], num_importance_samples=NUM_IMPORTANCE_SAMPLES
        )
        results.append(
            {
                "model": name,
                "nll": -float(np.mean(log_p)),
                **info,
                **dict(zip(PARTS, parts(model, test))),
                "images of the parts": len(test),
            }
        )
        rows.append(model.sample(12, seed=0))
    write_json(run.folder / "results.json", results)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    figures.save(figures.grid(rows, ["data", *MODELS]), folder / "samples.png")
    Console().print(table(results))


def parts(model: zoo.VAE, images: np.ndarray) -> list[float]:
    """The rate's parts in nats, with q(z) the posterior averaged over `images`."""
    draw = Sample(seed_words(0), rows=len(images))
    model.walk(draw, model.features(images, {}), {})
    (latent,), terms = draw.latents, []
    for start in range(0, len(images), ROWS):
        rows = slice(start, start + ROWS)
        few = latent._replace(z=latent.z[rows], log_q=latent.log_q[rows])
        # A data set of one image for each posterior: log q(z) is a plain mean.
        terms.append(decompose(few, dataset_size=1))
    return [float(tf.reduce_mean(tf.concat(part, axis=0))) for part in zip(*terms)]


def table(results: list[dict]) -> Table:
    images = results[0]["images of the parts"]
    title = f"Test images, nats; mutual information of {images} images, at most "
    result = Table(title=title + f"log {images} = {np.log(images):.2f}")
    columns = ("nll", "elbo", "rate", "distortion", *PARTS)
    for column in ("model", *columns, "active units"):
        result.add_column(column, justify="left" if column == "model" else "right")
    for row in results:
        numbers = (f"{row[column]:.2f}" for column in columns)
        result.add_row(row["model"], *numbers, str(row["active_units"][0]))
    return result
