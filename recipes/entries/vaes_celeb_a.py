"""sigma-VAE and beta-VAE of faces, CelebA in 64 x 64, with 12 and with 128 latents.

Four entries, with the same convolutions. A sigma-VAE finds the scale of its normal
likelihood by itself. A beta-VAE has it fixed at 0.1, and beta = 4, so that it is
expected to use fewer latents. Likelihoods are densities of pixels in [0, 1]. The images
are for non-commercial research only; with all copies they take an estimated 8 GB of
memory.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 128.
"""

import dataclasses

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 10
SHAPE, BATCH_SIZE = (64, 64, 3), 128
FILTERS, UNITS = (32, 64, 128, 256), 256
LATENT_DIMS = (12, 128)
TEST_IMAGES = 2000
MODELS = {
    "sigma_vae": (zoo.SigmaVAE, dict),
    "beta_vae": (
        zoo.BetaVAE,
        lambda: {"beta": 4.0, "likelihood": zoo.Normal(sigma=0.1)},
    ),
}


def train(run: Run) -> None:
    data = datasets.load("celeb_a", image_size=SHAPE[0])
    for kind in MODELS:
        for latent_dim in LATENT_DIMS:
            name = f"{kind}_{latent_dim}_celeb_a"
            # In a run of its own, a killed one goes on where it was.
            own = dataclasses.replace(
                run,
                name=name,
                folder=run.folder / name,
                test_images=TEST_IMAGES,
                recipe=run.name,
            )
            train_one(own, kind, latent_dim, data)


def train_one(run: Run, kind: str, latent_dim: int, data: datasets.Dataset) -> None:
    cls, options = MODELS[kind]
    model = cls(
        zoo.networks.conv_encoder(SHAPE, FILTERS, UNITS),
        zoo.networks.conv_decoder(latent_dim, SHAPE, FILTERS[::-1], UNITS),
        latent_dim,
        seed=run.seed,
        **options(),
    )
    steps = run.epochs * datasets.steps_per_epoch(data.train, BATCH_SIZE)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(learning_rate))
    model = run.fit(model, data, batch_size=BATCH_SIZE)
    publish.publish(run, model, data, about=__doc__)
