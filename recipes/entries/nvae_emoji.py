"""NVAE of five groups on two scales, on emoji of 32 x 32 pixels.

Two maps of 8 x 8 and three of 16 x 16, eight channels each, and a mixture of five
discretised logistics for every value of a pixel. The posteriors see 3 x 3 places, and
the learning rate falls from the 1e-2 of the paper (Vahdat & Kautz, 2020). No glyph of
the test images is among those trained on. Moving averages of the weights are what is
tested, after batch normalisation's statistics are refreshed with them; the curve is of
the weights themselves.

Training: Adamax, 1e-2 falling to 1e-4 by a cosine; batches of 64; warm-up over the
first three tenths.
"""

import keras

import zoo
from recipes import datasets, publish
from recipes.runs import Run

EPOCHS = 90


def train(run: Run) -> None:
    data = datasets.load("emoji")
    batch_size = 64
    steps_per_epoch = datasets.steps_per_epoch(data.train, batch_size)
    steps = run.epochs * steps_per_epoch
    warm_up = zoo.schedules.Linear(0.0, 1.0, steps=3 * steps // 10)
    nvae = zoo.NVAE(
        (32, 32, 3),
        groups=(3, 2),
        latent_dim=8,
        channels=24,
        cells=1,
        window=3,
        kind="plain",
        likelihood=zoo.DiscretisedLogistic(256, components=5),
        objective=zoo.objectives.BalancedELBO(warm_up),
        seed=run.seed,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-2, steps, alpha=0.01)
    averaged = {"use_ema": True, "ema_momentum": 0.995}  # put in place as `fit` ends
    optimizer = keras.optimizers.Adamax(learning_rate, **averaged)
    nvae.compile(optimizer, skip_non_finite=True)
    nvae = run.fit(nvae, data, batch_size=batch_size)
    images = datasets.stream(data.train, batch_size, seed=run.seed)
    zoo.evaluation.refresh_batch_norm(nvae, images.take(steps_per_epoch))
    publish.publish(run, nvae, data, about=__doc__)
