"""Super-resolution: a VAE, a VAE-GAN and RefVAE, beside bicubic interpolation.

Grey Fashion-MNIST from 7 x 7 to 28 x 28 pixels, and photograph patches from 16 x 16 to
32 x 32. The VAE and the VAE-GAN infer z from the target itself, RefVAE from another
image of its class, or of its photograph. A photograph has no classes, and so RefVAE no
perceptual network; its patches overlap, so that one reference in a hundred shares
pixels with its target. `sampled` has z from the prior in all three, and is what can be
compared: `reference` is a reconstruction where the target is the reference. A study: it
makes a table and a picture, no entry.
"""

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures, super_resolution
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 6
BATCH_SIZE, LATENT_DIM, SHOWN = 64, 16, 26  # one test image of so many
DATA = {"fashion_mnist": (4, 1), "photo_patches": (2, 10)}  # factor; passes an epoch
MODELS = ("super-resolution VAE", "VAE-GAN", "RefVAE")
COLUMNS = ("psnr_sampled", "ssim_sampled", "low_error_sampled", "diversity")


def train(run: Run) -> None:
    results, folder = [], run.folder / "figures"
    folder.mkdir(exist_ok=True)
    for name, (factor, passes) in DATA.items():
        data = datasets.load(name)
        x = evaluation_images(data.test, binarise=False)
        rows = {"target": x[::SHOWN][:10]}
        for kind in MODELS:
            print(f"{name}, {kind}")
            model = build(kind, data, factor, run.seed)
            fit(model, kind, data, run, passes)
            given = told(kind, model, data, "test")
            found = super_resolution.judge(model, x, given, run.seed)
            values = {measure: figure["value"] for measure, figure in found.items()}
            results.append({"data": name, "factor": factor, "model": kind, **values})
            low = given["low"][::SHOWN][:10]
            rows["bicubic"] = zoo.networks.bicubic(tf.constant(low), x.shape[1:3])
            rows[kind] = model.sample(len(low), {"low": low}, seed=run.seed)
        figures.save(
            figures.grid(list(rows.values()), list(rows)), folder / f"{name}.png"
        )
    write_json(run.folder / "results.json", results)
    print_table(results)


def build(kind: str, data: datasets.Dataset, factor: int, seed: int) -> zoo.RefVAE:
    keras.utils.set_random_seed(seed)  # no model depends on those before it
    shape, parts = data.train.shape[1:], {"multi_scale_weight": 0.0}
    if kind == "RefVAE":
        perceptual = super_resolution.trained_features(data)
        parts = {"perceptual": perceptual, "perceptual_weight": 0.1}
    if kind != "super-resolution VAE":
        parts["discriminator"] = zoo.networks.conv_discriminator(shape)
        parts["adversarial_weight"] = 20.0
    return zoo.RefVAE(
        zoo.networks.conv_encoder(shape, filters=(32, 64), units=128),
        # Rectifiers give up on photographs: nothing is added to bicubic's image.
        zoo.networks.upsampler(LATENT_DIM, shape, factor, activation="swish"),
        LATENT_DIM,
        seed=seed,
        **parts,
    )


def fit(model, kind: str, data: datasets.Dataset, run: Run, passes: int) -> None:
    epochs = run.epochs * passes
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * steps, alpha=0.01)
    optimizers = [keras.optimizers.Adam(rate)]
    if model.discriminator is not None:
        optimizers.append(keras.optimizers.Adam(1e-4, beta_1=0.5))
    model.compile(*optimizers)
    given = told(kind, model, data, "train")
    batches = datasets.stream(data.train, BATCH_SIZE, seed=run.seed, given=given)
    model.fit(batches, steps_per_epoch=steps, epochs=epochs, verbose=2)


def told(kind: str, model, data: datasets.Dataset, split: str) -> dict:
    """The small images and the references: RefVAE's are others, not the targets."""
    given = data.given(model, split)
    if kind != "RefVAE":
        given["reference"] = evaluation_images(getattr(data, split), binarise=False)
    return given


def print_table(results: list[dict]) -> None:
    table = Table(title="Test images, z from the prior; bicubic's in brackets")
    for column in ("data", "model", *COLUMNS):
        table.add_column(column.removesuffix("_sampled"), justify="right")
    for row in results:
        cells = []
        for column in COLUMNS:
            bicubic = row.get(column.replace("sampled", "bicubic"))
            beside = "" if column == "diversity" else f" ({bicubic:.4g})"
            cells.append(f"{row[column]:.4g}{beside}")
        table.add_row(f"{row['data']} x{row['factor']}", row["model"], *cells)
    Console().print(table)
