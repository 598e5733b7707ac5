"""Every picture of an entry, as files."""

from functools import partial
from pathlib import Path

import numpy as np

import zoo
from recipes.figures.curves import history
from recipes.figures.grids import (
    enlarged,
    interpolation,
    reconstructions,
    samples,
    save,
    temperatures,
)
from recipes.figures.latents import (
    decoded_grid,
    has_latents,
    latent_space,
    levels,
    of_two_dimensions,
    traversal,
)


def draw(model, data, images: np.ndarray, folder: Path, epochs=()) -> list[Path]:
    """Writes every figure of an entry as PNG and returns the files.

    Of a model without latents there are samples and the history alone, and of Glow the
    images between two.

    Args:
        model: a model of images.
        data: the data set, for its test labels and the names of its classes.
        images: test images as the model is judged on them, `[N, H, W, C]`.
        folder: where the files go.
        epochs: the training history, if known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels, given = data.labels["test"], partial(data.given, model, "test")
    pairs = images[: min(10, len(images) // 2 * 2)]
    pictures = {"samples": samples(model, given=given(10))}
    if has_latents(model):
        shown = reconstructions(model, images[:10], given(10))
        pictures["reconstructions"] = shown
    if isinstance(model, zoo.RefVAE):
        pictures["enlarged"] = enlarged(model, images[:10], given(10))
    codes = isinstance(model, zoo.VQVAE)  # whose noise is no normal's
    if len(getattr(model, "latent_fields", ())) > 1 and not codes:
        pictures["levels"] = levels(model)
    if has_latents(model, ndims=1):
        pictures["traversal"] = traversal(model, images[:1000], given=given(1000))
        if len(model.fields) == 1 and len(pairs):  # nothing but two images differs
            pictures["interpolation"] = interpolation(model, pairs)
        width = next(iter(model.latent_fields.values())).shape[0]
        if labels is not None and width > 1:
            pictures["latent_space"] = latent_space(
                model, images[:3000], labels[:3000], given(3000), data.classes
            )
        if of_two_dimensions(model):
            pictures["decoded_grid"] = decoded_grid(model)
    if isinstance(model, zoo.NVAE):
        pictures["temperatures"] = temperatures(model)
    if isinstance(model, zoo.Glow) and len(pairs):
        pictures["interpolation"] = interpolation(model, pairs)
    if epochs:
        pictures["history"] = history(epochs)
    files = []
    for name, figure in pictures.items():
        files.append(folder / f"{name}.png")
        save(figure, files[-1])
    return files
