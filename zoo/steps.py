"""Training steps as TensorFlow gets them: several as one program, or one alone."""

from collections.abc import Callable

import tensorflow as tf

from zoo import internals


def compiled_steps(train_step: Callable, most: int) -> Callable:
    """A function that trains on the next `most` batches of an iterator, under XLA.

    Keras would compile one step and call it `most` times. Here XLA sees the loop: the
    weights and the optimiser's state stay where they are from one step to the next.
    A batch of other shapes than the first one's, often an epoch's last, and all after
    it are trained on one by one.

    The function takes iterators that `zoo.feeds.is_plain` knows. It returns the last
    batch's logs, also if the iterator ends early, and raises
    `tf.errors.OutOfRangeError` if there is none.
    """
    step = _graph(train_step)
    step_alone = _graph(lambda batch: step(batch), jit_compile=True)

    def loop(batches, count):
        values = [lambda batch=batch: batch for batch in batches]
        logs = step.get_concrete_function(batches[0]).structured_outputs
        nothing = tf.nest.map_structure(lambda x: tf.zeros(x.shape, x.dtype), logs)
        return tf.while_loop(
            lambda index, _: index < count,
            lambda index, _: (index + 1, step(tf.switch_case(index, values))),
            (0, nothing),
        )[1]

    steps_together = _graph(loop, jit_compile=True)

    def execute(iterator):
        first = iterator.get_next()
        others = [iterator.get_next_as_optional() for _ in range(most - 1)]
        batches, alike = [first], [tf.constant(True)]
        for other in others:
            alike.append(alike[-1] & _holds_like(other, first))
            batches.append(tf.cond(alike[-1], other.get_value, lambda: first))
        count = tf.math.count_nonzero(alike, dtype=tf.int32)
        available = 1 + tf.add_n([tf.cast(x.has_value(), tf.int32) for x in others])
        values = [lambda: first, *(other.get_value for other in others)]
        return tf.while_loop(
            lambda index, _: index < available,
            lambda index, _: (index + 1, step_alone(tf.switch_case(index, values))),
            (count, steps_together(batches, count)),
        )[1]

    return _graph(execute)


def single_step(train_step: Callable, rewrite: bool = True) -> Callable:
    """A function that trains on the next batch of an iterator, as one graph.

    Keras' own is a graph that calls another: TensorFlow then spends half as long again
    before the first step.

    Without `rewrite` TensorFlow runs the graph as it is. To rewrite it takes a third of
    the time before the first step of many float32 convolutions on a CPU, and makes no
    step faster; those of mixed_bfloat16 it does.
    """
    step = _graph(lambda iterator: train_step(iterator.get_next()))

    def execute(iterator):
        with internals.graphs_as_they_are():
            return step(iterator)

    return step if rewrite else execute


def _graph(function, **options):
    return tf.function(function, autograph=False, reduce_retracing=True, **options)


def _holds_like(optional, batch) -> tf.Tensor:
    """Whether an optional has a value whose shapes are those of `batch`."""

    def same():
        pairs = zip(tf.nest.flatten(optional.get_value()), tf.nest.flatten(batch))
        alike = [tf.shape(a) == tf.shape(b) for a, b in pairs]
        return tf.reduce_all(tf.concat(alike, axis=0))

    return tf.cond(optional.has_value(), same, lambda: False)
