"""From a trained VQ-VAE to an entry whose images come from priors of its codes."""

import time
from pathlib import Path

import keras
import numpy as np

import zoo
from recipes import datasets, publish
from recipes.runs import Run, evaluation_images, round_weights
from zoo.heads.codebook import perplexity

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
    """Trains a PixelCNN of each level's codes and publishes the model with them.

    The top one has self-attention, as in VQ-VAE-2; each has the weights that were best
    on the validation images, and waits in the run's folder should the run be killed.
    `prior_seconds` of the entry is what their training took.

    Returns:
        The entry's folder.
    """
    round_weights(model)
    train, validation = (
        encoded(model, evaluation_images(split, binarise))
        for split in (data.train, data.validation)
    )
    priors, seconds = [], 0.0
    for level, (codes, held_out) in enumerate(zip(train, validation)):
        folder = run.folder / f"prior_{len(train) - level}"
        if not (folder / zoo.presets.METADATA).exists():  # it is written last
            started = time.perf_counter()
            prior = zoo.PixelCNN(
                codes["x"].shape[1:],
                model.num_codes,
                channels=channels,
                depth=depth,
                upper=(*codes["upper"].shape[1:], model.num_codes) if level else None,
                attention_heads=0 if level else HEADS,
                seed=run.seed,
            )
            prior.compile(keras.optimizers.Adam(1e-3))
            best = keras.callbacks.EarlyStopping(
                "val_loss", patience=PATIENCE, restore_best_weights=True
            )
            prior.fit(
                codes, batch_size=64, epochs=epochs, validation_data=held_out,
                callbacks=[best],
            )  # fmt: skip
            took = {"seconds": time.perf_counter() - started}
            zoo.presets.save(prior, folder, took)
        priors.append(zoo.load(folder))
        seconds += zoo.presets.read_metadata(folder)["seconds"]
    run.num_importance_samples = 1  # all draws of a point are the same
    more = {"prior_seconds": publish.figure(seconds, "s", f"{len(priors)} PixelCNNs")}
    test = evaluation_images(data.test, binarise)
    for level, codes in enumerate(encoded(model, test)):
        found = float(perplexity(codes["x"], model.num_codes))
        shown = publish.figure(found, "codes", f"all codes of {len(test)} test images")
        more[f"perplexity_{len(priors) - level}"] = shown
    model = model.with_priors(priors)
    return publish.publish(run, model, data, about=about, more=more, binarise=binarise)


def encoded(model: zoo.VQVAE, images: np.ndarray) -> list[dict[str, np.ndarray]]:
    """The codes of each level as `x`, with those above as `upper`, top level first."""
    levels = zoo.evaluation.encode(model, images)
    above = [{}, *({"upper": codes} for codes in levels)]
    return [{"x": codes, **more} for codes, more in zip(levels, above)]
