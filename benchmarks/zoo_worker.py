"""The zoo's side: plain `compile()` and `fit()`, as in the README."""

import keras
import numpy as np
import tensorflow as tf

import zoo
from benchmarks import models, protocol


def prepare(case, images):
    keras.utils.set_random_seed(0)
    data = images[..., None]
    kind, *_ = parts = case.split("_")
    if "iaf" in parts:
        model = models.iaf()
    elif "ladder" in parts:
        model = models.ladder()
    else:
        model = zoo.VAE(*(models.conv() if "conv" in parts else models.dense()))
    if kind in ("train", "start"):
        count = protocol.CONV_IMAGES if "conv" in parts else protocol.TRAINING_IMAGES
        if kind == "start":
            count = protocol.START_IMAGES
        model.compile(keras.optimizers.Adam(protocol.LEARNING_RATE))
        return count, models.Trainer(model, data[:count], int(parts[-1]))
    data = np.float32(data)
    if kind == "nll":
        some = data[: protocol.NLL_IMAGES["zoo"]]
        count, evaluate = protocol.NLL_SAMPLES, zoo.evaluation.log_prob
        return len(some), lambda: evaluate(model, some, num_importance_samples=count)
    if case == "sample":
        count = protocol.SAMPLED_IMAGES
        return count, lambda: model.sample(count)
    data = tf.constant(data)  # tensors in, tensors out, as on the peer's side
    return len(data), lambda: model.encode(data)[0]


if __name__ == "__main__":
    protocol.serve(prepare, versions={})  # the benchmark itself has the same ones
