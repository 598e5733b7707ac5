"""Flows are what they claim: autoregressive, invertible, with the right density."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from zoo import flows
from zoo.flows.made import MADE

tfd = tfp.distributions

# Sums of a few dozen float32 terms of order one.
ROUNDING = 1e-4


def shake(layer, rng, scale=0.2):
    """Moves every weight away from its start, where flows are nearly linear."""
    for weight in layer.weights:
        weight.assign(weight + scale * rng.normal(size=weight.shape))
    return layer


def make_flow(rng, latent_dim, context_dim=None, **options):
    flow = flows.IAF(latent_dim, **{"units": (16,), **options})
    flow.build(None if context_dim is None else (None, context_dim))
    return shake(flow, rng)


def normal(rng, *shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


def base(*shape):
    return tfd.Independent(tfd.Normal(tf.zeros(shape), 1.0), 1)


def jacobian(function, z):
    """d function(z) / dz, `[B, ..., D]`."""
    with tf.GradientTape() as tape:
        tape.watch(z)
        outputs = function(z)
    return tape.batch_jacobian(outputs, z).numpy()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("context_dim", [None, 3])
@pytest.mark.parametrize(
    ("latent_dim", "units"),
    [(1, (4,)), (5, ()), (5, (3, 4)), (6, (16, 12, 16))],
)
def test_made_is_strictly_autoregressive(latent_dim, units, context_dim, reverse, rng):
    made = MADE(3, units, reverse)
    z = normal(rng, 2, latent_dim)
    context = None if context_dim is None else normal(rng, 2, context_dim)
    assert made(z, context).shape == (2, latent_dim, 3)
    shake(made, rng)
    slopes = jacobian(lambda z: made(z, context), z).transpose(0, 2, 1, 3)
    sees = np.tri(latent_dim, k=-1, dtype=bool)
    if reverse:
        sees = sees.T
    assert (slopes[..., ~sees] == 0).all()
    if not units or min(units) >= latent_dim:  # room for every degree
        assert (slopes[..., sees] != 0).all()


@pytest.mark.parametrize("units", [(), (8,), (8, 8)])
def test_context_reaches_every_output(units, rng):
    made = MADE(2, units)
    z, context = normal(rng, 2, 4), normal(rng, 2, 3)
    made.build(z.shape, context.shape)
    shake(made, rng)
    assert (jacobian(lambda h: made(z, h), context) != 0).all()


def test_made_shares_context_over_samples(rng):
    made = MADE(2, (8,))
    z, context = normal(rng, 5, 3, 4), normal(rng, 3, 2)
    together = made(z, context)
    one_by_one = tf.stack([made(sample, context) for sample in z])
    np.testing.assert_allclose(together, one_by_one, atol=1e-6)


@pytest.mark.parametrize("weight_norm", [True, False])
def test_made_starts_from_unit_weights(weight_norm):
    """Either way the first outputs are the same; normalised units keep a length."""
    outputs = []
    for normalise in (True, False):
        keras.utils.set_random_seed(0)
        made = MADE(2, (8,), weight_norm=normalise)
        outputs.append(made(tf.ones([1, 4])))
    np.testing.assert_allclose(*outputs, atol=1e-6)
    made = MADE(2, (8,), weight_norm=weight_norm)
    before = made(tf.ones([1, 4]))
    for layer in made.layers:
        layer.kernel.assign(2 * layer.kernel)
    unchanged = np.allclose(made(tf.ones([1, 4])), before, atol=1e-6)
    assert unchanged == weight_norm


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(
    ("steps", "latent_dim"),
    [
        (2, 3),
        *(pytest.param(*n, marks=pytest.mark.slow) for n in ((1, 2), (4, 6), (8, 4))),
    ],
)
def test_log_det_is_that_of_the_jacobian(steps, latent_dim, gated, rng):
    bijector = make_flow(rng, latent_dim, 3, steps=steps, gated=gated)(
        normal(rng, 2, 3)
    )
    z = normal(rng, 2, latent_dim)
    _, log_det = np.linalg.slogdet(jacobian(bijector.forward, z))
    found = bijector.forward_log_det_jacobian(z, event_ndims=1)
    np.testing.assert_allclose(found, log_det, rtol=0, atol=10 * ROUNDING)


def test_one_step_sees_the_latents_forwards_and_the_next_backwards(rng):
    bijector = make_flow(rng, 4, steps=2)()
    z = normal(rng, 1, 4)
    lower = jacobian(lambda z: bijector.path(z)[0][0], z)[0]
    both = jacobian(bijector.forward, z)[0]
    upper = both @ np.linalg.inv(lower)
    np.testing.assert_array_equal(lower, np.tril(lower))
    np.testing.assert_allclose(upper, np.triu(upper), atol=ROUNDING)
    assert not np.allclose(upper, np.diag(np.diag(upper)), atol=ROUNDING)


def test_path_ends_where_the_flow_does(rng):
    bijector = make_flow(rng, 3, steps=3)()
    z = normal(rng, 5, 3)
    points, log_dets = bijector.path(z)
    assert points.shape == (3, 5, 3)
    np.testing.assert_array_equal(points[-1], bijector.forward(z))
    np.testing.assert_array_equal(log_dets[-1], bijector.forward_log_det_jacobian(z, 1))


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_inverse_undoes_forward(steps, gated, rng):
    bijector = make_flow(rng, 3, 2, steps=steps, gated=gated)(normal(rng, 4, 2))
    z = normal(rng, 4, 3)
    there = tf.identity(bijector.forward(z))  # a copy, which TFP has not cached
    # Errors grow with the inverse's slopes, which are up to a hundred here.
    np.testing.assert_allclose(bijector.inverse(there), z, atol=100 * ROUNDING)


@pytest.mark.parametrize("gated", [True, False])
def test_density_integrates_to_one(gated, rng):
    q = tfd.TransformedDistribution(base(2), make_flow(rng, 2, steps=2, gated=gated)())
    z, _ = q.experimental_sample_and_log_prob(2000, seed=[0, 1])
    low, high = np.min(z, axis=0), np.max(z, axis=0)
    low, high = low - 0.5 * (high - low), high + 0.5 * (high - low)
    axes = [np.linspace(*ends, 400) for ends in zip(low, high)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype("float32")
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    mass = np.exp(q.log_prob(grid).numpy(), dtype=np.float64).sum() * cell
    assert mass == pytest.approx(1, abs=0.01)  # what a grid of 400 leaves


@pytest.mark.parametrize("gated", [True, False])
def test_log_density_of_a_draw_is_that_by_the_inverse(gated, rng):
    flow = make_flow(rng, 3, 2, steps=3, gated=gated)
    q = tfd.TransformedDistribution(base(4, 3), flow(normal(rng, 4, 2)))
    z, log_q = q.experimental_sample_and_log_prob(5, seed=[0, 1])
    assert z.shape == (5, 4, 3)
    assert log_q.shape == (5, 4)
    by_inverse = q.log_prob(tf.identity(z))
    np.testing.assert_allclose(log_q, by_inverse, atol=100 * ROUNDING)


def test_samples_share_the_context_of_their_row(rng):
    flow, context = make_flow(rng, 3, 2), normal(rng, 4, 2)
    z = normal(rng, 5, 4, 3)
    together = flow(context).forward(z)
    for row in range(4):
        alone = flow(context[row : row + 1]).forward(z[:, row : row + 1])
        np.testing.assert_allclose(together[:, row : row + 1], alone, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_a_draw_is_one_loop_with_one_pass_through_the_made(steps, rng, monkeypatch):
    flow, context = make_flow(rng, 3, 2, steps=steps), normal(rng, 4, 2)
    passes, outputs = [], MADE.outputs

    def counting(made, z, maps):
        passes.append(z.graph)
        return outputs(made, z, maps)

    def draw():
        q = tfd.TransformedDistribution(base(4, 3), flow(context))
        return q.experimental_sample_and_log_prob(5, seed=[0, 1])

    monkeypatch.setattr(MADE, "outputs", counting)
    function = tf.function(draw, autograph=False).get_concrete_function()
    loops = [o for o in function.graph.get_operations() if "While" in o.type]
    assert len(loops) == 1
    assert passes
    assert len(passes) == len(set(map(id, passes)))  # one in each tracing of its body


@pytest.mark.slow
def test_an_eager_draw_leaves_nothing_behind(rng):
    flow, context = make_flow(rng, 3, 2, steps=2), normal(rng, 4, 2)
    z = normal(rng, 4, 3)
    bijector = flow(context)
    bijector.forward_log_det_jacobian(z, event_ndims=1)
    bijector.forward(z)
    z, bijector = weakref.ref(z), weakref.ref(bijector)
    gc.collect()
    assert z() is None
    assert bijector() is None


@pytest.mark.parametrize("gated", [True, False])
def test_the_loop_is_the_chain_of_its_steps(gated, rng):
    flow, context = make_flow(rng, 3, 2, steps=4, gated=gated), normal(rng, 5, 2)
    z = start = normal(rng, 7, 5, 3)
    log_det = 0.0
    for step in range(4):
        maps = tf.nest.map_structure(lambda w: w[step], flow.made.affine_maps(context))  # noqa: B023
        m, s = tf.unstack(flow.made.outputs(z, maps), axis=-1)
        if gated:
            gate = tf.sigmoid(s + flow.forget_bias)
            z, log_scale = gate * z + (1 - gate) * m, tf.math.log(gate)
        else:
            z, log_scale = m + tf.exp(s) * z, s
        log_det += tf.reduce_sum(log_scale, axis=-1)
    bijector = flow(context)
    np.testing.assert_allclose(bijector.forward(start), z, atol=1e-5)
    found = bijector.forward_log_det_jacobian(start, event_ndims=1)
    np.testing.assert_allclose(found, log_det, atol=ROUNDING)


@pytest.mark.parametrize("gated", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_xla_changes_nothing(gated, rng):
    """Also for a batch of no known size, such as an epoch's last."""
    flow = make_flow(rng, 3, 2, steps=2, gated=gated)

    def transform(z, context):
        with tf.GradientTape() as tape:
            tape.watch([z, context])
            bijector = flow(context)
            image = bijector.forward(z)
            log_det = bijector.forward_log_det_jacobian(z, 1)
            total = tf.reduce_sum(image) + tf.reduce_sum(log_det)
        return image, log_det, *tape.gradient(total, [z, context])

    z, context = normal(rng, 4, 3), normal(rng, 4, 2)
    compiled = tf.function(
        transform,
        autograph=False,
        jit_compile=True,
        input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None, 2])],
    )
    for found, expected in zip(compiled(z, context), transform(z, context)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=ROUNDING)


def test_wide_open_gates_are_the_identity(rng):
    bijector = make_flow(rng, 3, 2, forget_bias=200.0)(normal(rng, 4, 2))
    z = normal(rng, 4, 3)
    np.testing.assert_array_equal(bijector.forward(z), z)
    np.testing.assert_array_equal(bijector.forward_log_det_jacobian(z, 1), tf.zeros(4))


def test_gates_start_as_far_open_as_asked():
    flow = flows.IAF(3, steps=1, units=(64,), forget_bias=2.0)
    log_det = flow().forward_log_det_jacobian(tf.zeros([1, 3]), 1)
    # The MADE's outputs are zero at z = 0, as its biases are.
    np.testing.assert_allclose(log_det, 3 * tf.math.log_sigmoid(2.0)[None], rtol=1e-5)


def test_standalone_flow_is_a_trainable_bijector():
    bijector = flows.iaf(2, steps=2, units=(8,))
    with tf.GradientTape() as tape:
        q = tfd.TransformedDistribution(base(2), bijector)
        z, log_q = q.experimental_sample_and_log_prob(64, seed=[0, 1])
        target = tfd.MultivariateNormalDiag([1.0, -1.0], [0.5, 2.0])
        loss = tf.reduce_mean(log_q - target.log_prob(z))
    variables = bijector.trainable_variables
    assert len(variables) == 2 * 3  # kernel, bias and length of each layer
    assert all(isinstance(variable, tf.Variable) for variable in variables)
    assert all(g is not None for g in tape.gradient(loss, variables))
    z = tf.ones([1, 2])
    before = bijector.forward(z).numpy()
    for variable in variables:
        variable.assign_add(tf.ones_like(variable))
    assert not np.allclose(bijector.forward(z), before)  # nothing stale remains


@pytest.mark.parametrize("layer", [MADE(3, (4, 4), True), flows.IAF(3, 2, (4,))])
def test_config_round_trip(layer):
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


def test_weight_normalisation_is_left_out_where_asked():
    flow = zoo.IAF(4, steps=2, units=(8,), weight_norm=False, activation="relu")
    flow.build()
    assert not any("length" in weight.path for weight in flow.weights)
    assert flow.made.activation is keras.activations.relu


def test_no_step_is_refused():
    with pytest.raises(ValueError, match="Received: steps=0"):
        flows.IAF(3, steps=0)
