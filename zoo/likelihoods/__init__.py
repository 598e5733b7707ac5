"""Likelihood heads: decoder output to p(x|z), one event per image or row."""

from zoo.likelihoods.base import Likelihood
from zoo.likelihoods.binary import Bernoulli, ContinuousBernoulli
from zoo.likelihoods.laplace import Laplace
from zoo.likelihoods.levels import Categorical, DiscretisedLogistic
from zoo.likelihoods.normal import Normal
