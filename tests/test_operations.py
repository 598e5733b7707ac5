"""The benchmark's count of multiplications, beside what they are by hand."""

import pytest
import tensorflow as tf

import zoo
from benchmarks import entries, limit, models
from benchmarks.operations import multiply_adds

MAPS, KERNEL = tf.ones([2, 8, 8, 3]), tf.ones([3, 3, 3, 4])
PLACES = 2 * 4 * 4  # of a kernel with strides of 2
WEIGHTS = 3 * 3 * 3 * 4


def traced(function, *arguments):
    graph_function = tf.function(function, autograph=False)
    return graph_function.get_concrete_function(*arguments).graph


def with_gradients(function):
    """The function, and its gradients to all that it takes."""

    def both(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            result = function(*arguments)
        return result, tape.gradient(result, arguments)

    return both


def looped(x, most):
    """Five products of `[4, 4]`, if it may run so often."""
    return tf.while_loop(
        lambda i, _: i < 5, lambda i, y: (i + 1, y @ x), (0, x), maximum_iterations=most
    )[1]


def test_a_training_step_of_dense_layers_has_the_known_number():
    model = zoo.VAE(*models.dense())
    model.compile("adam")
    batches = tf.data.Dataset.from_tensors(tf.zeros([3, *models.SHAPE]))
    graph = entries.step_graph(model, batches)
    assert multiply_adds(graph) == 3 * limit.multiplications()


@pytest.mark.parametrize(
    ("function", "shapes", "by_hand"),
    [
        (tf.matmul, [(2, 3), (3, 5)], 2 * 3 * 5),
        (lambda a, b: tf.matmul(a, b, transpose_a=True), [(3, 2), (3, 5)], 2 * 3 * 5),
        (lambda a, b: tf.matmul(a, b, adjoint_a=True), [(7, 3, 2), (7, 3, 5)], 7 * 30),
        (lambda a, b: tf.einsum("bi,tij->tbj", a, b), [(2, 3), (7, 3, 5)], 7 * 30),
    ],
)
def test_a_matrix_product_has_one_for_each_triple(function, shapes, by_hand):
    arguments = [tf.ones(shape) for shape in shapes]
    assert multiply_adds(traced(function, *arguments)) == by_hand
    graph = traced(with_gradients(function), *arguments)
    assert multiply_adds(graph) == 3 * by_hand


def test_a_convolution_has_its_kernel_at_every_place():
    def convolve(x, kernel):
        return tf.nn.conv2d(x, kernel, strides=2, padding="SAME")

    assert multiply_adds(traced(convolve, MAPS, KERNEL)) == PLACES * WEIGHTS
    graph = traced(with_gradients(convolve), MAPS, KERNEL)
    assert multiply_adds(graph) == 3 * PLACES * WEIGHTS


def test_a_transposed_convolution_has_its_kernel_at_every_place_of_its_input():
    def widen(x, kernel):
        return tf.nn.conv2d_transpose(x, kernel, (2, 8, 8, 3), strides=2)

    x = tf.ones([2, 4, 4, 4])
    assert multiply_adds(traced(widen, x, KERNEL)) == PLACES * WEIGHTS
    graph = traced(with_gradients(widen), x, KERNEL)
    assert multiply_adds(graph) == 3 * PLACES * WEIGHTS


def test_a_depthwise_convolution_mixes_no_channels():
    def convolve(x, kernel):
        return tf.nn.depthwise_conv2d(x, kernel, (1, 2, 2, 1), "SAME")

    kernel = tf.ones([3, 3, 3, 2])  # two maps of each channel
    by_hand = PLACES * 3 * 3 * 3 * 2
    assert multiply_adds(traced(convolve, MAPS, kernel)) == by_hand
    graph = traced(with_gradients(convolve), MAPS, kernel)
    assert multiply_adds(graph) == 3 * by_hand


def test_a_loop_has_its_body_as_often_as_it_runs():
    x = tf.ones([4, 4])
    assert multiply_adds(traced(lambda x: looped(x, 5), x)) == 5 * 4**3
    graph = traced(with_gradients(lambda x: looped(x, 5)), x)
    assert multiply_adds(graph) == 3 * 5 * 4**3


def test_a_function_within_counts_as_its_operations():
    within = tf.function(tf.matmul)
    x = tf.ones([4, 4])
    assert multiply_adds(traced(lambda x: within(within(x, x), x), x)) == 2 * 4**3


def test_what_no_result_needs_is_left_out():
    x, kept = tf.ones([4, 4]), tf.Variable(tf.ones([4, 4]))

    def function(x):
        tf.matmul(x, x)
        kept.assign(tf.matmul(x, x))  # a result too, though none is returned

    assert multiply_adds(traced(function, x)) == 4**3


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (lambda x: looped(x, None), (4, 4), "Received: while"),
        (lambda x: x @ x, (None, None), "not fully defined"),
        (lambda x: tf.nn.conv3d(x, x, [1] * 5, "SAME"), (2,) * 5, "Received: Conv3D"),
        (lambda x: tf.cond(x > 0, lambda: x, lambda: -x), (), "Received: .*If"),
    ],
)
def test_what_cannot_be_counted_is_refused(function, shape, message):
    graph = traced(function, tf.TensorSpec(shape))
    with pytest.raises(ValueError, match=message):
        multiply_adds(graph)


@pytest.mark.slow
def test_an_entry_takes_turns_with_the_matmul(monkeypatch):
    monkeypatch.setattr(entries, "STEPS", {True: 2, False: 2})
    rates = iter([1.0, 2.0, 3.0, 4.0])
    entry = entries.measure("conditional_vae_mnist", lambda: next(rates))
    assert entry["matmul"] == [2.0, 3.0, 4.0]
    assert len(entry["images_per_second"]) == 3
    # Labels of ten classes beside the 200 features and the 50 latents; but for the
    # gradient to the images, each weight three times.
    first = 784 * 200
    every = first + 200 * 200 + 210 * 100 + 60 * 200 + 200 * 200 + 200 * 784
    assert entry["multiply_adds"] == 3 * every - first
