"""Training of `conv_vae_mnist`'s networks in mixed_bfloat16 beside float32.

Both take turns and share seeds and batches. The speed is that of the last epoch; the
NLL is that of validation images, by as many importance samples as `quality` takes.

python -m benchmarks.bfloat16
"""

import statistics

import numpy as np

from benchmarks import quality
from benchmarks.models import Clock
from recipes import datasets
from recipes.entries import conv_vae_mnist

DTYPES = "float32", "mixed_bfloat16"
SEEDS, EPOCHS, BATCH_SIZE = 3, 3, 256
TRAINING_IMAGES, HELD_OUT = 38_400, 1000


def main() -> None:
    data = datasets.load("mnist")
    images = datasets.binarise(data.train[:TRAINING_IMAGES])
    images = images.astype(np.uint8) * np.uint8(255)
    held_out = datasets.binarise(data.validation[:HELD_OUT])
    runs = {dtype: [] for dtype in DTYPES}
    for seed in range(SEEDS):
        for dtype in DTYPES:
            speed, nll = measure(images, held_out, dtype, seed)
            runs[dtype].append((speed, nll))
            told = f"{speed:.0f} images/s, NLL {nll:.2f} nats"
            print(f"seed {seed}, {dtype}: {told}", flush=True)
    print(summary(*runs.values()))


def measure(images, held_out, dtype: str, seed: int) -> tuple[float, float]:
    """Images per second in training, and the NLL of held-out images in nats."""
    build, clock = lambda: conv_vae_mnist.build(seed), Clock()
    vae = quality.trained(build, dtype, images, seed, clock, EPOCHS, BATCH_SIZE)
    count = datasets.steps_per_epoch(images, BATCH_SIZE) * BATCH_SIZE
    return count / clock.seconds, quality.nll(vae, held_out)


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
