"""Keras networks by shape: x -> features `[B, H]` and z -> likelihood parameters.

They are conveniences: any functional or Sequential Keras model of the same shapes
can take their place. The layers are parts for networks of other shapes.
"""

from zoo.networks.attention import CausalAttention
from zoo.networks.bias import Conv2D, Conv2DTranspose, Dense
from zoo.networks.cells import Cell, SqueezeExcitation
from zoo.networks.convolutional import conv_decoder, conv_discriminator, conv_encoder
from zoo.networks.dense import (
    dense_decoder,
    dense_encoder,
    gated_decoder,
    gated_encoder,
)
from zoo.networks.gated import GatedConv
from zoo.networks.residual import residual_decoder, residual_encoder
from zoo.networks.spectral import SpectralPenalty
from zoo.networks.upsampling import bicubic, upsampler
from zoo.networks.weight_norm import (
    DataInitialised,
    WeightNormBlock,
    WeightNormConv2D,
    WeightNormDense,
    initialise,
)
