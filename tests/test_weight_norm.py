"""Weight normalisation: directions, lengths and what a first batch makes of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.configs import BINARY, GREY, biva, build
from zoo import internals, networks
from zoo.networks.weight_norm import WeightNorm

X = GREY[:64]


def network() -> keras.Sequential:
    """Two convolutions and a dense layer, seeded."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input(X.shape[1:]),
        networks.WeightNormConv2D(5, kernel_size=3),
        keras.layers.Activation("elu"),
        networks.WeightNormConv2D(4, kernel_size=2, strides=2, initial_scale=0.3),
        keras.layers.Flatten(),
        networks.WeightNormDense(6),
    ]
    return keras.Sequential(layers)


def normalised(model) -> list[WeightNorm]:
    return internals.layers_of(model, WeightNorm)


def test_a_first_batch_normalises_every_layer():
    model = network()
    networks.initialise(model, X)
    y, seen = X, 0
    for layer in model.layers:
        y = layer(y)
        if isinstance(layer, WeightNorm):
            flat = np.reshape(y, [-1, y.shape[-1]])
            np.testing.assert_allclose(flat.mean(0), 0, atol=1e-5)  # float32
            np.testing.assert_allclose(flat.std(0), layer.initial_scale, rtol=1e-5)
            seen += 1
    assert seen == 3
    before = model.get_weights()
    networks.initialise(model, X)
    for one, two in zip(before, model.get_weights()):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_the_length_is_that_of_the_weights_and_the_direction_has_none():
    model = network()
    networks.initialise(model, X)
    before = model(X)
    for layer in normalised(model):
        kernel = layer.kernel().numpy().reshape(-1, layer.units)
        np.testing.assert_allclose(
            np.linalg.norm(kernel, axis=0), np.abs(layer.length), rtol=1e-5
        )
        layer.direction.assign(7 * layer.direction)
    np.testing.assert_allclose(model(X), before, rtol=1e-4, atol=1e-5)


def test_gradients_do_not_change_the_length_of_a_direction():
    """To first order: the gradient of v is orthogonal to v (eq. 3 of the paper)."""
    layer = normalised(network())[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(X)))
    gradient = tape.gradient(loss, layer.direction.value).numpy().reshape(-1, 5)
    direction = layer.direction.numpy().reshape(-1, 5)
    cosine = (gradient * direction).sum(0)
    cosine /= np.linalg.norm(gradient, axis=0) * np.linalg.norm(direction, axis=0)
    np.testing.assert_allclose(cosine, 0, atol=1e-5)


def test_layers_equal_keras_own():
    model = network()
    networks.initialise(model, X)
    first, second, last = normalised(model)
    for layer, twin, inputs in (
        (first, keras.layers.Conv2D(5, 3, padding="same"), X),
        (second, keras.layers.Conv2D(4, 2, 2, padding="same"), model.layers[0](X)),
        (last, keras.layers.Dense(6), model.layers[3](model.layers[2](first(X)))),
    ):
        twin.build(inputs.shape)
        twin.set_weights([layer.kernel(), layer.bias])
        np.testing.assert_allclose(layer(inputs), twin(inputs), rtol=1e-4, atol=1e-5)


def test_a_block_begins_as_a_small_change():
    block = networks.WeightNormBlock()
    y = np.tile(X, [1, 1, 1, 3]) - 0.5
    block.build(y.shape)
    networks.initialise(block, y)
    change = np.std(block(y) - y, axis=(0, 1, 2))
    np.testing.assert_allclose(change, 0.1, rtol=1e-4)


def test_networks_survive_a_file(tmp_path):
    model = network()
    networks.initialise(model, X)
    model.save(tmp_path / "network.keras")
    copy = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(copy(X), model(X))
    assert copy.layers[2].initial_scale == 0.3


def test_a_model_of_latents_is_initialised_whole():
    model = biva()
    before = [layer.length.numpy() for layer in normalised(model)]
    networks.initialise(model, BINARY[:64])
    for layer, length in zip(normalised(model), before):
        assert not np.allclose(layer.length, length)
        assert not layer.initialising
    # The heads begin near zero: so do the means of z.
    assert all(np.std(code) < 0.5 for code in model.encode(BINARY[:64]))


def test_half_precision_networks_are_initialised_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = network()
    networks.initialise(model, X)
    y = np.float32(model(X))
    assert {layer.length.dtype for layer in normalised(model)} == {"float32"}
    np.testing.assert_allclose(y.mean(0), 0, atol=0.02)  # eight bits
    np.testing.assert_allclose(y.std(0), 1, atol=0.02)


def test_half_precision_rounds_the_kernel_once():
    layer = networks.WeightNormDense(8, dtype="mixed_bfloat16")
    layer(X[:1])
    layer.length.assign(np.linspace(0.5, 2.0, 8))
    exact = np.float64(layer.direction)
    exact *= np.float64(layer.length) / np.linalg.norm(exact, axis=0)
    kernel = layer.kernel()
    assert kernel.dtype == "bfloat16"
    # Half a unit of the eighth bit; a norm of rounded weights would round again.
    np.testing.assert_allclose(np.float64(kernel), exact, rtol=2**-8 * 1.001)


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(ValueError, match="Received: VAE without any"):
        networks.initialise(build(), BINARY)
