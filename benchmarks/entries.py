"""Training steps of the pretrained entries beside the machine's matrix multiplication.

Leave the machine alone meanwhile, five minutes for all. Writes entries.json, whose
figures are of one machine only; `python -m benchmarks.page` then makes a table of it.

python -m benchmarks.entries [NAME ...]
"""

import functools
import sys
from collections.abc import Callable

import keras
import tensorflow as tf

import zoo
from benchmarks import limit, models, page
from benchmarks.operations import multiply_adds
from benchmarks.run import Record
from recipes import datasets

BATCH_SIZE, LEARNING_RATE, ROUNDS = 128, 1e-4, 3
STEPS = {True: 100, False: 5}  # of an epoch: with XLA, or without, as convolutions are


def main(*names: str) -> None:
    record, rate = Record(page.ENTRIES), limit.matmul()
    entries = record.content.get("entries", {})
    for name in names or zoo.list_presets():
        entries[name] = measure(name, rate)
        record.add("entries", dict(sorted(entries.items())))
        print(page.entry_row(name, entries[name]), flush=True)


def measure(name: str, rate: Callable[[], float]) -> dict:
    """An entry's training on batches of the data that it was made with.

    Args:
        name: of the entry.
        rate: what `limit.matmul` returns; asked before every epoch.

    Returns:
        `multiply_adds` for each image of a step, and of every epoch but the first
        `images_per_second` and the `matmul` before it, in FLOP/s.
    """
    model = zoo.load(name)
    if isinstance(model, zoo.VQVAE):
        model = model.with_priors([])  # which were trained later, by themselves
    model.compile(keras.optimizers.Adam(LEARNING_RATE))  # and a discriminator's alike
    steps = STEPS[model.jit_compile]
    batches = training_batches(name, model, steps * BATCH_SIZE)
    turns = Turns(rate)
    options = {"steps_per_epoch": steps, "epochs": 1 + ROUNDS, "verbose": 0}
    model.fit(batches, callbacks=[turns], **options)
    return {
        "multiply_adds": multiply_adds(step_graph(model, batches)) / BATCH_SIZE,
        "images_per_second": [steps * BATCH_SIZE / s for s in turns.epochs[1:]],
        "matmul": turns.rates[1:],
    }


def training_batches(name: str, model, count: int) -> tf.data.Dataset:
    """Endless batches of the first images that an entry was trained on."""
    record = zoo.presets.read_metadata(name)["data"]
    data = load(record["name"], record.get("image_size"))
    return datasets.stream(
        data.train[:count],
        BATCH_SIZE,
        seed=0,
        binarise=record["binarise"],
        given=data.given(model, "train", count),
    )


def step_graph(model, batches: tf.data.Dataset) -> tf.Graph:
    """One training step of a compiled model, forward, backward and the optimiser's."""
    step = tf.function(lambda x: model.train_step((x,)), autograph=False)
    return step.get_concrete_function(batches.element_spec).graph


@functools.cache
def load(name: str, image_size: int | None) -> datasets.Dataset:
    return datasets.load(name, image_size=image_size)


class Turns(models.Clock):
    """Measures the matmul before each epoch, and the epoch."""

    def __init__(self, rate: Callable[[], float]):
        super().__init__()
        self.rate = rate
        self.rates, self.epochs = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.rates.append(self.rate())
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.epochs.append(self.seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
