"""A training of a few seconds, to be killed by a test: python digits_run.py FOLDER."""

import sys

import zoo
from recipes import datasets
from recipes.runs import Run

EPOCHS = 6


def main(folder: str) -> None:
    run = Run("digits", folder, EPOCHS, seed=3)
    data = datasets.load("digits")
    vae = zoo.VAE(
        zoo.networks.dense_encoder((8, 8, 1), units=(16,)),
        zoo.networks.dense_decoder(2, (8, 8, 1), units=(16,)),
        latent_dim=2,
        objective=zoo.objectives.ELBO(zoo.schedules.Linear(0.0, 1.0, steps=20)),
        seed=run.seed,
    )
    vae.compile("adam", jit_compile=False)
    vae = run.fit(vae, data, batch_size=64, binarise=True)
    vae.save_weights(run.folder / "final.weights.h5")


if __name__ == "__main__":
    main(sys.argv[1])
