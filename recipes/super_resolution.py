"""How good enlarged images are: errors, structure, variety, and the way back."""

from collections import defaultdict

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import zoo
from recipes import figures, pipelines, publish

BATCH = 500
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
            found[f"psnr_{kind}"].append(tf.image.psnr(output, x, 1.0))
            found[f"ssim_{kind}"].append(tf.image.ssim(output, x, 1.0))
            gap = np.abs(pipelines.downscale(output.numpy(), size) - low)
            found[f"low_error_{kind}"].append(gap.mean(axis=(1, 2, 3)))
    protocol, draws = f"mean of {len(images)} images", f"{draws} z from the prior, "
    return {
        name: publish.figure(
            float(np.mean(np.concatenate(values))),
            UNITS.get(name.split("_")[0], "grey values in [0, 1]"),
            draws * (name == "diversity") + protocol,
        )
        for name, values in found.items()
    }


def picture(model: zoo.RefVAE, images: np.ndarray, given: dict, seed=0) -> Figure:
    """Ten images by column: what is given, what bicubic and the model make of it."""
    x, low, reference = images[:10], given["low"][:10], given["reference"][:10]
    size = x.shape[1:3]
    rows = {
        "low": tf.image.resize(low, size, "nearest"),
        "bicubic": zoo.networks.bicubic(tf.constant(low), size),
        "sample": model.sample(10, {"low": low}, seed=seed),
        "another": model.sample(10, {"low": low}, seed=seed + 1),
        "with reference": model.super_resolve(low, reference),
        "reference": reference,
        "target": x,
    }
    return figures.grid(list(rows.values()), list(rows))
