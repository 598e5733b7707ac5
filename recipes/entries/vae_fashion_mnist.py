"""VAE with two gated dense layers on dynamically binarised Fashion-MNIST.

40 latents and layers of 300 units, each a linear map times the sigmoid of another; the
weight of the rate grows over the first quarter of 300 epochs, without which most
latents die early. Published for these sizes: test NLL 228.70 nats (5000 importance
samples; Norouzi et al., 2020, table 1).

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
    decoder = zoo.networks.gated_decoder(
        latent_dim, shape
    )  # its weights are drawn first
    vae = zoo.VAE(
        zoo.networks.gated_encoder(shape),
        decoder,
        latent_dim,
        objective=zoo.objectives.ELBO(beta=warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
