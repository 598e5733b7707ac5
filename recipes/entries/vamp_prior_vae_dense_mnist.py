"""VAE with a VampPrior of 200 pseudo-inputs, otherwise as normal_prior_vae_mnist.

The prior is a mixture of the model's own posteriors, so it follows where the codes go.
Published on the static binarisation, not to be compared with this one: 85.57 nats with
this prior and 500 pseudo-inputs against 88.56 with the standard normal (5000 importance
samples; Tomczak & Welling, 2018, table 1).

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
    shape, latent_dim, batch_size = (28, 28, 1), 40, 100
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    # Under a learned prior it costs nothing at first to leave all codes alike; without
    # a warm-up they stay so.
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=steps // 5)
    vae = zoo.VAE(
        zoo.networks.dense_encoder(shape, (300, 300)),
        zoo.networks.dense_decoder(latent_dim, shape, (300, 300)),
        latent_dim,
        prior=zoo.VampPrior(latent_dim, components=200),
        objective=zoo.objectives.ELBO(beta=warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
