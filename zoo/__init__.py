"""VAE Zoo: variational autoencoders as Keras 3 models on TensorFlow Probability."""

import keras

__version__ = "0.1.0"

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "VAE Zoo needs Keras' TensorFlow backend; set KERAS_BACKEND=tensorflow before "
        f"importing keras. Received: backend={keras.backend.backend()!r}"
    )

from zoo import bounds, draws, evaluation, networks, objectives, schedules, serving
from zoo.checks import Field
from zoo.flows import IAF, MADE, iaf
from zoo.generative import GenerativeModel, Measures
from zoo.heads import ConditionalNormal, DiagonalNormal, IAFPosterior, ResidualNormal
from zoo.latent import LatentVariableModel
from zoo.likelihoods import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretisedLogistic,
    Laplace,
    Normal,
)
from zoo.presets import list_presets, load
from zoo.priors import (
    AnisotropicNormal,
    FlowPrior,
    GlowPrior,
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
from zoo.variants.biva import BIVA
from zoo.variants.capacity_vae import CapacityVAE
from zoo.variants.conditional_vae import ConditionalVAE
from zoo.variants.glow import Glow
from zoo.variants.hierarchical_vae import HierarchicalVAE
from zoo.variants.iaf_vae import IAFVAE
from zoo.variants.iwae import IWAE
from zoo.variants.ladder_vae import LadderVAE
from zoo.variants.nvae import NVAE
from zoo.variants.pixelcnn import PixelCNN
from zoo.variants.ref_vae import RefVAE
from zoo.variants.semi_supervised_vae import SemiSupervisedVAE
from zoo.variants.sigma_vae import SigmaVAE
from zoo.variants.vlae import VLAE
from zoo.variants.vqvae import VQVAE
