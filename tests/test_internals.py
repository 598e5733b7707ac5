"""Private APIs of Keras and TFP: all in one room, and a test each says what broke."""

import ast
import contextlib
import importlib.metadata
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from packaging.requirements import Requirement
from packaging.version import Version

from zoo import internals

ROOT = Path(__file__).parent.parent
FILES = sorted(
    file
    for package in ("zoo", "recipes")
    for file in (ROOT / package).rglob("*.py")
    if file != ROOT / "zoo" / "internals.py"
)
TREES = {file: ast.parse(file.read_text()) for file in FILES}

TESTED = {"keras": "3.15", "tensorflow": "2.21", "tensorflow-probability": "0.25"}

# TFP documents that subclasses of its distributions and bijectors define these, and
# Python that every NamedTuple has `_replace`.
EXTENSION_POINTS = {
    "_batch_shape",
    "_batch_shape_tensor",
    "_event_shape",
    "_event_shape_tensor",
    "_forward_log_det_jacobian",
    "_log_prob",
    "_mean",
    "_parameter_properties",
    "_replace",
    "_sample_n",
}

ROWS = np.ones([64, 2], "float32")


@contextlib.contextmanager
def says(library: str, broken: str):
    """Whatever fails inside, the message tells which library broke what."""
    try:
        yield
    except Exception as error:
        version = importlib.metadata.version(library)
        raise AssertionError(f"{library} {version}: {broken}. {error!r}") from error


class Model(keras.Model):
    """A layer whose loss is its own output; it adds up what it has seen."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.seen = self.add_weight(initializer="zeros", trainable=False)

    def call(self, x):
        y = self.dense(x)
        self.seen.assign_add(tf.reduce_sum(x))
        self.add_loss(tf.reduce_mean(y))
        return y


class FirstBatchOnly(internals.PipelineUser, Model):
    def __init__(self):
        super().__init__()
        self.pipelines = []

    def pipeline(self, dataset):
        self.pipelines.append(type(dataset))
        return dataset.take(1)


@pytest.fixture
def fitted():
    model = FirstBatchOnly()
    model.compile("sgd")
    model.fit(ROWS, batch_size=16, verbose=0)
    return model


def test_keras_flattens_the_layers_of_a_model():
    with says("keras", "`_flatten_layers` misses nested layers or repeats some"):
        normalise = keras.layers.BatchNormalization()
        inner = keras.Sequential([keras.Input((2,)), normalise])
        outer = Model()
        outer.inner = inner
        found = internals.layers_of(outer)
        for layer in (outer, outer.dense, inner, normalise):
            assert sum(layer is other for other in found) == 1
        kind = keras.layers.BatchNormalization
        assert internals.layers_of(outer, kind) == [normalise]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # 1 batch of 4
def test_keras_builds_between_making_its_pipeline_and_starting_it(fitted):
    with says("keras", "`fit` or `evaluate` passes by `_maybe_symbolic_build`"):
        assert len(fitted.pipelines) == 1
        fitted.evaluate(ROWS, batch_size=16, verbose=0)
        assert len(fitted.pipelines) == 2


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # 1 batch of 4
def test_keras_reads_the_pipeline_that_its_iterator_holds(fitted):
    with says("keras", "`fit` does not read its iterator's `_distributed_dataset`"):
        assert issubclass(fitted.pipelines[0], tf.data.Dataset)
        assert fitted.seen == ROWS[:16].sum()


def test_keras_marks_the_evaluation_inside_fit():
    marks = []

    class Recorder(Model):
        def evaluate(self, *args, **kwargs):
            marks.append(internals.INSIDE_FIT in kwargs)
            return super().evaluate(*args, **kwargs)

    with says("keras", f"`fit` calls `evaluate` without `{internals.INSIDE_FIT}`"):
        model = Recorder()
        model.compile("sgd")
        model.fit(ROWS, validation_data=(ROWS,), verbose=0)
        model.evaluate(ROWS, verbose=0)
        assert marks == [True, False]


def test_tfp_keeps_what_a_bijector_learns_on_its_way():
    calls = []

    class Double(internals.CachingBijector):
        def __init__(self):
            super().__init__(forward_min_event_ndims=0, dtype=tf.float32, parameters={})

        @classmethod
        def _parameter_properties(cls, dtype):
            return {}

        def _forward_and_attributes(self, x):
            calls.append("forward")
            return 2 * x, {"ildj": tf.fill(x.shape, -np.log(2.0).astype("float32"))}

        def _inverse_and_attributes(self, y):
            calls.append("inverse")
            return y / 2, None

        def _forward_log_det_jacobian(self, x):
            calls.append("log-determinant")
            return tf.fill(x.shape, np.log(2.0).astype("float32"))

    with says(
        "tensorflow-probability",
        "`cache_util.BijectorCacheWithGreedyAttrs` as a bijector's `_cache` keeps "
        "nothing",
    ):
        double, x = Double(), tf.constant([1.0, 3.0])
        y = double.forward(x)
        np.testing.assert_array_equal(y, [2.0, 6.0])
        log_det = double.forward_log_det_jacobian(x, event_ndims=0)
        np.testing.assert_allclose(log_det, np.log([2.0, 2.0]), rtol=1e-6)
        inverse_log_det = double.inverse_log_det_jacobian(y, event_ndims=0)
        np.testing.assert_allclose(inverse_log_det, -log_det)
        np.testing.assert_array_equal(double.inverse(y), x)
        assert calls == ["forward"]
        np.testing.assert_array_equal(double.inverse(tf.constant([4.0])), [2.0])
        assert calls == ["forward", "inverse"]


# No other file touches a private part.


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names_of_the_libraries() -> set[str]:
    things = (
        keras.Model(),
        keras.callbacks.Callback(),
        keras.metrics.Mean(),
        keras.optimizers.Adam(),
        tfp.bijectors.Bijector,
        tfp.distributions.Distribution,
        tf.data.Dataset,
        tf.Module,
    )
    names = {name for thing in things for name in dir(thing) if private(name)}
    return names - EXTENSION_POINTS


def own_names() -> set[str]:
    """What our files define: functions, classes, variables, attributes of `self`."""
    names = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id == "self"
            ):
                names.add(node.attr)
    return names


def members(tree) -> set[str]:
    """Private names that a file's classes define, or that it reaches for by a dot."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                names.add(getattr(item, "name", ""))
                targets = getattr(item, "targets", [])
                names.update(t.id for t in targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)  # as in getattr(model, "_losses")
    return set(filter(private, names))


def test_no_other_file_uses_a_private_name_of_the_libraries():
    theirs, ours = private_names_of_the_libraries(), own_names()
    for name in ("_flatten_layers", "_maybe_symbolic_build", "_cache", "_losses"):
        assert name in theirs  # the search finds what there is to find
    for file, tree in TREES.items():
        reached = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        foreign = set(filter(private, reached)) - ours - EXTENSION_POINTS
        found = foreign | members(tree) & theirs
        assert not found, f"{file.relative_to(ROOT)} uses {found}"


def test_no_other_file_imports_a_private_module():
    hidden = re.compile(
        r"\bkeras\.src\b|\b(tf|tfp|tensorflow|tensorflow_probability)\.python\b"
    )
    assert hidden.search((ROOT / "zoo" / "internals.py").read_text())
    for file in FILES:
        assert not hidden.search(file.read_text()), file.relative_to(ROOT)
        assert internals.INSIDE_FIT not in file.read_text(), file.relative_to(ROOT)


@pytest.mark.parametrize("file", ["requirements.txt", "pyproject.toml"])
@pytest.mark.parametrize("library", TESTED)
def test_the_requirements_end_with_the_minor_version_that_is_tested(library, file):
    (line,) = re.findall(
        rf'^[ "]*({library}(?:\[\w+\])?[<>=!][^"#\n]*)', (ROOT / file).read_text(), re.M
    )
    allowed = Requirement(line).specifier
    tested = Version(TESTED[library])
    assert f"{tested}.0" in allowed
    assert f"{tested.major}.{tested.minor + 1}.0" not in allowed
    assert importlib.metadata.version(library) in allowed


def test_a_models_own_losses_are_forgotten_and_its_layers_are_not():
    model = keras.Sequential([keras.layers.ActivityRegularization(l2=1.0)])
    model(np.ones([2, 3], "float32"))
    model.add_loss(tf.constant(5.0))
    assert len(model.losses) == 2
    internals.drop_losses(model)
    (left,) = model.losses
    assert left != 5.0
