"""Objectives and priors side by side on binary MNIST, a few epochs each.

One row per model, all with the networks and the warm-up of normal_prior_vae_mnist:
-ELBO, rate and distortion of the test images, the NLL, and the rate's parts in the mean
(Chen et al., 2018, eq. 2): mutual information, total correlation and dimension-wise KL,
estimated from one batch of 1000. Ten epochs rank what learns fast, not what ends best.
A study: it makes a table and a picture, no entry.
"""

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import zoo
from recipes import burda, datasets, figures, tomczak
from recipes.runs import Run, evaluation_images, write_json
from zoo.draws import Sample, seed_words
from zoo.variants.beta_tcvae import decompose

EPOCHS = 10
IMAGES = 1000  # test images of the NLL and of the rate's parts
NUM_SAMPLES = 500
PARTS = ("mutual information", "total correlation", "dimension-wise KL")

_D = tomczak.LATENT_DIM
_SCALES = tuple(float(scale) for scale in np.geomspace(2.0, 0.2, _D))
MODELS = {  # class, its options, and the beta that the warm-up ends at
    "VAE": (zoo.VAE, dict, 1.0),
    "beta-VAE, beta 4": (zoo.BetaVAE, dict, 4.0),
    "beta-TCVAE, beta 4": (zoo.BetaTCVAE, lambda: {"dataset_size": 50_000}, 4.0),
    "capacity 15 nats": (
        zoo.CapacityVAE,
        lambda: {"capacity": 15.0, "gamma": 10.0},
        None,
    ),
    "IWAE, K 5": (zoo.IWAE, dict, 1.0),
    "IWAE, K 5, DReG": (zoo.IWAE, lambda: {"doubly_reparameterised": True}, 1.0),
    "mixture prior": (zoo.VAE, lambda: {"prior": zoo.MixturePrior(_D, 100)}, 1.0),
    "RealNVP prior": (zoo.VAE, lambda: {"prior": zoo.FlowPrior(_D, 6, 128)}, 1.0),
    "anisotropic prior": (
        zoo.VAE,
        lambda: {"prior": zoo.AnisotropicNormal(_D, _SCALES)},
        1.0,
    ),
    "Student-t prior": (zoo.VAE, lambda: {"prior": zoo.StudentT(_D)}, 1.0),
    "sparse prior": (zoo.VAE, lambda: {"prior": zoo.SparsePrior(_D)}, 1.0),
}


def train(run: Run) -> None:
    data = datasets.load("mnist")
    test = evaluation_images(data.test, binarise=True)
    results, rows = [], [test[:12]]
    for name, (cls, options, beta) in MODELS.items():
        print(name)
        keras.utils.set_random_seed(run.seed)
        warm_up = {"beta": tomczak.warm_up(run, data, beta)} if beta else {}
        model = cls(*tomczak.networks(), seed=run.seed, **options(), **warm_up)
        burda.fit(model, run, data, binarise=True)
        info = zoo.evaluation.information(model, test)
        log_p = zoo.evaluation.log_likelihood(model, test[:IMAGES], NUM_SAMPLES)
        results.append(
            {
                "model": name,
                "nll": -float(np.mean(log_p)),
                **info._asdict(),
                **dict(zip(PARTS, parts(model, test[:IMAGES]))),
            }
        )
        rows.append(model.sample(12, seed=0))
    write_json(run.folder / "results.json", results)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    figures.grid(rows, ["data", *MODELS]).savefig(folder / "samples.png")
    Console().print(table(results))


def parts(model: zoo.VAE, images: np.ndarray) -> list[float]:
    """The rate's parts in nats, with q(z) the posterior averaged over `images`."""
    (latent,) = model.infer(tf.constant(images), Sample(1, seed_words(0)))
    # A data set of one image for each of the batch: log q(z) is a plain mean.
    return [float(tf.reduce_mean(part)) for part in decompose(latent, dataset_size=1)]


def table(results: list[dict]) -> Table:
    result = Table(title="Test images, nats per image")
    columns = ("nll", "elbo", "rate", "distortion", *PARTS)
    for column in ("model", *columns, "active units"):
        result.add_column(column, justify="left" if column == "model" else "right")
    for row in results:
        numbers = (f"{row[column]:.2f}" for column in columns)
        result.add_row(row["model"], *numbers, str(row["active_units"][0]))
    return result
