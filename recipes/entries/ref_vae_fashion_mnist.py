"""RefVAE on grey Fashion-MNIST: 7 x 7 pixels to 28 x 28, with another image of a class.

The small images are means of 4 x 4 pixels. The reference of an image is another one of
its class and of its split, always the same and never itself. The perceptual network is
the convolutions of a small classifier of the training images. PSNR and SSIM are beside
those of bicubic interpolation of the same images; likelihoods are densities.
"""

import keras

import zoo
from recipes import datasets, publish, super_resolution
from recipes.runs import Run, evaluation_images

EPOCHS = 20


def train(run: Run) -> None:
    data = datasets.load("fashion_mnist")
    shape, latent_dim, batch_size = (28, 28, 1), 16, 64
    model = zoo.RefVAE(
        zoo.networks.conv_encoder(shape, filters=(32, 64), units=128),
        zoo.networks.upsampler(latent_dim, shape, factor=4, channels=32, blocks=4),
        latent_dim,
        discriminator=discriminator(shape),
        perceptual=trained_features(data, batch_size),
        perceptual_weight=0.1,
        adversarial_weight=1.0,
        seed=run.seed,
    )
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    model.compile(
        keras.optimizers.Adam(learning_rate), keras.optimizers.Adam(1e-4, beta_1=0.5)
    )
    model = run.fit(model, data, batch_size=batch_size)
    images = evaluation_images(data.test, binarise=False)
    given = data.given(model, "test")
    more = super_resolution.judge(model, images[: run.test_images], given, run.seed)
    entry = publish.publish(run, model, data, about=__doc__, more=more)
    picture = super_resolution.picture(model, images, given, run.seed)
    picture.savefig(entry / "figures" / "super_resolution.png")


def discriminator(shape) -> keras.Model:
    """A number for each patch of an image, 18 x 18 pixels."""
    layers = keras.layers
    network = keras.Sequential([keras.Input(shape)])
    for filters, stride in ((32, 2), (64, 2)):
        network.add(layers.Conv2D(filters, 4, stride, "same"))
        network.add(layers.LeakyReLU(0.2))
    network.add(layers.Conv2D(1, 3, padding="same"))
    return network


def trained_features(data: datasets.Dataset, batch_size: int) -> keras.Model:
    """The convolutions of a classifier after two epochs, each an output."""
    image = keras.Input(data.train.shape[1:])
    y, outputs = image, []
    for filters in (16, 32):
        y = keras.layers.Conv2D(filters, 3, 2, "same", activation="relu")(y)
        outputs.append(y)
    logits = keras.layers.Dense(10)
    classifier = keras.Model(image, logits(keras.layers.Flatten()(y)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    images = evaluation_images(data.train, binarise=False)
    options = {"batch_size": batch_size, "epochs": 2, "verbose": 2}
    classifier.fit(images, data.labels["train"], **options)
    return keras.Model(image, outputs)
