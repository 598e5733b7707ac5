"""Training of `conv_vae_mnist`'s networks in mixed_bfloat16 beside float32.

Both take turns and share seeds and batches. The speed is that of the last epoch; the
NLL is that of validation images, by 100 importance samples.

python -m benchmarks.bfloat16
"""

import statistics

import keras
import numpy as np

import zoo
import zoo.evaluation
from benchmarks.models import Clock
from recipes import datasets
from recipes.entries import conv_vae_mnist

DTYPES = "float32", "mixed_bfloat16"
SEEDS, EPOCHS, BATCH_SIZE = 3, 3, 256
IMAGES, SAMPLES = 1000, 100


def main() -> None:
    data = datasets.load("mnist")
    held_out = datasets.binarise(data.validation[:IMAGES])
    runs = {dtype: [] for dtype in DTYPES}
    for seed in range(SEEDS):
        for dtype in DTYPES:
            runs[dtype].append(measure(data.train, held_out, dtype, seed))
            speed, nll = runs[dtype][-1]
            told = f"{speed:.0f} images/s, NLL {nll:.2f} nats"
            print(f"seed {seed}, {dtype}: {told}", flush=True)
    print(summary(*runs.values()))


def measure(images, held_out, dtype: str, seed: int) -> tuple[float, float]:
    """Images per second in training, and the NLL of held-out images in nats."""
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(dtype)
    try:
        vae = conv_vae_mnist.build(seed)
    finally:
        keras.config.set_dtype_policy("float32")
    steps, clock = datasets.steps_per_epoch(images, BATCH_SIZE), Clock()
    rate = keras.optimizers.schedules.CosineDecay(1e-3, EPOCHS * steps, alpha=0.01)
    vae.compile(keras.optimizers.Adam(rate))
    vae.fit(
        datasets.stream(images, BATCH_SIZE, seed=seed, binarise=True),
        steps_per_epoch=steps,
        epochs=EPOCHS,
        callbacks=[clock],
        verbose=0,
    )
    options = {"num_importance_samples": SAMPLES, "verbose": 0}
    log_p = zoo.evaluation.log_prob(vae, held_out, **options)
    return steps * BATCH_SIZE / clock.seconds, -float(log_p.mean(dtype=np.float64))


def summary(first: list[tuple], second: list[tuple]) -> str:
    """How many times as fast the second is, and what it adds to the NLL, in pairs."""
    speeds, nlls = np.swapaxes([first, second], 0, 2)  # `[seeds, 2]`
    ratios, added = speeds[:, 1] / speeds[:, 0], nlls[:, 1] - nlls[:, 0]
    error = added.std(ddof=1) / np.sqrt(len(added))
    spread = f"{ratios.min():.2f} to {ratios.max():.2f}"
    fast = f"{statistics.median(ratios):.2f} times as fast ({spread})"
    return f"{fast}, NLL {added.mean():+.2f} nats +- {error:.2f}"


if __name__ == "__main__":
    main()
