"""Several steps in one compiled program: every batch once, in order, whatever comes."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests import configs
from tests.configs import assert_same_variables
from zoo import training
from zoo.training import MOST_STEPS


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
    execute = training.compiled_steps(together, most=3)
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
    execute = training.compiled_steps(recorder, most=3)
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


@pytest.fixture
def executions(monkeypatch):
    """The arguments of every call of a function that `compiled_steps` returned."""
    calls, compiled_steps = [], training.compiled_steps

    def recorded(*args):
        execute = compiled_steps(*args)
        return lambda iterator: calls.append(args) or execute(iterator)

    monkeypatch.setattr(training, "compiled_steps", recorded)
    return calls


@pytest.mark.slow
def test_fit_executes_several_steps_at_once_by_default(vae, digits, executions):
    vae.compile("adam")
    vae.fit(digits[:60], batch_size=8, verbose=0)
    assert vae.step == 8
    assert executions == [(vae.train_step, MOST_STEPS)]


@pytest.mark.slow
@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="concerns the CPU alone"
)
def test_convolutions_on_a_cpu_keep_to_single_steps(digits, executions):
    model = configs.build(networks="conv")
    model.compile("adam", jit_compile=True)
    model.fit(digits[:32], batch_size=16, verbose=0)
    assert model.step == 2
    assert not executions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "together"),
    [
        pytest.param(None, False, id="none", marks=pytest.mark.slow),
        pytest.param(tf.zeros([64, 2]), True, id="dense", marks=pytest.mark.slow),
        pytest.param(tf.sparse.eye(64), False, id="sparse"),
    ],
)
def test_labels_of_all_kinds_may_stand_beside_the_images(
    labels, together, vae, digits, executions
):
    vae.compile("adam", jit_compile=True, steps_per_execution=2)
    images = tf.data.Dataset.from_tensor_slices(digits)
    if labels is None:
        pairs = images.batch(16).map(lambda x: (x, None))
    else:
        labels = tf.data.Dataset.from_tensor_slices(labels)
        pairs = tf.data.Dataset.zip(images, labels).batch(16)
    vae.fit(pairs, verbose=0)
    assert vae.step == 4
    assert bool(executions) == together


def test_batches_whose_parts_change_shape_are_told_apart():
    recorder = Recorder()
    parts = [(3, 2), (3, 2), (3, 5), (3, 2)]  # one label of a batch varies in length

    def produce():
        for index, (size, length) in enumerate(parts):
            yield np.full([size, 1], index, "float32"), np.ones([size, length], "f")

    iterator = iter(
        tf.data.Dataset.from_generator(
            produce,
            output_signature=(
                tf.TensorSpec([None, 1], tf.float32),
                tf.TensorSpec([None, None], tf.float32),
            ),
        )
    )
    training.compiled_steps(recorder, most=4)(iterator)
    assert float(recorder.state) == 8 * 1 + 4 * (3 + 1) + 2 * (6 + 1) + (9 + 1)


@pytest.mark.slow
def test_labels_may_be_single_numbers(vae, digits):
    vae.compile("adam", jit_compile=True, steps_per_execution=3)
    images = tf.data.Dataset.from_tensor_slices(digits).batch(16)
    vae.fit(images.map(lambda x: (x, 0.0)), verbose=0)
    assert vae.step == 4


# Among a thousand other tests TensorFlow once crashed as it made the iterator.
@pytest.mark.slow
def test_a_distribution_strategy_keeps_to_single_steps(vae, digits, executions):
    with tf.distribute.OneDeviceStrategy("CPU").scope():
        copy = zoo.VAE.from_config(vae.get_config())
        copy.compile(steps_per_execution=2)
    copy.fit(digits[:60], batch_size=16, verbose=0)
    assert copy.step == 4
    assert not executions


def test_keras_data_sets_keep_to_single_steps(vae, digits):
    class Slices(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return (digits[16 * index : 16 * (index + 1)],)

    vae.fit(Slices(), verbose=0)
    assert vae.steps_per_execution == 1
    assert vae.step == 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # 1 batch of 4
def test_fit_evaluate_and_predict_take_their_data_untuned(vae, digits, monkeypatch):
    monkeypatch.setattr(training, "untuned", lambda dataset: dataset.take(1))
    batches = tf.data.Dataset.from_tensor_slices(digits).batch(16)
    for x, options in ((digits, {"batch_size": 16}), (batches, {})):
        step, calls = int(vae.step), int(vae.calls)
        vae.fit(x, validation_data=batches, verbose=0, **options)
        assert vae.step == step + 1
        assert vae.calls == calls + 2
        vae.evaluate(x, verbose=0, **options)
        assert vae.calls == calls + 3
        assert len(vae.predict(x, verbose=0, **options)) == 16


@pytest.mark.parametrize("options", [{"batch_size": 24}, {"steps": 1}], ids=str)
def test_predict_answers_for_every_image_in_order(options, digits):
    model = configs.build(zoo.Autoencoder)
    answers = model.predict(digits, verbose=0, **options)
    # Matrix products of another size may round differently.
    np.testing.assert_allclose(answers, model.reconstruct(digits), atol=1e-6)


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param(["49", "SigmaVAE"], id="losses and means that devices share"),
        pytest.param(
            ["64,57,49", "VAE", "SigmaVAE", "IAFVAE", "LadderVAE", "SemiSupervisedVAE"],
            marks=pytest.mark.slow,
            id="more",
        ),
    ],
)
def test_two_devices_train_as_one(classes):
    code = (Path(__file__).parent / "two_devices.py").read_text()
    subprocess.run([sys.executable, "-c", code, *classes], check=True)


@pytest.mark.parametrize("asked", [None, True, False])
def test_the_autotuner_is_off_unless_the_data_set_asks_for_it(asked):
    dataset = tf.data.Dataset.range(3)
    if asked is not None:
        options = tf.data.Options()
        options.autotune.enabled = asked
        dataset = dataset.with_options(options)
    result = training.untuned(dataset)
    assert result.options().autotune.enabled == bool(asked)
    assert list(result.as_numpy_iterator()) == [0, 1, 2]


@pytest.mark.parametrize(
    "use",
    [
        "fit",
        *(pytest.param(u, marks=pytest.mark.slow) for u in ("evaluate", "predict")),
    ],
)
def test_the_progress_bar_counts_to_the_number_of_batches(vae, digits, use, capfd):
    """16 batches in executions of up to 20: Keras' own bar shows 20/16 on the way."""
    vae.compile("adam")
    data = tf.data.Dataset.from_tensor_slices(digits[:64]).batch(4)
    getattr(vae, use)(data, verbose=1)
    shown = re.sub(r"\x1b\[[\d;]*m", "", capfd.readouterr().out)
    counts = [int(count) for count in re.findall(r"(\d+)/16", shown)]
    assert counts
    assert max(counts) == 16
