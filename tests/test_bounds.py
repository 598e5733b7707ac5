"""Exactness: against closed forms, SciPy, finite differences and hand sums."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

import zoo
from tests.configs import LinearGaussian
from zoo import bounds
from zoo.bounds import Latent
from zoo.draws import Draw, Sample, seed_words
from zoo.objectives import ELBO

tfd = tfp.distributions

FLOAT32 = 1e-4  # relative: sums of tens of float32 terms


def walk(model, x, num_samples, seed=0):
    """The draw that has walked through a model, and its log p(x|z), `[K*B]`."""
    draw, x = (
        Sample(seed_words(seed), num_samples * len(x), num_samples),
        tf.constant(x),
    )
    out = model.walk(draw, model.features(x, {}), {})
    return draw, model.likelihood(out, {}).log_prob(draw.repeat(x))


def normal_latent(loc, scale, num_samples):
    """Draws of N(loc, scale^2) against N(0, I), as a diagonal and as a full normal."""
    prior = tfd.Independent(tfd.Normal(tf.zeros(len(loc[0])), 1.0), 1)
    diagonal = tfd.Independent(tfd.Normal(loc, scale), 1)
    full = tfd.MultivariateNormalTriL(loc, tf.linalg.diag(scale))
    latents = []
    for posterior in (diagonal, full):
        z = posterior.sample(num_samples, seed=(1, 2))
        log_q = tf.reshape(posterior.log_prob(z), [-1])
        z = tf.reshape(z, [-1, z.shape[-1]])
        latents.append(Latent(z, log_q, posterior, prior))
    return latents


@pytest.mark.parametrize(
    ("orthogonal", "head"),
    [
        (True, "exact"),
        pytest.param(True, "full", marks=pytest.mark.slow),
        (False, "full"),
    ],
)
def test_exact_posterior_makes_every_bound_exact(orthogonal, head):
    linear = LinearGaussian.make(orthogonal)
    model, x = linear.model(head), linear.data(16)
    exact = linear.marginal.logpdf(x)
    log_w = model.log_weights(x, num_importance_samples=8)
    np.testing.assert_allclose(log_w, np.tile(exact, (8, 1)), rtol=FLOAT32)
    np.testing.assert_allclose(bounds.iw_elbo(log_w), exact, rtol=FLOAT32)
    for num_samples, chunk in ((1, 1), (1, 32), (7, 3), (8, 4), (33, 32)):
        estimate = model.log_prob(x, num_importance_samples=num_samples, chunk=chunk)
        np.testing.assert_allclose(estimate, exact, rtol=FLOAT32)


def test_elbo_of_the_exact_posterior():
    """Without an analytic rate every draw's ELBO is log p(x) itself."""
    linear = LinearGaussian.make(orthogonal=False)
    model, x = linear.model("full"), linear.data(16)
    draw, log_p = walk(model, x, 3)
    elbo = draw.split(log_p - bounds.rate(*draw.latents))
    exact = np.tile(linear.marginal.logpdf(x), (3, 1))
    np.testing.assert_allclose(elbo, exact, rtol=FLOAT32)


def test_elbo_of_the_exact_posterior_with_an_analytic_rate():
    linear = LinearGaussian.make(orthogonal=True)
    model, x = linear.model("exact"), linear.data(16)
    draw, log_p = walk(model, x, 4000)
    elbo = np.mean(draw.split(log_p - bounds.rate(*draw.latents)), axis=0)
    error = np.std(draw.split(log_p), axis=0) / np.sqrt(4000)
    # 5 standard errors: 16 images at once
    np.testing.assert_array_less(np.abs(elbo - linear.marginal.logpdf(x)), 5 * error)


def test_evaluate_reports_the_mean_elbo():
    linear = LinearGaussian.make(orthogonal=False)
    model, x = linear.model("full"), linear.data(24)
    model.compile(jit_compile=False)
    result = model.evaluate(x, batch_size=8, verbose=0, return_dict=True)
    exact = linear.marginal.logpdf(x).mean()
    np.testing.assert_allclose(result["elbo"], exact, rtol=FLOAT32)
    np.testing.assert_allclose(result["loss"], -exact, rtol=FLOAT32)
    np.testing.assert_allclose(result["rate"] + result["distortion"], -exact, FLOAT32)


def test_iw_elbo_rises_to_the_exact_value():
    linear = LinearGaussian.make(orthogonal=True)
    model, x = linear.model("wrong"), linear.data(1)
    exact = linear.marginal.logpdf(x).item()
    log_w = model.log_weights(x, num_importance_samples=512 * 400)[:, 0]
    means, errors = [], []
    for num_samples in (1, 8, 64, 512):
        values = bounds.iw_elbo(tf.reshape(log_w, [num_samples, -1])).numpy()
        means.append(values.mean())
        errors.append(values.std() / np.sqrt(len(values)))
    assert (np.diff(means) > 4 * np.array(errors[1:])).all()
    assert (np.array(means) < exact + 4 * np.array(errors)).all()
    # the gap at K is about variance(w / p(x)) / (2 K)
    spread = np.exp(log_w - exact).var()
    assert exact - means[-1] < spread / 512 + 4 * errors[-1]
    assert exact - means[0] > 1  # so there was something to gain


def test_analytic_and_sampled_rate_agree(rng):
    loc = rng.normal(size=(3, 4)).astype("float32")
    scale = rng.uniform(0.3, 1.5, size=(3, 4)).astype("float32")
    diagonal, full = normal_latent(loc, scale, 4000)
    rates = (bounds.rate(latent).numpy() for latent in (diagonal, full))
    analytic, sampled = (rate.reshape(4000, 3) for rate in rates)
    by_hand = (-np.log(scale) + (scale**2 + loc**2 - 1) / 2).sum(-1)
    np.testing.assert_allclose(analytic, np.tile(by_hand, (4000, 1)), rtol=FLOAT32)
    assert sampled.std(axis=0).min() > 0.1  # no closed form was used
    error = sampled.std(axis=0) / np.sqrt(4000)
    np.testing.assert_array_less(np.abs(sampled.mean(axis=0) - by_hand), 4 * error)


def test_the_rates_of_a_draw_are_those_of_its_layers(rng):
    draw = Draw(rows=5 * 3, samples=5)
    draw.latents = normal_latent(
        rng.normal(size=(3, 4)).astype("float32"), np.ones((3, 4), "float32"), 5
    )
    total = tf.add_n(draw.rates)
    assert total.shape == (5 * 3,)
    np.testing.assert_allclose(total, sum(map(bounds.rate, draw.latents)), rtol=1e-6)


def test_every_row_meets_its_own_image_s_distribution(rng):
    loc = rng.normal(size=(3, 4)).astype("float32")
    z = rng.normal(size=(5 * 3, 4)).astype("float32")
    by_hand = stats.norm.logpdf(z, np.tile(loc, (5, 1))).sum(-1)
    for rows in (loc, np.tile(loc, (5, 1))):  # one for each image, one for each draw
        normal = tfd.Independent(tfd.Normal(rows, 1.0), 1)
        log_prob = bounds.log_prob(normal, tf.constant(z))
        np.testing.assert_allclose(log_prob, by_hand, rtol=FLOAT32)


def test_log_weights_sum_events_as_scipy_does():
    linear = LinearGaussian.make(orthogonal=True)
    model, x = linear.model("wrong"), linear.data(4)
    draw, _ = walk(model, x, 3, seed=5)
    z = draw.split(draw.latents[0].z).numpy()
    mean = z @ linear.weights + linear.bias
    by_hand = (
        stats.norm.logpdf(x, mean, linear.sigma).sum(-1)
        + stats.norm.logpdf(z).sum(-1)
        - stats.norm.logpdf(z, 0, 1.1).sum(-1)
    )
    log_w = model.log_weights(x, num_importance_samples=3, seed=5)
    np.testing.assert_allclose(log_w, by_hand, rtol=FLOAT32)


def blind_vae(scale, **kwargs):
    """A VAE whose decoder ignores z and whose loc is x: no term needs sampling."""
    linear = LinearGaussian(np.zeros((2, 2)), np.array([0.3, -0.2]), 0.5)
    model = linear.model("wrong", **kwargs)
    raw_scale = np.log(np.expm1(scale - model.posterior_head.min_scale))
    model.posterior_head.set_weights(
        [np.eye(2, 4), np.array([0, 0, raw_scale, raw_scale])]
    )
    return model


def blind_terms(x, scale):
    """The distortion and the rate `[B]` of `blind_vae`."""
    distortion = -stats.norm.logpdf(x, [0.3, -0.2], 0.5).sum(-1)
    rate = (-np.log(scale) + (scale**2 + x**2 - 1) / 2).sum(-1)
    return distortion, rate


@pytest.mark.parametrize("num_samples", [1, 3])
def test_training_loss_is_the_batch_mean_of_event_sums(rng, num_samples):
    x = rng.normal(size=(6, 2)).astype("float32")
    model = blind_vae(0.8, objective=ELBO(beta=2.5, num_samples=num_samples))
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    logs = model.fit(x, batch_size=6, verbose=0).history
    distortion, rate = (term.mean() for term in blind_terms(x, 0.8))
    np.testing.assert_allclose(logs["loss"], distortion + 2.5 * rate, rtol=FLOAT32)
    np.testing.assert_allclose(logs["distortion"], distortion, rtol=FLOAT32)
    np.testing.assert_allclose(logs["rate"], rate, rtol=FLOAT32)
    np.testing.assert_allclose(logs["elbo"], -(distortion + rate), rtol=FLOAT32)


def test_free_bits_takes_the_batch_mean_first():
    rate = tf.constant([[0.0, 4.0]])
    assert bounds.free_bits(rate, 1.0) == 2.0  # not (max(0, 1) + max(4, 1)) / 2
    assert bounds.free_bits(rate, 3.0) == 3.0
    assert bounds.free_bits(rate, 0.0) == 2.0


@pytest.mark.parametrize("floor", [0.5, 5.0])
def test_free_bits_in_the_training_loss(floor):
    x = np.array([[0.1, 0.0], [2.0, 1.0]], "float32")
    distortion, rate = blind_terms(x, 0.99)
    assert rate[0] < 0.5 < rate.mean() < 5.0  # the order of mean and maximum matters
    model = blind_vae(0.99, objective=ELBO(free_bits=floor))
    model(x)
    model.compute_loss(x)  # counts the metrics
    expected = distortion.mean() + max(floor, rate.mean())
    np.testing.assert_allclose(sum(model.losses), expected, rtol=FLOAT32)
    reported = model._reports.means["rate"].result()
    np.testing.assert_allclose(reported, rate.mean(), rtol=FLOAT32)


def test_no_free_bits_leave_a_sampled_rate_unbiased():
    """One draw of log q - log p may be negative; a maximum with 0 would bias it."""
    rate = tf.constant([[-1.0, 0.25]])
    assert bounds.free_bits(rate, 0.0) == -0.375


def test_bits_per_dim():
    # 8 dimensions at half a nat each are half a nat over log 2 bits
    bits = bounds.bits_per_dim(tf.constant([-4.0, -8.0]), (2, 2, 2))
    np.testing.assert_allclose(bits, [0.5 / np.log(2), 1 / np.log(2)], rtol=1e-6)


def test_iw_elbo_by_hand():
    log_w = tf.math.log([[1.0, 2.0], [3.0, 2.0]])
    np.testing.assert_allclose(bounds.iw_elbo(log_w), np.log([2.0, 2.0]), rtol=1e-6)


def test_iw_elbo_does_not_overflow():
    log_w = tf.constant([[-5000.0], [-5001.0]])
    expected = -5000 + np.log((1 + np.exp(-1)) / 2)
    np.testing.assert_allclose(bounds.iw_elbo(log_w), [expected], rtol=1e-6)


@pytest.mark.parametrize("head", ["analytic", "sampled"])
def test_gradient_is_the_finite_difference(head, rng):
    linear = LinearGaussian.make(orthogonal=True, data_dim=3)
    head = "wrong" if head == "analytic" else "full"
    model = linear.model(head, objective=ELBO(num_samples=2))
    x = linear.data(5)
    start = [variable.numpy() for variable in model.non_trainable_variables]

    def loss():
        for variable, value in zip(model.non_trainable_variables, start):
            variable.assign(value)  # the same noise each time
        model(x)
        return tf.add_n(model.losses)

    with tf.GradientTape() as tape:
        value = loss()
    variables = model.trainable_variables
    gradients = tape.gradient(value, variables)
    assert all(gradient is not None for gradient in gradients)
    for variable, gradient in zip(variables, gradients):
        direction = rng.choice([-1.0, 1.0], size=variable.shape).astype("float32")
        origin, step = variable.numpy(), 1e-2
        if variable.path.endswith("/scale"):
            direction = np.tril(direction)  # what lies above is not read
        variable.assign(origin + step * direction)
        above = loss()
        variable.assign(origin - step * direction)
        difference = (above - loss()) / (2 * step)
        variable.assign(origin)
        # float32 losses of about 10 over a step of 0.02, and curvature
        expected = np.sum(direction * gradient)
        np.testing.assert_allclose(difference, expected, rtol=5e-3, atol=5e-3)


def test_bernoulli_elbo_of_a_known_image():
    """Logits log 3 give white 3/4: two white and one black pixel by hand."""
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    decoder.set_weights([np.zeros((2, 3)), np.full(3, np.log(3.0))])
    model = zoo.VAE(encoder, decoder, 2)
    x = np.array([[1.0, 1.0, 0.0]], "float32")
    model(x)
    model.compute_loss(x)  # counts the metrics
    expected = -np.log(0.75 * 0.75 * 0.25)
    reported = model._reports.means["distortion"].result()
    np.testing.assert_allclose(reported, expected, rtol=1e-6)


def test_active_units_are_those_that_x_moves_from_the_prior():
    """By hand: of -a, 0, a the variance is 2 a^2 / 3."""
    moves = tf.constant([-1.0, 0.0, 1.0])[:, None]

    def normals(loc, scale):
        return tfd.Independent(tfd.Normal(loc, scale), loc.shape.rank - 1)

    draw = Draw(3)
    # Variances 0, 0.0096, 0.0104 and 6, about other means.
    sizes = tf.constant([[0.0, 0.12, 0.125, 3.0]])
    top = normals(moves * sizes + [[0.0, 1.0, 2.0, 3.0]], tf.fill([3, 4], 0.5))
    standard = tfd.Independent(tfd.Normal(tf.zeros(4), 1.0), 1)
    draw.latents.append(bounds.Latent(top.mean(), None, top, standard))
    # Maps of 2 x 1 places with 2 channels, whose priors vary by themselves.
    prior_loc = 5.0 * tf.reshape(moves, [3, 1, 1, 1]) + tf.zeros([3, 2, 1, 2])
    scale = tf.reshape(tf.constant([1.0, 10.0, 10.0, 0.1]), [1, 2, 1, 2])
    scale = tf.repeat(scale, 3, axis=0)
    change = tf.reshape(moves * [[0.0, 1.0, 2.0, 0.02]], [3, 2, 1, 2])
    below = normals(prior_loc + change, tf.ones_like(scale))
    prior = normals(prior_loc, scale)
    draw.latents.append(bounds.Latent(below.mean(), None, below, prior))
    # Of the lower one 0, 0.0067, 0.0267 and 0.0267 in the prior's units.
    assert [float(count) for count in draw.active_units] == [2.0, 2.0]
    below = tfd.Independent(tfd.Laplace(tf.zeros([3, 4]), 1.0), 1)
    draw.latents.append(bounds.Latent(top.mean(), None, top, below))
    with pytest.raises(ValueError, match="must be a diagonal normal"):
        _ = draw.active_units
