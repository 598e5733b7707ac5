"""vamp_prior_vae_mnist without the dense layers of its networks, and with fewer maps.

An image no longer passes 128 numbers on its way to the codes and back: the parameters
of the posterior are linear in the encoder's last maps, and the decoder's first maps are
linear in the codes. It has two fifths of the weights. Trained with
`--dtype mixed_bfloat16`.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 128; warm-up over the first
fifth.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 128


def train(run: Run) -> None:
    data = datasets.load("mnist")
    shape, latent_dim, batch_size, filters = (28, 28, 1), 32, 128, (32, 48)
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    # Under a learned prior it costs nothing at first to leave all codes alike; without
    # a warm-up they stay so.
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=steps // 5)
    vae = zoo.VAE(
        zoo.networks.residual_encoder(shape, filters, units=None),
        zoo.networks.residual_decoder(latent_dim, shape, filters[::-1], units=None),
        latent_dim,
        prior=zoo.VampPrior(latent_dim, components=100),
        objective=zoo.objectives.ELBO(beta=warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
