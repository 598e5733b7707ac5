"""What feeds training: data sets that end or do not, and their iterators."""

import tensorflow as tf

from zoo import checks


def check_end(data, name: str, steps: int | None) -> None:
    """Raises a ValueError if data have no end and nobody says how many `steps`."""
    plain = isinstance(data, tf.data.Dataset)
    endless = plain and bool(data.cardinality() == tf.data.INFINITE_CARDINALITY)
    wanted = f"A data set without an end needs `{name}`; of the recipes' streams the "
    wanted += "number is `steps_per_epoch(images, batch_size)`."
    checks.require(steps or not endless, wanted, data)


def untuned(dataset):
    """A data set whose iterators end at once: tf.data's autotuner is off.

    The autotuner's thread sleeps up to as long as its iterator has lived, and often
    misses the call to end, so that `fit` would wait. Without it, `tf.data.AUTOTUNE` in
    a map means one call for each core, up to sixteen. What sets
    `options.autotune.enabled` itself, or is no plain data set, is returned as it is.
    """
    plain = isinstance(dataset, tf.data.Dataset)
    if not plain or dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def is_plain(iterator) -> bool:
    """Whether all parts of its batches are plain tensors, and it feeds one device."""
    return isinstance(iterator, tf.data.Iterator) and all(
        isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None
        for spec in tf.nest.flatten(iterator.element_spec)
    )
