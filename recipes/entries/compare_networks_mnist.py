"""A dense and a convolutional VAE with eight latents on binary MNIST, side by side.

About as many weights, the same latents, steps and learning rate. So the difference is
what convolutions know of images from the start: near pixels belong together, and a
stroke is a stroke wherever it lies. A study: it makes a table and a picture, no entry.
"""

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import zoo
from recipes import datasets, figures
from recipes.runs import Run, evaluation_images, write_json

EPOCHS = 10
SHAPE, LATENT_DIM, BATCH_SIZE = (28, 28, 1), 8, 128
IMAGES = 1000  # test images of the NLL
NUM_IMPORTANCE_SAMPLES = 500
NETWORKS = {
    "dense": lambda: (
        zoo.networks.dense_encoder(SHAPE, (256, 256)),
        zoo.networks.dense_decoder(LATENT_DIM, SHAPE, (256, 256)),
    ),
    "convolutional": lambda: (
        zoo.networks.conv_encoder(SHAPE, filters=(16, 32), units=160),
        zoo.networks.conv_decoder(LATENT_DIM, SHAPE, filters=(32, 16), units=160),
    ),
}


def train(run: Run) -> None:
    data = datasets.load("mnist")
    test = evaluation_images(data.test, binarise=True)
    steps = datasets.steps_per_epoch(data.train, BATCH_SIZE)
    results, made, drawn = [], {"data": test[:12]}, {}
    for name, networks in NETWORKS.items():
        print(name)
        keras.utils.set_random_seed(run.seed)
        model = zoo.VAE(*networks(), LATENT_DIM, seed=run.seed)
        total = run.epochs * steps
        rate = keras.optimizers.schedules.CosineDecay(1e-3, total, alpha=0.01)
        model.compile(keras.optimizers.Adam(rate))
        batches = datasets.stream(data.train, BATCH_SIZE, seed=run.seed, binarise=True)
        model.fit(batches, steps_per_epoch=steps, epochs=run.epochs, verbose=2)
        log_p = zoo.evaluation.log_prob(
            model, test[:IMAGES], num_importance_samples=NUM_IMPORTANCE_SAMPLES
        )
        info = zoo.evaluation.information(model, test)
        results.append(
            {
                "networks": name,
                "parameters": model.count_params(),
                "nll": -float(np.mean(log_p)),
                **info,
            }
        )
        made[f"{name}: reconstructed"] = model.reconstruct(test[:12])
        drawn[f"{name}: samples"] = model.sample(12, seed=0)
    write_json(run.folder / "results.json", results)
    folder = run.folder / "figures"
    folder.mkdir(exist_ok=True)
    rows = made | drawn
    images = figures.grid(list(rows.values()), list(rows))
    figures.save(images, folder / "images.png")
    Console().print(table(results))


def table(results: list[dict]) -> Table:
    title = f"Test images, nats; NLL of {IMAGES}, {NUM_IMPORTANCE_SAMPLES} samples each"
    result = Table(title=title)
    columns = ("nll", "elbo", "rate", "distortion")
    for column in ("networks", *columns, "active\nunits", "parameters"):
        justify = "left" if column == "networks" else "right"
        result.add_column(column, justify=justify, no_wrap=True)
    for row in results:
        numbers = (f"{row[column]:.2f}" for column in columns)
        units, parameters = row["active_units"][0], f"{row['parameters']:,}"
        result.add_row(row["networks"], *numbers, str(units), parameters)
    return result
