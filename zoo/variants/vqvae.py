"""VQ-VAE and VQ-VAE-2: latents that are the indices of learned codes."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import layers
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.draws import batch_seed
from zoo.heads import Codebook
from zoo.heads.codebook import perplexity
from zoo.latent import LatentVariableModel
from zoo.networks import Conv2D


@keras.saving.register_keras_serializable("zoo")
class VQVAE(LatentVariableModel):
    """Maps of codes on one or more levels; two are VQ-VAE-2, one is VQ-VAE.

    An encoder goes up, h_i = Down(h_{i-1}), h_0 = x. Codes are taken from the top
    level down, i = L, ..., 1, and all of them make the image:

        e_i = Conv([h_i, Up(c_{i+1})]),  z_i = the code nearest to e_i at each place
        p(x|z) from c_1 and all codes above, each brought to the size of c_1

    with codes c_i of z_i. The decoder's gradient goes straight through to e_i, which
    the term commitment * |e_i - c_i|^2 holds near its code; see `zoo.heads.Codebook`.

    The prior is uniform, so that the rate is log(num_codes) at each place: an upper
    bound on what the codes cost under a learned prior, such as `zoo.PixelCNN`. As the
    posterior is a point, `elbo` is log p(x|z) + log p(z), a lower bound on log p(x).

    Args:
        image_shape: height, width and channels.
        strides: how many times smaller the maps of each level are than those below,
            level 1 first; its length is the number of levels.
        num_codes: of each level's codebook.
        code_dim: size of a code.
        channels: of all other maps.
        blocks: residual blocks in each part of the networks.
        commitment: weight of that term.
        decay: of the codebooks' moving averages.
        **kwargs: as for `zoo.LatentVariableModel`.

    Raises:
        ValueError: if the strides do not divide the image, or a number is too small.

    Example:
        vq_vae_2 = zoo.VQVAE((28, 28, 1), strides=(2, 2), likelihood=zoo.Normal(0.1))

    Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017;
    Razavi et al., "Generating Diverse High-Fidelity Images with VQ-VAE-2", 2019,
    section 3.1 and algorithm 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        strides: Sequence[int] = (2, 2),
        num_codes: int = 128,
        code_dim: int = 16,
        channels: int = 32,
        blocks: int = 1,
        commitment: float = 0.25,
        decay: float = 0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        checks.check_shape(image_shape, axes=3)
        checks.per_layer(strides=strides)
        self.image_shape = tuple(image_shape)
        self.strides = tuple(strides)
        self.num_codes = num_codes
        self.code_dim = code_dim
        self.channels = channels
        self.blocks = blocks
        self.commitment = commitment
        self.decay = decay
        checks.at_least(1, channels=channels, blocks=blocks)
        checks.at_least(1, strides=min(self.strides, default=0))
        checks.not_negative(commitment=commitment)
        *size, image_channels = self.image_shape
        whole = math.prod(self.strides)
        wanted = f"The strides must divide the image, together by {whole}."
        fits = all(side % whole == 0 for side in size)
        checks.require(fits, wanted, f"image_shape={self.image_shape}")

        # Lists are bottom first: level i is at index i - 1.
        self.encoders = [self._block(stride) for stride in self.strides]
        self.encode_heads = [Conv2D(code_dim, 1) for _ in self.strides]
        self.codebooks = [Codebook(num_codes, code_dim, decay) for _ in self.strides]
        for codebook in self.codebooks:
            codebook.build()
        # What a level sees of the one above, and the image of all.
        self.ups = [self._block(-stride) for stride in self.strides[1:]]
        params = image_channels * self.likelihood_head.params_per_channel
        out = Conv2D(params, 3, padding="same")
        self.image = keras.Sequential([self._block(-self.strides[0]), out])

    @property
    def event_shape(self):
        return self.image_shape

    def features(self, x, given):
        """h_1, ..., h_L."""
        maps = []
        for network in self.encoders:
            x = network(x)
            maps.append(x)
        return maps

    def walk(self, draw, features=None, given=None):
        size = [side // math.prod(self.strides) for side in self.image_shape[:2]]
        features, codes, above = draw.repeat(features), [], []
        for i in reversed(range(len(self.strides))):
            logits = tf.zeros((*size, self.num_codes))
            prior = tfd.Independent(tfd.Categorical(logits), 2)
            if features is None:
                code = self.codebooks[i](draw(prior))
            else:
                e = self.encode_heads[i](tf.concat([features[i], *above], axis=-1))
                code = self._quantise(draw, prior, tf.cast(e, tf.float32), i)
            codes = [*codes, code]
            if i:
                above = [self.ups[i - 1](tf.concat(codes, axis=-1))]
                stride = self.strides[i]
                codes = [enlarge(code, stride) for code in codes]
                size = [stride * side for side in size]
        return tf.concat(codes, axis=-1)

    def _quantise(self, draw, prior, e, i):
        """The codes nearest to e, with gradients that go straight to e."""
        index = self.codebooks[i].nearest(e)
        point = tfd.Independent(tfd.Deterministic(index), 2)
        code = self.codebooks[i](draw(prior, point, draw.take(point)), e)
        gap = tf.reduce_sum((e - tf.stop_gradient(code)) ** 2, axis=[1, 2, 3])
        draw.terms[f"commitment_{i + 1}"] = self.commitment * gap
        return e + tf.stop_gradient(code - e)

    def likelihood(self, out, given):
        return self.likelihood_head(self.image(out))

    def sample_from(self, priors, n: int = 1, *, seed: int = 0) -> tf.Tensor:
        """Images `[n, *event_shape]` whose codes come from learned priors.

        There is one for each level, top level first: a `PixelCNN` of the level's codes,
        and below the top `given` those of the level above as `upper`.

        Raises:
            ValueError: if there are more or fewer.
        """
        levels = len(self.strides)
        wanted = f"`priors` must be one for each of {levels} levels."
        checks.require(len(priors) == levels, wanted, f"{len(priors)} priors")
        codes = []
        for i, prior in enumerate(priors):
            given = {"upper": codes[-1]} if codes else {}
            codes.append(prior.sample(n, given, seed=batch_seed(seed, i)))
        return self.decode(*codes)

    def reports(self, draw):
        names = self.latent_names(len(draw.latents))
        return {
            name.replace("z", "perplexity"): perplexity(latent.z, self.num_codes)
            for name, latent in zip(names, draw.latents)
        }

    def _block(self, stride) -> keras.Sequential:
        """Smaller maps, or larger ones if negative, and residual blocks behind."""
        parts = [layers.UpSampling2D(-stride)] if stride < 0 else []
        parts.append(Conv2D(self.channels, 3, max(stride, 1), "same"))
        blocks = [Residual(self.channels) for _ in range(self.blocks)]
        return keras.Sequential([*parts, *blocks, layers.ReLU()])


@keras.saving.register_keras_serializable("zoo")
class Residual(layers.Layer):
    """y + Conv1x1(relu(Conv3x3(relu(y)))) of maps `[B, H, W, C]`."""

    def __init__(self, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        options = {"padding": "same", "dtype": self.dtype_policy}
        self.first = Conv2D(channels, 3, activation="relu", **options)
        self.second = Conv2D(channels, 1, **options)

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)

    def call(self, y):
        return y + self.second(self.first(tf.nn.relu(y)))


def enlarge(maps: tf.Tensor, stride: int) -> tf.Tensor:
    """Every place of `[B, H, W, C]` repeated in both directions."""
    return tf.repeat(tf.repeat(maps, stride, axis=1), stride, axis=2)
