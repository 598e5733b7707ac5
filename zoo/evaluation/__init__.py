"""What a trained model is worth: likelihoods, rates and the latents' use."""

from zoo.evaluation.batch_norm import refresh_batch_norm
from zoo.evaluation.information import Information, information
from zoo.evaluation.likelihood import log_likelihood

__all__ = ["Information", "information", "log_likelihood", "refresh_batch_norm"]
