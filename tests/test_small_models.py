"""Exactness of the small models, each against a second way to its numbers."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import zoo
from tests.configs import BINARY, CONFIGS, GREY, LABELS, conditional_vae, optimizer
from tests.small_models import (
    VQVAE,
    RealNVP,
    SpatialVAE,
    vq_vae,
)
from zoo import bounds
from zoo.draws import Sample, batch_seed, seed_words
from zoo.heads.diagonal_normal import diagonal_normal

X = BINARY[:6]


def trained(model, data):
    """The model after one epoch on 64 digits."""
    model.compile(optimizer(), jit_compile=False)
    model.fit(data, batch_size=32, verbose=0)
    return model


@pytest.fixture(scope="module")
def spatial():
    keras.utils.set_random_seed(0)
    return trained(SpatialVAE(), BINARY[:64])


@pytest.fixture(scope="module")
def vq():
    keras.utils.set_random_seed(0)
    return trained(vq_vae(), BINARY[:64])


def density(distribution, z):
    """log N(z) of maps of independent normals `[rows, ...]`, `[len(z)]`, as SciPy has.

    Fewer rows of the distribution are those of all draws.
    """
    normal = diagonal_normal(distribution)
    repeats = [len(z) // len(normal.loc), 1, 1, 1]
    loc, scale = (np.tile(p, repeats) for p in (normal.loc, normal.scale))
    return stats.norm(loc, scale).logpdf(z).sum(axis=(1, 2, 3))


@pytest.mark.slow
def test_rates_of_the_groups_add_up(spatial):
    measures = spatial.measure(X, {}, seed_words(3))
    draw = Sample(seed_words(3), len(X))
    spatial.walk(draw, spatial.features(X, {}), {})
    assert [latent.z.shape[1:] for latent in draw.latents] == [(4, 4, 2), (8, 8, 1)]
    for name, latent in zip(("rate_2", "rate_1"), draw.latents):
        q, p = map(diagonal_normal, (latent.posterior, latent.prior))
        ratio = (q.scale / p.scale) ** 2
        kl = ((q.loc - p.loc) / p.scale) ** 2 + ratio - 1 - np.log(ratio)
        kl = tf.reduce_sum(kl, [1, 2, 3]) / 2
        np.testing.assert_allclose(measures.metrics[name], kl, rtol=1e-4)
    total = measures.metrics["rate_2"] + measures.metrics["rate_1"]
    np.testing.assert_allclose(measures.metrics["rate"], total, rtol=1e-6)
    mean = np.mean(total)
    np.testing.assert_allclose(measures.terms["beta_rate"], mean, rtol=1e-6)


def test_weights_of_spatial_latents_are_those_of_scipy(spatial):
    draw = Sample(seed_words(3), 4 * len(X), 4)
    out = spatial.walk(draw, spatial.features(X, {}), {})
    mean = spatial.likelihood(out, {}).mean().numpy().astype("float64")
    hits = np.where(np.tile(X, [4, 1, 1, 1]) == 1, mean, 1 - mean)
    log_w = np.log(hits).sum(axis=(1, 2, 3))
    for latent in draw.latents:
        log_w += density(latent.prior, latent.z) - density(latent.posterior, latent.z)
    given = spatial.log_weights(X, num_importance_samples=4, seed=3)
    np.testing.assert_allclose(given, log_w.reshape(4, len(X)), rtol=1e-5)


def test_log_prob_is_the_mean_of_the_weights_of_its_chunks(spatial):
    log_w = [
        spatial.log_weights(X, num_importance_samples=count, seed=seed)
        for index, count in enumerate((4, 3))
        for seed in [tf.bitcast(tf.random.fold_in(seed_words(5), index), tf.int64)]
    ]
    expected = special.logsumexp(np.concatenate(log_w), axis=0) - np.log(7)
    got = spatial.log_prob(X, num_importance_samples=7, seed=5, chunk=4)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    elbo = spatial.log_prob(X, num_importance_samples=1, seed=5)
    assert np.mean(got) > np.mean(elbo)


def test_a_condition_without_weights_changes_nothing():
    conditional = conditional_vae()
    decoder = zoo.networks.dense_decoder(4, (8, 8, 1), (16,))
    plain = zoo.VAE(conditional.encoder, decoder, 4)
    for layer in (conditional.posterior_head.dense, first_dense(conditional.decoder)):
        kernel, bias = layer.get_weights()
        kernel[-10:] = 0
        layer.set_weights([kernel, bias])
    weights = conditional.decoder.get_weights()
    decoder.set_weights([weights[0][:-10], *weights[1:]])
    kernel, bias = conditional.posterior_head.dense.get_weights()
    plain.posterior_head.dense.set_weights([kernel[:-10], bias])
    given = {"label": LABELS[:6]}
    more = {"num_importance_samples": 5, "seed": 3}
    for got, expected in (
        (conditional.encode(X, given), plain.encode(X)),
        (conditional.log_weights(X, given, **more), plain.log_weights(X, **more)),
        (conditional.log_prob(X, given, **more), plain.log_prob(X, **more)),
        (conditional.sample(6, given, seed=3), plain.sample(6, seed=3)),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def first_dense(network):
    return next(la for la in network.layers if isinstance(la, keras.layers.Dense))


@pytest.mark.slow
def test_every_draw_of_an_image_has_its_label():
    model = trained(conditional_vae(), {"x": BINARY[:64], "label": LABELS[:64]})
    given, more = {"label": LABELS[:6]}, {"num_importance_samples": 5, "seed": 3}
    together = model.log_weights(X, given, **more).numpy()
    z = model.encode(X, given)[0]
    mean = model.decode(z, given=given).numpy()
    for label in np.unique(LABELS[:6]):
        rows, same = LABELS[:6] == label, {"label": np.full(6, label)}
        alike = model.log_weights(X, same, **more).numpy()
        np.testing.assert_allclose(alike[:, rows], together[:, rows], rtol=1e-5)
        assert not np.allclose(alike[:, ~rows], together[:, ~rows], rtol=1e-3)
        same_mean = model.decode(z, given=same).numpy()
        np.testing.assert_allclose(same_mean[rows], mean[rows], rtol=1e-5)


def test_codes_are_the_nearest(vq):
    (codes,) = vq.encode(X)
    assert codes.dtype == tf.int32
    e, table = vq.encoder(X).numpy(), vq.codebook.codes().numpy()
    for place in np.ndindex(*codes.shape):
        gaps = [np.sum((e[place] - code) ** 2) for code in table]
        assert codes[place] == np.argmin(gaps)
    np.testing.assert_allclose(vq.decode(codes), mean_of(vq, table[codes.numpy()]))
    assert len(np.unique(codes)) > 1


def mean_of(model, codes):
    return tf.sigmoid(model.decoder(codes))


def test_the_rate_of_codes_is_log_of_their_number(vq):
    metrics = vq.measure(X, {}, seed_words(0)).metrics
    np.testing.assert_allclose(metrics["rate"], 6 * [16 * np.log(16)], rtol=1e-6)
    log_w = vq.log_weights(X, num_importance_samples=3)
    np.testing.assert_allclose(log_w, np.tile(metrics["elbo"], [3, 1]), rtol=1e-6)


def test_gradient_of_the_decoder_goes_straight_through(vq):
    e = tf.convert_to_tensor(vq.encoder(X))
    table = vq.codebook.codes()
    codes = tf.gather(table, vq.codebook.nearest(e))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((e, codes))
        draw = Sample(seed_words(0), len(X))
        out = vq.walk(draw, e, {})
        distortion = -vq.likelihood(out, {}).log_prob(X)
        decoded = -vq.likelihood(codes, {}).log_prob(X)
        commitment = draw.terms["commitment"]
    np.testing.assert_allclose(out, codes, atol=1e-6)
    straight, direct = tape.gradient(distortion, e), tape.gradient(decoded, codes)
    np.testing.assert_allclose(straight, direct, rtol=1e-4, atol=1e-5)
    pull = 2 * vq.commitment * (e - codes)
    np.testing.assert_allclose(tape.gradient(commitment, e), pull, rtol=1e-5, atol=1e-7)
    losses = vq.measure(X, {}, seed_words(0)).terms
    np.testing.assert_allclose(losses["commitment"], commitment, rtol=1e-5)


def bent(image_shape, by=0.3):
    """A flow whose couplings are far from the identity."""
    model = RealNVP(image_shape)
    rng = np.random.default_rng(0)
    model.set_weights(
        [
            w if w.dtype.kind == "i" else w + rng.normal(0, by, w.shape)
            for w in model.get_weights()
        ]
    )
    return model


def test_flow_is_inverted():
    model, x = bent((8, 8, 1), by=0.15), GREY[:16]
    (z,) = model.encode(x)
    flat = x.reshape(16, 64)
    assert np.abs(z - flat).max() > 0.5
    np.testing.assert_allclose(model.decode(z), x, rtol=0, atol=1e-4)
    back = model.encode(model.decode(flat))[0]
    np.testing.assert_allclose(back, flat, rtol=0, atol=1e-4)


def test_log_prob_changes_variables():
    model = bent((3, 2, 1))
    x = tf.constant(np.random.default_rng(1).uniform(size=(5, 3, 2, 1)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        (z,) = model.encode(x)
    jacobian = tape.batch_jacobian(z, x).numpy().reshape(5, 6, 6)
    log_det = np.linalg.slogdet(jacobian)[1]
    expected = stats.norm.logpdf(z).sum(axis=1) + log_det
    assert np.abs(log_det).max() > 0.5
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-4)


def test_density_integrates_to_one():
    model = bent((2, 1, 1), by=0.2)
    side, step = np.linspace(-12, 12, 601, retstep=True)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2, 1, 1)
    densities = np.exp(model.log_prob(grid.astype("float32")))
    assert abs(densities.sum() * step**2 - 1) < 1e-3
    # Samples have that density: their mean is that of the quadrature.
    mean = (densities[:, None] * grid.reshape(-1, 2)).sum(axis=0) * step**2
    draws = model.sample(20_000, seed=1).numpy().reshape(-1, 2)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - mean) < 4 * error).all()


def test_training_sees_grey_values_within_their_level():
    model = bent((8, 8, 1))
    seeds = [model.measure(GREY[:4], {}, seed_words(s)) for s in (0, 0, 1)]
    one, again, other = (m.terms["negative_log_prob"].numpy() for m in seeds)
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    exact = RealNVP(levels=10**9)
    terms = exact.measure(GREY[:4], {}, seed_words(0)).terms
    np.testing.assert_allclose(
        -terms["negative_log_prob"], exact.log_prob(GREY[:4]), rtol=1e-5
    )


@pytest.mark.parametrize(
    "cls",
    [SpatialVAE, zoo.ConditionalVAE, VQVAE, RealNVP],
    ids=lambda cls: cls.__name__,
)
def test_each_is_short(cls):
    source, _ = inspect.getsourcelines(cls)
    assert len(source) < 60


def test_objectives_take_maps_and_conditions():
    more = {"objective": zoo.objectives.IWELBO(num_importance_samples=3)}
    given = {"label": LABELS[:6]}
    for model, parts in ((SpatialVAE(**more), {}), (conditional_vae(**more), given)):
        terms = model.measure(X, parts, seed_words(3)).terms
        log_w = model.log_weights(X, parts, num_importance_samples=3, seed=3)
        np.testing.assert_allclose(
            terms["negative_beta_iw_elbo"], -bounds.iw_elbo(log_w), rtol=1e-5
        )


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("spatial_vae", [(4, 4, 2), (8, 8, 1)]),
        ("conditional_vae", [(4,)]),
        pytest.param("vq_vae", [(4, 4)], marks=pytest.mark.slow),
        pytest.param("real_nvp", [(64,)], marks=pytest.mark.slow),
    ],
)
def test_evaluation_takes_every_model(name, shapes):
    model, (x, given) = CONFIGS[name].build(), CONFIGS[name].parts(20)
    more = {"num_importance_samples": 3, "chunk": 2}
    nats = zoo.evaluation.log_prob(model, x, given, **more, batch_size=20, verbose=0)
    more["seed"] = batch_seed(0, 0)
    expected = model.log_prob(x, given, **({} if model.exact else more))
    np.testing.assert_allclose(nats, expected, rtol=1e-5)
    found = zoo.evaluation.information(model, x, given, batch_size=8)
    codes = model.encode(x, given)
    assert [np.shape(code)[1:] for code in codes] == shapes
    units = [int((np.var(code, axis=0) > 0.01).sum()) for code in codes]
    assert found["active_units"] == units
    if model.exact:  # but for the noise that training adds
        assert found["log_prob"] == pytest.approx(nats.mean(), abs=0.1)
    else:
        assert found["elbo"] == pytest.approx(-found["rate"] - found["distortion"])
