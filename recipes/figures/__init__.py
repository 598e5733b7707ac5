"""Pictures of what a model does; every function returns a Matplotlib figure."""

from recipes.figures.curves import compared, history, layer_rates, rate_distortion
from recipes.figures.entry import draw
from recipes.figures.grids import (
    as_array,
    every_class,
    grid,
    interpolation,
    reconstructions,
    samples,
    save,
    temperatures,
)
from recipes.figures.latents import (
    SomeLayers,
    decoded_grid,
    has_latents,
    latent_space,
    levels,
    most_active,
    of_two_dimensions,
    plane,
    traversal,
)

__all__ = [
    "SomeLayers",
    "as_array",
    "compared",
    "decoded_grid",
    "draw",
    "every_class",
    "grid",
    "has_latents",
    "history",
    "interpolation",
    "latent_space",
    "layer_rates",
    "levels",
    "most_active",
    "of_two_dimensions",
    "plane",
    "rate_distortion",
    "reconstructions",
    "samples",
    "save",
    "temperatures",
    "traversal",
]
