"""RefVAE: super-resolution with a reference image."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import checks, schedules
from zoo.adversarial import Adversarial
from zoo.heads import DiagonalNormal
from zoo.likelihoods import Laplace, Likelihood
from zoo.networks.upsampling import bicubic, doubles
from zoo.schedules import Schedule


@keras.saving.register_keras_serializable("zoo")
class RefVAE(Adversarial):
    """p(x|low): large images of small ones, with z for what these do not tell.

    Data are dicts of `x` and `reference`, another image like x, `[B, H, W, C]`, and of
    `low`, `[B, H/f, W/f, C]` with f = 2, 4, 8, ..., all in [0, 1]:

        p(z) = N(0, I),  p(x|z, low) = Laplace(m, scale)
        m = bicubic(low) + decoder(low, z)
        q(z|reference) from the encoder, which never sees x

    `elbo` is E_q[log p(x|z, low)] - KL(q(z|reference) || p(z)) in nats. It is at most
    log p(x|low) for any q, and so for one that knows no more than a reference; so is
    `log_prob`, its importance-weighted form. `encode` takes x as in every model, and
    looks at the reference alone. An image is made of `low` and z:

        model.sample(4, {"low": low})  # z from the prior
        model.super_resolve(low, reference)  # z the mean of q(z|reference)

    To the objective are added, with D_s the means of s x s pixels, sums for each image

        multi_scale  multi_scale_weight * sum_s sum |D_s(x) - D_s(m)|,  s = 2, 4, ..., f
        perceptual   perceptual_weight * sum |features(x) - features(m)|

    and the hinge losses of `zoo.adversarial.Adversarial`, each where it has a weight or
    a network. Without all of them it is a plain super-resolution VAE.

    Args:
        encoder: Keras network from references `[B, H, W, C]` to features `[B, F]`.
        decoder: Keras network from `[low, z]` to `[B, H, W, C]`, such as
            `zoo.networks.upsampler`.
        latent_dim: number of latent dimensions D.
        perceptual: Keras network from images to features, which does not learn; of
            VGG, for grey images in [0, 1] say,

                image = keras.Input((64, 64, 1))
                y = 255 * keras.layers.Concatenate()([image] * 3)
                y = keras.applications.vgg16.preprocess_input(y)
                vgg = keras.applications.VGG16(include_top=False, input_tensor=y)
                perceptual = keras.Model(image, vgg.get_layer("block3_conv3").output)

        multi_scale_weight, perceptual_weight: see above; numbers or schedules.
        likelihood: head that turns m into p(x|z, low), by default `zoo.Laplace(0.1)`.
        **kwargs: `discriminator` and `adversarial_weight` as for
            `zoo.adversarial.Adversarial`, others as for `zoo.LatentVariableModel`.

    Raises:
        ValueError: if networks and sizes do not fit together, or a weight is negative.

    Example:
        encoder = zoo.networks.conv_encoder((28, 28, 1))
        decoder = zoo.networks.upsampler(16, (28, 28, 1), factor=4)
        model = zoo.RefVAE(encoder, decoder, latent_dim=16)
        model.fit({"x": images, "low": small, "reference": others}, epochs=20)

    Reference: Liu, Siu & Wang, "Variational AutoEncoder for Reference based Image
    Super-Resolution", 2021, arXiv 2106.04090.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int,
        *,
        perceptual: keras.Model | None = None,
        multi_scale_weight: Schedule = 1.0,
        perceptual_weight: Schedule = 1.0,
        likelihood: Likelihood | None = None,
        **kwargs,
    ):
        super().__init__(likelihood=likelihood or Laplace(0.1), **kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.perceptual = perceptual
        self.multi_scale_weight = multi_scale_weight
        self.perceptual_weight = perceptual_weight
        self.posterior_head = DiagonalNormal(latent_dim)
        checks.not_negative(
            scheduled=True,
            multi_scale_weight=multi_scale_weight,
            perceptual_weight=perceptual_weight,
        )
        check_networks(self)
        if perceptual is not None:
            perceptual.trainable = False

    @property
    def event_shape(self):
        return tuple(self.encoder.input_shape[1:])

    @property
    def fields(self):
        low = checks.Field(self.decoder.input_shape[0][1:], "float32", (0.0, 1.0))
        image = low._replace(shape=self.event_shape)
        return {"x": image, "low": low, "reference": image}

    @property
    def given_fields(self):
        """The small image; z stands for the reference."""
        return {"low": self.fields["low"]}

    def super_resolve(self, low, reference) -> tf.Tensor:
        """Means of p(x|z, low) at the centres of q(z|reference), `[B, H, W, C]`."""
        return self.reconstruct(reference, {"low": low, "reference": reference})

    # Hooks.

    def features(self, x, given):
        """The encoder's features of the reference, `[B, F]`."""
        return self.encoder(given["reference"])

    def walk(self, draw, features=None, given=None):
        prior = tfd.Independent(tfd.Normal(tf.zeros(self.latent_dim), 1.0), 1)
        return draw(prior, None if features is None else self.posterior_head(features))

    def likelihood(self, out, given):
        low = given["low"]
        change = tf.cast(self.decoder([low, out]), low.dtype)
        return self.likelihood_head(bicubic(low, self.event_shape[:2]) + change)

    def log_likelihood(self, draw, x, likelihood):
        draw.images = draw.repeat(x), likelihood.mean()  # what `terms` compares
        return super().log_likelihood(draw, x, likelihood)

    def terms(self, draw, log_p):
        terms, (x, m) = super().terms(draw, log_p), draw.images
        if self.multi_scale_weight:
            factor = self.event_shape[0] // self.fields["low"].shape[0]
            scales = [2**i for i in range(1, factor.bit_length())]
            gaps = [distance(shrink(x, s), shrink(m, s)) for s in scales]
            weight = schedules.value(self.multi_scale_weight, self.step)
            terms["multi_scale"] = weight * tf.add_n(gaps)
        if self.perceptual is not None:
            features = (
                tf.nest.flatten(self.perceptual(images, training=False))
                for images in (x, m)
            )
            gaps = [distance(a, b) for a, b in zip(*features)]
            weight = schedules.value(self.perceptual_weight, self.step)
            terms["perceptual"] = weight * tf.add_n(gaps)
        return {**terms, **self.adversarial_terms(x, m)}


def shrink(images: tf.Tensor, factor: int) -> tf.Tensor:
    """The means of `factor` x `factor` pixels."""
    return tf.nn.avg_pool2d(images, factor, factor, "VALID")


def distance(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """sum |a - b| of each row, `[B]`."""
    gap = tf.abs(tf.cast(a, tf.float32) - tf.cast(b, tf.float32))
    return tf.reduce_sum(gap, axis=list(range(1, gap.shape.rank)))


def check_networks(model: RefVAE) -> None:
    """Raises a ValueError unless networks, likelihood and sizes fit together."""
    image, head, latent_dim = model.event_shape, model.likelihood_head, model.latent_dim
    of = type(head).__name__
    wanted = "`likelihood` must take means alone, as `zoo.Laplace` does."
    means = head.params_per_channel == 1 and not head.takes_logits
    checks.require(means, wanted, of)
    for name in ("discriminator", "perceptual"):
        network = getattr(model, name)
        wanted = f"`{name}` must take images of shape {image}, as the encoder does."
        fits = network is None or tuple(network.input_shape[1:]) == image
        checks.require(fits, wanted, fits or network.input_shape)
    inputs, output = model.decoder.input_shape, model.decoder.output_shape
    wanted = f"`decoder` must turn a small image and z of {latent_dim} dimensions, "
    wanted += f"`[low, z]`, into {image}."
    fits = isinstance(inputs, list) and len(inputs) == 2 and None not in inputs[0][1:]
    fits = fits and inputs[1][1:] == (latent_dim,) and output[1:] == image
    checks.require(fits, wanted, f"{inputs} to {output}")
    (height, width, channels), (*size, depth) = inputs[0][1:], image
    factor = size[0] // height
    wanted = f"`low` must be 2, 4, 8, ... times smaller than {image}."
    fits = doubles(factor) and channels == depth
    fits = fits and [factor * height, factor * width] == size
    checks.require(fits, wanted, inputs[0][1:])
