"""VQ-VAE: the codebook against NumPy, and what its levels are made of."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests.configs import BINARY, pixelcnn, vq_vae
from zoo.draws import Sample, seed_words
from zoo.heads import Codebook
from zoo.heads.codebook import perplexity


def built(*args, **kwargs):
    codebook = Codebook(*args, **kwargs)
    codebook.build()
    return codebook


def test_the_nearest_code_is_the_nearest(rng):
    codebook = built(7, 3)
    encodings = rng.normal(size=(4, 5, 2, 3)).astype("float32")
    codes = codebook.codes().numpy()
    gaps = ((encodings[..., None, :] - codes) ** 2).sum(-1)
    np.testing.assert_array_equal(codebook.nearest(encodings), gaps.argmin(-1))
    index = codebook.nearest(codes)
    np.testing.assert_array_equal(index, np.arange(7))
    np.testing.assert_array_equal(codebook(index), codes)


def test_codes_follow_their_encodings(rng):
    codebook = built(2, 3, decay=0.9)
    counts, sums = codebook.counts.numpy(), codebook.sums.numpy()
    encodings = rng.normal(size=(4, 3)).astype("float32")
    index = np.int32([0, 1, 1, 1])
    codebook(index, encodings, training=True)
    n = 0.9 * counts + 0.1 * np.array([1, 3])
    m = 0.9 * sums + 0.1 * np.stack([encodings[0], encodings[1:].sum(0)])
    np.testing.assert_allclose(codebook.counts, n, rtol=1e-6)
    np.testing.assert_allclose(codebook.codes(), m / n[:, None], rtol=1e-4)


def test_nothing_moves_outside_of_training(rng):
    codebook = built(2, 3)
    before = [weight.numpy() for weight in codebook.weights]
    codebook(np.int32([0, 1]), rng.normal(size=(2, 3)).astype("float32"))
    for weight, value in zip(codebook.weights, before):
        np.testing.assert_array_equal(weight, value)


def test_a_dead_code_starts_anew_and_is_used(rng):
    codebook = built(3, 2, decay=0.5)
    codebook.sums.assign([[0.0, 0.0], [1.0, 1.0], [100.0, 100.0]])
    encodings = tf.constant(rng.normal(size=(64, 2)), tf.float32)
    for _ in range(20):
        codebook(codebook.nearest(encodings), encodings, training=True)
    assert np.abs(codebook.codes()).max() < 5
    assert set(codebook.nearest(encodings).numpy()) == {0, 1, 2}


def test_a_code_that_started_anew_stays_for_a_while(rng):
    codebook = built(3, 2)
    codebook.counts.assign([500.0, 500.0, 0.0])  # of thousands of encodings a batch
    encodings = tf.constant(rng.normal(size=(1000, 2)), tf.float32)
    others = tf.constant(rng.integers(0, 2, 1000), tf.int32)  # never the third
    codebook(others, encodings, training=True)
    anew = codebook.codes()[2].numpy()
    assert np.abs(encodings - anew).sum(-1).min() < 1e-4
    for _ in range(10):
        codebook(others, encodings, training=True)
    np.testing.assert_allclose(codebook.codes()[2], anew, rtol=1e-5)


def test_perplexity_by_hand():
    index = tf.constant([[0, 0], [1, 1]])
    np.testing.assert_allclose(perplexity(index, 5), 2.0, rtol=1e-6)
    np.testing.assert_allclose(perplexity(tf.range(5), 5), 5.0, rtol=1e-6)
    np.testing.assert_allclose(perplexity(tf.zeros([9], tf.int32), 5), 1.0)


@pytest.mark.parametrize(
    "strides", [pytest.param((2,), marks=pytest.mark.slow), (2, 2), (2, 2, 2)]
)
def test_the_rate_is_that_of_uniform_codes(strides):
    model = vq_vae(strides=strides)
    metrics = model.measure(tf.constant(BINARY[:4]), {}, tf.constant([1, 2])).metrics
    places = sum((8 // 2**i) ** 2 for i in range(1, len(strides) + 1))
    np.testing.assert_allclose(metrics["rate"], places * np.log(8), rtol=1e-5)
    log_p = model.log_prob(BINARY[:4], num_importance_samples=3)
    np.testing.assert_allclose(log_p, metrics["elbo"], rtol=1e-5)
    names = {name.replace("z", "perplexity") for name in model.latent_fields}
    assert names <= set(metrics)
    codes = model.encode(BINARY[:4])
    sides = [8 // 2**i for i in range(len(strides), 0, -1)]
    assert [code.shape for code in codes] == [(4, side, side) for side in sides]
    assert model.decode(*codes).shape == model.sample(4).shape == (4, 8, 8, 1)
    if len(codes) > 1:
        with pytest.raises(ValueError, match=r"codes of every level.* Received: 1 of"):
            model.decode(codes[0])


def test_gradients_go_straight_through_and_hold_encodings_near():
    """d loss / d e is that of the code, and 2 commitment (e - c) beside it."""
    model = vq_vae(strides=(2,), commitment=0.5)
    x = tf.constant(BINARY[:4])
    e = tf.Variable(model.encode_heads[0](model.features(x, {})[0]))
    draw = Sample(seed_words(0), 4)
    prior = tfd.Independent(tfd.Categorical(logits=tf.zeros([4, 4, 8])), 2)
    with tf.GradientTape(persistent=True) as tape:
        code = model._quantise(draw, prior, tf.convert_to_tensor(e), 0)
        picture = tf.reduce_sum(tf.sin(code))
        held = tf.reduce_sum(draw.terms["commitment_1"])
    nearest = model.codebooks[0](model.codebooks[0].nearest(e))
    np.testing.assert_allclose(code, nearest, atol=1e-6)
    np.testing.assert_allclose(tape.gradient(picture, e), tf.cos(nearest), atol=1e-5)
    np.testing.assert_allclose(tape.gradient(held, e), e - nearest, atol=1e-5)


@pytest.mark.slow
def test_training_uses_many_codes_and_rebuilds_the_images():
    model = vq_vae()
    model.compile(keras.optimizers.Adam(3e-3))
    history = model.fit(BINARY, batch_size=32, epochs=6, verbose=0).history
    assert history["distortion"][-1] < 0.8 * history["distortion"][0]
    assert min(history["perplexity_1"][-1], history["perplexity_2"][-1]) > 2
    top, bottom = model.encode(BINARY[:3])
    assert (top.shape, bottom.shape) == ((3, 2, 2), (3, 4, 4))
    assert top.dtype == bottom.dtype == tf.int32
    np.testing.assert_allclose(
        model.decode(top, bottom), model.reconstruct(BINARY[:3]), atol=1e-6
    )


def test_learned_priors_say_what_codes_cost_and_which_are_drawn():
    model = vq_vae()
    top, bottom = pixelcnn((2, 2), levels=8), pixelcnn(levels=8, upper=(2, 2, 8))
    for prior in (top, bottom):
        for weight in prior.trainable_weights:
            weight.assign_add(np.random.default_rng(0).normal(0, 0.2, weight.shape))
    priced = model.with_priors([top, bottom])
    x = BINARY[:4]
    upper, lower = priced.encode(x)
    np.testing.assert_array_equal(lower, model.encode(x)[1])
    words = tf.constant([1, 2])
    metrics, plain = (
        version.measure(tf.constant(x), {}, words).metrics
        for version in (priced, model)
    )
    np.testing.assert_allclose(metrics["rate_2"], -top.log_prob(upper), rtol=1e-5)
    log_p = bottom.log_prob(lower, {"upper": upper})
    np.testing.assert_allclose(metrics["rate_1"], -log_p, rtol=1e-5)
    np.testing.assert_allclose(metrics["distortion"], plain["distortion"], rtol=1e-5)
    found = priced.log_prob(x, num_importance_samples=3)
    np.testing.assert_allclose(found, metrics["elbo"], rtol=1e-5)
    log_w = priced.log_weights(x, num_importance_samples=3)  # more rows than images
    np.testing.assert_allclose(log_w, np.tile(found, (3, 1)), rtol=1e-5)
    # The priors prefer some codes, and these are drawn.
    prices = []
    for version in (priced, model):
        draw = Sample(seed_words(5), 100)
        version.walk(draw)
        upper, lower = (latent.z for latent in draw.latents)
        log_p = top.log_prob(upper), bottom.log_prob(lower, {"upper": upper})
        prices.append(np.mean(log_p, axis=1))
    assert (prices[0] > prices[1] + 1.0).all()
    each = priced.sample(2, seed=[5, 7])
    np.testing.assert_allclose(each[1], priced.sample(1, seed=[7])[0], atol=1e-5)


def test_draws_of_the_priors_follow_their_probabilities():
    prior = pixelcnn((1, 2), levels=2)
    for weight in prior.trainable_weights:
        weight.assign_add(np.random.default_rng(0).normal(0, 0.2, weight.shape))
    maps = prior.distribution({})
    x = np.int32([[[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]])
    share = np.bincount(maps.sample(4000, seed=(1, 2)).numpy().reshape(-1, 2) @ [2, 1])
    # Four standard errors of a share are at most 0.032.
    np.testing.assert_allclose(share / 4000, np.exp(maps.log_prob(x)), atol=0.032)


def test_priors_of_other_levels_are_refused():
    model, top = vq_vae(), pixelcnn((2, 2), levels=8)
    for priors in ([top], [top, pixelcnn(levels=8)], [top, pixelcnn(levels=7)]):
        with pytest.raises(ValueError, match="`priors` must have a shape, levels"):
            model.with_priors(priors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": (3,)}, "strides must divide the image, together by 3"),
        ({"strides": ()}, "`strides` must be at least 1"),
        ({"num_codes": 0}, "`num_codes` must be at least 1"),
        ({"commitment": -1.0}, "`commitment` must not be negative"),
        ({"decay": 1.0}, r"`decay` must be in \[0, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        vq_vae(**options)
