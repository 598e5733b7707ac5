"""What a trained model is worth: likelihoods, rates and the latents' use."""

from zoo.evaluation.anomaly import (
    anomaly_score,
    likelihood_ratio,
    log_prob_above,
    rarity,
)
from zoo.evaluation.batch_norm import refresh_batch_norm
from zoo.evaluation.information import information
from zoo.evaluation.likelihood import encode, log_prob
from zoo.evaluation.mixture_prior import fit_mixture_prior
from zoo.evaluation.precision import with_dtype
