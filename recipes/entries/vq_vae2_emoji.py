"""VQ-VAE-2 of two levels on emoji of 32 x 32 pixels, with PixelCNN priors of its codes.

8 x 8 codes above 16 x 16, 128 each; each channel of a pixel has a mixture of three
discretised logistics. The priors are part of the model: samples come through them, and
its NLL, an upper bound, has the codes at their price. No glyph of the test images is
among those trained on.

Training: Adam, 2e-3 falling to 2e-5 by a cosine; batches of 64; its priors with Adam at
1e-3 for at most 20 epochs, of which the best on validation images is kept.
"""

import keras

import zoo
from recipes import codes, datasets
from recipes.runs import Run

EPOCHS = 40


def train(run: Run) -> None:
    data = datasets.load("emoji")
    model = zoo.VQVAE(
        (32, 32, 3),
        strides=(2, 2),
        num_codes=128,
        channels=48,
        likelihood=zoo.DiscretisedLogistic(levels=256, components=3),
        seed=run.seed,
    )
    batch_size = 64
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(2e-3, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(learning_rate))
    model = run.fit(model, data, batch_size=batch_size)
    codes.publish_with_priors(
        run, model, data, about=__doc__, channels=48, depth=5, epochs=20
    )
