"""RefVAE: every term by hand, two optimisers that keep apart, and refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import zoo
from tests.configs import (
    IMAGE,
    LATENT_DIM,
    TRIPLES,
    assert_same_variables,
    optimizer,
    ref_vae,
    snapshot,
)
from zoo.adversarial import held_fixed
from zoo.draws import Mean, seed_words
from zoo.networks import bicubic
from zoo.objectives import IWELBO

FEW = {name: rows[:6] for name, rows in TRIPLES.items()}
GIVEN = {name: tf.constant(FEW[name]) for name in ("low", "reference")}
X = tf.constant(FEW["x"])


def randomised(model, seed=0):
    """The model with other weights than those it begins with, most of which are 0."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(weight + rng.normal(scale=0.1, size=weight.shape))
    return model


def trained(model, discriminator_optimizer=None):
    """The model after two steps."""
    model.compile(optimizer(), discriminator_optimizer, run_eagerly=True)
    return fit(model)


def fit(model, rows=64):
    data = {name: part[:rows] for name, part in TRIPLES.items()}
    model.fit(data, batch_size=32, shuffle=False, verbose=0)
    return model


def at_the_mean(model):
    """The terms of z at the mean of q(z|reference), and m, which follows from it."""
    draw = Mean(len(X))
    likelihood, log_p = model._drawn(draw, X, GIVEN, model.features(X, GIVEN))
    return model.terms(draw, log_p), likelihood.mean().numpy()


def test_laplace_matches_scipy(rng):
    loc, x = rng.normal(size=(2, 5, *IMAGE)).astype("float32")
    expected = stats.laplace.logpdf(x, loc, 0.3).sum(axis=(1, 2, 3))
    distribution = zoo.Laplace(0.3)(loc)
    np.testing.assert_allclose(distribution.log_prob(x), expected, rtol=1e-5)
    np.testing.assert_array_equal(distribution.mean(), loc)
    with pytest.raises(ValueError, match=r"must be positive. Received: scale=0"):
        zoo.Laplace(0)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_matrices_are_tensorflows_bicubic(factor, rng):
    images = tf.constant(rng.random((3, 5, 4, 2)).astype("float32"))
    size = 5 * factor, 4 * factor
    expected = tf.image.resize(images, size, "bicubic")
    np.testing.assert_allclose(bicubic(images, size), expected, atol=1e-6)


def test_it_begins_with_bicubic_interpolation():
    model = ref_vae()
    expected = tf.image.resize(FEW["low"], IMAGE[:2], "bicubic")
    for images in (
        model.sample(6, {"low": FEW["low"]}, seed=3),
        model.super_resolve(FEW["low"], FEW["reference"]),
        model.reconstruct(X, GIVEN),
    ):
        np.testing.assert_allclose(images, expected, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_every_factor_doubles_the_image_so_often(factor):
    shape = (16, 8, 3)
    network = zoo.networks.upsampler(2, shape, factor, channels=4, blocks=1)
    low, z = np.zeros((5, 16 // factor, 8 // factor, 3)), np.zeros((5, 2))
    assert network([low, z]).shape == (5, *shape)
    shuffles = [x for x in network.layers if isinstance(x, keras.layers.Permute)]
    assert 2 ** len(shuffles) == factor


def test_z_modulates_every_channel():
    """With z = 0 and no bias, (1 + 0) f + 0 is f: the block knows nothing of z."""
    network = zoo.networks.upsampler(2, IMAGE, 4, channels=4, blocks=1)
    network.layers[-1].kernel.assign(np.ones(network.layers[-1].kernel.shape))
    low = FEW["low"]
    plain, moved = (network([low, np.full((6, 2), z, "f4")]) for z in (0.0, 1.0))
    assert np.abs(plain - moved).max() > 1e-3
    scale, shift = (x for x in network.layers if isinstance(x, keras.layers.Dense))
    np.testing.assert_array_equal(scale.bias, np.ones(4))
    np.testing.assert_array_equal(shift.bias, np.zeros(4))


def test_distortion_and_rate_by_hand():
    model = randomised(ref_vae())
    terms, m = at_the_mean(model)
    expected = stats.laplace.logpdf(FEW["x"], m, 0.1).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(terms["distortion"], -expected, rtol=1e-5)
    params = model.posterior_head.dense(model.encoder(GIVEN["reference"])).numpy()
    loc, raw = np.split(params, 2, axis=1)
    scale = np.log1p(np.exp(raw)) + 1e-4
    rate = 0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale)).sum(axis=1)
    np.testing.assert_allclose(terms["beta_rate"], rate.mean(), rtol=1e-4)


def test_multi_scale_by_hand():
    terms, m = at_the_mean(randomised(ref_vae(multi_scale_weight=0.5)))
    total = 0
    for s in (2, 4):
        blocks = (FEW["x"] - m).reshape(6, 8 // s, s, 8 // s, s, 1)
        total += np.abs(blocks.mean(axis=(2, 4))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(terms["multi_scale"], 0.5 * total, rtol=1e-5)


def test_perceptual_by_hand():
    model = randomised(ref_vae(perceptual_weight=3.0))
    terms, m = at_the_mean(model)
    gap = np.abs(model.perceptual(X).numpy() - model.perceptual(m).numpy())
    np.testing.assert_allclose(
        terms["perceptual"], 3 * gap.sum(axis=(1, 2, 3)), rtol=1e-5
    )


def test_every_output_of_the_perceptual_network_counts():
    image = keras.Input(IMAGE)
    outputs = [image, keras.layers.Flatten()(image)]
    model = ref_vae(perceptual=False, discriminator=False)
    model = zoo.RefVAE(
        model.encoder, model.decoder, LATENT_DIM, perceptual=keras.Model(image, outputs)
    )
    terms, m = at_the_mean(model)
    gap = np.abs(FEW["x"] - m).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(terms["perceptual"], 2 * gap, rtol=1e-5)


def test_adversarial_terms_by_hand():
    model = randomised(ref_vae(adversarial_weight=0.2))
    terms, m = at_the_mean(model)
    true, made = (
        model.discriminator(i).numpy().mean(axis=(1, 2, 3)) for i in (FEW["x"], m)
    )
    np.testing.assert_allclose(terms["adversarial"], -0.2 * made, rtol=1e-4)
    hinge = np.maximum(0, 1 - true) + np.maximum(0, 1 + made)
    np.testing.assert_allclose(terms["discriminator"], hinge, rtol=1e-5)


def test_weights_may_be_schedules():
    names = ("multi_scale", "perceptual", "adversarial")
    ramp = zoo.schedules.Linear(0.0, 2.0, steps=10)
    model = randomised(ref_vae(**{f"{name}_weight": ramp for name in names}))
    plain = at_the_mean(randomised(ref_vae()))[0]
    for step, weight in ((0, 0.0), (5, 1.0), (10, 2.0)):
        model.step.assign(step)
        terms, _ = at_the_mean(model)
        for name in names:
            np.testing.assert_allclose(terms[name], weight * plain[name], rtol=1e-5)


def test_gradients_of_each_term_reach_their_own_weights_alone():
    model = randomised(ref_vae())
    generator = [v.value for v in model.generator_variables]
    critic = [v.value for v in model.discriminator.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        terms = model.measure(X, GIVEN, seed_words(0)).terms
        judged = tf.reduce_sum(terms["adversarial"])
        hinge = tf.reduce_sum(terms["discriminator"])
    assert all(g is None for g in tape.gradient(hinge, generator))
    assert all(g is None for g in tape.gradient(judged, critic))
    assert any(g is not None for g in tape.gradient(judged, generator))
    assert all(g is not None for g in tape.gradient(hinge, critic))
    assert not model.perceptual.trainable_variables


def test_the_fixed_discriminator_is_the_same_function(rng):
    network = ref_vae().discriminator
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(X)
        fixed, free = held_fixed(network, X), network(X)
    np.testing.assert_array_equal(fixed, free)
    gradients = tape.gradient(fixed, X), tape.gradient(free, X)
    np.testing.assert_allclose(*gradients, rtol=1e-6)


def test_without_weights_the_generator_learns_as_the_plain_model():
    off = {"multi_scale_weight": 0, "perceptual_weight": 0, "adversarial_weight": 0}
    one = trained(ref_vae(**off))
    two = trained(ref_vae(discriminator=False, perceptual=False, multi_scale_weight=0))
    assert set(two.measure(X, GIVEN, seed_words(0)).terms) == {
        "distortion",
        "beta_rate",
    }
    for a, b in zip(one.generator_variables, two.generator_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6, err_msg=a.path)


def test_each_optimiser_moves_its_own_weights():
    still = keras.optimizers.SGD(0.0)
    model = ref_vae()
    before = snapshot(model.discriminator)
    generator = [v.numpy() for v in model.generator_variables]
    perceptual = snapshot(model.perceptual)
    trained(model, discriminator_optimizer=still)
    assert_same_variables(model.discriminator, before)
    assert_same_variables(model.perceptual, perceptual)
    moved = [np.abs(v - w).max() for v, w in zip(model.generator_variables, generator)]
    assert max(moved) > 0
    # One step each per batch, and state for their own weights alone.
    assert model.optimizer.iterations == still.iterations == 2
    assert len(model.optimizer.variables) == 2 + 2 * len(model.generator_variables)


def test_another_optimiser_is_like_the_first_by_default():
    model = ref_vae()
    model.compile(keras.optimizers.Adam(0.02, epsilon=1e-3))
    one, other = model.optimizer, model.discriminator_optimizer
    assert one is not other
    assert one.get_config() == other.get_config()
    plain = ref_vae(discriminator=False)
    with pytest.raises(ValueError, match="needs a `discriminator`"):
        plain.compile("adam", "sgd")
    with pytest.raises(ValueError, match="Received: the same twice"):
        ref_vae().compile(one, one)


def test_features_of_published_networks_make_entries(tmp_path):
    """The docstring's way to VGG's, with a network of one layer in its place."""
    image = keras.Input(IMAGE)
    y = 255 * keras.layers.Concatenate()([image] * 3)
    y = keras.applications.vgg16.preprocess_input(y)
    perceptual = keras.Model(image, keras.layers.Conv2D(4, 3)(y))
    model = ref_vae(perceptual=perceptual)
    copy = zoo.load(zoo.presets.save(model, tmp_path / "entry"))
    np.testing.assert_allclose(copy.perceptual(X), perceptual(X), rtol=1e-6)


@pytest.mark.slow
def test_a_saved_model_resumes_with_both_optimisers(tmp_path):
    model = trained(ref_vae(), discriminator_optimizer=keras.optimizers.Adam(0.003))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in (
        (model.optimizer, copy.optimizer),
        (model.discriminator_optimizer, copy.discriminator_optimizer),
    ):
        assert one.get_config() == other.get_config()
        for a, b in zip(one.variables, other.variables, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=a.path)
    fit(model), fit(copy)
    assert_same_variables(model, copy, atol=1e-6)  # threads may add in another order


def test_the_loss_is_the_mean_over_images_whatever_the_batches():
    model = ref_vae()
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    history = fit(model, rows=40).history.history  # batches of 32 and 8
    names = set(history) - {"loss", "elbo", "rate", "distortion"}
    total = sum(history[name][0] for name in (*names, "distortion"))
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)


def test_several_draws_are_compared_with_the_image_of_their_own():
    model = randomised(ref_vae(objective=IWELBO(num_importance_samples=3)))
    terms = model.measure(X, GIVEN, seed_words(0)).terms
    for name in ("multi_scale", "perceptual", "adversarial", "discriminator"):
        assert terms[name].shape == (18,)


def test_z_is_inferred_from_the_reference_and_not_from_the_image():
    model = randomised(ref_vae())
    codes = model.encode(X, GIVEN)[0]
    np.testing.assert_array_equal(model.encode(1 - X, GIVEN)[0], codes)
    other = {**GIVEN, "reference": 1 - GIVEN["reference"]}
    assert np.abs(model.encode(X, other)[0] - codes).max() > 1e-3
    decoded = model.decode(codes, given={"low": GIVEN["low"]})
    np.testing.assert_allclose(model.super_resolve(**GIVEN), decoded, atol=1e-6)


@pytest.mark.slow
def test_log_prob_does_not_depend_on_the_reference_in_the_limit():
    """Any q(z|reference) is a proposal for the same log p(x|low)."""
    model = randomised(ref_vae(likelihood=zoo.Laplace(5.0)))
    kernel, bias = model.posterior_head.dense.weights
    kernel.assign(0.3 * kernel)
    bias.assign([0.0] * LATENT_DIM + [1.0] * LATENT_DIM)  # wider than the prior
    options = {"num_importance_samples": 5000, "chunk": 1000}
    one = model.log_prob(X, GIVEN, **options)
    assert np.abs(model.encode(X, GIVEN)[0]).max() > 0.1
    other = {**GIVEN, "reference": GIVEN["reference"][::-1]}
    np.testing.assert_allclose(model.log_prob(X, other, **options), one, atol=0.05)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"reference": None}, r'"reference": ...}. Received: x, low'),
        ({"low": None}, r'"reference": ...}. Received: x, reference'),
        (
            {"reference": FEW["reference"][:, :4]},
            r"`reference` must have shape \[batch, 8, 8, 1\]. .*\(6, 4, 8, 1\)",
        ),
        ({"low": FEW["x"]}, r"`low` must have shape \[batch, 2, 2, 1\]"),
        ({"low": FEW["low"][:5]}, "`low` must have 6 rows"),
        ({"low": 1 + FEW["low"]}, r"`low` must lie in \[0, 1\]"),
    ],
    ids=["no reference", "no low", "size", "large", "rows", "range"],
)
def test_bad_conditions_are_refused_before_any_step(spoil, message):
    model = ref_vae()
    model.compile("adam")
    data = {k: v for k, v in {**FEW, **spoil}.items() if v is not None}
    for use in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=message):
            use(data)
    assert model.step == 0


def test_an_image_takes_no_reference():
    with pytest.raises(ValueError, match=r'"low": ...}. Received: low, ref'):
        ref_vae().sample(6, GIVEN)
    with pytest.raises(ValueError, match=r'{"low": ...}. Received: none'):
        ref_vae().sample(6)


@pytest.mark.parametrize(
    ("shape", "factor", "message"),
    [
        ((30, 28, 1), 4, r"divide the image.* Received: image_shape=\(30, 28, 1\)"),
        ((24, 24, 1), 3, "must be 2, 4, 8, .* Received: factor=3"),
        ((24, 24, 1), 1, "must be 2, 4, 8, .* Received: factor=1"),
    ],
)
def test_sizes_that_cannot_be_doubled_are_refused(shape, factor, message):
    with pytest.raises(ValueError, match=message):
        zoo.networks.upsampler(4, shape, factor)


def decoder(low, out, latent_dim=LATENT_DIM):
    """A decoder of any sizes."""
    images, z = keras.Input(low), keras.Input((latent_dim,))
    height, width, channels = out
    parts = [keras.layers.Flatten()(images), z]
    dense = keras.layers.Dense(height * width * channels)
    y = dense(keras.layers.Concatenate()(parts))
    return keras.Model([images, z], keras.layers.Reshape(out)(y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": decoder((3, 3, 1), IMAGE)}, "2, 4, 8, .* smaller"),
        ({"decoder": decoder((8, 8, 1), IMAGE)}, "2, 4, 8, .* smaller"),
        ({"decoder": decoder((4, 2, 1), IMAGE)}, "2, 4, 8, .* smaller"),
        ({"decoder": decoder((2, 2, 1), (4, 4, 1))}, "into .8, 8, 1"),
        ({"decoder": decoder((2, 2, 1), IMAGE, 3)}, "z of 4 dimensions"),
        ({"decoder": zoo.networks.dense_decoder(4, IMAGE)}, "z of 4 dimensions"),
        ({"likelihood": zoo.Bernoulli()}, "means alone.* Received: Bernoulli"),
        ({"likelihood": zoo.Normal("per_pixel")}, "means alone.* Received: Normal"),
        (
            {"discriminator": zoo.networks.dense_encoder((4, 4, 1))},
            r"`discriminator` must take images.* Received: \(None, 4, 4, 1\)",
        ),
        ({"multi_scale_weight": -1.0}, "`multi_scale_weight` must not be negative"),
    ],
)
def test_networks_that_do_not_fit_are_refused(options, message):
    model = ref_vae(discriminator=False, perceptual=False)
    parts = {"decoder": model.decoder, **options}
    with pytest.raises(ValueError, match=message):
        zoo.RefVAE(model.encoder, parts.pop("decoder"), LATENT_DIM, **parts)


def test_the_discriminator_sees_patches():
    network = zoo.networks.conv_discriminator((40, 40, 1))
    x = tf.ones((1, 40, 40, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = network(x)
        assert scores.shape == (1, 10, 10, 1)
        score = scores[0, 5, 5, 0]
    seen = np.abs(tape.gradient(score, x)[0, ..., 0]) > 0
    np.testing.assert_array_equal(np.flatnonzero(seen.any(axis=0)).size, 18)
    np.testing.assert_array_equal(np.flatnonzero(seen.any(axis=1)).size, 18)
