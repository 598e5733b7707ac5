"""Real data, tiny models and the table of rows that the battery runs over."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats
from sklearn import datasets

import zoo
from tests import small_models
from zoo.heads import Head
from zoo.objectives import ELBO, IWELBO

tfd = tfp.distributions

IMAGE = (8, 8, 1)
LATENT_DIM = 4

GREY = (datasets.load_digits().images[:256, ..., None] / 16).astype("float32")
LABELS = datasets.load_digits().target[:256].astype("int32")
BINARY = np.random.default_rng(0).binomial(1, GREY).astype("float32")
CODES = (GREY[:, ::2, ::2, 0] * 4).round().astype("int32")  # [256, 4, 4], 0 to 4
FEW = np.arange(256) % 16 < 8  # whose labels are known, the first eight among them
_wine = datasets.load_wine().data[:128]
TRIPLES = {  # digits, their 2 x 2 thumbnails and the digits before them
    "x": GREY,
    "low": GREY.reshape(256, 2, 4, 2, 4, 1).mean(axis=(2, 4)),
    "reference": np.roll(GREY, 1, axis=0),
}
TABLE = ((_wine - _wine.mean(0)) / _wine.std(0)).astype("float32")

NETWORKS = {
    "dense": (
        lambda shape: zoo.networks.dense_encoder(shape, units=(16,)),
        lambda shape: zoo.networks.dense_decoder(LATENT_DIM, shape, units=(16,)),
    ),
    "conv": (
        lambda shape: zoo.networks.conv_encoder(shape, filters=(4,), units=16),
        lambda shape: zoo.networks.conv_decoder(LATENT_DIM, shape, (4,), units=16),
    ),
    "residual": (
        lambda shape: zoo.networks.residual_encoder(shape, (4,), 1, units=16),
        lambda shape: zoo.networks.residual_decoder(LATENT_DIM, shape, (4,), 1, 16),
    ),
}


def build(cls=None, networks="dense", shape=IMAGE, **kwargs) -> zoo.VAE:
    """A tiny model of any class that takes an encoder and a decoder, seeded."""
    keras.utils.set_random_seed(0)
    encoder, decoder = NETWORKS[networks]
    likelihood = kwargs.get("likelihood") or zoo.Bernoulli()
    *size, channels = shape
    params = (*size, channels * likelihood.params_per_channel)
    return (cls or zoo.VAE)(encoder(shape), decoder(params), LATENT_DIM, **kwargs)


def optimizer() -> keras.optimizers.Optimizer:
    """Adam whose large epsilon keeps its step smooth where gradients vanish.

    Runs that differ in rounding alone can then be compared weight by weight.
    """
    return keras.optimizers.Adam(0.01, epsilon=1e-3)


def shapes(model: zoo.LatentVariableModel) -> dict[str, tuple[int, ...]]:
    """Of one z of every latent layer, top layer first."""
    return {name: field.shape for name, field in model.latent_fields.items()}


def snapshot(model: keras.Model) -> dict[str, np.ndarray]:
    """Every variable of a model, its optimizer's included."""
    variables = list(model.variables)
    if getattr(model, "optimizer", None) is not None:
        variables += model.optimizer.variables
    return {f"{i}_{v.path}": np.copy(v.numpy()) for i, v in enumerate(variables)}


def assert_same_variables(one, two, atol: float = 0.0) -> None:
    """Compares two models or snapshots, variable by variable."""
    one, two = (s if isinstance(s, dict) else snapshot(s) for s in (one, two))
    assert len(one) == len(two)
    for (name, value), other in zip(one.items(), two.values()):
        np.testing.assert_allclose(value, other, rtol=0, atol=atol, err_msg=name)


class LinearGaussian(NamedTuple):
    """x = W z + b + sigma * noise, z ~ N(0, I): every quantity has a closed form."""

    weights: np.ndarray  # [D, X]
    bias: np.ndarray  # [X]
    sigma: float

    @classmethod
    def make(cls, orthogonal: bool, data_dim=5, latent_dim=2, sigma=0.6):
        rng = np.random.default_rng(0)
        weights = rng.normal(size=(latent_dim, data_dim))
        if orthogonal:  # then the posterior is diagonal
            weights = np.linalg.qr(weights.T)[0].T * [[1.5], [0.7]]
        return cls(weights, rng.normal(size=data_dim), sigma)

    @property
    def marginal(self):
        """p(x), as SciPy has it."""
        cov = self.weights.T @ self.weights + self.sigma**2 * np.eye(len(self.bias))
        return stats.multivariate_normal(self.bias, cov)

    def data(self, num_rows: int) -> np.ndarray:
        return (
            self.marginal.rvs(num_rows, random_state=1)
            .reshape(num_rows, -1)
            .astype("f4")
        )

    def posterior(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """p(z|x) as loc = x @ kernel + offset and a covariance (Bishop, eq. 2.116)."""
        latent_dim = len(self.weights)
        precision = np.eye(latent_dim) + self.weights @ self.weights.T / self.sigma**2
        cov = np.linalg.inv(precision)
        kernel = self.weights.T @ cov / self.sigma**2
        return kernel, -self.bias @ kernel, cov

    def model(self, head: str = "exact", **kwargs) -> zoo.VAE:
        """A VAE of this decoder.

        Its posterior is p(z|x) as a full or, for orthogonal weights, a diagonal normal,
        or the prior, widened: wrong on purpose.
        """
        latent_dim, data_dim = self.weights.shape
        encoder = keras.Sequential([keras.Input((data_dim,)), keras.layers.Identity()])
        decoder = keras.Sequential(
            [keras.Input((latent_dim,)), keras.layers.Dense(data_dim)]
        )
        decoder.set_weights([self.weights, self.bias])
        kernel, offset, cov = self.posterior()
        if head == "full":
            posterior = FullNormal(latent_dim)
            values = [np.linalg.cholesky(cov), kernel, offset]
        else:
            posterior = zoo.DiagonalNormal(latent_dim)
            scale = np.sqrt(np.diag(cov))
            if head == "wrong":
                kernel, offset, scale = 0 * kernel, 0 * offset, 0 * scale + 1.1
            raw_scale = np.log(np.expm1(scale - posterior.min_scale))
            values = [
                np.concatenate([kernel, 0 * kernel], axis=1),
                np.concatenate([offset, raw_scale]),
            ]
        model = zoo.VAE(
            encoder,
            decoder,
            latent_dim,
            posterior=posterior,
            likelihood=zoo.Normal(self.sigma),
            **kwargs,
        )
        posterior.set_weights(values)
        return model


@keras.saving.register_keras_serializable("zoo_tests")
class FullNormal(Head):
    """q(z|x) with one full covariance for all x; TFP has no rate for it."""

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = latent_dim
        self.loc = keras.layers.Dense(latent_dim, dtype="float32", name="loc")

    def build(self, features_shape):
        self.loc.build(features_shape)
        shape = (self.latent_dim, self.latent_dim)
        self.scale = self.add_weight(shape=shape, initializer="identity", name="scale")

    def call(self, features):
        scale = tf.convert_to_tensor(self.scale)
        return tfd.MultivariateNormalTriL(self.loc(features), scale)


class Row(NamedTuple):
    """One model of the battery: how to build it and real data that it takes."""

    build: Callable[[], zoo.GenerativeModel]
    data: np.ndarray | dict[str, np.ndarray]
    name: str = ""
    alike: bool = False  # another row but for one part: its tests are `slow`
    deep: bool = False  # many layers: what compiles it several times is `slow`

    def first(self, n: int) -> "Row":
        """The row with no more than its first n images."""
        if isinstance(self.data, dict):
            return self._replace(data={k: v[:n] for k, v in self.data.items()})
        return self._replace(data=self.data[:n])

    def parts(self, n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """x and the conditions of the first n images."""
        data = self.first(n).data
        given = dict(data) if isinstance(data, dict) else {"x": data}
        return given.pop("x"), given


def of_image(model: zoo.GenerativeModel, given: dict) -> dict:
    """Those of the conditions that an image is made of."""
    return {name: rows for name, rows in given.items() if name in model.given_fields}


def ladder(cls, **kwargs) -> zoo.VAE:
    """A tiny model of two latent layers."""
    return build(cls, upper_dims=(2,), upper_units=(8,), **kwargs)


def biva(dims=(1,), **kwargs) -> zoo.BIVA:
    """A tiny BIVA of two layers: maps of 4 x 4 below a vector."""
    keras.utils.set_random_seed(0)
    return zoo.BIVA(IMAGE, (2,), dims, 3, channels=4, strides=(2,), **kwargs)


def vlae(latent_dims=(3, 2), units=(16, 8), **kwargs) -> zoo.VLAE:
    """A tiny VLAE of two levels."""
    keras.utils.set_random_seed(0)
    return zoo.VLAE(IMAGE, latent_dims, units, **kwargs)


def nvae(groups=(2, 1), **kwargs) -> zoo.NVAE:
    """A tiny NVAE of three groups on two scales."""
    keras.utils.set_random_seed(0)
    options = {"latent_dim": 2, "channels": 4, "cells": 1, "kind": "plain", **kwargs}
    return zoo.NVAE(IMAGE, groups, **options)


def glow(image_shape=IMAGE, **kwargs) -> zoo.Glow:
    """A tiny Glow of two scales, set up on the digits."""
    keras.utils.set_random_seed(0)
    options = {"scales": 2, "steps": 1, "units": 8, "levels": 17, **kwargs}
    return zoo.Glow(image_shape, **options)


def vq_vae(strides=(2, 2), **kwargs) -> zoo.VQVAE:
    """A tiny VQ-VAE-2: 2 x 2 codes above 4 x 4."""
    keras.utils.set_random_seed(0)
    options = {"num_codes": 8, "code_dim": 4, "channels": 8, **kwargs}
    return zoo.VQVAE(IMAGE, strides, **options)


def conditional_vae(cls=zoo.ConditionalVAE, **kwargs) -> zoo.ConditionalVAE:
    """A tiny one for digits with their labels."""
    keras.utils.set_random_seed(0)
    encoder = zoo.networks.dense_encoder(IMAGE, units=(16,))
    decoder = zoo.networks.dense_decoder(LATENT_DIM + 10, IMAGE, units=(16,))
    return cls(encoder, decoder, LATENT_DIM, 10, **kwargs)


def semi_supervised_vae(**kwargs) -> zoo.SemiSupervisedVAE:
    """A tiny M2."""
    flat, logits = keras.layers.Flatten(), keras.layers.Dense(10)
    classifier = keras.Sequential([keras.Input(IMAGE), flat, logits])
    return conditional_vae(zoo.SemiSupervisedVAE, classifier=classifier, **kwargs)


def ref_vae(discriminator=True, perceptual=True, shape=IMAGE, **kwargs) -> zoo.RefVAE:
    """A tiny one that makes images four times larger."""
    keras.utils.set_random_seed(0)
    layers, image = keras.layers, keras.Input(shape)
    critic = [image, layers.Conv2D(4, 3, 2, activation="relu"), layers.Conv2D(1, 1)]
    features = [image, layers.Conv2D(4, 3, activation="relu")]
    if discriminator:
        kwargs["discriminator"] = keras.Sequential(critic)
    if perceptual is True:
        perceptual = keras.Sequential(features)
    kwargs["perceptual"] = perceptual or None
    encoder = zoo.networks.dense_encoder(shape, units=(16,))
    decoder = zoo.networks.upsampler(LATENT_DIM, shape, 4, channels=4, blocks=1)
    return zoo.RefVAE(encoder, decoder, LATENT_DIM, **kwargs)


def pixelcnn(shape=(4, 4), **kwargs) -> zoo.PixelCNN:
    """A tiny PixelCNN of a tiny VQ-VAE's lower codes."""
    keras.utils.set_random_seed(0)
    return zoo.PixelCNN(shape, **{"levels": 5, "channels": 8, "depth": 2, **kwargs})


def assert_same_likelihoods(one, other, rtol) -> None:
    """Of the same seeds: each image's metrics, and its importance-weighted log p(x)."""
    seed, x = tf.constant([1, 2]), tf.constant(BINARY[:8])
    ours, theirs = (m.measure(x, {}, seed).metrics for m in (one, other))
    for name in ("elbo", "rate", "distortion"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol)
    options = {"num_importance_samples": 7, "seed": 3}
    np.testing.assert_allclose(
        one.log_prob(x, **options), other.log_prob(x, **options), rtol=rtol
    )


def with_prior(prior: type, **kwargs) -> Row:
    """A row of a VAE whose prior is the point."""
    return Row(lambda: build(prior=prior(LATENT_DIM, **kwargs)), BINARY)


CONFIGS = {
    "vae_dense_bernoulli": Row(lambda: build(), BINARY),
    "vae_conv_bernoulli": Row(lambda: build(networks="conv"), BINARY),
    "vae_residual_bernoulli": Row(lambda: build(networks="residual"), BINARY),
    "vae_conv_normal": Row(
        lambda: build(None, "conv", likelihood=zoo.Normal(0.3)), GREY
    ),
    "vae_table_normal": Row(
        lambda: build(shape=TABLE.shape[1:], likelihood=zoo.Normal()), TABLE
    ),
    "vae_five_samples": Row(lambda: build(objective=ELBO(num_samples=5)), BINARY),
    "vae_beta_schedule": Row(
        lambda: build(objective=ELBO(zoo.schedules.Linear(0.0, 1.0, steps=20))), BINARY
    ),
    "vae_free_bits": Row(lambda: build(objective=ELBO(free_bits=0.5)), BINARY),
    "vae_full_posterior": Row(lambda: build(posterior=FullNormal(LATENT_DIM)), BINARY),
    "autoencoder": Row(lambda: build(zoo.Autoencoder), BINARY),
    "iwae": Row(lambda: build(zoo.IWAE), BINARY),
    "iwae_doubly_reparameterised": Row(
        lambda: build(zoo.IWAE, doubly_reparameterised=True), BINARY
    ),
    "beta_vae": Row(lambda: build(zoo.BetaVAE), BINARY),
    "capacity_vae": Row(lambda: build(zoo.CapacityVAE, gamma=10.0), BINARY),
    "beta_tcvae": Row(lambda: build(zoo.BetaTCVAE, dataset_size=256), BINARY),
    "sigma_vae_optimal": Row(lambda: build(zoo.SigmaVAE), GREY),
    "sigma_vae_learned": Row(lambda: build(zoo.SigmaVAE, sigma="learned"), GREY),
    "vae_per_image": Row(lambda: build(likelihood=zoo.Normal("per_image")), GREY),
    "vae_per_pixel": Row(lambda: build(likelihood=zoo.Normal("per_pixel")), GREY),
    "iaf_vae_gated": Row(lambda: build(zoo.IAFVAE, steps=2, units=(8,)), BINARY),
    "iaf_vae_plain": Row(
        lambda: build(zoo.IAFVAE, steps=2, units=(8,), gated=False), BINARY
    ),
    "iaf_vae_flow_prior": Row(
        lambda: build(
            zoo.IAFVAE,
            steps=1,
            units=(8,),
            prior=zoo.FlowPrior(LATENT_DIM, layers=2, units=8),
        ),
        BINARY,
    ),
    "ladder_vae": Row(lambda: ladder(zoo.LadderVAE), BINARY),
    "hierarchical_vae": Row(lambda: ladder(zoo.HierarchicalVAE), BINARY),
    "ladder_iwae": Row(
        lambda: ladder(zoo.LadderVAE, objective=IWELBO(num_importance_samples=3)),
        BINARY,
    ),
    "iaf_iwae": Row(
        lambda: build(
            zoo.IAFVAE,
            steps=2,
            units=(8,),
            objective=IWELBO(num_importance_samples=3),
        ),
        BINARY,
    ),
    "mixture_prior": with_prior(zoo.MixturePrior, components=4),
    "vamp_prior": with_prior(zoo.VampPrior, components=4),
    "flow_prior": with_prior(zoo.FlowPrior, layers=2, units=8),
    "glow_prior": with_prior(zoo.GlowPrior, steps=1, units=8),
    "anisotropic_normal": with_prior(
        zoo.AnisotropicNormal, scales=(2.0, 1.0, 0.5, 0.5)
    ),
    "student_t": with_prior(zoo.StudentT),
    "sparse_prior": with_prior(zoo.SparsePrior),
    "continuous_bernoulli": Row(
        lambda: build(likelihood=zoo.ContinuousBernoulli()), GREY
    ),
    "discretised_logistic": Row(
        lambda: build(likelihood=zoo.DiscretisedLogistic(levels=17)), GREY
    ),
    "categorical": Row(lambda: build(likelihood=zoo.Categorical(levels=17)), GREY),
    "biva": Row(lambda: biva(), BINARY),
    "vlae": Row(lambda: vlae(), BINARY),
    "nvae": Row(lambda: nvae((1, 1)), BINARY),
    "nvae_flows": Row(lambda: nvae((1, 1), flows=2, window=3), BINARY),
    "glow": Row(lambda: glow(), GREY),
    "vq_vae_2": Row(lambda: vq_vae(), BINARY),
    "vq_vae_2_priors": Row(
        lambda: vq_vae(
            priors=[pixelcnn((2, 2), levels=8), pixelcnn(levels=8, upper=(2, 2, 8))]
        ),
        BINARY,
    ),
    "pixelcnn": Row(
        lambda: pixelcnn(upper=(2, 2, 5)), {"x": CODES, "upper": CODES[:, ::2, ::2]}
    ),
    "spatial_vae": Row(small_models.SpatialVAE, BINARY),
    "conditional_vae": Row(conditional_vae, {"x": BINARY, "label": LABELS}),
    "semi_supervised_vae": Row(
        semi_supervised_vae, {"x": BINARY, "label": np.where(FEW, LABELS, -1)}
    ),
    "ref_vae": Row(ref_vae, TRIPLES),
    "vq_vae": Row(small_models.vq_vae, BINARY),
    "real_nvp": Row(lambda: small_models.RealNVP(couplings=2), GREY),
}

# Like another row but for one part, which tests of its own know well, and which
# `test_combinations` trains with other models.
ALIKE = (
    "vae_residual_bernoulli",
    "vae_table_normal",
    "vae_five_samples",
    "vae_beta_schedule",
    "vae_free_bits",
    "vae_full_posterior",
    "sigma_vae_learned",
    "vae_per_image",
    "vae_per_pixel",
    "iaf_vae_plain",
    "iaf_vae_flow_prior",
    "anisotropic_normal",
    "student_t",
    "sparse_prior",
    "categorical",
    "continuous_bernoulli",
    "capacity_vae",
    "beta_vae",
    "mixture_prior",
    "iaf_iwae",
    "ladder_iwae",
    "vae_conv_normal",
    "iwae_doubly_reparameterised",
    "beta_tcvae",
    "iwae",
    "vamp_prior",
    "flow_prior",
    "glow_prior",
    "hierarchical_vae",
    "vq_vae",
    "vq_vae_2_priors",
    "discretised_logistic",
    "nvae_flows",
    "spatial_vae",
)
# Of many layers, which XLA takes long for, or of convolutions, which go without it.
DEEP = (
    "biva",
    "vlae",
    "nvae",
    "nvae_flows",
    "glow",
    "vq_vae_2",
    "vq_vae_2_priors",
    "pixelcnn",
    "spatial_vae",
    "hierarchical_vae",
    "semi_supervised_vae",
    "vq_vae",
    "real_nvp",
    "conditional_vae",
    "ref_vae",
)
CONFIGS |= {name: CONFIGS[name]._replace(alike=True) for name in ALIKE}
CONFIGS |= {name: CONFIGS[name]._replace(deep=True) for name in DEEP}
