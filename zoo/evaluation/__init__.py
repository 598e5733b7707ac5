"""What a trained model is worth: likelihoods, rates, what its latents do and tell."""

from zoo.evaluation.anomaly import (
    anomaly_score,
    likelihood_ratio,
    log_prob_above,
    rarity,
)
from zoo.evaluation.batch_norm import (
    refresh_batch_norm,
    refresh_batch_norm_of_samples,
)
from zoo.evaluation.disentanglement import (
    dci,
    disentanglement,
    factor_vae_score,
    mig,
    sap,
)
from zoo.evaluation.information import information
from zoo.evaluation.likelihood import encode, log_prob
from zoo.evaluation.mixture_prior import fit_mixture_prior
from zoo.evaluation.precision import with_dtype
