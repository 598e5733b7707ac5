"""Flows of maps: autoregressive, exact log-determinants, inverses, shared contexts."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.flows import MapIAF

SHAPE = (3, 2, 2)  # of z: height, width, channels


@pytest.fixture(params=[1, 2, 3])
def flow(request, rng):
    """A flow of some steps, its weights off their first values."""
    layer = MapIAF(SHAPE[-1], steps=request.param, units=8)
    layer.build((None, 3, 2, 4))
    for weight in layer.trainable_weights:
        weight.assign_add(rng.normal(0, 0.3, weight.shape))
    return layer


def normal(rng, *shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


def jacobian(bijector, z):
    """d new / d z of the only row, `[D, D]` in the order of places and channels."""
    with tf.GradientTape() as tape:
        tape.watch(z)
        new = bijector.forward(z)
    return tape.jacobian(new, z).numpy().reshape(np.prod(SHAPE), -1)


def test_the_log_determinant_is_that_of_the_jacobian(flow, rng):
    context, z = normal(rng, 1, 3, 2, 4), normal(rng, 1, *SHAPE)
    used, fresh = flow(context), flow(context)
    _, expected = np.linalg.slogdet(np.float64(jacobian(used, z)))
    for bijector in (used, fresh):  # the first one remembers it
        found = bijector.forward_log_det_jacobian(z, event_ndims=3)
        np.testing.assert_allclose(found, [expected], atol=1e-5)  # rounding


def test_a_step_is_autoregressive_and_the_next_the_other_way(rng):
    layer = MapIAF(SHAPE[-1], steps=2, units=8)
    context, z = normal(rng, 1, 3, 2, 4), normal(rng, 1, *SHAPE)
    second, first = layer(context).bijectors
    for step, triangle in ((first, np.tril), (second, np.triu)):
        matrix = jacobian(step, z)
        np.testing.assert_array_equal(matrix, triangle(matrix))
        # All that comes before is seen: here no place is too far away.
        seen = matrix[np.arange(12)[:, None] != np.arange(12)]
        assert np.count_nonzero(seen) == 12 * 11 / 2


def test_the_context_of_a_place_reaches_it(flow, rng):
    context, z = normal(rng, 1, 3, 2, 4), normal(rng, 1, *SHAPE)
    before = flow(context).forward(z)
    for row, column in np.ndindex(3, 2):
        other = context.numpy()
        other[0, row, column] += 1.0
        changed = (flow(other).forward(z) != before).numpy()
        assert changed[0, row, column].all()


def test_the_inverse_undoes_forward(flow, rng):
    context, z = normal(rng, 2, 3, 2, 4), normal(rng, 2, *SHAPE)
    new = flow(context).forward(z)
    np.testing.assert_allclose(flow(context).inverse(new), z, atol=1e-4)  # rounding


def test_draws_share_the_context_of_their_row(flow, rng):
    context, z = normal(rng, 2, 3, 2, 4), normal(rng, 5, 2, *SHAPE)
    together = flow(context).forward(z)
    log_det = flow(context).forward_log_det_jacobian(z, event_ndims=3)
    assert log_det.shape == (5, 2)
    for row in range(2):
        alone = flow(tf.repeat(context[row : row + 1], 5, axis=0)).forward(z[:, row])
        np.testing.assert_allclose(together[:, row], alone, atol=1e-6)


def test_the_density_of_a_draw_is_that_of_its_value(flow, rng):
    base = tfd.Independent(tfd.Normal(tf.zeros((2, *SHAPE)), 1.0), 3)
    context = normal(rng, 2, 3, 2, 4)
    q = tfd.TransformedDistribution(base, flow(context))
    z, log_q = q.experimental_sample_and_log_prob(seed=(1, 2))
    other = tfd.TransformedDistribution(base, flow(context))
    np.testing.assert_allclose(other.log_prob(z), log_q, atol=1e-3)  # by the inverse
