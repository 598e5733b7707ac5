"""Four small models that the engine must have room for, one class each.

They are here to prove the hooks, not to be good: spatial latents at two scales, a
condition, discrete codes, and an exact likelihood without any latents to infer.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from zoo.draws import Sample, seed_words
from zoo.heads import DiagonalNormal, Head
from zoo.heads.diagonal_normal import diagonal_normal

tfd = tfp.distributions
register = keras.saving.register_keras_serializable("zoo_tests")


class Cell(keras.layers.Layer):
    """One group of latents: its prior, its posterior, and what it hands down."""

    def __init__(self, latent_channels: int, filters: int, strides: int):
        super().__init__()
        self.prior = DiagonalNormal(latent_channels)
        self.residual = DiagonalNormal(latent_channels)
        self.merge = keras.layers.Conv2DTranspose(filters, 3, strides, "same")

    def posterior(self, prior, state, features):
        """N(mu_p + d_mu, (sigma_p d_sigma)^2): how x changes the prior."""
        both = keras.ops.concatenate([state, features], axis=-1)
        p, d = diagonal_normal(prior), diagonal_normal(self.residual(both))
        return tfd.Independent(tfd.Normal(p.loc + d.loc, p.scale * d.scale), 3)

    def call(self, state, z):
        return tf.nn.elu(self.merge(tf.concat([state, z], axis=-1)))


@register
class SpatialVAE(zoo.LatentVariableModel):
    """Maps of latents, each group half as wide and high as the one below it.

    Args:
        image_shape: height, width and channels.
        latent_channels: channels of every group of latents, top first.
        filters: channels of the features and of the state that is handed down.
        **kwargs: as for `zoo.LatentVariableModel`.

    Reference: Vahdat & Kautz, "NVAE", 2020, section 3.2 (residual posteriors).
    """

    def __init__(
        self, image_shape=(8, 8, 1), latent_channels=(2, 1), filters=8, **kwargs
    ):
        super().__init__(**kwargs)
        self.image_shape = image_shape
        self.latent_channels = latent_channels
        self.filters = filters
        strides = [2] * (len(latent_channels) - 1) + [1]  # downwards
        self.bottom_up = [
            keras.layers.Conv2D(filters, 3, s, "same", activation="elu")
            for s in strides[::-1]
        ]
        self.cells = [Cell(c, filters, s) for c, s in zip(latent_channels, strides)]
        self.pixels = keras.layers.Conv2D(image_shape[-1], 3, padding="same")
        *size, _ = image_shape
        top = [side // 2 ** (len(strides) - 1) for side in size]
        self.top = self.add_weight((*top, filters), "random_normal", name="top")

    @property
    def event_shape(self):
        return tuple(self.image_shape)

    def features(self, x, given):
        maps = []
        for layer in self.bottom_up:
            x = layer(x)
            maps.append(x)
        return maps[::-1]

    def walk(self, draw, features=None, given=None):
        state = tf.repeat(self.top[None], draw.rows, axis=0)
        for cell, f in zip(self.cells, features or [None] * len(self.cells)):
            p = cell.prior(state)
            q = None if f is None else cell.posterior(p, state, draw.repeat(f))
            state = cell(state, draw(p, q))
        return state

    def likelihood(self, out, given):
        return self.likelihood_head(tf.cast(self.pixels(out), tf.float32))


@register
class ConditionalVAE(zoo.VAE):
    """p(x, z | label): encoder's features and z both go on with the label beside them.

    Args:
        encoder: as for `zoo.VAE`.
        decoder: likewise, from `[B, latent_dim + num_classes]`.
        latent_dim: number of latent dimensions.
        num_classes: labels are 0, ..., num_classes - 1.
        **kwargs: as for `zoo.VAE`.

    Reference: Sohn et al., "Learning Structured Output Representation", 2015.
    """

    def __init__(self, encoder, decoder, latent_dim, num_classes=10, **kwargs):
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.num_classes = num_classes

    @property
    def fields(self):
        label = zoo.Field((), "int32", (0, self.num_classes - 1))
        return {**super().fields, "label": label}

    @property
    def decoder_dim(self):
        return self.latent_dim + self.num_classes

    def features(self, x, given):
        return self.labelled(super().features(x, given), given)

    def likelihood(self, out, given):
        return super().likelihood(self.labelled(out, given), given)

    def labelled(self, rows, given):
        label = tf.one_hot(given["label"], self.num_classes, dtype=rows.dtype)
        return tf.concat([rows, label], axis=-1)


class Codebook(Head):
    """Vectors that follow the encodings nearest to them, without gradients.

    N_k <- decay N_k + (1 - decay) n_k,  m_k <- decay m_k + (1 - decay) sum_j e_j,
    over the n_k encodings e_j nearest to code k; it is m_k / N_k (appendix A.1).
    """

    def __init__(self, num_codes: int, code_dim: int, decay: float):
        super().__init__()
        self.decay = decay
        shape, frozen = (num_codes, code_dim), {"trainable": False}
        self.counts = self.add_weight(shape[:1], "ones", name="counts", **frozen)
        self.sums = self.add_weight(shape, "random_normal", name="sums", **frozen)

    def codes(self):
        return self.sums / (self.counts + 1e-5)[:, None]

    def nearest(self, encodings):
        """`[..., D]` to the indices `[...]` of the codes."""
        gaps = tf.square(encodings[..., None, :] - self.codes())
        return tf.argmin(tf.reduce_sum(gaps, axis=-1), -1, tf.int32)

    def call(self, index, encodings=None, training=False):
        """The codes of indices, which in training move towards their encodings."""
        codes = tf.gather(self.codes(), index)
        if training and encodings is not None:
            chosen = tf.one_hot(tf.reshape(index, [-1]), self.counts.shape[0])
            flat = tf.reshape(tf.stop_gradient(encodings), [-1, codes.shape[-1]])
            self.follow(self.counts, tf.reduce_sum(chosen, axis=0))
            self.follow(self.sums, tf.matmul(chosen, flat, transpose_a=True))
        return codes

    def follow(self, average, value):
        average.assign_add((1 - self.decay) * (value - average))


@register
class VQVAE(zoo.LatentVariableModel):
    """Each place of a map of features takes the nearest of `num_codes` vectors.

    Under a uniform prior the rate is log(num_codes) nats a place. The decoder's
    gradient goes straight through to the encoder, which the term
    commitment * |e - code|^2 keeps near its codes.

    Args:
        encoder: Keras network from data to encodings `[B, H, W, D]`.
        decoder: Keras network from codes `[B, H, W, D]` to the likelihood's parameters.
        num_codes, commitment, decay: of the codebook.
        **kwargs: as for `zoo.LatentVariableModel`.

    Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017.
    """

    def __init__(
        self, encoder, decoder, num_codes=16, commitment=0.25, decay=0.99, **kwargs
    ):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.num_codes = num_codes
        self.commitment = commitment
        self.decay = decay
        self.codebook = Codebook(num_codes, encoder.output_shape[-1], decay)

    @property
    def event_shape(self):
        return tuple(self.encoder.input_shape[1:])

    def features(self, x, given):
        return tf.cast(self.encoder(x), tf.float32)

    def walk(self, draw, features=None, given=None):
        logits = tf.zeros([*self.encoder.output_shape[1:-1], self.num_codes])
        prior = tfd.Independent(tfd.Categorical(logits), 2)
        if features is None:
            return self.codebook(draw(prior))
        point = tfd.Independent(tfd.Deterministic(self.codebook.nearest(features)), 2)
        e = draw.repeat(features)
        codes = self.codebook(draw(prior, point, draw.take(point)), e)
        gap = tf.reduce_sum(tf.square(e - tf.stop_gradient(codes)), [1, 2, 3])
        draw.terms["commitment"] = self.commitment * gap
        return e + tf.stop_gradient(codes - e)

    def likelihood(self, out, given):
        return self.likelihood_head(tf.cast(self.decoder(out), tf.float32))


class Coupling(Head):
    """Shift and log scale of a chessboard's one colour from the other; |log scale| < 2.

    Both are zero on the squares that they are made from.
    """

    def __init__(self, channels: int, colour: int):
        super().__init__()
        self.colour = colour
        conv = keras.layers.Conv2D
        self.hidden = conv(8, 3, padding="same", activation="relu")
        self.out = conv(2 * channels, 3, padding="same", kernel_initializer="zeros")

    def call(self, z):
        kept = (np.indices(z.shape[1:]).sum(axis=0) + self.colour) % 2
        params = tf.cast(self.out(self.hidden(z * kept)), tf.float32)
        shift, raw_log_scale = tf.split(params, 2, axis=-1)
        return (1 - kept) * shift, (1 - kept) * 2 * tf.tanh(raw_log_scale / 2)


@register
class RealNVP(zoo.GenerativeModel):
    """Affine couplings between the two colours of a chessboard: log p(x) is exact.

        z <- z exp(s) + t,  log p(x) = log N(z; 0, I) + the sum of all s

    A density; training sees grey values anywhere within their level.

    Args:
        image_shape: height, width and channels.
        levels: number of grey levels from 0 to 1.
        couplings: how many; two change every pixel.
        **kwargs: as for `zoo.GenerativeModel`.

    Reference: Dinh et al., "Density Estimation Using Real NVP", 2017, section 3.
    """

    exact = True

    def __init__(self, image_shape=(8, 8, 1), levels=17, couplings=4, **kwargs):
        super().__init__(**kwargs)
        self.image_shape = image_shape
        self.levels = levels
        self.couplings = couplings
        self.chain = [Coupling(image_shape[-1], i % 2) for i in range(couplings)]
        self.base = tfd.Sample(tfd.Normal(0.0, 1.0), image_shape)

    @property
    def fields(self):
        return {"x": zoo.Field(tuple(self.image_shape))}

    def measure(self, x, given, seed, num_samples=None):
        noise = tfd.Uniform(-0.5, 0.5).sample(tf.shape(x), seed) / (self.levels - 1)
        log_p = self.log_prob(x + noise, given)
        return zoo.Measures({"negative_log_prob": -log_p}, {"log_prob": log_p}, x)

    def forward(self, x, given):
        (z, _), log_det = self._as_batch(x, given), 0.0
        for coupling in self.chain:
            shift, log_scale = coupling(z)
            z = z * tf.exp(log_scale) + shift
            log_det += tf.reduce_sum(log_scale, [1, 2, 3])
        return z, log_det

    def log_prob(self, x, given=None):
        z, log_det = self.forward(x, given)
        return self.base.log_prob(z) + log_det

    def sample(self, n=1, given=None, *, seed=0):
        z, _ = Sample(seed_words(seed), n).take(self.base)
        return self.decode(z)

    def encode(self, x, given=None):
        return [self.forward(x, given)[0]]

    def decode(self, z, given=None):
        for coupling in reversed(self.chain):
            shift, log_scale = coupling(z)
            z = (z - shift) * tf.exp(-log_scale)
        return z


def conditional_vae(**kwargs) -> ConditionalVAE:
    """A tiny one for 8 x 8 digits with their labels."""
    encoder = zoo.networks.dense_encoder((8, 8, 1), units=(16,))
    decoder = zoo.networks.dense_decoder(4 + 10, (8, 8, 1), units=(16,))
    return ConditionalVAE(encoder, decoder, 4, **kwargs)


def vq_vae(**kwargs) -> VQVAE:
    """A tiny one for 8 x 8 digits: 4 x 4 codes of 4 numbers."""
    layers = keras.layers
    encoder = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, 2, "same", activation="relu"),
        layers.Conv2D(4, 1),
    ]
    decoder = [
        keras.Input((4, 4, 4)),
        layers.Conv2DTranspose(8, 3, 2, "same", activation="relu"),
        layers.Conv2D(1, 3, padding="same"),
    ]
    return VQVAE(keras.Sequential(encoder), keras.Sequential(decoder), **kwargs)
