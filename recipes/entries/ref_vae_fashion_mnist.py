"""RefVAE on grey Fashion-MNIST: 7 x 7 pixels to 28 x 28, with another image of a class.

The small images are means of 4 x 4 pixels. The reference of an image is another one of
its class and of its split, always the same and never itself. The perceptual network is
the convolutions of a small classifier of the training images. PSNR and SSIM are beside
those of bicubic interpolation of the same images; likelihoods are densities. z tells
little that the small images do not: see `rate` and `diversity`.

Training: Adam, 1e-3 falling to 1e-5 by a cosine; batches of 64; the discriminator with
Adam at 1e-4, beta_1 = 0.5.
"""

import keras

import zoo
from recipes import datasets, publish, super_resolution
from recipes.runs import Run, evaluation_images, round_weights

EPOCHS = 20


def train(run: Run) -> None:
    data = datasets.load("fashion_mnist")
    shape, latent_dim, batch_size = (28, 28, 1), 16, 64
    model = zoo.RefVAE(
        zoo.networks.conv_encoder(shape, filters=(32, 64), units=128),
        zoo.networks.upsampler(latent_dim, shape, factor=4, channels=32, blocks=4),
        latent_dim,
        discriminator=zoo.networks.conv_discriminator(shape, (32, 64)),
        perceptual=super_resolution.trained_features(data),
        perceptual_weight=0.1,
        adversarial_weight=20.0,
        seed=run.seed,
    )
    steps = run.epochs * datasets.steps_per_epoch(data.train, batch_size)
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
    model.compile(
        keras.optimizers.Adam(learning_rate), keras.optimizers.Adam(1e-4, beta_1=0.5)
    )
    model = run.fit(model, data, batch_size=batch_size)
    round_weights(model)
    images = evaluation_images(data.test, binarise=False)
    given = data.given(model, "test")
    more = super_resolution.judge(model, images[: run.test_images], given, run.seed)
    publish.publish(run, model, data, about=__doc__, more=more)
