"""VQ-VAE-2 of two levels on grey Fashion-MNIST, with PixelCNN priors of its codes.

7 x 7 codes above 14 x 14, 64 each; each pixel has a mixture of three discretised
logistics. The priors are part of the model: samples come through them, and its NLL, an
upper bound, has the codes at their price; it compares with other masses of the images.

Training: Adam, 2e-3 falling to 2e-5 by a cosine; batches of 64; its priors with Adam at
1e-3 for at most 4 epochs, of which the best on validation images is kept.
"""

import keras

import zoo
from recipes import codes, datasets
from recipes.runs import Run

EPOCHS = 8


def train(run: Run) -> None:
    data = datasets.load("fashion_mnist")
    model = zoo.VQVAE(
        (28, 28, 1),
        strides=(2, 2),
        num_codes=64,
        likelihood=zoo.DiscretisedLogistic(levels=256, components=3),
        seed=run.seed,
    )
    batch_size = 64
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(2e-3, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(learning_rate))
    model = run.fit(model, data, batch_size=batch_size)
    codes.publish_with_priors(
        run, model, data, about=__doc__, channels=48, depth=5, epochs=4
    )
