"""BIVA: latents inferred on the way up and on the way down."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from zoo import checks
from zoo.heads import DiagonalNormal
from zoo.latent import LatentVariableModel
from zoo.networks import WeightNormBlock, WeightNormConv2D, WeightNormDense
from zoo.networks.weight_norm import WeightNorm
from zoo.priors import StandardNormal


@keras.saving.register_keras_serializable("zoo")
class BIVA(LatentVariableModel):
    """Each layer but the top one has two latents, z_i = (z_i^BU, z_i^TD).

    Inference draws z^BU bottom-up, then z_L and z^TD top-down, i = L-1, ..., 1:

        h_i = Blocks(h_{i-1}, z_{i-1}^BU),  h_0 = x
        q(z_i^BU|h_i),  q(z_L|h_L),  q(z_i^TD|h_i, d_i)

    The generative model hands every layer all that is above it:

        d_i = Blocks(d_L, [d_{L-1}, z_{L-1}], ..., [d_{i+1}, z_{i+1}])
        d_L = Dense(z_L)
        p(z_L) = N(0, I),  p(z_i^BU|d_i),  p(z_i^TD|d_i),  p(x|d_0)

    All are diagonal normals. z_L is a vector, the others are maps. In lists of latents
    z_L is followed by z_{L-1}^BU, z_{L-1}^TD, ..., z_1^BU, z_1^TD. z_i^BU was drawn
    before its prior was known: its rate is the one-sample estimate.

    The networks are weight-normalised: `zoo.networks.initialise` fits them to a batch
    before training. The paper trains with free bits, here `ELBO(free_bits=2.0)`, and
    with dropout, which this class leaves out.

    Args:
        image_shape: height, width and channels.
        top_down_dims: channels of z_1^TD, ..., z_{L-1}^TD.
        bottom_up_dims: channels of z_1^BU, ..., z_{L-1}^BU; a layer with 0 has none.
        top_dim: number of dimensions of z_L.
        channels: of all deterministic maps.
        strides: how many times smaller h_1, ..., h_{L-1} are than the map below.
        blocks: how many residual blocks each layer has, on either way; the paper has 3.
        **kwargs: as for `zoo.LatentVariableModel`.

    Raises:
        ValueError: if the lists are empty or differ in length, or a size is too small.

    Example:
        objective = zoo.objectives.ELBO(free_bits=2.0)
        biva = zoo.BIVA((28, 28, 1), (4, 8), (4, 8), 16, objective=objective)
        zoo.networks.initialise(biva, images[:128])

    Reference: Maaloe et al., "BIVA: A Very Deep Hierarchy of Latent Variables for
    Generative Modeling", 2019, section 2.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        top_down_dims: Sequence[int],
        bottom_up_dims: Sequence[int],
        top_dim: int,
        channels: int = 32,
        strides: Sequence[int] = (2, 2),
        blocks: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        checks.check_shape(image_shape, axes=3)
        checks.per_layer(top_down_dims=top_down_dims, strides=strides)
        checks.per_layer(least=0, bottom_up_dims=bottom_up_dims)
        self.image_shape = tuple(image_shape)
        self.top_down_dims = tuple(top_down_dims)
        self.bottom_up_dims = tuple(bottom_up_dims)
        self.top_dim = top_dim
        self.channels = channels
        self.strides = tuple(strides)
        self.blocks = blocks
        counts = {len(top_down_dims), len(bottom_up_dims), len(strides)}
        checks.require(
            len(counts) == 1 and 0 not in counts,
            "`top_down_dims`, `bottom_up_dims` and `strides` must have one entry for "
            "each layer below the top.",
            f"{self.top_down_dims=}, {self.bottom_up_dims=}, {self.strides=}",
        )
        checks.at_least(1, top_dim=top_dim, channels=channels, blocks=blocks)
        *size, image_channels = self.image_shape
        self.sizes = [tuple(size)]  # of the maps, from the image upwards
        for stride in self.strides:
            self.sizes.append(tuple(math.ceil(s / stride) for s in self.sizes[-1]))

        # Lists are bottom first: layer i + 1 is at index i.
        first = [WeightNormConv2D(channels, 2 * s - 1, s) for s in (*self.strides, 1)]
        self.up = [residual(blocks, conv) for conv in first]
        self.skips = [SkipConv2D(channels, s) for s in self.sizes]
        self.down = [residual(blocks) for _ in self.strides]
        first = [WeightNormConv2D(channels, 1) for _ in self.strides]
        self.both = [residual(blocks, conv) for conv in first]
        self.bottom_up_posteriors = heads(self.bottom_up_dims)
        self.bottom_up_priors = heads(self.bottom_up_dims)
        self.top_down_posteriors = heads(self.top_down_dims)
        self.top_down_priors = heads(self.top_down_dims)
        self.top_posterior = DiagonalNormal(top_dim, weight_norm=True)
        self.top_prior = StandardNormal(top_dim)
        self.top = WeightNormDense(math.prod(self.sizes[-1]) * channels)
        params = image_channels * self.likelihood_head.params_per_channel
        self.pixels = [WeightNormBlock(), WeightNormConv2D(params)]

    @property
    def event_shape(self):
        return self.image_shape

    def latent_names(self, count):
        """z_L, then z_i_bu, where layer i has one, and z_i_td of every lower layer."""
        names = [f"z_{len(self.strides) + 1}"]
        for i in range(len(self.strides), 0, -1):
            names += [f"z_{i}_bu"] if self.bottom_up_dims[i - 1] else []
            names.append(f"z_{i}_td")
        return names

    def features(self, x, given):
        """h_1, the only map without a latent below it."""
        return self.up[0](x)

    def walk(self, draw, features=None, given=None):
        posterior, layers = None, [(None, ())] * len(self.strides)
        if features is not None:
            posterior, layers = self.infer_upwards(draw, features)
        z = draw(self.top_prior.distribution(self), posterior)
        above = [tf.reshape(self.top(z), [-1, *self.sizes[-1], self.channels])]
        for i in reversed(range(len(layers))):
            h, bottom_up = layers[i]
            d = self.down[i](self.skips[i + 1](above))
            above.append(d)
            if self.bottom_up_dims[i]:
                above.append(draw(self.bottom_up_priors[i](d), *bottom_up))
            q = None
            if h is not None:
                q = self.top_down_posteriors[i](self.both[i](join([d, h])))
            above.append(draw(self.top_down_priors[i](d), q))
        return self.skips[0](above)

    def infer_upwards(self, draw, features):
        """q(z_L|h_L), and every layer's h_i and q(z_i^BU|h_i) with its draw, if any."""
        h, layers = draw.repeat(features), []
        for up, head in zip(self.up[1:], self.bottom_up_posteriors):
            below, bottom_up = [h], ()
            if head is not None:
                posterior = head(h)
                bottom_up = posterior, draw.take(posterior)
                below.append(bottom_up[1][0])
            layers.append((h, bottom_up))
            h = up(join(below))
        flat = tf.reshape(tf.nn.elu(h), [-1, math.prod(h.shape[1:])])
        return self.top_posterior(flat), layers

    def reports(self, draw):
        return self.active_units(draw)

    def likelihood(self, out, given):
        change, conv = self.pixels
        return self.likelihood_head(conv(tf.nn.elu(change(out))))


class SkipConv2D(WeightNorm):
    """A 1x1 convolution of maps of several sizes side by side, coarsest first.

    Each is repeated up to the next one's size, the last one up to the layer's. The
    convolution comes before the repetition, which is the same and costs less.

    Args:
        units: number of outputs.
        size: height and width of the outputs.
    """

    def __init__(self, units: int, size: Sequence[int], **kwargs):
        super().__init__(units, **kwargs)
        self.size = size

    def build(self, shapes):
        super().build((sum(shape[-1] for shape in shapes),))

    def linear(self, maps, kernel):
        top, *others = tf.split(kernel, [m.shape[-1] for m in maps], axis=0)
        y = tf.cast(tf.tensordot(maps[0], top, 1), tf.float32)  # a sum of many
        for m, part in zip(maps[1:], others):
            part = tf.tensordot(m, part, 1)
            y = grow(y, m.shape[1:3]) + tf.cast(part, tf.float32)
        return tf.cast(grow(y, self.size), self.compute_dtype)


def grow(m: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """A map `[rows, h, w, C]` repeated up to a size and cropped."""
    for axis, side in enumerate(size, start=1):
        times = math.ceil(side / m.shape[axis])
        m = tf.repeat(m, times, axis) if times > 1 else m
    return m[:, : size[0], : size[1]]


def residual(blocks: int, *first: keras.layers.Layer) -> keras.layers.Layer:
    """A layer, if one is given, and residual blocks behind it."""
    parts = [*first, *(WeightNormBlock() for _ in range(blocks))]
    return keras.Sequential(parts) if len(parts) > 1 else parts[0]


def join(maps: Sequence[tf.Tensor]) -> tf.Tensor:
    """The channels of maps side by side, float32."""
    return tf.concat([tf.cast(m, tf.float32) for m in maps], axis=-1)


def heads(dims: Sequence[int]) -> list[DiagonalNormal | None]:
    return [DiagonalNormal(d, weight_norm=True) if d else None for d in dims]
