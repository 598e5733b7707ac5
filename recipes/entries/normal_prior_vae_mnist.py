"""VAE with a standard normal prior and a warm-up: the yardstick of the learned priors.

Two dense layers of 300 units each way and 40 latents; vamp_prior_vae_dense_mnist has
another prior and is the same otherwise.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 100; warm-up over the first
fifth.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 30


def train(run: Run) -> None:
    data = datasets.load("mnist")
    # As large as the networks of Tomczak & Welling (2018).
    shape, latent_dim, batch_size = (28, 28, 1), 40, 100
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=steps // 5)
    vae = zoo.VAE(
        zoo.networks.dense_encoder(shape, (300, 300)),
        zoo.networks.dense_decoder(latent_dim, shape, (300, 300)),
        latent_dim,
        prior=zoo.StandardNormal(latent_dim),
        objective=zoo.objectives.ELBO(beta=warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
