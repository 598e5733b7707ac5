"""Three small models that the engine must have room for, one class each.

They are here to prove the hooks, not to be good: spatial latents at two scales,
discrete codes, and an exact likelihood without any latents to infer. The fourth, with a
condition, is `zoo.ConditionalVAE` itself.
"""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from zoo.draws import generating, seed_words
from zoo.heads import Codebook
from zoo.variants.nvae import join

tfd = tfp.distributions
register = keras.saving.register_keras_serializable("zoo_tests")


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
        options = {"padding": "same", "activation": "elu"}
        self.up = [keras.layers.Conv2D(filters, 3, s, **options) for s in strides[::-1]]
        self.priors = [zoo.ResidualNormal(c) for c in latent_channels]
        self.posteriors = [zoo.ResidualNormal(c) for c in latent_channels]
        conv = keras.layers.Conv2DTranspose
        self.down = [conv(filters, 3, s, **options) for s in strides]
        self.pixels = keras.layers.Conv2D(image_shape[-1], 3, padding="same")
        *size, _ = image_shape
        top = [side // 2 ** (len(strides) - 1) for side in size]
        self.top = self.add_weight((*top, filters), "random_normal", name="top")

    @property
    def event_shape(self):
        return tuple(self.image_shape)

    def features(self, x, given):
        maps = []
        for layer in self.up:
            x = layer(x)
            maps.append(x)
        return maps[::-1]

    def walk(self, draw, features=None, given=None):
        state = tf.repeat(self.top[None], draw.rows, axis=0)
        features = draw.repeat(features)
        for i, down in enumerate(self.down):
            p, q = self.priors[i](state), None
            if features is not None:
                q = self.posteriors[i](join(state, features[i]), prior=p)
            state = down(join(state, draw(p, q)))
        return state

    def likelihood(self, out, given):
        return self.likelihood_head(self.pixels(out))


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
        self.codebook.build()

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
        return self.likelihood_head(self.decoder(out))


@register
class RealNVP(zoo.GenerativeModel):
    """Affine couplings of the two halves of all pixels: log p(x) is exact.

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
        self.size = math.prod(image_shape)
        self.flow = zoo.FlowPrior(self.size, couplings, units=16)
        self.flow.build(None)

    @property
    def fields(self):
        return {"x": zoo.Field(tuple(self.image_shape))}

    def measure(self, x, given, seed, num_samples=None):
        noise = tfd.Uniform(-0.5, 0.5).sample(tf.shape(x), seed) / (self.levels - 1)
        log_p = self.log_prob(x + noise, given)
        return zoo.Measures({"negative_log_prob": -log_p}, {"log_prob": log_p}, x)

    def rows(self, x, given):
        return tf.reshape(self._as_batch(x, given)[0], [-1, self.size])

    def log_prob(self, x, given=None):
        return self.flow.distribution(self).log_prob(self.rows(x, given))

    def encode(self, x, given=None):
        return [self.flow.bijector().inverse(self.rows(x, given))]

    def decode(self, z, given=None):
        return tf.reshape(self.flow.bijector().forward(z), [-1, *self.image_shape])

    def sample(self, n=1, given=None, *, seed=0):
        draw = generating(seed_words(seed), n, [(self.size,)])
        x, _ = draw.take(self.flow.distribution(self))
        return tf.reshape(x, [-1, *self.image_shape])


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
