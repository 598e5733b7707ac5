"""Heads, and how latents are drawn from what they return."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

import zoo
from tests import configs
from tests.configs import FullNormal
from zoo.draws import Mean, Sample, seed_words

tfd, tfb = tfp.distributions, tfp.bijectors


def head(loc, raw_scale, min_scale=1e-4):
    """A `DiagonalNormal` that ignores its one feature."""
    posterior = zoo.DiagonalNormal(len(loc), min_scale)
    posterior.build((None, 1))
    posterior.set_weights(
        [np.zeros((1, 2 * len(loc))), np.concatenate([loc, raw_scale])]
    )
    return posterior(tf.zeros([3, 1]))


def test_diagonal_normal_matches_scipy(rng):
    loc, raw_scale, z = rng.normal(size=(3, 4)).astype("float32")
    posterior = head(loc, raw_scale, min_scale=0.1)
    scale = np.log1p(np.exp(raw_scale)) + 0.1
    assert posterior.batch_shape == (3,)
    assert posterior.event_shape == (4,)
    expected = np.full(3, stats.norm.logpdf(z, loc, scale).sum())
    np.testing.assert_allclose(posterior.log_prob(z), expected, rtol=1e-5)


def test_min_scale_keeps_log_q_finite():
    posterior = head([0.0], [-1e4])
    np.testing.assert_allclose(posterior.stddev(), np.full((3, 1), 1e-4), rtol=1e-6)
    z, log_q = posterior.experimental_sample_and_log_prob(seed=(0, 1))
    assert np.isfinite(z).all()
    assert np.isfinite(log_q).all()


def test_diagonal_normal_is_float32_under_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    posterior = zoo.DiagonalNormal(2)(tf.ones([3, 4], tf.float16))
    assert posterior.dtype == tf.float32


def test_config_round_trip():
    config = keras.saving.serialize_keras_object(zoo.DiagonalNormal(5, min_scale=0.2))
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.latent_dim == 5
    assert copy.min_scale == 0.2


def test_sample_fills_its_rows_and_repeats():
    posterior = head([0.0, 1.0], [0.0, 0.0])

    def walk(seed):
        draw = Sample(seed_words(seed), rows=4 * 3, samples=4)
        z = draw(posterior)
        lower = draw(tfd.Independent(tfd.Normal(z, 1.0), 1))
        assert draw.latents[0].z is z
        return draw.split(z), draw.split(draw.latents[0].log_q), draw.split(lower)

    z, log_q, lower = walk(3)
    assert z.shape == lower.shape == (4, 3, 2)
    assert log_q.shape == (4, 3)
    np.testing.assert_allclose(log_q, posterior.log_prob(z), rtol=1e-5, atol=1e-5)
    for one, again, other in zip((z, log_q, lower), walk(3), walk(4)):
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)
    assert np.abs(np.corrcoef(np.ravel(z), np.ravel(lower - z))[0, 1]) < 0.9


def test_rows_go_draw_by_draw():
    """Row k * B + b is draw k of image b, whichever rows a distribution has."""
    loc = tf.reshape(tf.range(6.0), (3, 2))
    draw = Sample(seed_words(3), rows=4 * 3, samples=4)
    for rows in (loc[:1], loc, draw.repeat(loc)):
        rows = rows[0] if len(rows) == 1 else rows  # one row has no batch
        z, log_q = draw.take(tfd.Independent(tfd.Normal(rows, 1e-6), 1))
        assert log_q.shape == (12,)
        expected = np.broadcast_to(loc[0] if rows.shape.rank == 1 else loc, (4, 3, 2))
        np.testing.assert_allclose(draw.split(z), expected, atol=1e-4)


def test_seeds_beyond_32_bits_differ():
    assert not np.array_equal(seed_words(1), seed_words(1 + 2**32))
    assert seed_words(2**40).shape == (2,)


def test_mean_takes_means():
    mean = Mean(rows=3)
    z = mean(head([0.0, 1.0], [0.0, 0.0]))
    np.testing.assert_array_equal(z, np.tile([0.0, 1.0], (3, 1)))
    assert mean.latents[0].log_q is None
    lower = mean(tfd.Independent(tfd.Normal(z, 1.0), 1))
    assert lower.shape == (3, 2)
    alone = mean(tfd.Independent(tfd.Normal([5.0, 6.0], 1.0), 1))
    np.testing.assert_array_equal(alone, np.tile([5.0, 6.0], (3, 1)))


def test_mean_takes_a_flow_at_its_base_mean():
    base = tfd.Independent(tfd.Normal([[1.0, 2.0]], 1.0), 1)
    z = Mean(rows=1)(tfd.TransformedDistribution(base, tfb.Exp()))
    np.testing.assert_allclose(z, np.exp([[1.0, 2.0]]), rtol=1e-6)


def test_mean_of_a_full_normal_is_its_mean(rng):
    full = FullNormal(2)
    features = rng.normal(size=(3, 4)).astype("float32")
    z = Mean(rows=3)(full(features))
    np.testing.assert_allclose(z, full.loc(features), rtol=1e-6)


def test_heads_of_one_place_each(rng):
    """Feature maps give maps of latents: the same head at every place, one event."""
    head = zoo.DiagonalNormal(2)
    features = rng.normal(size=(3, 4, 5, 6)).astype("float32")
    posterior = head(features)
    assert posterior.batch_shape == (3,)
    assert posterior.event_shape == (4, 5, 2)
    z = rng.normal(size=(3, 4, 5, 2)).astype("float32")
    expected = sum(
        head(features[:, i, j]).log_prob(z[:, i, j]) for i in range(4) for j in range(5)
    )
    np.testing.assert_allclose(posterior.log_prob(z), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("head", "name", "value"),
    [
        ("likelihood", "sigma", 0.3),
        ("likelihood", "support", (0, 1)),
        ("prior", "components", 5),
        ("prior", "loc", 9.0),
    ],
)
def test_what_a_built_head_was_made_with_is_fixed(head, name, value):
    parts = {"likelihood": zoo.Normal(0.5), "prior": zoo.MixturePrior(4, components=3)}
    model = configs.build(**parts)
    model.trainable = False  # as any layer
    with pytest.raises(AttributeError, match=f"`{name}` of a .* is fixed"):
        setattr(getattr(model, f"{head}_head"), name, value)
