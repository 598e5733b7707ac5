"""RefVAE: super-resolution with a reference image, and with a discriminator."""

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.heads import DiagonalNormal
from zoo.latent import LatentVariableModel
from zoo.likelihoods import Laplace, Likelihood
from zoo.networks.upsampling import bicubic


@keras.saving.register_keras_serializable("zoo")
class RefVAE(LatentVariableModel):
    """p(x|low): large images of small ones, with z for what these do not tell.

    Data are dicts of `x` and `reference`, another image like x, `[B, H, W, C]`, and of
    `low`, `[B, H/f, W/f, C]` with f = 2, 4, 8, ..., all in [0, 1]:

        p(z) = N(0, I),  p(x|z, low) = Laplace(m, scale),  m = bicubic(low) + decoder
        q(z|reference) from the encoder, which never sees x

    `elbo` is E_q[log p(x|z, low)] - KL(q(z|reference) || p(z)) in nats. It is at most
    log p(x|low) for any q, and so for one that knows no more than a reference; so is
    `log_prob`, its importance-weighted form. `encode` takes x as in every model, and
    looks at the reference alone. An image is made of `low` and z:

        model.sample(4, {"low": low})  # z from the prior
        model.super_resolve(low, reference)  # z the mean of q(z|reference)

    To the objective are added, with D_s the means of s x s pixels, and d the mean of
    the discriminator's outputs:

        multi_scale    weight * sum_s sum |D_s(x) - D_s(m)|,  s = 2, 4, ..., f
        perceptual     weight * sum |features(x) - features(m)|
        adversarial    -weight * d(m), with d held fixed
        discriminator  max(0, 1 - d(x)) + max(0, 1 + d(m)), with m held fixed

    per image, the last two by Miyato et al., 2018, eqs. 16-17: hinge losses.

    Args:
        encoder: Keras network from references `[B, H, W, C]` to features `[B, F]`.
        decoder: Keras network from `[low, z]` to `[B, H, W, C]`, such as
            `zoo.networks.upsampler`.
        latent_dim: number of latent dimensions D.
        discriminator: Keras network from images to numbers that are high for true ones,
            with an optimiser of its own; None for no adversarial loss.
        perceptual: Keras network from images to features, which does not learn.
        multi_scale_weight, perceptual_weight, adversarial_weight: see above.
        likelihood: head that turns m into p(x|z, low), by default `zoo.Laplace(0.1)`.
        **kwargs: as for `zoo.LatentVariableModel`.

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
        discriminator: keras.Model | None = None,
        perceptual: keras.Model | None = None,
        multi_scale_weight: float = 1.0,
        perceptual_weight: float = 1.0,
        adversarial_weight: float = 1.0,
        likelihood: Likelihood | None = None,
        **kwargs,
    ):
        super().__init__(likelihood=likelihood or Laplace(0.1), **kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.discriminator = discriminator
        self.perceptual = perceptual
        self.multi_scale_weight = multi_scale_weight
        self.perceptual_weight = perceptual_weight
        self.adversarial_weight = adversarial_weight
        self.posterior_head = DiagonalNormal(latent_dim)
        checks.not_negative(
            multi_scale_weight=multi_scale_weight,
            perceptual_weight=perceptual_weight,
            adversarial_weight=adversarial_weight,
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
        reference = low._replace(shape=self.event_shape)
        return {**super().fields, "low": low, "reference": reference}

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
            terms["multi_scale"] = self.multi_scale_weight * tf.add_n(gaps)
        if self.perceptual is not None:
            features = map(tf.nest.flatten, (self.perceptual(x), self.perceptual(m)))
            gaps = [distance(a, b) for a, b in zip(*features)]
            terms["perceptual"] = self.perceptual_weight * tf.add_n(gaps)
        if self.discriminator is not None:
            d_x = score(self.discriminator(x))
            d_m = score(self.discriminator(tf.stop_gradient(m)))
            judged = score(held_fixed(self.discriminator, m))
            terms["adversarial"] = -self.adversarial_weight * judged
            terms["discriminator"] = tf.nn.relu(1.0 - d_x) + tf.nn.relu(1.0 + d_m)
        return terms

    # Training. No weight has a gradient of the other's terms: one loss does for both.

    def compile(self, optimizer="adam", discriminator_optimizer=None, **kwargs):
        """As for every model; the discriminator's optimiser is else one like the other.

        Raises a ValueError if there is one without a discriminator.
        """
        optimizer = keras.optimizers.get(optimizer)
        optimizer.build(self.generator_variables)
        super().compile(optimizer, **kwargs)
        if self.discriminator is None:
            wanted = "`discriminator_optimizer` needs a `discriminator`."
            checks.require(discriminator_optimizer is None, wanted, "none")
            return
        config = keras.optimizers.serialize(optimizer)
        other = keras.optimizers.get(discriminator_optimizer or config)
        scaled = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaled) and not isinstance(other, scaled):
            other = scaled(other)
        other.build(self.discriminator.trainable_variables)
        self.discriminator_optimizer = other

    def get_compile_config(self):
        config = super().get_compile_config()
        if config and self.discriminator is not None:
            other = keras.optimizers.serialize(self.discriminator_optimizer)
            config["discriminator_optimizer"] = other
        return config

    def train_step(self, data):
        """One step of both optimisers, of the same images and draws."""
        if self.discriminator is None:
            return super().train_step(data)
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        pairs = (
            (self.optimizer, self.generator_variables),
            (self.discriminator_optimizer, self.discriminator.trainable_variables),
        )
        with tf.GradientTape(persistent=True) as tape:
            output = self(x, training=True)
            loss = self.compute_loss(x, y, output, weights, training=True)
            losses = [optimizer.scale_loss(loss) for optimizer, _ in pairs]
        devices = self.distribute_strategy.num_replicas_in_sync  # each has its share
        self.metrics[0].update_state(devices * loss, tf.shape(x["x"])[0])
        for (optimizer, variables), scaled in zip(pairs, losses):
            gradients = tape.gradient(scaled, [v.value for v in variables])
            optimizer.apply_gradients(zip(gradients, variables))
        return self.compute_metrics(x, y, output, weights)

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """All that learns, but for the discriminator's."""
        others = self.discriminator.trainable_variables if self.discriminator else []
        kept = {id(v) for v in others}
        return [v for v in self.trainable_variables if id(v) not in kept]


def shrink(images: tf.Tensor, factor: int) -> tf.Tensor:
    """The means of `factor` x `factor` pixels."""
    return tf.nn.avg_pool2d(images, factor, factor, "VALID")


def distance(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """sum |a - b| of each row, `[B]`."""
    gap = tf.abs(tf.cast(a, tf.float32) - tf.cast(b, tf.float32))
    return tf.reduce_sum(gap, axis=list(range(1, gap.shape.rank)))


def score(outputs: tf.Tensor) -> tf.Tensor:
    """The mean of each row, `[B]`."""
    axes = list(range(1, outputs.shape.rank))
    return tf.reduce_mean(tf.cast(outputs, tf.float32), axis=axes)


def held_fixed(network: keras.Model, x: tf.Tensor) -> tf.Tensor:
    """What a network says of x, so that gradients reach x and none of its weights."""
    weights = [tf.stop_gradient(v.value) for v in network.trainable_variables]
    return network.stateless_call(weights, network.non_trainable_variables, x)[0]


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
    fits = isinstance(inputs, list) and len(inputs) == 2
    fits = fits and inputs[1][1:] == (latent_dim,) and output[1:] == image
    checks.require(fits, wanted, f"{inputs} to {output}")
    (height, width, channels), (*size, depth) = inputs[0][1:], image
    factor = size[0] // height
    wanted = f"`low` must be 2, 4, 8, ... times smaller than {image}."
    fits = factor > 1 and factor & (factor - 1) == 0 and channels == depth
    fits = fits and [factor * height, factor * width] == size
    checks.require(fits, wanted, inputs[0][1:])
