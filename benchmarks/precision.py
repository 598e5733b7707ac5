"""Log-likelihoods by networks in mixed_bfloat16 beside float32, of trained entries.

Speed is by the CPU time of all threads, which other work on the machine disturbs less.

python -m benchmarks.precision
"""

import statistics
import time

import numpy as np

import zoo
import zoo.evaluation
from recipes import publish

ENTRIES = (
    "vae_mnist",
    "ladder_vae_mnist",
    "conv_vae_mnist",
    "iaf_vae_mnist",
    "flow_prior_vae_mnist",
    "vamp_prior_vae_mnist",
    "flow_prior_vae_fashion_mnist",
)
DTYPE, IMAGES, SAMPLES, ROUNDS = "mixed_bfloat16", 1000, 50, 5


def main() -> None:
    for name in ENTRIES:
        model = zoo.load(name)
        half = zoo.evaluation.with_dtype(model, DTYPE)
        _, images = publish.test_images(zoo.presets.read_metadata(name))
        difference, ratios = compare(model, half, images[:IMAGES])
        error = difference.std() / np.sqrt(len(difference))
        nats = f"{difference.mean():+.4f} nats +- {error:.4f}"
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        median = statistics.median(ratios)
        print(f"{name}: {nats}, {median:.2f} times as fast ({spread})", flush=True)


def compare(model, half, images) -> tuple[np.ndarray, list[float]]:
    """What the second adds to log p(x), `[N]` nats, and how many times as fast it is.

    In turns, round by round, after a first one that traces both.
    """
    first, second = (log_prob(m, images)[0] for m in (model, half))
    rounds = [[log_prob(m, images)[1] for m in (model, half)] for _ in range(ROUNDS)]
    return np.float64(second) - first, [slow / fast for slow, fast in rounds]


def log_prob(model, images) -> tuple[np.ndarray, float]:
    """log p(x) in nats, `[N]`, and the CPU seconds that it took."""
    started, options = time.process_time(), {"num_importance_samples": SAMPLES}
    log_p = zoo.evaluation.log_prob(model, images, verbose=0, **options)
    return log_p, time.process_time() - started


if __name__ == "__main__":
    main()
