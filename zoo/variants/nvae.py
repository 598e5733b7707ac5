"""NVAE: many groups of latent maps, inferred relative to their priors."""

import itertools
import math
from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import layers
from tensorflow_probability import distributions as tfd

from zoo import checks
from zoo.flows import MapIAF
from zoo.heads import ResidualNormal
from zoo.latent import LatentVariableModel
from zoo.networks import Cell, Conv2D, SpectralPenalty


@keras.saving.register_keras_serializable("zoo")
class NVAE(LatentVariableModel):
    """Groups of latent maps on several scales, top-down, coarsest scale first.

    A tower of cells gathers features f_i for each group; downwards, i = L, ..., 1:

        p(z_L) = N(0, I),  p(z_i|z_{>i}) = N(mu(d_i), sigma^2(d_i))
        q(z_i|z_{>i}, x) = p moved by what d_i and f_i say; see `zoo.ResidualNormal`;
                           with `flows`, then bent by as many steps of a `MapIAF`
        d_{i-1} = Cells(Conv([d_i, z_i])),  d_L learned,  p(x|d_0)

    Group 1 is the bottom one, of the finest scale, which has half the image's height
    and width, or less with `outer_cells`; each scale above halves them again and
    doubles the channels. An image that cannot be halved so often is padded with zeros,
    and what the decoder makes of the padding is cropped.

    The cells are batch normalised: see `zoo.evaluation.refresh_batch_norm`. The paper
    trains with a warm-up and `zoo.objectives.BalancedELBO`.

    Args:
        image_shape: height, width and channels.
        groups: number of groups on each scale, finest scale first.
        latent_dim: channels of every z_i.
        channels: of the maps of the finest scale.
        cells: number of cells between two groups, in both directions.
        outer_cells: number of cells, in both directions, on each scale that is finer
            than the groups' and has no latents, that of the image's own size first;
            none for no such scales. Their channels halve from scale to scale.
        flows: steps of inverse autoregressive flow of each posterior; rates are then
            one-sample estimates.
        window: side of the square of places of f_i that a posterior sees, 3 in the
            paper, where it sees d_i so too. Above 1, a convolution without activation
            to 2 `latent_dim` channels takes the place of f_i.
        kind: of the decoder's cells, "plain" or "depthwise"; see `zoo.networks.Cell`.
        spectral: weight of the convolutions' `zoo.networks.SpectralPenalty`, but for
            those of each channel alone; 0 for none. The paper's penalty on the scales
            of batch normalisation is left out.
        **kwargs: as for `zoo.LatentVariableModel`.

    Raises:
        ValueError: if the scales leave no pixel of the image or no channel of their
            maps, or a size is too small.

    Example:
        nvae = zoo.NVAE((28, 28, 1), groups=(4, 2), latent_dim=4, channels=32)

    Reference: Vahdat & Kautz, "NVAE: A Deep Hierarchical Variational Autoencoder",
    2020, section 3.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        groups: Sequence[int] = (10, 5),
        latent_dim: int = 20,
        channels: int = 32,
        cells: int = 2,
        outer_cells: Sequence[int] = (),
        flows: int = 0,
        window: int = 1,
        kind: str = "depthwise",
        spectral: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        checks.check_shape(image_shape, axes=3)
        checks.per_layer(groups=groups, outer_cells=outer_cells)
        self.image_shape = tuple(image_shape)
        self.groups = tuple(groups)
        self.latent_dim = latent_dim
        self.channels = channels
        self.cells = cells
        self.outer_cells = tuple(outer_cells)
        self.flows = flows
        self.window = window
        self.kind = kind
        self.spectral = spectral
        *size, image_channels = self.image_shape
        checks.not_empty(groups=self.groups)
        checks.at_least(1, latent_dim=latent_dim, channels=channels)
        checks.at_least(1, cells=cells, window=window)
        checks.not_negative(spectral=spectral)
        whole = isinstance(flows, int) and flows >= 0 and flows is not True
        checks.require(whole, "`flows` must be a whole number, or 0.", f"{flows=}")
        outer = len(self.outer_cells)
        wanted = f"`channels` must be a multiple of {2**outer}, for `outer_cells`."
        checks.require(channels % 2**outer == 0, wanted, f"{channels=}")
        halvings = len(self.groups) + max(outer - 1, 0)
        wanted = f"{halvings} scales must halve the image to one pixel at least."
        fits = min(size) >= 2**halvings
        checks.require(fits, wanted, f"image_shape={self.image_shape}")

        # One entry for each group, bottom first; the first of a scale halves the size.
        scales = [s for s, count in enumerate(self.groups) for _ in range(count)]
        widths = [channels * 2**s for s in scales]
        halving = [True, *(a != b for a, b in itertools.pairwise(scales))]
        held = SpectralPenalty(spectral) if spectral else None
        strides = [2 if halved else None for halved in halving]
        self.up = [tower(w, cells, held, s) for w, s in zip(widths, strides)]
        options = {"padding": "same", "kernel_regularizer": held}
        looks = [2 * latent_dim] * len(widths) if window > 1 else []
        self.looks = [Conv2D(width, window, **options) for width in looks]
        self.posteriors = [ResidualNormal(latent_dim) for _ in widths]
        self.bent = [MapIAF(latent_dim, flows) for _ in widths] if flows else []
        self.priors = [ResidualNormal(latent_dim) for _ in widths[:-1]]
        self.mix = [Conv2D(width, 1, kernel_regularizer=held) for width in widths]
        self.down = [tower(width, cells, held, kind=kind) for width in widths]
        # Of the scales without latents, that of the image first.
        outside = [channels // 2 ** (outer - s) for s in range(outer)]
        counts = list(zip(outside, self.outer_cells))
        self.shrink = [tower(*c, held, 2 if s else 1) for s, c in enumerate(counts)]
        self.spread = [tower(*c, held, kind=kind) for c in counts]
        self.enlarge = [double(width, held) for width in outside[:-1]]
        below = zip([*(outside[-1:] or [channels]), *widths], halving)
        self.grow = [double(width, held) if halved else None for width, halved in below]
        params = image_channels * self.likelihood_head.params_per_channel
        self.pixels = [
            Cell(kind, regularizer=held),
            Conv2D(params, 3, padding="same", kernel_regularizer=held),
        ]
        self.sides = tuple(math.ceil(side / 2**halvings) for side in size)
        rests = [n * 2**halvings - side for n, side in zip(self.sides, size)]
        self.padding = [(rest // 2, rest - rest // 2) for rest in rests]
        self.top = self.add_weight(
            (*self.sides, widths[-1]), "random_normal", name="top"
        )

    @property
    def event_shape(self):
        return self.image_shape

    def features(self, x, given):
        """f_1, ..., f_L, or what `window` makes of them: maps of the groups' scales."""
        maps = []
        if any(map(any, self.padding)):
            x = tf.pad(x, [(0, 0), *self.padding, (0, 0)])
        for network in self.shrink:
            x = network(x)
        for network in self.up:
            x = network(x)
            maps.append(x)
        return [look(m) for look, m in zip(self.looks, maps)] if self.looks else maps

    def walk(self, draw, features=None, given=None):
        d = tf.repeat(tf.convert_to_tensor(self.top)[None], draw.rows, axis=0)
        flat = tfd.Normal(tf.zeros((*self.sides, self.latent_dim)), 1.0)
        prior, features = tfd.Independent(flat, 3), draw.repeat(features)
        for i in reversed(range(len(self.up))):
            if i < len(self.priors):
                prior = self.priors[i](d)
            q = None
            if features is not None:
                context = join(d, features[i])
                q = self.posteriors[i](context, prior=prior)
                if self.flows:
                    q = tfd.TransformedDistribution(q, self.bent[i](context))
            d = self.down[i](self.mix[i](join(d, draw(prior, q))))
            d = d if self.grow[i] is None else self.grow[i](d)
        for i in reversed(range(len(self.spread))):
            d = self.spread[i](d)
            d = self.enlarge[i - 1](d) if i else d
        return d

    def reports(self, draw):
        return self.active_units(draw)

    def likelihood(self, out, given):
        cell, conv = self.pixels
        maps = conv(tf.nn.swish(cell(out)))
        (top, _), (left, _) = self.padding
        height, width, _ = self.image_shape
        return self.likelihood_head(maps[:, top : top + height, left : left + width])


def tower(width, cells: int, held, strides=None, kind="plain") -> keras.Sequential:
    """Cells, behind a convolution where its strides are given."""
    first = Conv2D(width, 3, strides or 1, "same", kernel_regularizer=held)
    behind = [Cell(kind, regularizer=held) for _ in range(cells)]
    return keras.Sequential([first, *behind] if strides else behind)


def double(width: int, held) -> keras.Sequential:
    """Maps of twice the height and width."""
    change = Conv2D(width, 1, kernel_regularizer=held)
    return keras.Sequential([layers.UpSampling2D(), change])


def join(*maps: tf.Tensor) -> tf.Tensor:
    """The channels of maps side by side, in the networks' precision."""
    return tf.concat([tf.cast(m, maps[0].dtype) for m in maps], axis=-1)
