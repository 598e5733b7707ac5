"""How good enlarged images are, and what a perceptual loss compares them by."""

from collections import defaultdict

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes import datasets, pipelines, publish
from recipes.runs import evaluation_images

BATCH = 500
HIGHEST_PSNR = 100.0  # dB; of an output that is exact it would be infinite
UNITS = {"psnr": "dB", "ssim": "at most 1"}  # others are in grey values


def judge(model: zoo.RefVAE, images: np.ndarray, given: dict, seed=0, draws=10) -> dict:
    """Figures of merit of images `[N, H, W, C]` in [0, 1], with protocol.

    Of outputs with z of the `reference`, of those with one z from the prior, `sampled`,
    and of `bicubic` interpolation, clipped to [0, 1]: PSNR, SSIM, and `low_error`, the
    mean distance of the downscaled output from the input. `diversity` is the standard
    deviation of a pixel over several z from the prior, in the mean over all.
    """
    size, found = model.fields["low"].shape[:2], defaultdict(list)
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        x, low, reference = images[rows], given["low"][rows], given["reference"][rows]
        seeds = seed + np.arange(draws) + draws * start
        sampled = [model.sample(len(x), {"low": low}, seed=s) for s in seeds]
        found["diversity"].append(np.std(sampled, axis=0).mean(axis=(1, 2, 3)))
        outputs = {
            "reference": model.super_resolve(low, reference),
            "sampled": sampled[0],
            "bicubic": zoo.networks.bicubic(tf.constant(low), x.shape[1:3]),
        }
        for kind, output in outputs.items():
            output = tf.clip_by_value(output, 0.0, 1.0)
            psnr = tf.image.psnr(output, x, 1.0)
            found[f"psnr_{kind}"].append(tf.minimum(psnr, HIGHEST_PSNR))
            found[f"ssim_{kind}"].append(tf.image.ssim(output, x, 1.0))
            gap = np.abs(pipelines.downscale(output.numpy(), size) - low)
            found[f"low_error_{kind}"].append(gap.mean(axis=(1, 2, 3)))
    protocol, draws = f"{len(images)} test images", f"{draws} z from the prior, "
    return {
        name: publish.figure(
            float(np.mean(np.concatenate(values))),
            UNITS.get(name.split("_")[0], "grey values in [0, 1]"),
            draws * (name == "diversity") + protocol,
        )
        for name, values in found.items()
    }


def trained_features(data: datasets.Dataset, epochs: int = 2) -> keras.Model | None:
    """The maps of a small classifier's convolutions, trained on the data set's labels.

    It returns one output for each; None where there are no labels.
    """
    labels = data.labels["train"]
    if labels is None:
        return None
    image = keras.Input(data.train.shape[1:])
    y, outputs = image, []
    for filters in (16, 32):
        y = keras.layers.Conv2D(filters, 3, 2, "same", activation="relu")(y)
        outputs.append(y)
    logits = keras.layers.Dense(int(labels.max()) + 1)(keras.layers.Flatten()(y))
    classifier = keras.Model(image, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    images = evaluation_images(data.train, binarise=False)
    classifier.fit(images, labels, batch_size=64, epochs=epochs, verbose=2)
    return keras.Model(image, outputs, name="features")
