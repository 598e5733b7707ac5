"""Objectives, architectures, likelihoods and priors with one another: one step each.

The battery has every likelihood and every prior with the plain VAE. Two in three of
the pairs with another architecture are `slow`.
"""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.configs import (
    BINARY,
    GREY,
    LATENT_DIM,
    TRIPLES,
    biva,
    build,
    ladder,
    ref_vae,
)
from zoo.draws import Sample, seed_words
from zoo.objectives import ELBO, IWELBO, Capacity, TotalCorrelation

ARCHITECTURES = {
    "vae": build,
    "iaf_vae": lambda **kwargs: build(zoo.IAFVAE, steps=2, units=(8,), **kwargs),
    "hierarchical_vae": lambda **kwargs: ladder(zoo.HierarchicalVAE, **kwargs),
    "ladder_vae": lambda **kwargs: ladder(zoo.LadderVAE, **kwargs),
    "biva": biva,
}
OBJECTIVES = {
    "elbo": lambda: ELBO(beta=2.0, free_bits=0.1, num_samples=2),
    "iwelbo": lambda: IWELBO(num_importance_samples=3),
    "dreg": lambda: IWELBO(num_importance_samples=3, doubly_reparameterised=True),
    "capacity": lambda: Capacity(num_samples=2),
    "total_correlation": lambda: TotalCorrelation(dataset_size=256, num_samples=2),
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
LAYERED = ("hierarchical_vae", "ladder_vae", "biva")
# Those that need one layer of latents whose posterior is a diagonal normal.
FOR_NORMALS = ("dreg", "total_correlation")


def pairs(names: str, some, others):
    """Every pair, as parameters; two in three of a row are `slow`."""
    return pytest.mark.parametrize(
        names,
        [
            pytest.param(
                a, b, marks=[pytest.mark.slow] * ((i + j) % 3 > 0), id=f"{a}-{b}"
            )
            for i, a in enumerate(some)
            for j, b in enumerate(others)
        ],
    )


def assert_learns(model: zoo.LatentVariableModel, x, given=None) -> None:
    """Every weight has a finite gradient, every answer is finite."""
    with tf.GradientTape() as tape:
        model({"x": x, **(given or {})}, training=True)
        loss = tf.add_n(model.losses)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
    # Eagerly: tracing `sample` and `log_prob`, as the battery does, takes longest.
    few = {name: rows[:2] for name, rows in (given or {}).items()}
    sample = model.likelihood(model.walk(Sample(seed_words(0), 2)), few).mean()
    for answer in (loss, sample, model.log_weights(x, given, num_importance_samples=2)):
        assert np.isfinite(answer).all()


@pairs("architecture, objective", ARCHITECTURES, OBJECTIVES)
def test_every_architecture_takes_every_objective_that_it_can_carry(
    architecture, objective
):
    model_of, make = ARCHITECTURES[architecture], OBJECTIVES[objective]
    if objective in FOR_NORMALS and architecture in LAYERED:
        with pytest.raises(ValueError, match=r"one (latent )?layer"):
            model_of(objective=make())
    elif objective in FOR_NORMALS and architecture == "iaf_vae":
        with pytest.raises(ValueError, match="must be a diagonal normal"):
            model_of(objective=make())
    else:
        assert_learns(model_of(objective=make()), BINARY[:8])


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_ref_vae_takes_every_objective(objective):
    """Beside its own terms."""
    model = ref_vae(objective=OBJECTIVES[objective]())
    given = {name: tf.constant(TRIPLES[name][:8]) for name in ("low", "reference")}
    assert_learns(model, GREY[:8], given)


@pytest.mark.slow
@pairs("architecture, likelihood", ARCHITECTURES, LIKELIHOODS)
def test_every_architecture_takes_every_likelihood(architecture, likelihood):
    """With several draws of every image."""
    model = ARCHITECTURES[architecture](
        likelihood=LIKELIHOODS[likelihood](), objective=OBJECTIVES["iwelbo"]()
    )
    assert_learns(model, GREY[:8])


@pairs("architecture, prior", sorted(set(ARCHITECTURES) - {"vae", "biva"}), PRIORS)
def test_every_architecture_takes_every_prior(architecture, prior):
    top = PRIORS[prior](2 if architecture in LAYERED else LATENT_DIM)
    if prior == "vamp":
        with pytest.raises(ValueError, match="VampPrior"):
            ARCHITECTURES[architecture](prior=top)
    else:
        assert_learns(ARCHITECTURES[architecture](prior=top), BINARY[:8])


@pytest.mark.slow
@pairs("objective, prior", ["iwelbo", "dreg", "total_correlation"], PRIORS)
def test_every_objective_takes_every_prior(objective, prior):
    """The others see its rate alone, as the battery's ELBO does."""
    model = build(prior=PRIORS[prior](LATENT_DIM), objective=OBJECTIVES[objective]())
    assert_learns(model, BINARY[:8])


@pytest.mark.slow
@pytest.mark.parametrize("prior", PRIORS)
def test_the_optimal_sigma_takes_every_prior(prior):
    """Any other sigma is a likelihood of the plain VAE."""
    model = build(zoo.SigmaVAE, prior=PRIORS[prior](LATENT_DIM))
    assert_learns(model, GREY[:8])


@pytest.mark.parametrize(
    ("variant", "options", "objective"),
    [
        (zoo.BetaVAE, {"beta": 3.0}, ELBO(3.0)),
        (zoo.IWAE, {"num_importance_samples": 3}, IWELBO(3)),
        (zoo.IWAE, {"doubly_reparameterised": True}, IWELBO(5, 1.0, True)),
        (zoo.CapacityVAE, {"gamma": 3.0, "capacity": 2.0}, Capacity(3.0, 2.0)),
        (
            zoo.BetaTCVAE,
            {"dataset_size": 256, "alpha": 2.0, "beta": 3.0, "gamma": 4.0},
            TotalCorrelation(256, 2.0, 3.0, 4.0),
        ),
    ],
    ids=["beta", "iwae", "dreg", "capacity", "total_correlation"],
)
def test_a_variant_is_the_vae_with_its_objective(variant, options, objective):
    losses = []
    for model in (build(variant, **options), build(objective=objective)):
        model(BINARY[:8])
        losses.append(tf.add_n(model.losses).numpy())
    assert losses[0] == losses[1]
