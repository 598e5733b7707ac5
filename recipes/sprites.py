"""Sprites: binary images of 32 x 32 pixels whose five factors are known.

After dSprites (Matthey et al., 2017): a square, an ellipse or a heart, in 6 scales from
0.5 to 1, 40 orientations around the circle, and at 16 x 16 places, which lie one pixel
apart. At half of dSprites' side a training step costs less than half the time, and all
184 320 images take 189 MB.

A square looks the same after a quarter of a turn and an ellipse after half of one, as
in dSprites: no code can tell the whole of their orientation.
"""

import math

import numpy as np

SIDE = 32  # pixels of an image
PATCH = 17  # pixels around a sprite's centre: those that it may cover
RADIUS = 8.0  # pixels of a sprite of scale 1
POINTS = 8  # points by which a pixel is measured, along each axis

SHAPES = {  # whether points are inside, at scale 1 and radius 1; v points upwards
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) <= 0.7,
    "ellipse": lambda u, v: u**2 + (v / 0.62) ** 2 <= 1.0,
    "heart": lambda u, v: _heart(1.37 * u, 1.37 * v + 0.12),
}
FACTORS = {"shape": len(SHAPES), "scale": 6, "orientation": 40, "x": 16, "y": 16}


def draw() -> tuple[np.ndarray, np.ndarray]:
    """Images `[N, 32, 32, 1]`, uint8 of 0 and 255, and their factors `[N, 5]`, int32.

    Every combination of the factors is there once, in an order of a fixed seed.
    """
    sizes = tuple(FACTORS.values())
    order = np.random.Generator(np.random.PCG64(0)).permutation(math.prod(sizes))
    row_of = np.argsort(order).reshape(-1, *sizes[3:])
    images = np.zeros((len(order), SIDE, SIDE, 1), np.uint8)
    sprites = patches().reshape(-1, PATCH, PATCH, 1)
    for x, y in np.ndindex(sizes[3:]):
        images[row_of[:, x, y], y : y + PATCH, x : x + PATCH] = sprites
    factors = np.stack(np.unravel_index(order, sizes), axis=1)
    return images, factors.astype(np.int32)


def patches() -> np.ndarray:
    """Every sprite by shape, scale and orientation, `[3, 6, 40, 17, 17]`, uint8.

    A pixel is 255 where the shape covers half of it or more, else 0: there is no
    anti-aliasing, so that the images are binary.
    """
    middle = (np.arange(PATCH * POINTS) + 0.5) / POINTS - PATCH / 2
    right, up = middle, -middle[:, np.newaxis]
    scales = RADIUS * np.linspace(0.5, 1.0, FACTORS["scale"]).reshape(-1, 1, 1, 1)
    steps = np.arange(FACTORS["orientation"]).reshape(-1, 1, 1)
    angle = 2 * np.pi * steps / FACTORS["orientation"]  # against the clock
    u = (right * np.cos(angle) + up * np.sin(angle)) / scales
    v = (up * np.cos(angle) - right * np.sin(angle)) / scales
    pixels = *u.shape[:2], PATCH, POINTS, PATCH, POINTS
    covered = [inside(u, v).reshape(pixels).mean((3, 5)) for inside in SHAPES.values()]
    return np.where(np.stack(covered) >= 0.5, 255, 0).astype(np.uint8)


def _heart(u, v):
    return (u**2 + v**2 - 1) ** 3 <= u**2 * v**3
