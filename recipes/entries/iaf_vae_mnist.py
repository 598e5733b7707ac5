"""conv_vae_mnist with an IAF of four gated steps as its posterior, and a warm-up.

The networks, epochs and batches of conv_vae_mnist; steps of one hidden layer of 320
units. Trained with `--dtype mixed_bfloat16`.
Published for a larger network: test NLL 79.77 nats with two steps of width 320, 79.10
with eight of 1920 and 81.08 with a diagonal posterior (128 importance samples; Kingma
et al., 2016, table 1).

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
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=steps // 5)
    vae = zoo.IAFVAE(
        zoo.networks.residual_encoder(shape),
        zoo.networks.residual_decoder(latent_dim, shape),
        latent_dim,
        steps=4,
        units=(320,),
        objective=zoo.objectives.ELBO(beta=warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
