"""NVAE of seven groups on two scales, on dynamically binarised MNIST.

Three maps of 4 x 4 above four of 8 x 8, four channels each, as images are padded to
32 x 32, and plain cells of 3 x 3 convolutions, which are the faster ones on a
processor: networks of 64 channels at 4 x 4, 32 at 8 x 8, and 16 and 8 on the two finer
scales without latents. Moving averages of the weights are what is tested, after batch
normalisation's statistics are refreshed with them; the curve is of the weights
themselves. Trained with `--dtype mixed_bfloat16`.
Published for fifteen groups of 20 channels, 33 M parameters and 400 epochs: test NLL
78.01 nats (1000 importance samples; Vahdat & Kautz, 2020).

Training: Adamax, 5e-3 falling to 1e-4 by a cosine; batches of 128; warm-up over the
first three tenths.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 80


def train(run: Run) -> None:
    data = datasets.load("mnist")
    batch_size = 128
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=3 * steps // 10)
    nvae = zoo.NVAE(
        (28, 28, 1),
        groups=(4, 3),
        latent_dim=4,
        channels=32,
        cells=1,
        outer_cells=(1, 1),
        kind="plain",
        objective=zoo.objectives.BalancedELBO(warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(5e-3, steps, alpha=0.02)
    averaged = {"use_ema": True, "ema_momentum": 0.999}  # put in place as `fit` ends
    optimizer = keras.optimizers.Adamax(learning_rate, **averaged)
    nvae.compile(optimizer, skip_non_finite=True)
    nvae = run.fit(nvae, data, batch_size=batch_size, binarise=True)
    images = datasets.stream(data.train, batch_size, seed=run.seed, binarise=True)
    zoo.evaluation.refresh_batch_norm(nvae, images.take(len(data.train) // batch_size))
    publish.publish(run, nvae, data, about=__doc__, binarise=True)
