"""Several devices that share a batch: each has some of its rows; they learn as one."""

import contextlib
import threading

import tensorflow as tf

from zoo import checks

_here = threading.local()  # every device is traced in a thread of its own


def in_scope() -> bool:
    """Whether new weights would be those of several devices."""
    return tf.distribute.get_strategy().num_replicas_in_sync > 1


def on_one_device(model):
    """The model itself, or a copy of one that several devices share.

    Raises:
        ValueError: within the scope of their strategy: a copy would be shared too.
    """
    if model.distribute_strategy.num_replicas_in_sync == 1:
        return model
    wanted = "Export a model after the scope of its strategy has ended."
    checks.require(not in_scope(), wanted, "a call within it")
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def sharing() -> tf.distribute.ReplicaContext | None:
    """This device's place among several that share a batch, or None if it is alone."""
    context = tf.distribute.get_replica_context()
    several = context is not None and context.num_replicas_in_sync > 1
    return context if several else None


def never_empty(data: dict, example: dict) -> dict:
    """The rows of a device, or an example's where it has got none of a batch."""
    missing = tf.maximum(1 - tf.shape(data["x"])[0], 0)
    return {
        name: tf.concat([rows, example[name][:missing]], axis=0)
        for name, rows in data.items()
    }


@contextlib.contextmanager
def weighing(rows: tf.Tensor):
    """Within it, means over a device's rows count as many as it has of the batch."""
    context, rows = sharing(), tf.cast(rows, tf.float32)
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, rows)
    _here.weight = context.num_replicas_in_sync * rows / total
    try:
        yield
    finally:
        del _here.weight


def mean_of_all(mean: tf.Tensor) -> tf.Tensor:
    """The mean over the whole batch of a mean over rows; on one device it is itself."""
    context = sharing()
    if context is None:
        return mean
    weight = getattr(_here, "weight", 1.0)
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, weight * mean)


def weighed(mean: tf.Tensor) -> tf.Tensor:
    """A mean over a device's rows, whose gradient has the weight of these.

    Keras averages gradients over devices, whatever each has seen: so weighed they are
    those of the whole batch's mean.
    """
    weight = _here.weight
    return weight * mean + tf.stop_gradient((1.0 - weight) * mean)
