"""beta-VAE with beta = 4 on sprites, whose factors are known: 10 latents.

Four convolutions and a dense layer of 256 each way, the usual networks of the field but
for kernels of 3 x 3 (Locatello et al., 2019, appendix, have 4 x 4). How far each latent
tells one factor alone is scored on the codes of all test images. One trained model is
one draw: scores differ much between seeds, see compare_disentanglement_sprites.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 64.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run, evaluation_images, round_weights

EPOCHS = 15


def train(run: Run) -> None:
    data = datasets.load("sprites")
    shape, latent_dim, batch_size = (32, 32, 1), 10, 64
    filters = (32, 32, 64, 64)
    vae = zoo.BetaVAE(
        zoo.networks.conv_encoder(shape, filters),
        zoo.networks.conv_decoder(latent_dim, shape, filters[::-1]),
        latent_dim,
        beta=4.0,
        seed=run.seed,
    )
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae = run.fit(vae, data, batch_size=batch_size)
    round_weights(vae)
    images, factors = evaluation_images(data.test, False), data.factors["test"]
    (codes,) = zoo.evaluation.encode(vae, images)
    scores = zoo.evaluation.disentanglement(codes, factors)
    protocol = f"posterior means of {len(images)} test images"
    more = {
        name: publish.figure(x, "from 0 to 1", protocol) for name, x in scores.items()
    }
    publish.publish(run, vae, data, about=__doc__, more=more)
