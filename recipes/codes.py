"""From a trained VQ-VAE to an entry whose images come from priors of its codes."""

import time
from pathlib import Path

import keras
import numpy as np

import zoo
from recipes import datasets, publish
from recipes.runs import Run, evaluation_images

HEADS = 4  # of the top prior's attention
PATIENCE = 3  # epochs without a better validation loss, before a prior stops


def publish_with_priors(
    run: Run,
    model: zoo.VQVAE,
    data: datasets.Dataset,
    *,
    about: str,
    channels: int,
    depth: int,
    epochs: int,
    binarise: bool = False,
) -> Path:
    """Trains a PixelCNN of each level's codes and publishes all of them as one entry.

    The priors are entries within it, `prior_2` above `prior_1`, the top one with
    self-attention, as in VQ-VAE-2; each with the weights that were best on the
    validation images. Its figures of merit say what an image costs with the codes at
    the priors' price, an upper bound on its NLL.

    `prior_seconds` is what their training took, beside the model's own.

    Returns:
        The entry's folder.
    """
    train, validation, test = (
        evaluation_images(split, binarise)
        for split in (data.train, data.validation, data.test)
    )
    test = test[: run.test_images]
    splits = {"train": train, "validation": validation, "test": test}
    codes = {split: encoded(model, images) for split, images in splits.items()}
    started = time.perf_counter()
    priors, nats = [], []
    for level in range(len(model.strides)):
        train, validation, tested = (codes[split][level] for split in codes)
        upper = None
        if level:
            upper = (*train["upper"].shape[1:], model.num_codes)
        prior = zoo.PixelCNN(
            train["x"].shape[1:],
            model.num_codes,
            channels=channels,
            depth=depth,
            upper=upper,
            attention_heads=0 if level else HEADS,
            seed=run.seed,
        )
        prior.compile(keras.optimizers.Adam(1e-3))
        best = keras.callbacks.EarlyStopping(
            "val_loss", patience=PATIENCE, restore_best_weights=True
        )
        prior.fit(
            train, batch_size=64, epochs=epochs, validation_data=validation,
            callbacks=[best],
        )  # fmt: skip
        log_p = zoo.evaluation.log_prob(prior, tested.pop("x"), tested)
        nats.append(-float(np.mean(log_p)))
        priors.append(prior)
    seconds = time.perf_counter() - started

    protocol = f"{len(test)} test images"
    total = zoo.evaluation.information(model, test)["distortion"] + sum(nats)
    bits = float(zoo.bounds.bits_per_dim(-total, model.event_shape))
    more = {
        "prior_seconds": publish.figure(seconds, "s", "training of all priors"),
        "prior_nats": publish.figure(nats, "nats per level", protocol),
        "nll_with_priors": publish.figure(total, "nats, upper bound", protocol),
        "bits_per_dim_with_priors": publish.figure(bits, "bits", protocol),
    }
    run.num_importance_samples = 0  # all draws of a point are the same
    names = [f"prior_{level}" for level in range(len(priors), 0, -1)]
    loaded = ", ".join(f'zoo.load("{run.name}/{name}")' for name in names)
    sample = f"images = model.sample_from([{loaded}], 16)"
    options = {"about": about, "more": more, "sample": sample}
    entry = publish.publish(run, model, data, binarise=binarise, **options)
    for name, prior in zip(names, priors):
        zoo.presets.save(prior, entry / name, {"recipe": run.name, "seed": run.seed})
    publish.redraw(entry)  # samples come from the priors now
    return entry


def encoded(model: zoo.VQVAE, images: np.ndarray) -> list[dict[str, np.ndarray]]:
    """The codes of each level as `x`, with those above as `upper`, top level first."""
    levels = zoo.evaluation.encode(model, images)
    above = [{}, *({"upper": codes} for codes in levels)]
    return [{"x": codes, **more} for codes, more in zip(levels, above)]
