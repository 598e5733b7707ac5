"""Exported graphs with short names: what they compute and promise stays."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from zoo.graphs import FINGERPRINT, GRAPH, RUN, shorten_names

X = np.float32([[1.0, -2.0], [3.0, 0.5]])


class Counter(tf.Module):
    """A loop, a branch, a call of another function, and a state that is changed."""

    def __init__(self):
        super().__init__()
        self.calls = tf.Variable(0)
        self.table = tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

    @tf.function
    def project(self, x):
        return x @ self.table

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x")])
    def serve(self, x):
        self.calls.assign_add(1)  # nobody reads it in this call
        y = tf.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, 2.0 * y), [0, self.project(x)]
        )[1]
        y = tf.cond(tf.reduce_sum(x) > 0, lambda: y, lambda: -y)
        return {"y": y, "calls": tf.identity(self.calls)}


def functions(folder):
    saved = SavedModel.FromString((folder / GRAPH).read_bytes())
    return saved.meta_graphs[0].graph_def.library.function


@pytest.fixture
def folder(tmp_path):
    module = Counter()
    tf.saved_model.save(module, tmp_path, signatures=module.serve)
    return tmp_path


def test_it_computes_the_same_and_changes_the_same_state(folder):
    before = (folder / GRAPH).stat().st_size
    shorten_names(folder)
    assert (folder / GRAPH).stat().st_size < 0.8 * before
    loaded = tf.saved_model.load(folder)
    serve = loaded.signatures["serving_default"]
    for call, x in enumerate((X, -X), start=1):
        out = serve(x=tf.constant(x))
        table = np.float32([[1, 2, 3], [4, 5, 6]])
        sign = 1 if x.sum() > 0 else -1
        np.testing.assert_allclose(out["y"], sign * 8 * x @ table)
        assert out["calls"] == loaded.calls == call


def test_shapes_and_control_outputs_are_still_told(folder):
    shorten_names(folder)
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    assert serve.output_shapes["y"].as_list() == [None, 3]
    assert serve.structured_outputs["calls"].shape == ()
    for function in functions(folder):
        assert set(function.control_ret) == set(function.signature.control_output)
        nodes = {node.name for node in function.node_def}
        assert nodes.issuperset(function.control_ret.values())
        for node in function.node_def:
            assert ("_output_shapes" in node.attr) <= (node.op in RUN)
    assert any(function.control_ret for function in functions(folder))


def test_once_is_enough(folder):
    shorten_names(folder)
    once = (folder / GRAPH).read_bytes()
    assert not (folder / FINGERPRINT).exists()
    shorten_names(folder)
    assert (folder / GRAPH).read_bytes() == once
