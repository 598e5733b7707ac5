"""Flows: invertible maps of z whose log-determinant costs nothing extra.

The weights live in Keras layers; the maps are `tfb.Bijector`s made from them.
"""

from zoo.flows.coupling import Coupling
from zoo.flows.iaf import IAF, iaf
from zoo.flows.image import (
    ActNorm,
    GlowSteps,
    ImageCoupling,
    ImageFlow,
    InvertibleConv,
)
from zoo.flows.made import MADE
from zoo.flows.map_iaf import MapIAF
