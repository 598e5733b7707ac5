"""VAE Zoo: variational autoencoders as Keras 3 models on TensorFlow Probability."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "VAE Zoo needs Keras' TensorFlow backend; set KERAS_BACKEND=tensorflow before "
        f"importing keras. Received: backend={keras.backend.backend()!r}"
    )

from zoo import bounds, evaluation, networks, schedules, serving
from zoo.flows import IAF, iaf
from zoo.likelihoods import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretisedLogistic,
    Normal,
)
from zoo.networks.made import MADE
from zoo.posteriors import DiagonalNormal
from zoo.presets import list_presets, load
from zoo.priors import (
    AnisotropicNormal,
    FlowPrior,
    MixturePrior,
    SparsePrior,
    StandardNormal,
    StudentT,
    VampPrior,
)
from zoo.vae import VAE
from zoo.variants.autoencoder import Autoencoder
from zoo.variants.beta_tcvae import BetaTCVAE
from zoo.variants.beta_vae import BetaVAE
from zoo.variants.capacity_vae import CapacityVAE
from zoo.variants.hierarchical_vae import HierarchicalVAE
from zoo.variants.iaf_vae import IAFVAE, IAFPosterior
from zoo.variants.iwae import IWAE
from zoo.variants.ladder_vae import LadderVAE
from zoo.variants.sigma_vae import SigmaVAE

__all__ = [
    "IAF",
    "IAFVAE",
    "IWAE",
    "MADE",
    "VAE",
    "AnisotropicNormal",
    "Autoencoder",
    "Bernoulli",
    "BetaTCVAE",
    "BetaVAE",
    "CapacityVAE",
    "Categorical",
    "ContinuousBernoulli",
    "DiagonalNormal",
    "DiscretisedLogistic",
    "FlowPrior",
    "HierarchicalVAE",
    "IAFPosterior",
    "LadderVAE",
    "MixturePrior",
    "Normal",
    "SigmaVAE",
    "SparsePrior",
    "StandardNormal",
    "StudentT",
    "VampPrior",
    "bounds",
    "evaluation",
    "iaf",
    "list_presets",
    "load",
    "networks",
    "schedules",
    "serving",
]
