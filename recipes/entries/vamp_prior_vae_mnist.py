"""conv_vae_mnist under a VampPrior of 100 pseudo-inputs, with a warm-up.

The prior is a mixture of the model's own posteriors, so it follows where the codes go.
The networks, epochs and batches of conv_vae_mnist. Trained with
`--dtype mixed_bfloat16`. Published for two layers of latents under a VampPrior, of
dense networks: test NLL 81.24 nats (5000 importance samples; Tomczak & Welling, 2018).

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
    shape, latent_dim, batch_size = (28, 28, 1), 32, 128
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    # Under a learned prior it costs nothing at first to leave all codes alike; without
    # a warm-up they stay so.
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=steps // 5)
    vae = zoo.VAE(
        zoo.networks.residual_encoder(shape),
        zoo.networks.residual_decoder(latent_dim, shape),
        latent_dim,
        prior=zoo.VampPrior(latent_dim, components=100),
        objective=zoo.objectives.ELBO(beta=warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
