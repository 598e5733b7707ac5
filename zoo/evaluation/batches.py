"""A data set in memory, checked once and handed out in batches."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf


def batches(
    model: keras.Model, x: np.ndarray, given: dict | None, batch_size: int
) -> Iterator[tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Batches of x and of its conditions, in order.

    Raises:
        ValueError: if the data are not what the model was built for.
    """
    data = {"x": x, **(given or {})}
    model.check(data)
    for start in range(0, len(x), batch_size):
        rows = {
            name: tf.constant(data[name][start : start + batch_size], field.dtype)
            for name, field in model.fields.items()
        }
        yield rows.pop("x"), rows
