"""VAE with two dense layers on dynamically binarised MNIST.

The yardstick of the family: a diagonal normal posterior and a standard normal prior.
2200 epochs in batches of 20; published, after about 3280: test NLL 86.76 nats (5000
importance samples; Burda et al., 2016, table 1). As their code has it, 59 600 images
train and 400 are held out, which chose nothing.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 20.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 2200


def train(run: Run) -> None:
    data = datasets.load("mnist").holding_out(400)
    # The layers, latents and batches of Burda et al.
    shape, latent_dim, batch_size = (28, 28, 1), 50, 20
    vae = zoo.VAE(
        zoo.networks.dense_encoder(shape, (200, 200), "tanh"),
        zoo.networks.dense_decoder(latent_dim, shape, (200, 200), "tanh"),
        latent_dim,
        seed=run.seed,
    )
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vae, data, about=__doc__, binarise=True)
