"""Layers of latents: what both ways to infer them share, and bottom-up inference."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import zoo
from tests.configs import BINARY, LATENT_DIM, build, optimizer, shapes
from zoo import bounds
from zoo.draws import Sample, batch_seed, seed_words
from zoo.evaluation import information
from zoo.heads import ConditionalNormal
from zoo.objectives import ELBO
from zoo.variants.hierarchical_vae import HierarchicalVAE
from zoo.variants.ladder_vae import LadderVAE

BOTH = pytest.mark.parametrize("cls", [HierarchicalVAE, LadderVAE])
TWO_LAYERS = {"upper_dims": (2,), "upper_units": (6,)}  # quicker to compile
THREE_LAYERS = {"upper_dims": (4, 2), "upper_units": (8, 6)}
ROUNDING = 1e-4  # relative, float32 against float64 sums of some hundred terms


def train(model, epochs=1, run_eagerly=True, jit_compile=False):
    """Epochs of four steps on digits; for so few, tracing would take longest."""
    model.compile(optimizer(), run_eagerly=run_eagerly, jit_compile=jit_compile)
    keras.utils.set_random_seed(1)  # the order of the batches
    return model.fit(BINARY[:128], batch_size=32, epochs=epochs, verbose=0).history


@pytest.fixture(scope="module", params=[HierarchicalVAE, LadderVAE])
def trained(request):
    """Three layers after one epoch: weights and statistics off their initial values."""
    model = build(request.param, **THREE_LAYERS)
    train(model)
    return model


def inferred(model, x, samples=1, seed=0):
    """The record of a walk with K draws of every image, and what it returned."""
    x = tf.constant(x)
    draw = Sample(seed_words(seed), samples * len(x), samples)
    return draw, model.walk(draw, model.features(x, {}), {})


def forward(network, y):
    """The Keras network in inference mode, in NumPy and float64."""
    if hasattr(network, "layers"):
        for layer in network.layers:
            y = forward(layer, y)
        return y
    weights = [np.float64(weight) for weight in network.get_weights()]
    if isinstance(network, keras.layers.Dense):
        return y @ weights[0] + (weights[1] if network.use_bias else 0.0)
    if isinstance(network, keras.layers.BatchNormalization):
        gamma, beta, mean, variance = weights
        return gamma * (y - mean) / np.sqrt(variance + network.epsilon) + beta
    if isinstance(network, keras.layers.Activation):
        return np.maximum(y, 0)
    if isinstance(network, keras.layers.LeakyReLU):
        return np.where(y > 0, y, 0.1 * y)
    if isinstance(network, keras.layers.Flatten):
        return y.reshape(len(y), -1)
    if isinstance(network, keras.layers.Reshape):
        return y.reshape(-1, *network.target_shape)
    return y


def moments(head, y):
    """Mean and variance that a `ConditionalNormal` makes of y, in NumPy."""
    loc, raw = np.split(forward(head.params, forward(head.hidden, y)), 2, axis=-1)
    return loc, np.log1p(np.exp(raw)) + head.min_variance


def normal_rate(q, p):
    """KL(q || p) of diagonal normals given as (mean, variance), `[..., D] -> [...]`."""
    (mu_q, var_q), (mu_p, var_p) = q, p
    terms = np.log(var_p / var_q) + (var_q + (mu_q - mu_p) ** 2) / var_p - 1
    return 0.5 * terms.sum(-1)


def layer_priors(model, draws):
    """Mean and variance of p(z_i|z_{i+1}), top first, given z top first, in NumPy."""
    top = (np.zeros(draws[0].shape[-1]), np.ones(draws[0].shape[-1]))
    return [top, *(moments(c, z) for c, z in zip(model.conditionals, draws))]


def log_ratio(z, q, p):
    """log q(z) - log p(z) of diagonal normals given as (mean, variance)."""
    q, p = (stats.norm(loc, np.sqrt(variance)) for loc, variance in (q, p))
    return (q.logpdf(z) - p.logpdf(z)).sum(-1)


def check_against_numpy(model, posteriors_of, num_analytic):
    """Rates of every layer, ELBO and log weights, recomputed at the model's own z.

    `posteriors_of(features, draws, priors)` gives each layer's mean and variance. The
    rates of the upper `num_analytic` layers are analytic, the others sampled.
    """
    x = BINARY[:8]
    draw, z_1 = inferred(model, x, samples=3, seed=5)
    draws = [np.float64(draw.split(latent.z)) for latent in draw.latents]
    priors = layer_priors(model, draws)
    features = forward(model.encoder, np.float64(x))
    posteriors = posteriors_of(features, draws, priors)
    ratios = [log_ratio(*layer) for layer in zip(draws, posteriors, priors)]
    rates = [normal_rate(*layer) for layer in zip(posteriors, priors)]
    rates[num_analytic:] = ratios[num_analytic:]
    for latent, rate in zip(draw.latents, rates):
        found, expected = draw.split(bounds.rate(latent)), np.broadcast_to(rate, (3, 8))
        np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)

    logits = [forward(model.decoder, z) for z in draws[-1]]
    log_p = (x * logits - np.logaddexp(0, logits)).sum((-3, -2, -1))
    likelihood = model.likelihood(z_1, {})
    terms = model.terms(draw, likelihood.log_prob(draw.repeat(tf.constant(x))))
    distortion = draw.split(terms["distortion"])
    np.testing.assert_allclose(distortion, -log_p, rtol=ROUNDING)
    total = sum(np.mean(rate) for rate in rates)
    np.testing.assert_allclose(terms["beta_rate"], total, rtol=ROUNDING)

    found, expected = weights(model, x, 3, seed=5), log_p - sum(ratios)
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)


def weights(model, x, samples, seed=0):
    return model.log_weights(x, num_importance_samples=samples, seed=seed)


class LinearToy:
    """z_2 -> z_1 -> x, linear and normal, with diagonal posteriors.

    z_2 ~ N(0, I), z_1 = A z_2 + a + s e, x = W z_1 + b + sigma e'. A maps axes to axes
    and W is w times an isometry, so that each true posterior is a diagonal normal.
    """

    DATA_DIM, S, W, SIGMA = 5, 0.5, 1.3, 0.6
    A = np.array([[1.2, 0.0, 0.0], [0.0, -0.7, 0.0]])  # [2, 3]

    def __init__(self):
        rng = np.random.default_rng(0)
        orthonormal = np.linalg.qr(rng.normal(size=(self.DATA_DIM, 3)))[0].T
        self.weights, self.bias = self.W * orthonormal, rng.normal(size=self.DATA_DIM)
        self.offset = rng.normal(size=3)
        self.cov_1 = self.A.T @ self.A + self.S**2 * np.eye(3)  # of z_1
        cov = self.weights.T @ self.cov_1 @ self.weights
        mean = self.offset @ self.weights + self.bias
        noise = self.SIGMA**2 * np.eye(self.DATA_DIM)
        self.marginal = stats.multivariate_normal(mean, cov + noise)
        self.x = self.marginal.rvs(8, random_state=1).astype("float32")
        # x as a normal measurement of z_1: mean x @ kernel + shift and its variance.
        self.kernel = self.weights.T / self.W**2
        self.shift = -self.bias @ self.kernel
        self.noise = np.full(3, self.SIGMA**2 / self.W**2)

    def generative(self, cls):
        """The model with the true decoder and the true p(z_1|z_2)."""
        encoder = keras.Sequential(
            [keras.Input((self.DATA_DIM,)), keras.layers.Identity()]
        )
        decoder = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(self.DATA_DIM)]
        )
        decoder.set_weights([self.weights, self.bias])
        model = cls(
            encoder,
            decoder,
            3,
            upper_dims=(2,),
            upper_units=(2 * self.DATA_DIM,),
            batch_norm=False,
            likelihood=zoo.Normal(self.SIGMA),
        )
        set_linear(model.conditionals[0], self.A, self.offset, self.S**2)
        return model

    def model(self, cls, widen: float = 1.0):
        """With the true posterior, its variances multiplied by `widen`."""
        model = self.generative(cls)
        if cls is LadderVAE:
            # z_1 is measured by x, z_2 by that measurement.
            set_linear(model.posterior_head, self.kernel, self.shift, self.noise)
            noise = self.S**2 + self.noise
            variance = 1 / (1 + (self.A**2 / noise).sum(1))
            kernel = (self.A / noise).T * variance
            set_identity(model.bottom_up[0], self.DATA_DIM)
            set_linear(
                model.evidence_heads[0],
                rectified(self.kernel @ kernel, 2 * self.DATA_DIM),
                (self.shift - self.offset) @ kernel,
                widen * variance,
            )
        else:
            prior_variance = np.diag(self.cov_1)
            variance = 1 / (1 / prior_variance + 1 / self.noise)
            set_linear(
                model.posterior_head,
                self.kernel * variance / self.noise,
                self.shift * variance / self.noise
                + self.offset * variance / prior_variance,
                widen * variance,
            )
            variance = 1 / (1 + (self.A**2 / self.S**2).sum(1))
            kernel = (self.A / self.S**2).T * variance
            set_linear(model.bottom_up[0], kernel, -self.offset @ kernel, variance)
        return model


def set_identity(network, dim):
    """Makes an MLP of leaky rectifiers return a linear map of y: see `rectified`."""
    first, second = (linear.layers[0] for linear in network.layers[::2])
    units = first.units
    split = np.zeros((dim, units))
    split[:, : 2 * dim] = np.concatenate([np.eye(dim), -np.eye(dim)], axis=1)
    first.set_weights([split, np.zeros(units)])
    second.set_weights([rectified(split, units), np.zeros(units)])


def rectified(kernel, units):
    """A kernel `[units, D]` that undoes the rectifier: f(y) - f(-y) = 1.1 y."""
    padding = np.zeros((units - 2 * len(kernel), kernel.shape[1]))
    return np.concatenate([kernel, -kernel, padding]) / 1.1


def set_linear(head, kernel, offset, variance):
    """Makes a head N(y @ kernel + offset, variance)."""
    if hasattr(head.hidden, "layers"):
        set_identity(head.hidden, len(kernel))
        kernel = rectified(kernel, head.hidden.output_shape[-1])
    variance = np.broadcast_to(variance, offset.shape)
    raw = np.log(np.expm1(variance - head.min_variance))
    kernel = np.concatenate([kernel, np.zeros_like(kernel)], axis=1)
    head.params.layers[0].set_weights([kernel, np.concatenate([offset, raw])])


def test_bottom_up_inference_equals_numpy():
    model = build(HierarchicalVAE, **THREE_LAYERS)
    train(model)

    def posteriors_of(features, draws, priors):
        bottom = moments(model.posterior_head, features)
        upper = [moments(q, z) for q, z in zip(model.bottom_up, draws[::-1])]
        return [bottom, *upper][::-1]

    check_against_numpy(model, posteriors_of, num_analytic=1)


@BOTH
def test_true_posterior_weighs_every_sample_the_same(cls):
    toy = LinearToy()
    log_w = weights(toy.model(cls), toy.x, 50)
    expected = np.broadcast_to(toy.marginal.logpdf(toy.x), log_w.shape)
    np.testing.assert_allclose(log_w, expected, rtol=1e-4, atol=1e-4)  # float32


@BOTH
def test_log_prob_rises_to_the_exact_value(cls):
    toy = LinearToy()
    model = toy.model(cls, widen=4.0)
    exact = toy.marginal.logpdf(toy.x)
    log_w = np.float64(weights(model, toy.x, 4000))
    few, more, many = (
        np.logaddexp.reduce(log_w.reshape(-1, k, 8), axis=1).mean(0) - np.log(k)
        for k in (1, 8, 4000)
    )
    # The gaps exceed the standard errors of 4000 and 500 values more than fivefold.
    assert (few + 0.1 < more).all()
    assert (more < exact - 0.01).all()
    # Weights of about unit variance: 5 / sqrt(4000).
    np.testing.assert_allclose(many, exact, atol=0.08)
    options = {"num_importance_samples": 4000, "seed": 1, "chunk": 1000}
    streamed = model.log_prob(toy.x, **options)
    np.testing.assert_allclose(streamed, exact, atol=0.08)


@BOTH
def test_ancestral_samples_have_the_models_moments(cls):
    toy, n = LinearToy(), 20_000
    draw = Sample(seed_words(0), n)
    z_1 = toy.generative(cls).walk(draw)
    z_2 = draw.latents[0].z
    # Five standard errors: of a mean sd / sqrt(n), of a covariance at most
    # var * sqrt(2 / n).
    np.testing.assert_allclose(np.mean(z_2, 0), np.zeros(2), atol=5 / np.sqrt(n))
    np.testing.assert_allclose(np.mean(z_1, 0), toy.offset, atol=6.5 / np.sqrt(n))
    cov = np.cov(z_1, rowvar=False)
    np.testing.assert_allclose(cov, toy.cov_1, atol=5 * 1.7 * np.sqrt(2 / n))
    cross = np.cov(z_2, z_1, rowvar=False)[:2, 2:]
    np.testing.assert_allclose(cross, toy.A, atol=5 * 1.7 * np.sqrt(2 / n))


@pytest.mark.slow
def test_sampled_rates_agree_with_analytic_ones(trained):
    draw, _ = inferred(trained, BINARY[:2], samples=20_000)
    for latent in draw.latents:
        sampled = latent.log_q - bounds.log_prob(latent.prior, latent.z)
        difference = np.float64(draw.split(sampled - bounds.rate(latent)))
        error = difference.std(0) / np.sqrt(len(difference))
        assert (abs(difference.mean(0)) <= 5 * error).all()


@pytest.mark.slow
def test_only_the_plain_hierarchy_samples_its_lower_rates(trained):
    """There z_2 tells about z_1, and KL(q(z_1|x) || p(z_1|z_2)) is not the rate."""
    draw, _ = inferred(trained, BINARY[:2], samples=4)
    top, *lower = draw.latents
    spread = np.ptp(draw.split(bounds.rate(top)), axis=0)
    assert (spread == 0).all() == (type(trained) is LadderVAE)
    for latent in lower:
        ratio = latent.log_q - bounds.log_prob(latent.prior, latent.z)
        same = np.array_equal(bounds.rate(latent), ratio)
        assert same == (type(trained) is HierarchicalVAE)


@pytest.mark.slow
def test_shapes_are_listed_top_first(trained):
    x = BINARY[:4]
    codes = trained.encode(x)
    assert [code.shape for code in codes] == [(4, 2), (4, 4), (4, LATENT_DIM)]
    assert shapes(trained) == {"z_3": (2,), "z_2": (4,), "z_1": (LATENT_DIM,)}
    latents = inferred(trained, x, samples=5)[0].latents
    sizes = (2, 4, LATENT_DIM)
    assert [latent.z.shape for latent in latents] == [(5 * 4, size) for size in sizes]
    assert [latent.log_q.shape for latent in latents] == [(5 * 4,)] * 3
    assert trained.decode(*codes).shape == x.shape
    assert trained.sample(6).shape == (6, *x.shape[1:])
    assert trained.log_prob(x, num_importance_samples=5, chunk=2).shape == (4,)
    np.testing.assert_array_equal(trained.reconstruct(x), trained.decode(*codes))


def test_answers_use_the_moving_statistics(trained):
    """What an image is told does not depend on the others in its batch."""
    together = trained.encode(BINARY[:4])
    alone = trained.encode(BINARY[:1])
    for one, many in zip(alone, together):
        np.testing.assert_allclose(one, many[:1], rtol=1e-5, atol=1e-6)  # float32


@pytest.mark.slow
def test_information_reports_every_layer(trained):
    report = information(trained, BINARY, batch_size=len(BINARY), seed=9)
    codes = [code.numpy() for code in trained.encode(BINARY)]
    assert report["active_units"] == [int((c.var(0) > 0.01).sum()) for c in codes]
    draw, _ = inferred(trained, BINARY, seed=batch_seed(9, 0))
    rates = [np.mean(bounds.rate(latent)) for latent in draw.latents]
    found = [report[f"rate_{i}"] for i in (3, 2, 1)]
    np.testing.assert_allclose(found, rates, rtol=ROUNDING)
    np.testing.assert_allclose(report["rate"], sum(rates), rtol=ROUNDING)


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize(
    ("num_layers", "num_samples"),
    [(3, 3), (1, 3), (4, 1)],
)
def test_fit_lowers_the_loss(cls, num_layers, num_samples):
    model = build(
        cls,
        upper_dims=(3, 2, 2)[: num_layers - 1],
        upper_units=(8, 8, 4)[: num_layers - 1],
        objective=ELBO(num_samples=num_samples),
    )
    loss = train(model, epochs=2)["loss"]
    assert np.isfinite(loss).all()
    assert loss[-1] < loss[0]
    assert len(model.encode(BINARY[:2])) == num_layers


@pytest.mark.slow
@BOTH
def test_one_layer_is_the_vae(cls):
    vae = build()
    alone = {"upper_dims": (), "upper_units": ()}
    model = build(cls, posterior=zoo.DiagonalNormal(LATENT_DIM), **alone)
    model.set_weights(vae.get_weights())
    x = BINARY[:4]
    np.testing.assert_array_equal(weights(model, x, 3), weights(vae, x, 3))
    np.testing.assert_array_equal(model.sample(2), vae.sample(2))
    losses = [train(m)["loss"] for m in (model, vae)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


@BOTH
def test_free_bits_apply_to_each_layer(cls):
    objective = ELBO(free_bits=100.0)  # above any layer's rate
    model = build(cls, **THREE_LAYERS, objective=objective)
    draw, _ = inferred(model, BINARY[:4])
    assert model.terms(draw, tf.zeros(4))["beta_floored_rate"] == 300.0


def test_conditional_normal_equals_numpy(rng):
    head = ConditionalNormal(3, units=6)
    y = tf.constant(rng.normal(size=(5, 2)), tf.float32)
    normal = head(y)
    assert (normal.batch_shape, normal.event_shape) == ((5,), (3,))
    loc, variance = moments(head, y.numpy())
    np.testing.assert_allclose(normal.mean(), loc, rtol=1e-4, atol=1e-5)  # float32
    np.testing.assert_allclose(normal.variance(), variance, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"upper_dims": (2,), "upper_units": ()},
            r"Received: upper_dims=\(2,\), upper_units=\(\)",
        ),
        (
            {**THREE_LAYERS, "prior": zoo.StandardNormal(5)},
            r"`StandardNormal` must have latent_dim=2\. Received: latent_dim=5",
        ),
        (
            {**TWO_LAYERS, "prior": zoo.VampPrior(2, components=3)},
            "made of the bottom layer's posterior",
        ),
    ],
    ids=["lengths", "prior", "vamp"],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(HierarchicalVAE, **options)


@pytest.mark.slow
@BOTH
def test_a_learned_prior_stands_on_top(cls):
    model = build(cls, **TWO_LAYERS, prior=zoo.MixturePrior(2, components=3))
    assert any("mixture_prior" in weight.path for weight in model.trainable_weights)
    log_prob = model.log_prob(BINARY[:4], num_importance_samples=8)
    assert np.isfinite(log_prob).all()
