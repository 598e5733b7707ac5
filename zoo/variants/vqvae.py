"""VQ-VAE and VQ-VAE-2: latents that are the indices of learned codes."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import layers
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.heads import Codebook
from zoo.heads.codebook import perplexity
from zoo.latent import LatentVariableModel
from zoo.model import weights_beside
from zoo.networks import Conv2D
from zoo.variants.pixelcnn import PixelCNN


@keras.saving.register_keras_serializable("zoo")
class VQVAE(LatentVariableModel):
    """Maps of codes on one or more levels; two are VQ-VAE-2, one is VQ-VAE.

    An encoder goes up, h_i = Down(h_{i-1}), h_0 = x. Codes are taken from the top
    level down, i = L, ..., 1, and all of them make the image:

        e_i = Conv([h_i, Up([c_L, ..., c_{i+1}])])
        z_i = the code nearest to e_i at each place
        p(x|z) from c_1 and all codes above, each brought to the size of c_1

    with codes c_i of z_i. The decoder's gradient goes straight through to e_i, which
    the term commitment * |e_i - c_i|^2 holds near its code; see `zoo.heads.Codebook`.

    The prior is uniform at first, so that the rate is log(num_codes) at each place: an
    upper bound on what the codes cost under learned priors. These are trained on the
    codes of a finished model, one `PixelCNN` for each level, and `with_priors` puts
    them in. As the posterior is a point, `elbo` is log p(x|z) + log p(z), a lower bound
    on log p(x), and so is `log_prob`: all draws are the same.

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
        priors: of the codes, top level first, those below `given` the codes above them
            as `upper`; uniform without any. A `fit` would train them too.
        **kwargs: as for `zoo.LatentVariableModel`.

    Raises:
        ValueError: if the strides do not divide the image, a number is too small, or
            priors are not those of the levels.

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
        priors: Sequence[PixelCNN] = (),
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
        self.priors = list(priors)
        found = [(prior.shape, prior.levels, prior.upper) for prior in self.priors]
        grids = [self.grid(i) for i in reversed(range(len(self.strides)))]
        above = [None, *((*grid, num_codes) for grid in grids)]
        expected = [(grid, num_codes, upper) for grid, upper in zip(grids, above)]
        wanted = (
            "`priors` must have a shape, levels and an `upper` map of every level, "
        )
        wanted += f"top level first: {expected}."
        checks.require(found in ([], expected), wanted, found)

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
        features, codes, above = draw.repeat(features), [], []
        for i in reversed(range(len(self.strides))):
            prior = self._prior(draw, i)
            if features is None:
                code = self.codebooks[i](draw(prior))
            else:
                e = self.encode_heads[i](tf.concat([features[i], *above], axis=-1))
                code = self._quantise(draw, prior, tf.cast(e, tf.float32), i)
            codes = [*codes, code]
            if i:
                above = [self.ups[i - 1](tf.concat(codes, axis=-1))]
                codes = [enlarge(code, self.strides[i]) for code in codes]
        return tf.concat(codes, axis=-1)

    def _prior(self, draw, i) -> tfd.Distribution:
        """p(z) of level i + 1, given the codes above that were drawn before it."""
        if not self.priors:
            logits = tf.zeros((*self.grid(i), self.num_codes))
            return tfd.Independent(tfd.Categorical(logits), 2)
        given = {"upper": draw.latents[-1].z} if draw.latents else {}
        return self.priors[len(draw.latents)].distribution(given)

    def grid(self, i) -> tuple[int, int]:
        """Height and width of the codes of level i + 1."""
        stride = math.prod(self.strides[: i + 1])
        height, width = (side // stride for side in self.image_shape[:2])
        return height, width

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

    def log_prob(self, x, given=None, *, num_importance_samples=1, seed=0, chunk=1):
        """log p(x|z) + log p(z) in nats, `[B]`, of one draw: all are the same."""
        if not tf.is_tensor(num_importance_samples):
            checks.at_least(1, num_importance_samples=num_importance_samples)
        return super().log_prob(x, given, num_importance_samples=1, seed=seed, chunk=1)

    def decode(self, *z, given=None):
        """Mean of p(x|z) for the codes of every level, `[B, H, W]`, top level first."""
        checks.check_codes(z, self.latent_fields)
        levels = len(self.strides)
        wanted = "`decode` needs the codes of every level, which have no mean."
        checks.require(len(z) == levels, wanted, f"{len(z)} of {levels}")
        return super().decode(*z, given=given)

    def with_priors(self, priors: Sequence[PixelCNN]) -> "VQVAE":
        """A copy whose codes have these priors, top level first.

        Raises:
            ValueError: if they are not those of the levels.

        Example:
            top, bottom = vq_vae_2.encode(images)
            upper = top.shape[1:] + (vq_vae_2.num_codes,)
            priors = [
                zoo.PixelCNN(top.shape[1:], vq_vae_2.num_codes),
                zoo.PixelCNN(bottom.shape[1:], vq_vae_2.num_codes, upper=upper),
            ]
            ...  # compile both
            priors[0].fit(top)
            priors[1].fit({"x": bottom, "upper": top})
            vq_vae_2.with_priors(priors).sample(16)
        """
        copies = [type(prior).from_config(prior.get_config()) for prior in priors]
        for copy, prior in zip(copies, priors):
            copy.set_weights(prior.get_weights())
        config = keras.saving.deserialize_keras_object(self.get_config())
        model = type(self)(**{**config, "priors": copies})
        own, values = (weights_beside(m, *m.priors) for m in (model, self))
        for weight, value in zip(own, values):
            weight.assign(value)
        return model

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
