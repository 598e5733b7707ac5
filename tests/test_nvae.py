"""NVAE: its parts against NumPy, its walk by hand and against quadrature."""

from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special
from tensorflow_probability import distributions as tfd

import zoo
from recipes import datasets
from tests.configs import (
    BINARY,
    IMAGE,
    assert_same_likelihoods,
    build,
    conditional_vae,
    nvae,
    shapes,
    vq_vae,
)
from tests.test_biva import convolve
from zoo import internals
from zoo.draws import Given, Sample, seed_words
from zoo.heads.diagonal_normal import diagonal_normal
from zoo.heads.residual_normal import soft_clip
from zoo.networks import Cell, SpectralPenalty, SqueezeExcitation
from zoo.networks.cells import BatchNormalization
from zoo.objectives import ELBO, BalancedELBO


def restless(model, scale=0.3):
    """Weights off their first values, so that no rate is zero."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(0, scale, weight.shape))
    return model


def test_soft_clip_is_bounded_and_nearly_the_identity():
    t = tf.constant([-1e3, -0.5, 0.0, 0.5, 1e3])
    np.testing.assert_allclose(soft_clip(t), [-5, -0.4983, 0, 0.4983, 5], atol=1e-4)


def test_the_residual_rate_is_the_papers(rng):
    features, below = (rng.normal(size=(4, 3, 2, 5)).astype("float32") for _ in "ab")
    prior = restless(built(zoo.ResidualNormal(2), below))(below)
    head = restless(built(zoo.ResidualNormal(2), features))
    posterior = head(features, prior=prior)
    assert posterior.event_shape == (3, 2, 2)
    change = np.float64(features) @ head.dense.kernel.numpy() + head.dense.bias.numpy()
    d_mu, d_log_sigma = np.split(5 * np.tanh(change / 5), 2, axis=-1)
    sigma = diagonal_normal(prior).scale.numpy()
    squares = (d_mu / sigma) ** 2 + np.exp(2 * d_log_sigma) - 2 * d_log_sigma - 1
    rate = tfd.kl_divergence(posterior, prior)
    np.testing.assert_allclose(rate, squares.sum((1, 2, 3)) / 2, rtol=1e-4)


def built(layer, x):
    layer.build(x.shape)
    return layer


def test_squeeze_excitation_is_numpys(rng):
    y = rng.normal(size=(3, 4, 5, 6)).astype("float32")
    layer = restless(built(SqueezeExcitation(), y))
    w_1, b_1, w_2, b_2 = (np.float64(weight) for weight in layer.get_weights())
    hidden = np.maximum(y.mean((1, 2)) @ w_1 + b_1, 0)
    gate = special.expit(hidden @ w_2 + b_2)
    np.testing.assert_allclose(layer(y), y * gate[:, None, None], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "convolutions", "norms"),
    [
        ("plain", 2 * 9 * 8 * 8, (8, 8)),
        ("depthwise", 2 * 6 * 64 + 25 * 48, (8, 48, 48, 8)),
    ],
)
def test_a_cell_has_the_papers_parts_and_starts_near_the_identity(
    kind, convolutions, norms, rng
):
    y = rng.normal(size=(2, 5, 5, 8)).astype("float32")
    cell = built(Cell(kind), y)
    squeeze = 8 * 4 + 4 + 4 * 8 + 8
    parameters = sum(np.prod(w.shape) for w in cell.trainable_weights)
    assert parameters == convolutions + 2 * sum(norms) + squeeze
    assert 0 < np.abs(cell(y) - y).max() < 1
    kernels = [part.kernel for part in cell.parts if hasattr(part, "kernel")]
    kernels[-1].assign(tf.zeros_like(kernels[-1]))
    np.testing.assert_array_equal(cell(y), y)


@pytest.mark.parametrize("kind", ["plain", "depthwise"])
def test_a_cell_is_numpys(kind, rng):
    y = rng.normal(size=(2, 6, 5, 4)).astype("float32")
    cell = restless(built(Cell(kind), y))
    norms = [p for p in cell.parts if isinstance(p, keras.layers.BatchNormalization)]
    convolutions = [part for part in cell.parts if hasattr(part, "kernel")]
    for norm in norms:
        norm.moving_mean.assign(rng.normal(size=norm.moving_mean.shape))
        norm.moving_variance.assign(rng.uniform(0.5, 2, norm.moving_variance.shape))
    f = np.float64(y)
    if kind == "depthwise":
        f = applied(convolutions.pop(0), normalise(norms.pop(0), f))
    for norm, convolution in zip(norms, convolutions):
        f = normalise(norm, f)
        f = applied(convolution, f * special.expit(f))
    if kind == "depthwise":
        f = normalise(norms[-1], f)
    f = cell.parts[-1](tf.cast(f, tf.float32))  # squeeze-excitation, tested above
    np.testing.assert_allclose(cell(y), y + 0.1 * f, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 6, 5, 4), (2, 1, 1, 4)], ids=str)
def test_maps_are_normalised_in_training_as_by_keras(shape, rng):
    y = tf.constant(1 + 2 * rng.normal(size=shape), tf.float32)
    weigh = tf.constant(rng.normal(size=shape), tf.float32)
    weights = [rng.uniform(0.5, 2, shape[-1]) for _ in range(4)]

    def trained(kind):
        norm = kind(momentum=0.9)
        norm.build(shape)
        norm.set_weights(weights)
        with tf.GradientTape() as tape:
            tape.watch(y)
            out = norm(y, training=True)
            loss = tf.reduce_sum(weigh * tf.sin(out))
        return out, *tape.gradient(loss, [y, norm.gamma, norm.beta]), *norm.weights

    pairs = zip(trained(BatchNormalization), trained(keras.layers.BatchNormalization))
    for own, keras_own in pairs:
        np.testing.assert_allclose(own, keras_own, rtol=1e-4, atol=1e-5)  # rounding


def test_weights_of_maps_are_filed_under_keras_names(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 4)), Cell("plain")])
    file = tmp_path / "cell.weights.h5"
    model.save_weights(file)
    with h5py.File(file) as content:
        parts = set(content["layers/cell/parts"])
    names = {"batch_normalization", "batch_normalization_1", "activation", "conv2d"}
    assert names < parts


def normalise(norm, y):
    gamma, beta, mean, variance = (np.float64(w) for w in norm.get_weights())
    return gamma * (y - mean) / np.sqrt(variance + norm.epsilon) + beta


def applied(layer, y):
    """All channels into each one, or each channel alone."""
    kernel = np.float64(layer.kernel)
    if not isinstance(layer, keras.layers.DepthwiseConv2D):
        return convolve(y, kernel)
    channels = range(kernel.shape[2])
    alone = [convolve(y[..., [c]], kernel[:, :, [c]]) for c in channels]
    return np.concatenate(alone, -1)


def test_the_spectral_penalty_is_the_largest_singular_value(rng):
    kernel = tf.constant(rng.normal(size=(3, 3, 4, 5)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        penalty = SpectralPenalty(0.5, iterations=200)(kernel)
    u, s, v = np.linalg.svd(np.float64(kernel).reshape(36, 5), full_matrices=False)
    np.testing.assert_allclose(penalty, 0.5 * s[0], rtol=1e-5)
    gradient = tape.gradient(penalty, kernel).numpy().reshape(36, 5)
    np.testing.assert_allclose(gradient, 0.5 * np.outer(u[:, 0], v[0]), atol=1e-4)
    # Few iterations come near from below.
    assert 0.45 * s[0] < SpectralPenalty(0.5)(kernel) <= penalty + 1e-4


def test_the_penalty_is_in_the_loss_and_not_in_the_elbo():
    x = BINARY[:8]
    free, held = (nvae((1,), spectral=weight) for weight in (0.0, 0.1))
    held.set_weights(free.get_weights())
    for model in (free, held):
        model.compile("sgd")
    (one, two) = (m.evaluate(x, verbose=0, return_dict=True) for m in (free, held))
    assert one["elbo"] == pytest.approx(two["elbo"], rel=1e-5)
    kernels = [w for w in held.trainable_weights if "kernel" in w.name]
    cells = [w for w in kernels if len(w.shape) == 4 and w.regularizer]
    assert len(cells) == 10  # two in each of three cells, and four between them
    largest = [np.linalg.svd(np.reshape(w, (-1, w.shape[-1])))[1][0] for w in cells]
    assert two["loss"] - one["loss"] == pytest.approx(0.1 * sum(largest), rel=0.05)


def test_one_group_of_linear_cells_is_the_vae():
    """Whose networks are the convolutions between the cells, which change nothing."""
    model = restless(nvae(groups=(1,)))
    for cell in internals.layers_of(model, Cell):
        kernel = cell.parts[-2].kernel
        kernel.assign(tf.zeros_like(kernel))
    top = model.top.numpy()
    image = keras.Input(IMAGE)
    f = model.up[0].layers[0](image)
    both = keras.ops.concatenate([keras.ops.zeros_like(f) + top, f], axis=-1)
    encoder = keras.Model(image, keras.layers.Flatten()(both))
    z = keras.Input((4 * 4 * 2,))
    maps = keras.layers.Reshape((4, 4, 2))(z)
    zeros = keras.ops.zeros_like(maps[..., :1])
    y = model.mix[0](keras.ops.concatenate([zeros + top, maps], axis=-1))
    y = model.pixels[1](keras.ops.silu(model.grow[0](y)))
    decoder = keras.Model(z, y)
    posterior = Flattened(model.posteriors[0], both.shape[1:])
    vae = zoo.VAE(encoder, decoder, 4 * 4 * 2, posterior=posterior)
    assert_same_likelihoods(model, vae, rtol=1e-5)


class Flattened(keras.layers.Layer):
    """A posterior of maps as one of vectors, relative to N(0, I)."""

    def __init__(self, head, shape):
        super().__init__()
        self.head = head
        self.shape = shape

    def call(self, features):
        maps = tf.reshape(features, [-1, *self.shape])
        flat = tfd.Normal(tf.zeros((*self.shape[:2], 2)), 1.0)
        q = diagonal_normal(self.head(maps, prior=tfd.Independent(flat, 3)))
        loc, scale = (tf.reshape(t, [-1, 4 * 4 * 2]) for t in (q.loc, q.scale))
        return tfd.Independent(tfd.Normal(loc, scale), 1)


def test_weights_integrate_to_the_exact_likelihood():
    """Two groups of one number each: p(x) by quadrature over z_2 and z_1 given z_2."""
    keras.utils.set_random_seed(0)
    tiny = zoo.NVAE((2, 2, 1), (2,), latent_dim=1, channels=4, cells=1)
    model = restless(tiny, 0.1)
    x = np.float32([[1, 0, 1, 1], [0, 0, 1, 0]]).reshape(2, 2, 2, 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    weights = weights / weights.sum()
    z_2, e_1 = np.meshgrid(nodes, nodes, indexing="ij")
    z_2, e_1 = (z.reshape(-1, 1, 1, 1) for z in (z_2, e_1))
    upper = tf.cast(z_2, tf.float32)
    draw = Given([upper], len(z_2))
    model.walk(draw, None, {})
    prior = diagonal_normal(draw.latents[1].prior)
    z_1 = prior.loc + prior.scale * tf.cast(e_1, tf.float32)
    white = np.float64(model.decode(upper, z_1)).reshape(-1, 4)
    bits = x.reshape(2, 1, 4)
    log_p = np.log(np.where(bits == 1, white, 1 - white)).sum(-1)
    exact = special.logsumexp(log_p, axis=1, b=np.outer(weights, weights).ravel())
    draws = 80_000
    w = np.exp(model.log_weights(x, num_importance_samples=draws).numpy() - exact)
    error = w.std(axis=0) / np.sqrt(draws)
    assert error.max() < 0.03  # so that a bias of a tenth would show
    assert (np.abs(w.mean(axis=0) - 1) < 4 * error).all()


def test_weights_of_a_bent_posterior_integrate_to_the_exact_likelihood():
    """One group of two numbers, by quadrature over both."""
    keras.utils.set_random_seed(0)
    options = {"channels": 4, "cells": 1, "flows": 2}
    model = restless(zoo.NVAE((2, 2, 1), (1,), latent_dim=2, **options), 0.1)
    x = np.float32([[1, 0, 1, 1], [0, 0, 1, 0]]).reshape(2, 2, 2, 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    weights = np.outer(weights, weights).ravel() / weights.sum() ** 2
    z = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1)
    white = np.float64(model.decode(np.float32(z).reshape(-1, 1, 1, 2)))
    white, bits = white.reshape(-1, 4), x.reshape(2, 1, 4)
    log_p = np.log(np.where(bits == 1, white, 1 - white)).sum(-1)
    exact = special.logsumexp(log_p, axis=1, b=weights)
    draws = 80_000
    w = np.exp(model.log_weights(x, num_importance_samples=draws).numpy() - exact)
    error = w.std(axis=0) / np.sqrt(draws)
    assert error.max() < 0.03  # so that a bias of a tenth would show
    assert (np.abs(w.mean(axis=0) - 1) < 4 * error).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"window": 3},
        {"groups": (1,), "outer_cells": (1, 2), "channels": 16},
        {"flows": 2},
    ],
)
def test_every_weight_learns(options):
    model = restless(nvae(**options))
    x = tf.constant(BINARY[:8])
    with tf.GradientTape() as tape:
        model(x, training=True)
        loss = tf.add_n(model.losses)
    gradients = tape.gradient(loss, model.trainable_weights)
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_a_window_that_looks_at_one_place_is_none():
    plain, wide = restless(nvae((2,))), nvae((2,), window=3)
    x = BINARY[:4]
    looks = {id(weight) for look in wide.looks for weight in look.weights}
    others = [weight for weight in wide.weights if id(weight) not in looks]
    for mine, theirs in zip(others, plain.weights, strict=True):
        mine.assign(theirs)
    for look in wide.looks:
        kernel = np.zeros(look.kernel.shape, "float32")
        kernel[1, 1] = np.eye(4)
        look.kernel.assign(kernel)
    for mine, theirs in zip(wide.encode(x), plain.encode(x)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    kernel[0, 0] = 1.0  # a neighbour's say
    look.kernel.assign(kernel)
    assert np.abs(wide.encode(x)[0] - plain.encode(x)[0]).max() > 0.01


def test_group_rates_add_up():
    """To TFP's divergences of each group's distributions, and so does the ELBO."""
    model = restless(nvae())
    x, seed = tf.constant(BINARY[:8]), tf.constant([1, 2])
    metrics = model.measure(x, {}, seed).metrics
    draw = Sample(seed, 8)
    out = model.walk(draw, model.features(x, {}), {})
    pairs = [(latent.posterior, latent.prior) for latent in draw.latents]
    groups = [tfd.kl_divergence(q, p).numpy() for q, p in pairs]
    for i, group in zip((3, 2, 1), groups, strict=True):
        np.testing.assert_allclose(metrics[f"rate_{i}"], group, rtol=1e-5)
    np.testing.assert_allclose(metrics["rate"], sum(groups), rtol=1e-5)
    log_p = model.likelihood(out, {}).log_prob(x)
    np.testing.assert_allclose(metrics["elbo"], log_p - sum(groups), rtol=1e-5)
    assert list(shapes(model).values()) == [(2, 2, 2), (4, 4, 2), (4, 4, 2)]


def test_scales_without_latents_lie_between_the_image_and_the_groups():
    model = nvae((1,), outer_cells=(1, 2))
    assert list(shapes(model).values()) == [(2, 2, 2)]
    x = tf.constant(BINARY[:3])
    maps = [x]
    for network in (*model.shrink, *model.up):
        maps.append(network(maps[-1]))
    assert [m.shape[1:] for m in maps[1:]] == [(8, 8, 1), (4, 4, 2), (2, 2, 4)]
    np.testing.assert_array_equal(model.features(x, {})[0], maps[-1])
    for networks in (model.shrink, model.spread):
        cells = [[la for la in n.layers if isinstance(la, Cell)] for n in networks]
        assert [len(c) for c in cells] == [1, 2]
    copy = zoo.NVAE.from_config(model.get_config())
    assert copy.outer_cells == (1, 2)


@pytest.mark.slow
def test_an_image_that_cannot_be_halved_is_padded_and_cropped():
    whole = restless(nvae((1, 1)))
    keras.utils.set_random_seed(0)
    options = {"latent_dim": 2, "channels": 4, "cells": 1, "kind": "plain"}
    cut = zoo.NVAE((7, 5, 1), (1, 1), **options)
    cut.set_weights(whole.get_weights())
    x = BINARY[:4, :7, :5]
    padded = np.pad(x, [(0, 0), (0, 1), (1, 2), (0, 0)])
    for one, other in zip(cut.features(x, {}), whole.features(padded, {})):
        np.testing.assert_array_equal(one, other)
    z = whole.encode(padded)
    image = whole.decode(*z)[:, :7, 1:6]
    np.testing.assert_allclose(cut.reconstruct(x), image, rtol=1e-6)  # rounding


@pytest.mark.slow
def test_a_group_that_x_does_not_reach_has_no_active_units():
    model = restless(nvae())
    for weight in model.posteriors[0].weights:
        weight.assign(tf.zeros_like(weight))
    model.compile("sgd", jit_compile=False)
    logs = model.evaluate(BINARY[:8], verbose=0, return_dict=True)
    assert logs["rate_1"] == logs["active_units_1"] == 0
    assert 0 < logs["active_units_2"] <= 4 * 4 * 2
    assert 0 < logs["active_units_3"] <= 2 * 2 * 2


def test_batch_norm_is_set_to_what_it_sees_at_a_temperature():
    model = restless(nvae())
    norm = model.down[-1].layers[0].parts[0]  # the first behind z_3, normal or cooler
    rng = np.random.default_rng(1)
    for layer in internals.layers_of(model, keras.layers.BatchNormalization):
        layer.moving_mean.assign(rng.normal(size=layer.moving_mean.shape))
        layer.moving_variance.assign(rng.uniform(0.5, 2.0, layer.moving_mean.shape))
    before = model.get_weights()
    options = {"batches": 3, "batch_size": 50, "seed": 4}
    zoo.evaluation.refresh_batch_norm_of_samples(model, 0.5, **options)
    inputs = []
    for seed in range(4, 7):
        draw = Sample(seed_words(seed), 50)
        draw.temperature = 0.5
        model.walk(draw)
        top = tf.repeat(model.top.value[None], 50, axis=0)
        inputs.append(model.mix[-1](tf.concat([top, draw.latents[0].z], axis=-1)))
    inputs = np.reshape(inputs, [-1, inputs[0].shape[-1]])
    np.testing.assert_allclose(norm.moving_mean, inputs.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, inputs.var(0), rtol=1e-4)
    changed = {
        weight.path
        for weight, value in zip(model.weights, before)
        if not np.array_equal(weight, value)
    }
    generating = [*model.down, *model.pixels]
    norms = internals.layers_of(model, keras.layers.BatchNormalization)
    within = {id(n) for part in generating for n in internals.layers_of(part)}
    assert changed == {
        weight.path
        for n in norms
        if id(n) in within
        for weight in (n.moving_mean, n.moving_variance)
    }
    after = model.get_weights()
    images = model.sample(2, seed=1)  # no trace of training is left
    for value, found in zip(after, model.get_weights()):
        np.testing.assert_array_equal(found, value)
    model.set_weights(before)
    assert np.abs(model.sample(2, seed=1) - images).max() > 1e-3


def test_batch_norm_at_a_temperature_refuses_what_it_cannot_do():
    refresh = zoo.evaluation.refresh_batch_norm_of_samples
    with pytest.raises(ValueError, match="Received: VAE without any"):
        refresh(build(), 0.7)
    with pytest.raises(ValueError, match=r"images of latents.* ConditionalVAE"):
        refresh(conditional_vae(), 0.7)
    with pytest.raises(ValueError, match="`temperature` must not be negative"):
        refresh(nvae(), -1.0)
    with pytest.raises(ValueError, match="`batches` must be at least 1"):
        refresh(nvae(), 0.7, batches=0)


def test_a_temperature_scales_every_prior():
    model = restless(nvae())
    draws = []
    for t in (None, 1.0, 0.5, 0.0):
        draws.append(Sample(seed_words(1), 3))
        draws[-1].temperature = t
        model.walk(draws[-1])
    plain, one, half, cold = ([np.array(la.z) for la in d.latents] for d in draws)
    np.testing.assert_array_equal(plain[-1], one[-1])
    np.testing.assert_allclose(half[0], 0.5 * one[0], rtol=1e-6)  # N(0, I) at the top
    for latent, z in zip(draws[3].latents, cold):
        np.testing.assert_array_equal(z, latent.prior.mean() + 0 * z)
    images = model.sample(4, seed=1, temperature=0.0)
    np.testing.assert_allclose(images, np.tile(images[:1], (4, 1, 1, 1)), atol=1e-6)
    each = model.sample(2, seed=[5, 7], temperature=0.7)
    one = model.sample(1, seed=7, temperature=0.7)
    np.testing.assert_allclose(each[1:], one, atol=1e-5)
    with pytest.raises(ValueError, match="needs diagonal normal priors"):
        vq_vae().sample(2, temperature=0.7)


@pytest.mark.slow
def test_the_papers_learning_rate_ends_in_no_nan():
    """Adamax at 1e-2 from the first step on, on real images; no step is left out."""
    images = datasets.binarise(datasets.load("mnist").train[:6400])
    model = zoo.NVAE(
        (28, 28, 1),
        (2, 1),
        latent_dim=4,
        channels=16,
        cells=1,
        objective=BalancedELBO(),
    )
    model.compile(keras.optimizers.Adamax(1e-2), skip_non_finite=True)
    epochs = model.fit(images, batch_size=64, epochs=3, verbose=0).history
    assert epochs["skipped_steps"] == [0, 0, 0]
    assert np.isfinite(epochs["loss"]).all()
    assert epochs["elbo"][0] < epochs["elbo"][-1]


def test_a_balanced_warm_up_weighs_each_rate_by_its_share():
    model = restless(nvae())
    x = tf.constant(BINARY[:8])
    draw = Sample(seed_words(0), 8)
    model.walk(draw, model.features(x, {}), {})
    means = np.array([np.mean(rate) for rate in draw.rates])
    log_p = tf.zeros([8])
    half = BalancedELBO(beta=0.5)(draw, log_p, 0)["beta_balanced_rate"]
    shares = len(means) * (means + 0.01) / (means + 0.01).sum()
    np.testing.assert_allclose(half, 0.5 * (shares * means).sum(), rtol=1e-5)
    whole = BalancedELBO()(draw, log_p, 0)["beta_balanced_rate"]
    np.testing.assert_allclose(whole, ELBO()(draw, log_p, 0)["beta_rate"], rtol=1e-6)


def test_shares_of_a_balanced_warm_up_are_held_constant():
    """The gradient presses each rate by beta times its share, and not the shares."""
    rates = [tf.constant([1.0, 3.0]), tf.constant([5.0, 7.0])]
    with tf.GradientTape() as tape:
        tape.watch(rates)
        draw = SimpleNamespace(rates=rates)
        loss = BalancedELBO(beta=0.5)(draw, tf.zeros([2]), 0)["beta_balanced_rate"]
    sizes = np.array([2.01, 6.01])  # means, and 0.01
    for found, share in zip(tape.gradient(loss, rates), 2 * sizes / sizes.sum()):
        np.testing.assert_allclose(found, np.full(2, 0.5 * share / 2), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": (1, 1, 1, 1)}, "4 scales must halve the image"),
        ({"groups": ()}, "`groups` must have one entry at least"),
        ({"groups": (1, 0)}, r"`groups\[1\]` must be at least 1"),
        ({"outer_cells": (1, 0)}, r"`outer_cells\[1\]` must be at least 1"),
        ({"outer_cells": (1,) * 3}, "`channels` must be a multiple of 8"),
        ({"flows": -1}, "`flows` must be a whole number, or 0"),
        ({"cells": 0}, "`cells` must be at least 1"),
        ({"window": 0}, "`window` must be at least 1"),
        ({"kind": "wide"}, "`kind` must be plain or depthwise"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        nvae(**options)
