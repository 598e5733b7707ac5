"""Heads: layers that own weights and return distributions."""

from zoo.heads.base import Head
from zoo.heads.codebook import Codebook
from zoo.heads.conditional_normal import ConditionalNormal
from zoo.heads.diagonal_normal import DiagonalNormal, Point
from zoo.heads.iaf_posterior import IAFPosterior
from zoo.heads.residual_normal import ResidualNormal
