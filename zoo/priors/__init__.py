"""Priors p(z) over `[D]`."""

from zoo.priors.base import Prior
from zoo.priors.learned import FlowPrior, MixturePrior, VampPrior
from zoo.priors.shaped import AnisotropicNormal, SparsePrior, StandardNormal, StudentT
