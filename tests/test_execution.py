"""Several steps in one compiled program: every batch once, in order, whatever comes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.configs import assert_same_variables
from zoo import execution


class Recorder:
    """A training step whose state tells which batches it saw in which order."""

    def __init__(self):
        self.state = tf.Variable(0.0)
        self.traces = 0

    def __call__(self, batch):
        self.traces += 1
        x, y = batch
        self.state.assign(2.0 * self.state + tf.reduce_sum(x) + tf.reduce_mean(y))
        return {"state": self.state.value(), "size": tf.shape(x)[0]}


def batches(sizes):
    """Pairs of tensors `[size, 3]` and `[size]` that differ from batch to batch."""

    def produce():
        for number, size in enumerate(sizes):
            yield np.full([size, 3], number, "float32"), np.full(size, number, "int64")

    return tf.data.Dataset.from_generator(
        produce,
        output_signature=(
            tf.TensorSpec([None, 3], tf.float32),
            tf.TensorSpec([None], tf.int64),
        ),
    ).map(lambda x, y: (x, tf.cast(y, tf.float32)))


@pytest.mark.parametrize(
    "sizes",
    [[4] * 6, [4] * 7, [4] * 5 + [2], [4, 2, 4, 4, 1], [2], [1, 4, 4, 4]],
    ids=["whole", "ends early", "last smaller", "all sizes", "one", "first smaller"],
)
def test_every_batch_is_trained_on_once_and_in_order(sizes):
    together, alone = Recorder(), Recorder()
    execute = execution.compiled_steps(together, most=3)
    iterator = iter(batches(sizes))
    for _ in range(-(-len(sizes) // 3)):
        logs = execute(iterator)
    for batch in batches(sizes):
        expected = alone(batch)
    assert float(together.state) == float(alone.state)
    assert {key: float(x) for key, x in logs.items()} == {
        key: float(x) for key, x in expected.items()
    }
    with pytest.raises(tf.errors.OutOfRangeError):
        execute(iterator)


def test_a_step_is_traced_once_for_batches_of_all_sizes():
    recorder = Recorder()
    execute = execution.compiled_steps(recorder, most=3)
    iterator = iter(batches([4, 4, 4, 4, 2]))
    execute(iterator)
    execute(iterator)
    assert recorder.traces == 1


def test_it_trains_as_the_steps_do_one_by_one(vae, digits):
    """60 images in batches of 8: seven whole ones, a smaller one, two epochs."""

    def fitted(steps):
        keras.utils.set_random_seed(0)
        copy = zoo.VAE.from_config(vae.get_config())
        copy.compile(keras.optimizers.SGD(1e-3), steps_per_execution=steps)
        history = copy.fit(
            digits[:60], batch_size=8, epochs=2, shuffle=False, verbose=0
        )
        assert int(copy.step) == 16
        return copy, history.history

    one_by_one, one_history = fitted(1)
    together, history = fitted(4)
    assert_same_variables(together, one_by_one, atol=1e-5)  # rounding
    np.testing.assert_allclose(history["loss"], one_history["loss"], rtol=1e-5)


def test_a_distribution_strategy_keeps_to_single_steps(vae, digits):
    with tf.distribute.OneDeviceStrategy("CPU").scope():
        copy = zoo.VAE.from_config(vae.get_config())
        copy.compile(steps_per_execution=2)
    copy.fit(digits[:60], batch_size=16, verbose=0)
    assert int(copy.step) == 4
