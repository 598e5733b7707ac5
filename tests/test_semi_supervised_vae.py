"""M2: the sum over unknown labels, by hand and in its limits."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

import zoo
from tests.configs import (
    BINARY,
    LABELS,
    conditional_vae,
    optimizer,
    semi_supervised_vae,
)
from zoo.draws import seed_words
from zoo.evaluation import encode, information

X, Y = tf.constant(BINARY[:6]), LABELS[:6]
UNKNOWN = np.full(6, -1, "int32")


@pytest.fixture
def model():
    """A model whose classifier has opinions, and the conditional VAE of its weights."""
    model, plain = semi_supervised_vae(), conditional_vae()
    for name in ("encoder", "decoder", "posterior_head"):
        part = getattr(plain, name)
        part.set_weights(getattr(model, name).get_weights())
    return model, plain


def log_q(model):
    return np.log(special.softmax(model.classifier(X).numpy(), axis=1))


def of_classes(model):
    return model.of_classes(X, seed_words(3), 1)


def test_a_known_label_costs_the_conditional_elbo_and_its_cross_entropy(model):
    model, plain = model
    measures = model.measure(X, {"label": Y}, seed_words(3))
    rows = np.arange(6), Y
    table = of_classes(model)
    np.testing.assert_allclose(
        measures.metrics["elbo"], table["elbo"].numpy()[rows], rtol=1e-6
    )
    terms = measures.terms
    cross_entropy = -log_q(model)[rows].mean()
    np.testing.assert_allclose(
        terms["alpha_cross_entropy"], 0.1 * cross_entropy, rtol=1e-5
    )
    # The rate of every label is that of the conditional VAE, told this label.
    for label in range(10):
        given = {"label": np.full(6, label, "int32")}
        metrics = plain.measure(X, given, seed_words(0)).metrics
        rate = metrics["rate"] + np.log(10)
        np.testing.assert_allclose(table["rate"][:, label], rate, rtol=1e-5)


def test_all_labels_known_is_the_conditional_vae_and_a_classifier(model):
    """The same objective, where z is certain and so needs no equal noise."""
    model, plain = model
    for part in (model, plain):
        kernel, bias = part.posterior_head.get_weights()
        bias[len(bias) // 2 :], kernel[:, len(bias) // 2 :] = -20.0, 0.0
        part.posterior_head.set_weights([kernel, bias])
    given = {"label": Y}
    terms, conditional = (
        sum(
            np.mean(term)
            for term in part.measure(X, given, seed_words(1)).terms.values()
        )
        for part in (model, plain)
    )
    cross_entropy = -log_q(model)[np.arange(6), Y].mean()
    expected = conditional + np.log(10) + model.alpha * cross_entropy
    # The scale of z is not zero but 1e-4, see `DiagonalNormal`.
    np.testing.assert_allclose(terms, expected, rtol=1e-4)


def test_a_line_between_images_has_the_label_of_the_first(model):
    model, plain = model
    guess = {"label": log_q(model).argmax(axis=1)}
    line = model.interpolate(X, X[::-1], steps=3)
    np.testing.assert_array_equal(line, plain.interpolate(X, X[::-1], guess, steps=3))
    both = {"x": X, "label": Y}
    line = plain.interpolate(both, X[::-1], steps=3)
    given = plain.interpolate(X, X[::-1], {"label": Y}, steps=3)
    np.testing.assert_array_equal(line, given)
    with pytest.raises(ValueError, match="Conditions must come once"):
        plain.interpolate(both, both)


def test_what_is_no_label_is_not_taken_for_an_unknown_one(model):
    model, _ = model
    for label in (-2, 10):
        given = {"label": np.full(6, label, "int32")}
        terms = model.measure(X, given, seed_words(1)).terms
        assert np.isnan(terms["negative_elbo"]).all()
        terms = conditional_vae().measure(X, given, seed_words(1)).terms
        assert np.isnan(terms["distortion"]).all()


def test_an_unknown_label_is_summed_over(model):
    model, _ = model
    measures = model.measure(X, {"label": UNKNOWN}, seed_words(3))
    q, elbo = np.exp(log_q(model)), of_classes(model)["elbo"].numpy()
    expected = (q * (elbo - log_q(model))).sum(axis=1)
    np.testing.assert_allclose(measures.metrics["elbo"], expected, rtol=1e-5)
    assert measures.terms["alpha_cross_entropy"] == 0
    np.testing.assert_array_equal(measures.metrics["accuracy"], np.zeros(6))
    np.testing.assert_allclose(measures.output, q, rtol=1e-5)
    # It is a bound on the sum over the labels, attained by the classifier's optimum.
    assert (expected < special.logsumexp(elbo, axis=1)).all()


def test_log_prob_of_an_image_is_the_sum_over_its_labels(model):
    model, plain = model
    options = {"num_importance_samples": 3, "seed": 5}
    parts = [
        model.log_prob(X, {"label": np.full(6, label, "int32")}, **options)
        for label in range(10)
    ]
    whole = model.log_prob(X, {"label": UNKNOWN}, **options)
    np.testing.assert_allclose(whole, special.logsumexp(parts, axis=0), rtol=1e-5)
    # log p(x, y) = log p(x | y) - log 10, with the same draws.
    images, labels = np.tile(X, [10, 1, 1, 1]), np.repeat(np.arange(10), 6)
    conditional = plain.log_prob(images, {"label": labels}, **options)
    expected = np.reshape(conditional, [10, 6]) - np.log(10)
    np.testing.assert_allclose(parts, expected, rtol=1e-5)


def test_an_unknown_label_is_guessed_to_encode_and_refused_to_decode(model):
    model, _ = model
    guess = model.predict({"x": X, "label": UNKNOWN}, verbose=0).argmax(1)
    np.testing.assert_array_equal(model.predict(X, verbose=0).argmax(1), guess)
    for answer in (model.encode, model.reconstruct):
        unknown, known = (answer(X, {"label": y}) for y in (UNKNOWN, guess))
        np.testing.assert_array_equal(unknown, known)
        np.testing.assert_array_equal(answer(X), known)
    np.testing.assert_allclose(encode(model, X), model.encode(X), atol=1e-6)
    options = {"num_importance_samples": 3, "chunk": 2}
    log_p = (model.log_prob(X, given, **options) for given in ({}, {"label": UNKNOWN}))
    np.testing.assert_array_equal(*log_p)
    for answer in (
        lambda given: model.sample(6, given),
        lambda given: model.decode(np.zeros((6, 4)), given=given),
        lambda given: model.log_weights(X, given),
    ):
        with pytest.raises(ValueError, match=r"`label` must lie in \[0, 9\]"):
            answer({"label": UNKNOWN})


@pytest.mark.slow
def test_few_labels_teach_the_classifier():
    model = semi_supervised_vae(alpha=10.0)
    model.compile(optimizer(), jit_compile=False)
    known = np.arange(256) % 8 == 0
    data = {"x": BINARY, "label": np.where(known, LABELS, -1)}
    model.fit(data, batch_size=32, epochs=30, verbose=0)
    guess = model.predict({"x": BINARY, "label": LABELS}, verbose=0).argmax(1)
    assert (guess == LABELS)[~known].mean() > 0.6
    logs = model.evaluate(
        {"x": BINARY, "label": LABELS}, batch_size=256, verbose=0, return_dict=True
    )
    assert logs["accuracy"] == pytest.approx((guess == LABELS).mean())


@pytest.mark.slow
def test_the_accuracy_is_that_of_all_known_labels_whatever_the_batches():
    model = semi_supervised_vae()
    model.compile(optimizer(), jit_compile=False)
    data = {"x": BINARY, "label": np.where(np.arange(256) < 40, LABELS, -1)}
    guess = model.predict(data, verbose=0).argmax(1)
    expected = (guess == LABELS)[:40].mean()
    for size in (16, 100, 256):
        logs = model.evaluate(data, batch_size=size, verbose=0, return_dict=True)
        given = {"label": data["label"]}
        info = information(model, BINARY, given, batch_size=size)
        assert logs["accuracy"] == pytest.approx(expected, rel=1e-5)
        assert info["accuracy"] == pytest.approx(expected, rel=1e-5)


def test_weights_are_of_the_image_and_its_label(model):
    model, plain = model
    given, options = {"label": Y}, {"num_importance_samples": 3, "seed": 1}
    expected = plain.log_weights(X, given, **options) - np.log(10)
    np.testing.assert_allclose(
        model.log_weights(X, given, **options), expected, rtol=1e-5
    )


@pytest.mark.parametrize("last", ["softmax", "sigmoid"])
def test_a_classifier_of_probabilities_is_refused(last):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
    network = keras.Sequential([*layers, keras.layers.Dense(10, last)])
    with pytest.raises(ValueError, match="without a softmax"):
        conditional_vae(zoo.SemiSupervisedVAE, classifier=network)
