"""A PixelCNN's sampling beside the naive one, a whole network for each code.

python -m benchmarks.codes
"""

import time

import numpy as np
import tensorflow as tf

import zoo

SIDE, LEVELS, IMAGES, ROUNDS = 14, 128, 32, 3


def main() -> None:
    model = zoo.PixelCNN((SIDE, SIDE), levels=LEVELS, channels=64, depth=6)
    network = tf.function(lambda x: model.logits(x, {}))
    x = np.zeros([IMAGES, SIDE, SIDE], "int32")
    network(x), model.sample(IMAGES)  # traced
    for seed in range(ROUNDS):
        cached = seconds(lambda seed=seed: model.sample(IMAGES, seed=seed))
        # One pass of each code; which values it sees changes nothing.
        naive = seconds(lambda: [network(x) for _ in range(SIDE * SIDE)])
        print(f"{cached:.2f} s, naive {naive:.2f} s, ratio {naive / cached:.1f}")


def seconds(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
