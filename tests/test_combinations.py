"""Every variant with every likelihood and with every prior: one step each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.configs import BINARY, GREY, LATENT_DIM, build, ladder

VARIANTS = {
    "vae": lambda **kwargs: build(**kwargs),
    "iwae": lambda **kwargs: build(zoo.IWAE, **kwargs),
    "dreg": lambda **kwargs: build(zoo.IWAE, doubly_reparameterised=True, **kwargs),
    "capacity_vae": lambda **kwargs: build(zoo.CapacityVAE, **kwargs),
    "beta_tcvae": lambda **kwargs: build(zoo.BetaTCVAE, dataset_size=256, **kwargs),
    "iaf_vae": lambda **kwargs: build(zoo.IAFVAE, steps=2, units=(8,), **kwargs),
    "hierarchical_vae": lambda **kwargs: ladder(zoo.HierarchicalVAE, **kwargs),
    "ladder_vae": lambda **kwargs: ladder(zoo.LadderVAE, **kwargs),
}
LIKELIHOODS = {
    "continuous_bernoulli": zoo.ContinuousBernoulli,
    "normal": lambda: zoo.Normal("learned"),
    "per_image": lambda: zoo.Normal("per_image"),
    "per_pixel": lambda: zoo.Normal("per_pixel"),
    "categorical": lambda: zoo.Categorical(levels=17),
    "discretised_logistic": lambda: zoo.DiscretisedLogistic(levels=17),
}
PRIORS = {
    "mixture": lambda dim: zoo.MixturePrior(dim, components=3),
    "vamp": lambda dim: zoo.VampPrior(dim, components=3),
    "flow": lambda dim: zoo.FlowPrior(dim, layers=2, units=8),
    "anisotropic": lambda dim: zoo.AnisotropicNormal(dim, scales=(1.0,) * dim),
    "student_t": zoo.StudentT,
    "sparse": zoo.SparsePrior,
}
WITHOUT_VAMP = ("iaf_vae", "hierarchical_vae", "ladder_vae")


def assert_learns(model: zoo.VAE, x) -> None:
    """Every weight has a finite gradient, every answer is finite."""
    with tf.GradientTape() as tape:
        model(x, training=True)
        loss = tf.add_n(model.losses)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
    for answer in (loss, model.sample(2), model.log_likelihood(x, 2)):
        assert np.isfinite(answer).all()


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_every_likelihood(variant, likelihood):
    model = VARIANTS[variant](likelihood=LIKELIHOODS[likelihood]())
    assert_learns(model, GREY[:8])


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_every_prior(variant, prior):
    top = 2 if variant in ("hierarchical_vae", "ladder_vae") else LATENT_DIM
    model_of = VARIANTS[variant]
    if prior == "vamp" and variant in WITHOUT_VAMP:
        with pytest.raises(ValueError, match="VampPrior"):
            model_of(prior=PRIORS[prior](top)).prior()
    else:
        assert_learns(model_of(prior=PRIORS[prior](top)), BINARY[:8])


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("sigma", ["optimal", "learned", "per_image", "per_pixel"])
def test_every_sigma_takes_every_prior(sigma, prior):
    channels = 2 if sigma.startswith("per_") else 1
    keras.utils.set_random_seed(0)
    model = zoo.SigmaVAE(
        zoo.networks.dense_encoder((8, 8, 1), (16,)),
        zoo.networks.dense_decoder(LATENT_DIM, (8, 8, channels), (16,)),
        LATENT_DIM,
        sigma=sigma,
        prior=PRIORS[prior](LATENT_DIM),
    )
    assert_learns(model, GREY[:8])
