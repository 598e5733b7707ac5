"""Log-likelihood of a data set: exact, or by importance sampling."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from zoo import checks
from zoo.draws import batch_seed
from zoo.feeds import check_end

ARRAYS = np.ndarray, tf.Tensor, list


def log_prob(
    model: keras.Model,
    x: np.ndarray,
    given: dict | None = None,
    *,
    num_importance_samples: int = 500,
    batch_size: int = 100,
    chunk: int = 50,
    seed: int = 0,
    verbose: int = 1,
) -> np.ndarray:
    """log p(x) of every image in nats, `[N]`.

    Exact where the model is; otherwise importance-weighted: a lower bound in
    expectation that tightens with `num_importance_samples` (Burda et al., 2016,
    theorem 1), so say the number beside every result. Memory is bounded by
    twice `batch_size * chunk` decoded images, whatever else is asked.

    Args:
        model: any generative model.
        x: data `[N, *event_shape]` in the likelihood's support, or a data set of
            batches of them, of pairs with labels or of dicts with conditions.
        given: what an array x is conditioned on, N rows each.
        num_importance_samples: draws K per image; nothing to an exact model.
        batch_size: images at a time.
        chunk: draws of each image at a time.
        seed: seed of the draws. Another `batch_size` or `chunk` makes other draws.
        verbose: 0 for silence, 1 for a progress bar.

    Raises:
        ValueError: if the data are not what the model was built for.
    """
    options = {"num_importance_samples": num_importance_samples, "chunk": chunk}
    checks.at_least(1, batch_size=batch_size, **({} if model.exact else options))
    count = -(-len(x) // batch_size) if isinstance(x, ARRAYS) else None
    bar = keras.utils.Progbar(count, verbose=verbose)
    results = []
    for index, (rows, conditions) in enumerate(batches(model, x, given, batch_size)):
        more = {} if model.exact else {**options, "seed": batch_seed(seed, index)}
        results.append(model.log_prob(rows, conditions, **more).numpy())
        bar.update(index + 1, values=[("nats", np.mean(np.concatenate(results)))])
    return np.concatenate(results)


def encode(
    model: keras.Model, x: np.ndarray, given: dict | None = None, batch_size: int = 500
) -> list[np.ndarray]:
    """Codes of all x, `[N, ...]` per latent layer, top first; arguments as `log_prob`.

    Raises:
        ValueError: if the data are not what the model was built for.
    """
    codes = [model.encode(*batch) for batch in batches(model, x, given, batch_size)]
    return [np.concatenate(layer) for layer in zip(*codes)]


def batches(
    model: keras.Model, x: np.ndarray, given: dict | None, batch_size: int
) -> Iterator[tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Batches of x and of its conditions, in order; a data set's are its own.

    An array and its conditions may come as one dict.
    """
    data = checks.together(x, given)
    x = data.get("x")
    wanted = "`x` must be an array or a data set."
    checks.require(isinstance(x, (*ARRAYS, tf.data.Dataset)), wanted, repr(x))
    if isinstance(x, tf.data.Dataset):
        wanted = "Conditions must be part of a data set's own elements."
        checks.require(len(data) == 1, wanted, ", ".join(data))
        check_end(x, ".take(batches)", None)
        empty = True
        for element in x:
            empty = False
            rows = element[0] if isinstance(element, tuple) else element
            model.check(rows)
            rows = rows if isinstance(rows, dict) else {"x": rows}
            rows = checks.completed(rows, model.fields, len(rows["x"]))
            yield rows.pop("x"), rows
        checks.require(not empty, "Data must not be empty.", x)
        return
    checks.at_least(1, batch_size=batch_size)
    model.check(data)
    for start in range(0, len(x), batch_size):
        rows = {name: part[start : start + batch_size] for name, part in data.items()}
        rows = checks.completed(rows, model.fields, len(rows["x"]))
        yield rows.pop("x"), rows
