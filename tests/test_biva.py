"""BIVA against NumPy, against quadrature, and what its latents may know."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import signal

import zoo
from tests.configs import BINARY, biva, shapes
from tests.test_hierarchical_vae import log_ratio, normal_rate
from zoo import bounds
from zoo.draws import Draw, Sample, seed_words

X = BINARY[:6, :7]
ROUNDING = 1e-4  # relative, float32 against float64 sums of some hundred terms


def restless(model):
    """Weights off their first values, so that no two latents are alike."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(0, 0.3, weight.shape))
    return model


def three_layers(bottom_up_dims):
    keras.utils.set_random_seed(0)
    model = zoo.BIVA(
        (7, 8, 1), (2, 1), bottom_up_dims, 3, channels=4, strides=(2, 3), blocks=2
    )  # maps of 4 x 4 and 2 x 2: on the way down some are cropped
    return restless(model)


class Numpy:
    """The model in NumPy and float64: its distributions at given latents.

    Distributions are means and variances; `z` has the latents of each layer, bottom
    layer first: z^BU, or None, and z^TD.
    """

    def __init__(self, model):
        self.model = model

    def posteriors_and_priors(self, x, top, z):
        """Those of z_L, and of every layer's latents, bottom layer first."""
        model, h, hs, q_bottom_up = self.model, x, [], []
        below = [h]
        for i, (bottom_up, _) in enumerate(z):
            h = block(model.up[i], np.concatenate(below, -1))
            hs.append(h)
            head = model.bottom_up_posteriors[i]
            q_bottom_up.append(None if head is None else normal(head, h))
            below = [h] if head is None else [h, bottom_up]
        h = block(model.up[-1], np.concatenate(below, -1))
        q_top = normal(model.top_posterior, elu(h).reshape(len(h), -1))

        above = [linear(model.top, top).reshape(len(top), *model.sizes[-1], -1)]
        layers = []
        for i in reversed(range(len(z))):
            bottom_up, top_down = z[i]
            d = residuals(parts(model.down[i]), skips(model.skips[i + 1], above))
            above.append(d)
            pairs = []
            if bottom_up is not None:
                pairs.append((q_bottom_up[i], normal(model.bottom_up_priors[i], d)))
                above.append(bottom_up)
            merged = block(model.both[i], np.concatenate([d, hs[i]], -1))
            q = normal(model.top_down_posteriors[i], merged)
            pairs.append((q, normal(model.top_down_priors[i], d)))
            above.append(top_down)
            layers.append(pairs)
        p_top = np.zeros_like(top), np.ones_like(top)
        change, last = model.pixels
        logits = linear(last, elu(residuals([change], skips(model.skips[0], above))))
        return [(q_top, p_top), *itertools.chain(*layers)], logits


def elu(y):
    return np.where(y > 0, y, np.expm1(np.minimum(y, 0)))


def linear(layer, y):
    """A dense layer, or a convolution by SciPy, with zeros as TensorFlow pads them."""
    v, g, b = (np.float64(w) for w in (layer.direction, layer.length, layer.bias))
    kernel = g * v / np.sqrt((v**2).sum(tuple(range(v.ndim - 1))))
    if v.ndim == 2:
        return y @ kernel + b
    return convolve(y, kernel, layer.strides) + b


def convolve(y, kernel, strides=1):
    side, padding = len(kernel), [(0, 0)]
    for size in y.shape[1:3]:
        total = max((-(-size // strides) - 1) * strides + side - size, 0)
        padding.append((total // 2, total - total // 2))
    y = np.pad(y, [*padding, (0, 0)])
    maps = [
        signal.correlate(y, kernel[None, ..., c], "valid")[..., 0]
        for c in range(kernel.shape[-1])
    ]
    return np.stack(maps, -1)[:, ::strides, ::strides]


def residuals(changes, y):
    for change in changes:
        y = y + linear(change.second, elu(linear(change.first, elu(y))))
    return y


def parts(network):
    return getattr(network, "layers", [network])


def block(network, y):
    first, *changes = parts(network)
    return residuals(changes, linear(first, y))


def skips(layer, maps):
    """All maps repeated up to one size first, as an image of many channels."""
    y = maps[0]
    for m in maps[1:]:
        y = np.concatenate([grown(y, m.shape[1:3]), m], -1)
    return linear(layer, grown(y, layer.size))


def grown(m, size):
    for axis, side in enumerate(size, start=1):
        m = np.repeat(m, -(-side // m.shape[axis]), axis)
    return m[:, : size[0], : size[1]]


def normal(head, y):
    """Mean and variance, each flat `[rows, D]`."""
    loc, raw = np.split(linear(head.dense, y[:, None])[:, 0], 2, axis=-1)
    scale = np.logaddexp(0, raw) + head.min_scale
    return loc, scale**2


def flat(values):
    return values.reshape(len(values), -1)


@pytest.mark.parametrize(
    "bottom_up_dims",
    [
        (2, 1),
        (0, 0),
        *(pytest.param(d, marks=pytest.mark.slow) for d in ((2, 0), (0, 1))),
    ],
)
def test_the_model_is_numpys(bottom_up_dims):
    """Without bottom-up latents it is a top-down hierarchy: all rates are analytic."""
    model = three_layers(bottom_up_dims)
    draw = Sample(seed_words(5), 3 * len(X), 3)
    model.walk(draw, model.features(X, {}), {})
    tops, *others = (np.float64(latent.z) for latent in draw.latents)
    others, z = others[::-1], []
    for dim in bottom_up_dims:
        top_down = others.pop(0)
        z.append((others.pop(0) if dim else None, top_down))
    x = np.tile(np.float64(X), [3, 1, 1, 1])
    pairs, logits = Numpy(model).posteriors_and_priors(x, tops, z)
    pairs = [[tuple(map(flat, normal)) for normal in pair] for pair in pairs]

    latents = draw.latents
    ratios = [log_ratio(flat(la.z.numpy()), *p) for la, p in zip(latents, pairs)]
    rates = [
        ratio if latent.sampled_rate else normal_rate(*pair)
        for latent, pair, ratio in zip(latents, pairs, ratios)
    ]
    measures = model.measure(tf.constant(X), {}, seed_words(5), num_samples=3)
    for name, rate in zip(model.latent_fields, rates, strict=True):
        found = measures.metrics[name.replace("z", "rate")]
        np.testing.assert_allclose(found, rate, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(measures.metrics["rate"], sum(rates), rtol=ROUNDING)
    sampled = [latent.sampled_rate for latent in latents]
    assert sum(sampled) == np.count_nonzero(bottom_up_dims)

    log_p = (x * logits - np.logaddexp(0, logits)).sum((1, 2, 3))
    log_w = model.log_weights(X, num_importance_samples=3, seed=5)
    expected = (log_p - sum(ratios)).reshape(3, len(X))
    np.testing.assert_allclose(log_w, expected, rtol=ROUNDING)


class At(Draw):
    """Takes given latents in the order of the walk, with their densities."""

    def __init__(self, codes, samples):
        super().__init__(len(codes[0]), samples)
        self.codes = list(codes)

    def take(self, distribution):
        z = self.codes.pop(0)
        return z, bounds.log_prob(distribution, z)


PARTS = ["up", "skips", "down", "both", "pixels"]
PARTS += ["top_down_posteriors", "top_down_priors"]


def test_without_a_bottom_up_path_it_is_the_plain_hierarchy(rng):
    """Once the other networks are deaf to it, all is as if it were not there."""
    whole, plain = three_layers((2, 1)), three_layers((0, 0))
    maps = [*range(8), 9]  # d_3 and d_2, without z_2^BU, and z_2^TD
    heard = {("up", 1): range(4), ("up", 2): range(4), ("skips", 1): maps}
    heard["skips", 0] = [*maps, *range(10, 14), 16, 17]  # d_1, without z_1^BU, z_1^TD
    pairs = [(None, whole.top, plain.top)]
    pairs.append((None, whole.top_posterior, plain.top_posterior))
    for name in PARTS:
        both = zip(getattr(whole, name), getattr(plain, name), strict=True)
        pairs += [((name, i), *pair) for i, pair in enumerate(both)]
    for place, part, copy in pairs:
        for weight, other in zip(part.weights, copy.weights, strict=True):
            value = weight.numpy()
            if weight.shape != other.shape:
                kept = np.isin(np.arange(value.shape[-2]), heard[place])
                value[..., ~kept, :] = 0
                weight.assign(value)
                value = value[..., kept, :]
            other.assign(value)

    x = tf.constant(X)
    z = {n: rng.normal(size=(len(X), *shape)) for n, shape in shapes(whole).items()}
    found = []
    for model, bottom_up in ((whole, ("z_1_bu", "z_2_bu")), (plain, ())):
        names = (*bottom_up, "z_3", "z_2_td", "z_1_td")
        draw = At([tf.cast(z[name], tf.float32) for name in names], 1)
        image = model.likelihood(model.walk(draw, model.features(x, {}), {}), {}).mean()
        latents = dict(zip(model.latent_fields, draw.latents, strict=True))
        of_top_down = [latents[name] for name in names if "bu" not in name]
        normals = [p for la in of_top_down for p in (la.posterior, la.prior)]
        moments = [m for p in normals for m in (p.mean(), p.variance())]
        found.append([image, *moments])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def tiny():
    """Three latents of one dimension each, images of four pixels.

    Its posteriors are wider than its priors, so that its weights have no heavy tail.
    """
    keras.utils.set_random_seed(0)
    model = zoo.BIVA((2, 2, 1), (1,), (1,), 1, channels=3, strides=(2,))
    restless(model)
    heads = (*model.bottom_up_posteriors, *model.top_down_posteriors)
    for head in (*heads, model.top_posterior):
        head.dense.bias.assign_add([0.0, 1.5])
    return model


# The trapezium rule is exact to rounding for smooth densities wider than its steps
# that end within it.
SIDE = np.linspace(-9, 9, 61)
VOLUME = (SIDE[1] - SIDE[0]) ** 3
IMAGES = np.float32(list(itertools.product([0, 1], repeat=4))).reshape(-1, 2, 2, 1)


TOP, BOTTOM_UP, TOP_DOWN = (
    np.float32(axis).reshape(shape)
    for axis, shape in zip(
        np.meshgrid(SIDE, SIDE, SIDE, indexing="ij"),
        [(-1, 1), (-1, 1, 1, 1), (-1, 1, 1, 1)],
    )
)


@pytest.fixture(scope="module")
def exact(tiny):
    """p(x) of all images."""
    draw = At([TOP, BOTTOM_UP, TOP_DOWN], 1)
    likelihood = tiny.likelihood(tiny.walk(draw), {})
    log_p_z = sum(np.float64(latent.log_q) for latent in draw.latents)
    log_p = [np.float64(likelihood.log_prob(x)) for x in IMAGES]
    return np.exp(log_p_z + log_p).sum(1) * VOLUME


def test_weights_integrate_to_the_exact_likelihood(tiny, exact):
    np.testing.assert_allclose(sum(exact), 1, rtol=1e-5)  # it is a mass
    for index in (3, 9):
        x = IMAGES[index : index + 1]
        draw = At([BOTTOM_UP, TOP, TOP_DOWN], len(TOP))
        log_p = tiny.likelihood(tiny.walk(draw, tiny.features(x, {})), {}).log_prob(x)
        log_q = sum(np.float64(latent.log_q) for latent in draw.latents)
        np.testing.assert_allclose(np.exp(log_q).sum() * VOLUME, 1, rtol=1e-4)
        log_w = np.float64(bounds.log_weights(log_p, draw.latents))
        mean = np.exp(log_q + log_w).sum() * VOLUME
        np.testing.assert_allclose(mean, exact[index], rtol=1e-4)

    log_w = tiny.log_weights(IMAGES, num_importance_samples=10_000, seed=1)
    weights = np.exp(np.float64(log_w)) / exact
    error = weights.std(0) / np.sqrt(10_000)
    assert (abs(weights.mean(0) - 1) < 5 * error).all()
    assert (error < 0.03).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "k", [0, 2, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 3))]
)
def test_so_do_those_whose_lower_latents_come_from_their_priors(tiny, exact, k):
    options = {"num_importance_samples": 10_000, "chunk": 10_000, "seed": 2}
    found = zoo.evaluation.log_prob_above(tiny, IMAGES, k, **options)
    # Five standard errors: relative to p(x) the weights deviate by less than 3.
    np.testing.assert_allclose(found, np.log(exact), atol=0.15)


@pytest.mark.slow
def test_a_latent_knows_what_was_drawn_before_it():
    """z^BU sees x alone, z_L also z^BU; the generative z^TD sees all that is above."""
    model = three_layers((2, 1))
    x = X[:1]
    order = ("top", "bu_2", "td_2", "bu_1", "td_1")
    codes = dict(zip(order, model.encode(x)))

    def means(bu_1, bu_2, top, td_2, td_1):
        """Those of all posteriors and of all priors, in the record's order."""
        draw = At([bu_1, bu_2, top, td_2, td_1], 1)
        model.walk(draw, model.features(x, {}), {})
        q = [latent.posterior.mean().numpy() for latent in draw.latents]
        p = [latent.prior.mean().numpy() for latent in draw.latents]
        return q, p

    before = means(**codes)
    in_posteriors = {  # of these latents a latent is seen
        "bu_1": {"bu_2", "top", "td_2"},
        "bu_2": {"top", "td_1"},
        "top": {"td_2", "td_1"},
        "td_2": {"td_1"},
        "td_1": set(),
    }
    in_priors = {
        "top": {"bu_2", "td_2", "bu_1", "td_1"},
        "bu_2": {"bu_1", "td_1"},
        "td_2": {"bu_1", "td_1"},
        "bu_1": set(),
        "td_1": set(),
    }
    for name in order:
        after = means(**{**codes, name: codes[name] + 1})
        for seen, one, two in zip((in_posteriors, in_priors), before, after):
            pairs = zip(order, one, two)
            changed = {n for n, a, b in pairs if not np.array_equal(a, b)}
            assert changed == seen[name]


def test_bottom_up_latents_need_no_posterior_to_generate():
    model = biva()
    assert shapes(biva((0,))) == {"z_2": (3,), "z_1_td": (4, 4, 2)}
    below = {"z_1_bu": (4, 4, 1), "z_1_td": (4, 4, 2)}
    assert shapes(model) == {"z_2": (3,), **below}
    draw = Sample(seed_words(0), 5)
    model.walk(draw)
    assert [latent.posterior for latent in draw.latents] == [None] * 3


def test_every_latent_s_active_units_are_a_metric():
    model = restless(biva())
    x = tf.constant(BINARY[:6])
    metrics = model.measure(x, {}, seed_words(0)).metrics
    draw = Sample(seed_words(0), 6)
    model.walk(draw, model.features(x, {}), {})
    for name, latent in zip(("2", "1_bu", "1_td"), draw.latents, strict=True):
        q, p = latent.posterior.distribution, latent.prior.distribution
        moved = np.array((q.loc - p.loc) / p.scale).var(axis=0) > 0.01
        assert metrics[f"active_units_{name}"][0] == moved.sum()
    assert {k for k in metrics if k.startswith("active")} == {
        f"active_units_{name}" for name in ("2", "1_bu", "1_td")
    }


def test_free_bits_hold_every_latent():
    model = biva(objective=zoo.objectives.ELBO(free_bits=2.0))
    measures = model.measure(tf.constant(BINARY[:6]), {}, seed_words(0))
    rates = [
        np.mean(measures.metrics[name]) for name in ("rate_2", "rate_1_bu", "rate_1_td")
    ]
    expected = np.maximum(rates, 2.0).sum()
    assert min(rates) < 2.0
    np.testing.assert_allclose(measures.terms["beta_floored_rate"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_down_dims": (1, 2)}, "one entry for each layer"),
        ({"strides": ()}, "one entry for each layer"),
        ({"top_down_dims": (0,)}, r"`top_down_dims\[0\]` must be at least 1"),
        ({"top_dim": 0}, "`top_dim` must be at least 1"),
        ({"image_shape": (12,)}, r"\(height, width, channels\)\. Received: \(12,\)"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    sizes = {"top_down_dims": (1,), "bottom_up_dims": (1,), "top_dim": 2}
    shape = {"image_shape": (8, 8, 1), "strides": (2,)}
    with pytest.raises(ValueError, match=message):
        zoo.BIVA(**{**shape, **sizes, **options})
