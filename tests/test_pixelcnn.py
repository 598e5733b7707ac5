"""PixelCNN: what a place may know, probabilities that sum to one, cached sampling."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import zoo
from tests.configs import pixelcnn
from zoo.draws import Sample, seed_words

UPPER = (2, 2, 3)


def restless(model):
    """Weights off their first values, biases among them."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(0, 0.2, weight.shape))
    return model


def upper_codes(n):
    return {"upper": np.random.default_rng(1).integers(0, 3, (n, 2, 2)).astype("int32")}


@pytest.mark.parametrize(
    ("kernel_size", "heads", "upper"),
    [(3, 0, None), (5, 0, None), (3, 2, None), (3, 0, (2, 1, 3))],
)
def test_a_place_knows_all_that_comes_before_it_and_nothing_else(
    kernel_size, heads, upper
):
    """Every place is changed in turn, and the logits that move are those after it."""
    options = {"kernel_size": kernel_size, "attention_heads": heads, "upper": upper}
    model = restless(pixelcnn((4, 5), depth=2 if heads else 5, **options))
    x = np.random.default_rng(0).integers(0, 5, (1, 4, 5)).astype("int32")
    given = {} if upper is None else {"upper": np.int32([[[0], [2]]])}
    before = model.logits(x, given).numpy().reshape(20, 5)
    for place in range(20):
        changed = x.reshape(1, 20).copy()
        changed[0, place] = (changed[0, place] + 1) % 5
        after = model.logits(changed.reshape(x.shape), given).numpy().reshape(20, 5)
        moved = np.abs(after - before).max(axis=-1) > 0
        assert not moved[: place + 1].any()
        assert moved[place + 1 :].all()


@pytest.mark.parametrize("heads", [0, 2])
def test_no_gradient_comes_from_what_is_later(heads):
    model = restless(pixelcnn((2, 3), depth=3, attention_heads=heads))
    embed, maps = model.embedding, tf.random.stateless_normal((1, 2, 3, 8), (0, 1))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        model.embedding = lambda x: maps
        logits = tf.reshape(model.logits(None, {}), [1, 6, -1])
    model.embedding = embed
    jacobian = np.reshape(tape.jacobian(logits, maps), (6, -1, 6, 8))
    depends = np.abs(jacobian).max(axis=(1, 3)) > 0
    np.testing.assert_array_equal(depends, np.tri(6, k=-1, dtype=bool))


@pytest.mark.parametrize(("heads", "upper"), [(0, None), (2, None), (0, (1, 2, 3))])
def test_probabilities_sum_to_one(heads, upper):
    options = {"levels": 3, "attention_heads": heads, "upper": upper}
    model = restless(pixelcnn((2, 2), **options))
    x = np.array(list(itertools.product(range(3), repeat=4)), "int32")
    given = (
        None if upper is None else {"upper": np.tile(np.int32([[[0, 2]]]), (81, 1, 1))}
    )
    p = np.exp(model.log_prob(x.reshape(-1, 2, 2), given))
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
    assert p.std() > 0.001


@pytest.mark.parametrize(("upper", "heads"), [(None, 0), (UPPER, 0), (UPPER, 2)])
def test_cached_sampling_is_the_naive_one(upper, heads):
    options = {"kernel_size": 5, "depth": 3, "attention_heads": heads}
    model = restless(pixelcnn((4, 6), upper=upper, **options))
    given = {} if upper is None else upper_codes(3)
    cached = model.sample(3, given, seed=7).numpy()
    gumbel = tfd.Sample(tfd.Gumbel(0.0, 1.0), (4, 6, 5))
    noise, _ = Sample(seed_words(7), 3).take(gumbel)
    x = np.zeros([3, 4, 6], "int32")
    for i, j in itertools.product(range(4), range(6)):
        sums = model.logits(x, given)[:, i, j] + noise[:, i, j]
        x[:, i, j] = np.argmax(sums, axis=-1)
    np.testing.assert_array_equal(cached, x)
    assert len(np.unique(cached)) > 2


def test_draws_follow_their_probabilities():
    model = restless(pixelcnn((1, 2), levels=2))
    x = np.int32([[[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]])
    p = np.exp(model.log_prob(x))
    drawn = model.sample(4000, seed=0).numpy().reshape(-1, 2) @ [2, 1]
    share = np.bincount(drawn, minlength=4) / 4000
    np.testing.assert_allclose(share, p, atol=4 * 0.5 / np.sqrt(4000))


def test_a_seed_for_each_map():
    model = restless(pixelcnn())
    each = model.sample(2, seed=[5, 7])
    np.testing.assert_array_equal(each[1], model.sample(1, seed=[7])[0])


@pytest.mark.slow
def test_it_learns_a_pattern_and_what_it_is_given():
    """Lower codes that repeat the upper ones cost nothing once that is learned."""
    upper = upper_codes(256)
    x = upper["upper"].repeat(2, axis=1).repeat(2, axis=2)
    model = pixelcnn(levels=3, upper=UPPER, channels=16)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit({"x": x, **upper}, batch_size=32, epochs=12, verbose=0)
    log_p = model.log_prob(x[:64], {"upper": upper["upper"][:64]})
    assert np.mean(log_p) > -0.5  # 16 places at random: -17.6
    drawn = model.sample(64, {"upper": upper["upper"][:64]}, seed=1)
    assert np.mean(drawn == x[:64]) > 0.97


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 1}, "`levels` must be at least 2"),
        ({"kernel_size": 4}, "`kernel_size` must be odd"),
        ({"upper": (3, 2, 4)}, "must be a multiple of that of `upper`"),
        ({"depth": 0}, "`depth` must be at least 1"),
        ({"attention_heads": 3}, "`attention_heads` must divide `channels`"),
        ({"attention_heads": -1}, "`attention_heads` must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pixelcnn(**options)


def test_codes_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"`levels`|support|must lie in \[0, 4\]"):
        pixelcnn().log_prob(np.full([1, 4, 4], 5, "int32"))


def test_saved_and_loaded(tmp_path):
    model = restless(pixelcnn(upper=UPPER))
    copy = zoo.load(zoo.presets.save(model, tmp_path / "prior"))
    given = upper_codes(2)
    np.testing.assert_array_equal(
        copy.sample(2, given, seed=3), model.sample(2, given, seed=3)
    )
    (same,) = copy.encode(model.sample(2, given), given)
    np.testing.assert_array_equal(copy.decode(same, given=given), same)


def test_half_precision_networks_sample_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert pixelcnn(upper=UPPER).sample(2, upper_codes(2)).shape == (2, 4, 4)
