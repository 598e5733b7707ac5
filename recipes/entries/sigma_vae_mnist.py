"""sigma-VAE with two latents on grey MNIST: a latent space that fits on a page.

Its normal likelihood takes the scale that suits the data best, so that no beta has to
be found. Likelihoods are densities of grey values: not to be compared with those of
binary images. No number of the paper (Rybkin et al., 2021) stands beside them: its
networks and its latents are others.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 100.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 100


def train(run: Run) -> None:
    data = datasets.load("mnist")
    shape, latent_dim, batch_size = (28, 28, 1), 2, 100
    vae = zoo.SigmaVAE(
        zoo.networks.dense_encoder(shape, (256, 256, 256)),
        zoo.networks.dense_decoder(latent_dim, shape, (256, 256, 256)),
        latent_dim,
        seed=run.seed,
    )
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size)
    publish.publish(run, vae, data, about=__doc__)
