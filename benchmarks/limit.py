"""How near the dense training step comes to the machine's matrix multiplication."""

import itertools
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import zoo
from benchmarks import models
from benchmarks.protocol import LATENT_DIM, LEARNING_RATE, TRAINING_IMAGES, UNITS
from benchmarks.versus import RUNS, Row

SIZE = 2048  # of the square matrices
REPEATS = 5
BATCH_SIZE = 512


def share(images: np.ndarray) -> list[Row]:
    """Multiplications of a dense training epoch over those a matmul does in its time.

    Args:
        images: binary `[N, 28, 28, 1]`, uint8.

    Returns:
        The rate of the matmul, in turns with the epochs, and the share in per cent.
    """
    model = zoo.VAE(*models.dense())
    model.compile(keras.optimizers.Adam(LEARNING_RATE))
    trainer = models.Trainer(model, images[:TRAINING_IMAGES], BATCH_SIZE)
    operations = 2 * trainer.images * multiplications()
    multiply = matmul()
    rate = Row(f"float32 matmul of {SIZE}", "GFLOP/s", "-", [], [])
    shares = Row(f"used by training, batch {BATCH_SIZE}", "%", "70 %", [], [])
    for run in range(-1, RUNS):
        peak = multiply()
        achieved = operations / trainer()
        if run >= 0:  # the first one warms up
            rate.zoo.append(peak / 1e9)
            shares.zoo.append(100 * achieved / peak)
    return [rate, shares]


def matmul() -> Callable[[], float]:
    """A function that multiplies large matrices and returns its rate, in FLOP/s."""
    matrix = tf.random.stateless_normal((SIZE, SIZE), (0, 0))

    @tf.function(autograph=False)
    def multiply():
        product = matrix
        for _ in range(REPEATS):
            product = tf.matmul(matrix, product)
        return product

    def rate():
        started = time.perf_counter()
        multiply().numpy()
        return 2 * REPEATS * SIZE**3 / (time.perf_counter() - started)

    return rate


def multiplications() -> int:
    """Of one image in one training step of the dense VAE.

    Forward, backward to the weights and backward to the inputs take one each for every
    weight; the first layer's inputs need no gradient.
    """
    widths = 784, *UNITS, 2 * LATENT_DIM
    encoder = [a * b for a, b in itertools.pairwise(widths)]
    widths = LATENT_DIM, *UNITS, 784
    decoder = [a * b for a, b in itertools.pairwise(widths)]
    return 3 * sum(encoder + decoder) - encoder[0]
