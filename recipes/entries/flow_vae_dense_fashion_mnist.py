"""vae_fashion_mnist, of dense networks, under a RealNVP prior of four couplings.

The prior starts as the standard normal and learns where the codes go. Published for
networks of these sizes under other learned priors: test NLL 227.35 nats with a
VampPrior, 226.75 with an exemplar prior (5000 importance samples; Norouzi et al., 2020,
table 1).

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 100; warm-up over the first
quarter.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 300


def train(run: Run) -> None:
    data = datasets.load("fashion_mnist")
    shape, latent_dim, batch_size = (28, 28, 1), 40, 100
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=steps // 4)
    prior = zoo.FlowPrior(latent_dim, layers=4, units=64)  # its weights are drawn first
    vae = zoo.VAE(
        zoo.networks.dense_encoder(shape, (300, 300)),
        zoo.networks.dense_decoder(latent_dim, shape, (300, 300)),
        latent_dim,
        prior=prior,
        objective=zoo.objectives.ELBO(beta=warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
