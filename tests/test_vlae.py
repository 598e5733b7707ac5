"""VLAE against the plain VAE, against quadrature, and what its levels may know."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special
from tensorflow_probability import distributions as tfd

import zoo
from recipes import figures
from tests import configs
from tests.configs import (
    BINARY,
    assert_same_likelihoods,
    ladder,
    shapes,
    vlae,
)
from zoo.draws import Mean


def test_one_level_is_the_vae():
    """Same weights, same seed, same record."""
    one = vlae(latent_dims=(3,), units=(16,))
    encoder = keras.Sequential(
        [keras.Input(configs.IMAGE), keras.layers.Flatten(), *copies(one.up)]
    )
    decoder = keras.Sequential([keras.Input((3,)), *copies([*one.down, one.pixels])])
    vae = zoo.VAE(encoder, decoder, latent_dim=3)
    vae.posterior_head.set_weights(one.posteriors[0].get_weights())
    assert_same_likelihoods(one, vae, rtol=1e-6)


def copies(networks):
    made = [keras.Sequential.from_config(n.get_config()) for n in networks]
    for network, copy in zip(networks, made):
        copy.build(network.input_shape)
        copy.set_weights(network.get_weights())
    return made


def test_weights_integrate_to_the_exact_likelihood():
    """Two levels of one dimension: p(x) by Gauss-Hermite quadrature over both."""
    model = vlae(latent_dims=(1, 1), units=(8, 8))
    x = BINARY[:6]
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    z_2, z_1 = (z.reshape(-1, 1) for z in np.meshgrid(nodes, nodes, indexing="ij"))
    logits = np.log(special.expit(-model_logits(model, z_2, z_1)))  # log p(x = 0)
    white = model_logits(model, z_2, z_1) + logits
    log_p = x.reshape(6, -1) @ white.T + (1 - x).reshape(6, -1) @ logits.T
    exact = special.logsumexp(log_p, axis=1, b=np.outer(weights, weights).ravel())
    draws = 40_000
    parts = [
        model.log_weights(x, num_importance_samples=draws // 10, seed=seed).numpy()
        for seed in range(10)  # in turn, as all at once take 300 MB
    ]
    log_w = np.concatenate(parts)
    w = np.exp(log_w - exact)  # their mean is one
    error = w.std(axis=0) / np.sqrt(draws)
    assert error.max() < 0.03  # so that a bias of a tenth would show
    assert (np.abs(w.mean(axis=0) - 1) < 4 * error).all()


def model_logits(model, *z):
    image = model.decode(*[tf.cast(part, tf.float32) for part in z])
    return special.logit(np.float64(image)).reshape(len(z[0]), -1)


def test_a_level_is_read_at_its_depth():
    model = vlae()
    x = tf.constant(BINARY[:4])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        draw = Mean(4)
        out = model.walk(draw, model.features(x, {}), {})
        deepest, shallowest = (tf.reduce_sum(latent.z) for latent in draw.latents)
        image = tf.reduce_sum(out)
    upper = model.up[1].trainable_weights
    assert all(g is None for g in tape.gradient(shallowest, upper))
    assert all(g is not None for g in tape.gradient(deepest, upper))
    # The shallow level enters below the deep one's network, and so cannot move it.
    lower_down, upper_down = (network.trainable_weights for network in model.down)
    assert all(g is not None for g in tape.gradient(image, lower_down + upper_down))
    assert shapes(model) == {"z_2": (2,), "z_1": (3,)}


def test_rates_are_analytic_and_add_up():
    model = vlae()
    measures = model.measure(tf.constant(BINARY[:4]), {}, tf.constant([1, 2]))
    again = model.measure(tf.constant(BINARY[:4]), {}, tf.constant([3, 4]))
    rates = measures.metrics
    draw, x = Mean(4), tf.constant(BINARY[:4])  # rates do not depend on what is drawn
    model.walk(draw, model.features(x, {}), {})
    pairs = [(latent.posterior, latent.prior) for latent in draw.latents]
    layers = [tfd.kl_divergence(q, p).numpy() for q, p in pairs]
    np.testing.assert_allclose([rates["rate_2"], rates["rate_1"]], layers, rtol=1e-5)
    np.testing.assert_allclose(rates["rate"], sum(layers), rtol=1e-5)
    np.testing.assert_array_equal(rates["rate"], again.metrics["rate"])


@pytest.mark.parametrize("build", [vlae, lambda: ladder(zoo.LadderVAE)])
def test_the_levels_picture_holds_the_layers_above_and_draws_the_others(build):
    model, first = build(), None
    independent = isinstance(model, zoo.VLAE)
    for level in range(2):
        anew = [level] if independent else range(level, 2)
        draw = figures.SomeLayers(0, 5, anew, shapes(model).values())
        model.walk(draw, None, {})
        top, bottom = (latent.z.numpy() for latent in draw.latents)
        if level == 0:
            assert len(np.unique(top, axis=0)) == 5
        else:
            np.testing.assert_array_equal(top, np.tile(top[:1], (5, 1)))
        image = np.concatenate([top[0], bottom[0]])
        first = image if first is None else first
        np.testing.assert_array_equal(image, first)
        moves = level == 1 or not independent
        assert len(np.unique(bottom.round(5), axis=0)) == (5 if moves else 1)
    one, both = (
        figures.SomeLayers(0, 5, anew, shapes(model).values()).layers[1][1].numpy()
        for anew in ([0], [0, 1])
    )  # the noise of the bottom layer
    np.testing.assert_array_equal(one, np.tile(one[:1], (5, 1)))
    assert len(np.unique(both, axis=0)) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": (8,)}, "one entry for each level"),
        ({"latent_dims": (), "units": ()}, "one entry for each level"),
        ({"latent_dims": (0, 2)}, r"`latent_dims\[0\]` must be at least 1"),
        ({"units": (8, 0)}, r"`units\[1\]` must be at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        vlae(**options)
