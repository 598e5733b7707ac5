"""What the zoo uses of private parts and switches of its libraries: all of it is here.

Their next version may change any of it; `tests/test_internals.py` says which broke, and
the requirements go no further than the versions it has been run with.
"""

import contextlib

import keras
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import cache_util

INSIDE_FIT = "_use_cached_eval_dataset"  # argument with which `fit` calls `evaluate`


def layers_of(model: keras.layers.Layer, kind=keras.layers.Layer) -> list:
    """A model and the layers in it that are of a kind, nested ones included."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]


@contextlib.contextmanager
def eagerly():
    """Functions run as Python within, so that none keeps a trace of a passing state."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def graphs_as_they_are():
    """Functions run within as they were traced: TensorFlow does not rewrite them.

    Nothing happens where somebody has asked for an option of the rewriting. Another
    thread that meanwhile runs its first function goes on with graphs as they are.
    """
    options = tf.config.optimizer
    if any(options.get_experimental_options().values()):
        yield
        return
    options.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        options.set_experimental_options({"disable_meta_optimizer": False})


def forget_metrics(model: keras.Model) -> None:
    """A model compiled anew has no metrics from before, which Keras keeps."""
    model._compile_metrics = None


def drop_losses(model: keras.layers.Layer) -> None:
    """Forgets what a model itself has added as losses, as Keras does at every call.

    Devices that train together share the list, and each comes to it when it may.
    """
    model._losses.clear()


class CachingBijector(tfp.bijectors.Bijector):
    """A bijector that keeps what `forward` learns of the log-determinant, as FFJORD.

    A subclass gives `_forward_and_attributes` and `_inverse_and_attributes`, which
    return the image and a dict, such as `{"ildj": ...}`, or None.
    """

    _cache = cache_util.BijectorCacheWithGreedyAttrs(
        "_forward_and_attributes", "_inverse_and_attributes"
    )


class PipelineUser(keras.Model):
    """A model that may exchange the pipeline which `fit` and `evaluate` have made.

    A subclass gives `pipeline(dataset)`, what is read in place of `dataset`.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras comes here between making its pipeline and starting it.
        if hasattr(iterator, "_distributed_dataset"):
            iterator._distributed_dataset = self.pipeline(iterator._distributed_dataset)
        strategy = self._distribute_strategy
        if strategy is not None and iterator is not None:
            # Keras would add up what the devices have of the first batch, all alike.
            _, _, batches = next(iter(iterator))
            first = strategy.experimental_local_results
            data_batch = keras.tree.map_structure(lambda x: first(x)[0], next(batches))
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)
