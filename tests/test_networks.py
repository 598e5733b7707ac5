"""Networks: shapes for any image, gradients everywhere, blocks that start flat."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import networks
from zoo.networks import residual

PAIRS = {
    "dense": (
        lambda shape: networks.dense_encoder(shape, (6, 5)),
        lambda shape: networks.dense_decoder(3, shape, (5, 6)),
    ),
    "dense_batch_norm": (
        lambda shape: networks.dense_encoder(shape, (6, 5), batch_norm=True),
        lambda shape: networks.dense_decoder(3, shape, (5, 6), batch_norm=True),
    ),
    "conv": (
        lambda shape: networks.conv_encoder(shape, (4, 4), units=5),
        lambda shape: networks.conv_decoder(3, shape, (4, 4), units=5),
    ),
    "residual": (
        lambda shape: networks.residual_encoder(shape, (4, 4), 1, units=5),
        lambda shape: networks.residual_decoder(3, shape, (4, 4), 1, units=5),
    ),
}


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3), (5, 5, 2), (2, 3, 1)])
@pytest.mark.parametrize("pair", PAIRS)
def test_shapes_of_any_image(pair, shape, rng):
    encoder, decoder = (make(shape) for make in PAIRS[pair])
    assert encoder.input_shape == (None, *shape)
    features = encoder(rng.normal(size=(2, *shape)))
    assert features.shape == (2, 5)
    assert decoder.input_shape == (None, 3)
    assert decoder(rng.normal(size=(2, 3))).shape == (2, *shape)


def test_dense_networks_take_vectors(rng):
    encoder = networks.dense_encoder((12,), units=(7,))
    decoder = networks.dense_decoder(3, (12,), units=(7,))
    assert encoder(rng.normal(size=(2, 12))).shape == (2, 7)
    assert decoder(rng.normal(size=(2, 3))).shape == (2, 12)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
@pytest.mark.parametrize("pair", PAIRS)
def test_gradients_reach_every_weight(pair, side, rng):
    network = PAIRS[pair][side == "decoder"]((8, 8, 1))
    for variable in network.trainable_variables:  # leave the symmetric start
        variable.assign(rng.normal(0.2, 0.3, size=variable.shape))
    x = rng.normal(size=(4, *network.input_shape[1:]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(x) ** 2)
    for variable, gradient in zip(
        network.trainable_variables,
        tape.gradient(loss, network.trainable_variables),
    ):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("pair", PAIRS)
def test_config_round_trip(pair, rng):
    for make in PAIRS[pair]:
        network = make((7, 9, 3))
        copy = type(network).from_config(network.get_config())
        copy.set_weights(network.get_weights())
        x = rng.normal(size=(2, *network.input_shape[1:]))
        np.testing.assert_array_equal(copy(x), network(x))


def test_residual_blocks_start_as_the_identity(rng):
    inputs = keras.Input((6, 6, 3))
    network = keras.Model(inputs, residual._block(inputs, "relu"))
    x = rng.normal(size=(2, 6, 6, 3)).astype("float32")
    np.testing.assert_array_equal(network(x), x)


def test_crop_is_even():
    network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Identity()])
    x = np.arange(64, dtype="float32").reshape(1, 8, 8, 1)
    cropped = networks.convolutional.crop(network, (6, 5, 1))(x)
    np.testing.assert_array_equal(cropped, x[:, 1:7, 1:6])


def test_crop_leaves_what_fits():
    network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Identity()])
    assert len(networks.convolutional.crop(network, (8, 8, 1)).layers) == 1


@pytest.mark.parametrize("pair", PAIRS)
def test_networks_follow_the_dtype_policy(pair, rng):
    keras.config.set_dtype_policy("mixed_bfloat16")
    for make in PAIRS[pair]:
        network = make((8, 8, 1))
        output = network(rng.normal(size=(2, *network.input_shape[1:])))
        assert output.dtype == tf.bfloat16
        assert network.variables[0].dtype == "float32"
