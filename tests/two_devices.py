"""Trains classes on two logical CPUs and on one: same weights, and `loss` is -elbo.

A program of its own, as devices must be made before TensorFlow uses any. The latents
are their posteriors' means: which noise an image gets depends on its place in a batch.
"""

import sys
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.draws import Mean, Sample
from zoo.heads import Codebook


def build(kind):
    keras.utils.set_random_seed(0)
    encoder = zoo.networks.dense_encoder((8, 8, 1), (16,))
    networks = encoder, zoo.networks.dense_decoder(3, (8, 8, 1), (16,)), 3
    if kind is zoo.IAFVAE:
        return zoo.IAFVAE(*networks, steps=2, units=(8,), context_dim=4)
    if kind is zoo.LadderVAE:
        # Each device would normalise its own half of the batch.
        return zoo.LadderVAE(*networks, (2,), (8,), batch_norm=False)
    if kind is zoo.SemiSupervisedVAE:
        flat, logits = keras.layers.Flatten(), keras.layers.Dense(10)
        classifier = keras.Sequential([keras.Input((8, 8, 1)), flat, logits])
        decoder = zoo.networks.dense_decoder(13, (8, 8, 1), (16,))
        return kind(encoder, decoder, 3, 10, classifier)
    return kind(*networks)


def take_mean(self, distribution):
    z, _ = Mean.take(self, distribution)
    return z, distribution.log_prob(z)


def train(kind, x):
    rows = len(x)
    model = build(kind)
    model.compile(keras.optimizers.SGD(0.01))
    if kind is zoo.SemiSupervisedVAE:
        # Each half of the first batch has another number of known labels.
        places = np.arange(rows)
        x = {"x": x, "label": np.where(places % 16 < 6, places % 10, -1)}
    # An odd first batch, where there are few: devices never have the same of it.
    size = 15 if rows < 60 else 16
    options = {"batch_size": size, "verbose": 0, "shuffle": False}
    history = model.fit(x, validation_data=(x,), epochs=2, **options).history
    for of in ("", "val_"):
        elbo, more = (
            np.array(history.get(of + name, 0.0))
            for name in ("elbo", "alpha_cross_entropy")
        )
        np.testing.assert_allclose(history[of + "loss"], more - elbo, rtol=1e-5)
    assert model.step == 8
    if kind is not zoo.SemiSupervisedVAE:
        assert len(model.predict_on_batch(x[:8])) == 8
    return model


cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
Sample.take = take_mean
digits = np.random.default_rng(0).random((64, 8, 8, 1)).round().astype("float32")
numbers, *names = sys.argv[1:]
for kind in (getattr(zoo, name) for name in names):
    # Of the last batch both devices get eight images, or eight and one, or one none.
    for rows in map(int, numbers.split(",")):
        alone = train(kind, digits[:rows])
        with both.scope():
            together = train(kind, digits[:rows])
        assert together.steps_per_execution == 1
        for a, b in zip(alone.trainable_weights, together.trainable_weights):
            # Sums over parts of a batch round differently, at every one of 8 steps.
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
with both.scope():
    shared = build(zoo.VAE)
    with pytest.raises(ValueError, match="XLA cannot compile the steps of several"):
        shared.compile("sgd", jit_compile=True)
    with pytest.raises(ValueError, match="A codebook follows the encodings of one"):
        Codebook(4, 2).build()
    with pytest.raises(ValueError, match="Export a model after the scope"):
        shared.export("nowhere")
if "VAE" in names:  # once, as it takes seconds
    with tempfile.TemporaryDirectory() as folder:
        served = tf.saved_model.load(shared.export(folder)).signatures["decode"]
        z = np.ones((2, 3), "float32")
        np.testing.assert_allclose(served(z=z)["mean"], shared.decode(z), atol=1e-6)
