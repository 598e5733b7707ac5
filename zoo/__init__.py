"""VAE Zoo: variational autoencoders as Keras 3 models on TensorFlow Probability."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "VAE Zoo needs Keras' TensorFlow backend; set KERAS_BACKEND=tensorflow before "
        f"importing keras. Received: backend={keras.backend.backend()!r}"
    )

from zoo import bounds, evaluation, networks, schedules, serving
from zoo.likelihoods import Bernoulli, Normal
from zoo.posteriors import DiagonalNormal
from zoo.presets import list_presets, load
from zoo.priors import StandardNormal
from zoo.vae import VAE
from zoo.variants.autoencoder import Autoencoder
from zoo.variants.beta_tcvae import BetaTCVAE
from zoo.variants.beta_vae import BetaVAE
from zoo.variants.capacity_vae import CapacityVAE
from zoo.variants.iwae import IWAE

__all__ = [
    "IWAE",
    "VAE",
    "Autoencoder",
    "Bernoulli",
    "BetaTCVAE",
    "BetaVAE",
    "CapacityVAE",
    "DiagonalNormal",
    "Normal",
    "StandardNormal",
    "bounds",
    "evaluation",
    "list_presets",
    "load",
    "networks",
    "schedules",
    "serving",
]
