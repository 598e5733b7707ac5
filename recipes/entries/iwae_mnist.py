"""IWAE with 5, then 50 importance samples on dynamically binarised MNIST.

The networks of vae_mnist, in batches of 20. Four fifths of 500 epochs are with five
samples; their networks learn on with fifty and the doubly reparameterised gradient
(Tucker et al., 2019), which keeps its signal as samples grow in number. Published for
these networks, about 3280 epochs and as many samples from the start: test NLL 84.78
nats with fifty, 85.54 with five (5000 importance samples; Burda et al., 2016, table 1).

Training: Adam, 1e-3 falling to 1e-5 by a cosine, then 5e-4 to 5e-6; batches of 20.
"""

import json

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 500
BATCH_SIZE = 20


def train(run: Run) -> None:
    data = datasets.load("mnist")
    with_5 = run.part("5_samples", max(1, run.epochs * 4 // 5))
    vae = fit(with_5, build(5, run.seed), data, learning_rate=1e-3)
    more = nll(with_5, vae, data) if run.num_importance_samples else {}
    with_50 = run.part("50_samples", max(1, run.epochs - with_5.epochs))
    learned = vae.get_weights()
    vae = build(50, run.seed, doubly_reparameterised=True)
    vae.set_weights(learned)
    vae.step.assign(0)
    vae = fit(with_50, vae, data, learning_rate=5e-4)
    publish.publish(run, vae, data, about=__doc__, binarise=True, more=more)


def build(num_importance_samples: int, seed: int, **kwargs) -> zoo.IWAE:
    shape, latent_dim = (28, 28, 1), 50
    return zoo.IWAE(
        zoo.networks.dense_encoder(shape, (200, 200), "tanh"),
        zoo.networks.dense_decoder(latent_dim, shape, (200, 200), "tanh"),
        latent_dim,
        num_importance_samples=num_importance_samples,
        seed=seed,
        **kwargs,
    )


def fit(part: Run, vae: zoo.IWAE, data: datasets.Dataset, learning_rate) -> zoo.IWAE:
    steps = part.epochs * datasets.steps_per_epoch(data.train, BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(rate))
    return part.fit(vae, data, batch_size=BATCH_SIZE, binarise=True)


def nll(part: Run, vae: zoo.IWAE, data: datasets.Dataset) -> dict:
    """The test NLL after this part of the training, measured once, before rounding."""
    file = part.folder / f"nll_{part.num_importance_samples}.json"
    if not file.exists():
        images = evaluation_images(data.test, binarise=True)[: part.test_images]
        draws = part.num_importance_samples
        metrics = publish.measure(vae, data, images, draws)
        write_json(file, {"nll_trained_with_5": metrics["nll"]})
    return json.loads(file.read_text())
