"""sigma-VAE: the analytic sigma, its gradient, and that it is frozen when it counts."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests import configs
from zoo.draws import Sample
from zoo.likelihoods.normal import MIN_SIGMA
from zoo.variants.sigma_vae import OptimalNormal, SigmaVAE, optimal_variance

SIGMAS = (1.0, "learned", "optimal", "per_image", "per_pixel")
NUM_VALUES = math.prod(configs.IMAGE)


def build(sigma, **kwargs):
    keras.utils.set_random_seed(0)
    channels = 2 if sigma in ("per_image", "per_pixel") else 1
    encoder = zoo.networks.dense_encoder(configs.IMAGE, units=(32,))
    decoder = zoo.networks.dense_decoder(
        configs.LATENT_DIM, (*configs.IMAGE[:-1], channels), units=(32,)
    )
    return SigmaVAE(encoder, decoder, configs.LATENT_DIM, sigma=sigma, **kwargs)


def at_optimum(loc, x, event_ndims):
    """N(loc, sigma^2) at the sigma that suits x best."""
    sigma = tf.sqrt(optimal_variance(x, loc))
    return configs.tfd.Independent(configs.tfd.Normal(loc, sigma), event_ndims)


def frozen_sigma(model):
    z = tf.zeros((1, configs.LATENT_DIM))
    return float(np.unique(model.likelihood(z, {}).stddev())[0])


def test_optimal_loss_is_its_closed_form(rng):
    x = rng.normal(size=(6, *configs.IMAGE)).astype("float32")
    loc = rng.normal(size=(3, 6, *configs.IMAGE)).astype("float32")
    p = at_optimum(tf.constant(loc), x, event_ndims=3)
    sigma = math.sqrt(np.mean((x - loc) ** 2) + MIN_SIGMA**2)
    expected = NUM_VALUES * (math.log(sigma) + 0.5 * (1 + math.log(2 * math.pi)))
    assert p.log_prob(x).shape == (3, 6)
    # The floor's share of the variance is 3e-6, below float32's error of the sum.
    assert -np.mean(p.log_prob(x)) == pytest.approx(expected, rel=1e-5)


def test_optimal_sigma_is_the_best_one(rng):
    x, loc = rng.normal(size=(2, 6, *configs.IMAGE)).astype("float32")
    p = at_optimum(tf.constant(loc), x, event_ndims=3)
    sigma = math.sqrt(optimal_variance(x, loc))
    losses = [
        -np.mean(configs.tfd.Normal(loc, s * sigma).log_prob(x))
        for s in (0.98, 1, 1.02)
    ]
    assert np.argmin(losses) == 1
    assert losses[1] == pytest.approx(-np.mean(p.log_prob(x)) / NUM_VALUES, rel=1e-6)


def test_gradient_flows_through_sigma(rng):
    """d/dloc D log sigma = D (loc - x) / (N sigma^2), and finite differences agree."""
    x = tf.constant(rng.normal(size=(4, 5)))  # float64
    weights = tf.constant(rng.normal(size=(3, 5)))
    z = tf.constant(rng.normal(size=(4, 3)))

    def loss(weights):
        p = at_optimum(tf.tanh(z @ weights), x, event_ndims=1)
        return -tf.reduce_mean(p.log_prob(x))

    with tf.GradientTape() as tape:
        tape.watch(weights)
        value = loss(weights)
    gradient = tape.gradient(value, weights).numpy()
    step = 1e-5
    numerical = np.zeros_like(gradient)
    for index in np.ndindex(*gradient.shape):
        shift = np.zeros_like(gradient)
        shift[index] = step
        numerical[index] = (loss(weights + shift) - loss(weights - shift)) / (2 * step)
    # Central differences are good to step^2 and to float64's error over the step.
    np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-8)

    loc = tf.tanh(z @ weights)
    with tf.GradientTape() as tape:
        tape.watch(loc)
        value = -tf.reduce_mean(at_optimum(loc, x, event_ndims=1).log_prob(x))
    variance = np.mean((x - loc) ** 2) + MIN_SIGMA**2
    closed_form = 5 * (loc - x) / (20 * variance)
    # Exact but for the floor, 6e-6 of a variance near one.
    np.testing.assert_allclose(tape.gradient(value, loc), closed_form, rtol=1e-4)


def test_training_minimises_the_closed_form():
    """What `fit` reports is D log sigma + const at the batch's own sigma."""
    model = build("optimal")
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    history = model.fit(configs.GREY, batch_size=256, verbose=0).history
    sigma = frozen_sigma(model)  # one batch: its running value is the batch's
    share = 1 - (MIN_SIGMA / sigma) ** 2  # of the error, not the floor, in sigma^2
    expected = NUM_VALUES * (math.log(sigma) + 0.5 * (share + math.log(2 * math.pi)))
    assert history["distortion"][0] == pytest.approx(expected, rel=1e-5)
    total = history["distortion"][0] + history["rate"][0]
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)
    assert history["elbo"][0] == pytest.approx(-total, rel=1e-5)


def test_running_sigma_averages_over_the_steps():
    head = OptimalNormal()
    head.build((None, 4))
    for step, variance in enumerate([4.0, 1.0, 1.0, 2.0]):
        head.update(tf.constant(variance), tf.constant(step))
    np.testing.assert_allclose(head.variance, 2.0, rtol=1e-6)
    head.update(tf.constant(3.0), tf.constant(10_000))
    np.testing.assert_allclose(head.variance, 2.01, rtol=1e-6)


def test_sigma_is_frozen_outside_training():
    model = build("optimal")
    model.compile(configs.optimizer(), jit_compile=False)
    model.fit(configs.GREY, batch_size=64, epochs=2, verbose=0)
    sigma = frozen_sigma(model)
    assert sigma != 1.0
    x = configs.GREY[:64]
    log_w = model.log_weights(x, num_importance_samples=2)
    for batch in (x, x, 0.1 * x):
        model.evaluate(batch, verbose=0)
        assert frozen_sigma(model) == sigma
    again = model.log_weights(x, num_importance_samples=2)
    np.testing.assert_array_equal(again, log_w)


def test_evaluation_uses_the_frozen_sigma_not_the_batchs_own():
    model = build("optimal")
    model.compile(configs.optimizer(), jit_compile=False)
    model.likelihood_head.variance.assign(100.0)  # no error comes near it
    expected = NUM_VALUES * (math.log(10.0) + 0.5 * math.log(2 * math.pi))
    found = model.evaluate(configs.GREY[:64], verbose=0, return_dict=True)
    # The error is below one, and adds less than 1/2 * 1/100 a value.
    assert 0 < found["distortion"] - expected < NUM_VALUES / 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "sigma",
    [
        "optimal",
        "per_pixel",
        *(
            pytest.param(sigma, marks=pytest.mark.slow)
            for sigma in SIGMAS
            if sigma not in ("optimal", "per_pixel")
        ),
    ],
)
def test_constant_images_stay_finite(sigma):
    x = np.full((64, *configs.IMAGE), 0.5, "float32")
    model = build(sigma)
    model.compile(keras.optimizers.Adam(0.03), jit_compile=False)
    history = model.fit(x, batch_size=64, epochs=20, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_perfect_reconstruction_has_a_finite_gradient():
    x = tf.ones((2, 4))
    with tf.GradientTape() as tape:
        tape.watch(x)
        log_p = at_optimum(x, tf.ones((2, 4)), event_ndims=1).log_prob(tf.ones((2, 4)))
    best = -4 * (math.log(MIN_SIGMA) + 0.5 * math.log(2 * math.pi))
    np.testing.assert_allclose(log_p, best, rtol=1e-5)
    np.testing.assert_array_equal(tape.gradient(log_p, x), tf.zeros((2, 4)))


@pytest.mark.slow
def test_learned_sigma_converges_to_the_optimal_one():
    """The decoder fixed: its error alone decides sigma."""
    model = build("learned")
    model.encoder.trainable = model.decoder.trainable = False
    model.posterior_head.trainable = False
    model.compile(keras.optimizers.SGD(1e-3), jit_compile=False)
    model.fit(configs.GREY, batch_size=256, epochs=100, verbose=0)
    x = configs.GREY
    draw = Sample(tf.constant([1, 2]), rows=20 * len(x), samples=20)
    z = model.walk(draw, model.features(x, {}), {})
    loc = draw.split(model.likelihood(z, {}).mean())
    optimal = math.sqrt(np.mean((x - loc) ** 2))
    # Each step draws z anew and moves sigma by a tenth of its error: half a per cent.
    assert frozen_sigma(model) == pytest.approx(optimal, rel=5e-3)


@pytest.fixture(scope="module")
def elbos():
    """ELBO in nats of unseen real digits after the same training, by sigma."""
    found = {}
    for sigma in SIGMAS:
        model = build(sigma)
        model.compile(
            keras.optimizers.Adam(0.01), jit_compile=False, steps_per_execution=6
        )
        keras.utils.set_random_seed(1)
        model.fit(configs.GREY[:192], batch_size=32, epochs=40, verbose=0)
        unseen = configs.GREY[192:]
        found[sigma] = model.evaluate(unseen, verbose=0, return_dict=True)["elbo"]
    return found


@pytest.mark.slow
def test_a_calibrated_sigma_beats_the_unit_one_on_digits(elbos):
    print({sigma: round(elbo, 1) for sigma, elbo in elbos.items()})
    for sigma in ("learned", "optimal", "per_image"):
        assert elbos[sigma] > elbos[1.0] + 30.0
    assert elbos["optimal"] == pytest.approx(elbos["learned"], abs=5.0)
    assert np.isfinite(elbos["per_pixel"])


@pytest.mark.parametrize("sigma", SIGMAS)
def test_config_round_trip(sigma):
    model = build(sigma)
    config = json.loads(json.dumps(model.get_config()))
    copy = SigmaVAE.from_config(config)
    copy.set_weights(model.get_weights())
    assert copy.sigma == sigma
    x = configs.GREY[:4]
    found, expected = (
        m.log_weights(x, num_importance_samples=2) for m in (copy, model)
    )
    np.testing.assert_array_equal(found, expected)


def test_an_unknown_sigma_is_refused():
    with pytest.raises(ValueError, match=r"`sigma` must be.*Received: sigma=best"):
        build("best")
