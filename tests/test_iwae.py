"""IWAE: equal to the VAE at K = 1, and a gradient that keeps its mean."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from tests import configs
from zoo import bounds
from zoo.draws import seed_words
from zoo.priors import Prior

tfd = tfp.distributions


class OneComponent(Prior):
    """N(0, I) in a guise without analytic KL, so that every rate is Monte Carlo."""

    def distribution(self, model):
        normal = tfd.MultivariateNormalDiag(tf.zeros([1, self.latent_dim]))
        return tfd.MixtureSameFamily(tfd.Categorical(logits=[0.0]), normal)


def walked(model, x, seed=1):
    """The record of one walk of training, and log p(x|z) `[K*B]`."""
    x = tf.constant(x)
    draw = model.objective.draw(seed_words(seed), len(x))
    likelihood = model.likelihood(model.walk(draw, model.features(x, {}), {}), {})
    return draw, likelihood.log_prob(draw.repeat(x))


def loss_of_training(model, x, seed):
    (term,) = model.terms(*walked(model, x, seed)).values()
    return tf.reduce_mean(term)


def loss_and_gradients(model, x):
    with tf.GradientTape() as tape:
        model(x, training=True)
        loss = tf.add_n(model.losses)
    gradients = tape.gradient(loss, model.trainable_weights)
    return loss.numpy(), [gradient.numpy() for gradient in gradients]


def test_one_sample_is_the_vae(digits):
    prior = OneComponent(configs.LATENT_DIM)
    vae = configs.build(prior=prior)
    iwae = configs.build(zoo.IWAE, prior=prior, num_importance_samples=1)
    (loss, gradients), (iw_loss, iw_gradients) = (
        loss_and_gradients(model, digits) for model in (vae, iwae)
    )
    np.testing.assert_allclose(iw_loss, loss, rtol=1e-6)  # float32 sums, other order
    for one, other in zip(gradients, iw_gradients):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_loss_is_the_bound_by_hand(digits):
    iwae = configs.build(zoo.IWAE, num_importance_samples=7)
    draw, log_p = walked(iwae, digits)
    log_w = draw.split(bounds.log_weights(log_p, draw.latents)).numpy()
    (term,) = iwae.terms(draw, log_p).values()
    by_hand = -np.log(np.mean(np.exp(log_w.astype(np.float64)), axis=0))
    np.testing.assert_allclose(term, by_hand, rtol=1e-5)  # float32


def test_beta_weighs_the_latents_terms(digits):
    iwae = configs.build(zoo.IWAE, num_importance_samples=3, beta=0.0)
    draw, log_p = walked(iwae, digits)
    (term,) = iwae.terms(draw, log_p).values()
    np.testing.assert_allclose(term, -bounds.iw_elbo(draw.split(log_p)), rtol=1e-6)


def gradients_per_repeat(model, x, repeats):
    """Encoder and decoder gradients of `repeats` independent draws, flattened."""
    groups = {"encoder": [], "decoder": []}
    weights = {
        "encoder": model.encoder.weights + model.posterior_head.weights,
        "decoder": model.decoder.weights,
    }
    for seed in range(repeats):
        with tf.GradientTape(persistent=True) as tape:
            loss = loss_of_training(model, x, seed)
        for name, group in groups.items():
            found = tape.gradient(loss, [w.value for w in weights[name]])
            group.append(np.concatenate([np.ravel(g) for g in found]))
    return {name: np.stack(group) for name, group in groups.items()}


@pytest.mark.parametrize(
    "beta", [1.0, *(pytest.param(beta, marks=pytest.mark.slow) for beta in (0.5, 0.0))]
)
def test_doubly_reparameterised_gradient_has_the_same_mean(beta):
    x = np.repeat(configs.BINARY[:4], 32, axis=0)
    plain, doubly = (
        gradients_per_repeat(
            configs.build(
                zoo.IWAE,
                num_importance_samples=8,
                beta=beta,
                doubly_reparameterised=doubly,
            ),
            x,
            repeats=40,
        )
        for doubly in (False, True)
    )
    # Same draws, and the decoder's gradient is the same estimator.
    np.testing.assert_allclose(plain["decoder"], doubly["decoder"], atol=1e-4)
    difference = plain["encoder"] - doubly["encoder"]
    error = difference.std(axis=0) / np.sqrt(len(difference))
    # Paired difference of zero mean; 5 standard errors, as there are 1000 weights.
    assert (np.abs(difference.mean(axis=0)) <= 5 * error + 1e-6).all()
    # Yet two different estimators, unless no score is left to be replaced.
    assert (np.abs(difference).max() > 1e-3) == (beta > 0)


def test_doubly_reparameterised_passes_do_not_disturb_one_another(digits):
    """Two batches under one tape, and a gradient where no objective follows."""
    model = configs.build(
        zoo.IWAE, num_importance_samples=4, doubly_reparameterised=True
    )
    kernel = model.posterior_head.weights[0].value
    apart = []
    for seed, x in enumerate((digits[:8], digits[8:16])):
        with tf.GradientTape() as tape:
            value = loss_of_training(model, x, seed)
        apart.append(tape.gradient(value, kernel))
    with tf.GradientTape() as tape:
        one = loss_of_training(model, digits[:8], 0)
        value = one + loss_of_training(model, digits[8:16], 1)
    together = tape.gradient(value, kernel)
    np.testing.assert_allclose(together, tf.add_n(apart), rtol=1e-4, atol=1e-5)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(model.log_prob(digits[:8], num_importance_samples=4))
    assert np.isfinite(tape.gradient(value, kernel)).all()
    with tf.GradientTape() as tape:
        draw, _ = walked(model, digits[:8])
        value = tf.reduce_mean(draw.latents[0].z)
    assert np.isfinite(tape.gradient(value, kernel)).all()


def test_doubly_reparameterised_gradient_is_silent_at_the_exact_posterior():
    exact = configs.LinearGaussian.make(orthogonal=True)
    vae = exact.model("diagonal")
    noise = {}
    for doubly in (False, True):
        iwae = zoo.IWAE(
            vae.encoder,
            vae.decoder,
            vae.latent_dim,
            posterior=vae.posterior_head,
            likelihood=vae.likelihood_head,
            num_importance_samples=8,
            doubly_reparameterised=doubly,
        )
        found = gradients_per_repeat(iwae, exact.data(16), repeats=5)["encoder"]
        noise[doubly] = np.abs(found).max()
    assert noise[True] < 1e-4  # every log weight is log p(x): float32 rounding only
    assert noise[False] > 100 * noise[True]


def test_doubly_reparameterised_leaves_the_bound_alone(digits):
    plain = configs.build(zoo.IWAE)
    doubly = configs.build(zoo.IWAE, doubly_reparameterised=True)
    one, other = (
        model.log_prob(digits, num_importance_samples=16) for model in (plain, doubly)
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_doubly_reparameterised_wants_a_diagonal_normal():
    @keras.saving.register_keras_serializable("tests")
    class Full(zoo.DiagonalNormal):
        def call(self, features):
            diagonal = super().call(features)
            return tfd.MultivariateNormalDiag(diagonal.mean(), diagonal.stddev())

    posterior = Full(configs.LATENT_DIM)
    with pytest.raises(ValueError, match="must be a diagonal normal"):
        configs.build(zoo.IWAE, posterior=posterior, doubly_reparameterised=True)
