"""VLAE of three levels on dynamically binarised MNIST.

Four, four and eight latents; networks get wider with depth, so that the shallow levels
cannot do the deep one's work, and the rate is warmed up over the first fifth of the
training. The picture of its levels varies one at a time: compare it with that of
ladder_vae_mnist, whose layers depend on one another. The paper has no likelihoods.

Training: Adam, 1e-3; batches of 128; warm-up over the first fifth.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 60


def train(run: Run) -> None:
    data = datasets.load("mnist")
    batch_size = 128
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=steps // 5)
    vlae = zoo.VLAE(
        (28, 28, 1),
        latent_dims=(4, 4, 8),
        units=(64, 128, 256),
        objective=zoo.objectives.ELBO(warm_up),
        seed=run.seed,
    )
    vlae.compile(keras.optimizers.Adam(1e-3), skip_non_finite=True)
    vlae = run.fit(vlae, data, batch_size=batch_size, binarise=True)
    publish.publish(run, vlae, data, about=__doc__, binarise=True)
