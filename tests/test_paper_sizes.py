"""The papers' sizes: numbers of parameters, and one training step of each."""

import math

import keras
import numpy as np
import pytest

import zoo
from recipes import paper_sizes

pytestmark = pytest.mark.slow

PUBLISHED = {"nvae_mnist": 33e6}
PARAMETERS = {
    "nvae_mnist": 33_166_245,
    "nvae_cifar10": 130_281_114,
    "nvae_celeba64": 151_399_046,
    "biva_mnist": 4_048_546,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_it_is_built_and_takes_a_step(name):
    """Two images, eagerly: tracing the largest graphs takes longer than the step."""
    model = getattr(paper_sizes, name)()
    sizes = [math.prod(weight.shape) for weight in model.trainable_weights]
    assert sum(sizes) == PARAMETERS[name]
    assert abs(sum(sizes) / PUBLISHED.get(name, sum(sizes)) - 1) < 0.01
    shape = (2, *model.event_shape)
    levels = getattr(model.likelihood_head, "levels", 2)
    x = np.random.default_rng(0).integers(0, levels, shape) / np.float32(levels - 1)
    x = x.astype("float32")
    if isinstance(model, zoo.BIVA):
        zoo.networks.initialise(model, x)
    else:
        model.objective = zoo.objectives.BalancedELBO(beta=0.5)
    optimizer = keras.optimizers.Adamax(1e-2)
    model.compile(optimizer, skip_non_finite=True, run_eagerly=True)
    logs = model.train_on_batch(x, return_dict=True)
    assert logs["skipped_steps"] == 0
    assert np.isfinite(list(logs.values())).all()
    assert logs["gradient_norm"] > 0


def test_the_latents_are_the_papers():
    model = paper_sizes.nvae_mnist()
    shapes = [field.shape for field in model.latent_fields.values()]
    assert shapes == [(4, 4, 20)] * 5 + [(8, 8, 20)] * 10
