"""Priors p(z) over `[D]`."""

from zoo.priors.learned import FlowPrior, GlowPrior, MixturePrior, VampPrior
from zoo.priors.shaped import (
    AnisotropicNormal,
    Prior,
    SparsePrior,
    StandardNormal,
    StudentT,
)
