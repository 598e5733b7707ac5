"""How rare an image is: the share of other images whose log-likelihood is higher.

A table has the quantiles of those others' negative log-likelihoods, ready for JSON:

    {"quantiles": [0 %, 1 %, ..., 100 %], "unit": "nats", "images": N,
     "num_importance_samples": K}

with K None where log p(x) is exact. Every image sees the same noise, that of seed 0:
its answer depends on nothing but itself, and the table is made in the same way.
"""

import numpy as np
import tensorflow as tf

from zoo import checks
from zoo.draws import DRAWS

PARTS = 100


def negative_log_prob(model, x, given, draws: int | None) -> tf.Tensor:
    """-log p(x) `[B]` in nats, as a table has it, with so many draws of each image."""
    if model.exact:
        return -model.log_prob(x, given)
    rows = tf.shape(x)[0]
    seeds = tf.zeros([rows], tf.int64)
    return -model.log_prob_of_rows(x, given, seeds, tf.fill([rows], draws))


def make_table(nats: np.ndarray, draws: int | None) -> dict:
    """The table of negative log-likelihoods `[N]`."""
    quantiles = np.quantile(np.float64(nats), np.linspace(0.0, 1.0, PARTS + 1))
    return {
        "quantiles": [round(q, 4) for q in quantiles.tolist()],
        "unit": "nats",
        "images": len(nats),
        "num_importance_samples": draws,
    }


def check_table(model, table: dict) -> None:
    """Raises a ValueError unless it is one of a model like this."""
    good = isinstance(table, dict)
    quantiles = np.float64(table.get("quantiles", ())) if good else np.empty(0)
    draws = table.get(DRAWS) if good else None
    good = quantiles.shape == (PARTS + 1,) and np.isfinite(quantiles).all()
    good = good and (np.diff(quantiles) >= 0).all()
    drawn = isinstance(draws, int) and draws is not True and draws >= 1
    good = good and (draws is None if model.exact else drawn)
    wanted = "`rarity` must be a table of `zoo.evaluation.rarity` for this model."
    checks.require(good, wanted, table)


def score(nats: tf.Tensor, table: dict) -> tf.Tensor:
    """The share of the table's images that are likelier, `[B]` nats -> `[B]` in [0, 1].

    Piecewise linear between the quantiles; 0 below the least and 1 above the largest.
    """
    quantiles = np.float32(table["quantiles"])
    widths = np.maximum(np.diff(quantiles), np.finfo("float32").tiny)  # none may be 0
    parts = (tf.convert_to_tensor(nats)[:, None] - quantiles[:-1]) / widths
    return tf.reduce_mean(tf.clip_by_value(parts, 0.0, 1.0), axis=-1)
