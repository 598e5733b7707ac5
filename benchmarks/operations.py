"""Counts the multiplications of a traced graph: of matrix products and convolutions."""

import math
from collections.abc import Iterator

import tensorflow as tf


def multiply_adds(graph: tf.Graph) -> int:
    """Multiply-adds of one run of a `tf.function`, by the shapes of its tensors.

    What its results do not need is left out, as TensorFlow and XLA leave it out. A
    convolution counts the zeros around its maps too, a masked matrix its zeros, and a
    loop its body as often as it may run at most.

    Args:
        graph: of a concrete function, `function.get_concrete_function(...).graph`.

    Raises:
        ValueError: if a shape or a loop's length is not known before it runs, or if an
            operation may multiply in a way that is not known here.
    """
    return sum(_multiply_adds(operation) for operation in _needed(graph))


def _needed(graph) -> Iterator[tf.Operation]:
    """The operations that the results, and all that is assigned, depend on."""
    found = {tensor.op for tensor in graph.outputs} | set(graph.control_outputs)
    waiting = list(found)
    while waiting:
        operation = waiting.pop()
        yield operation
        before = {tensor.op for tensor in operation.inputs}
        before = before.union(operation.control_inputs) - found
        found |= before
        waiting += before


def _multiply_adds(operation) -> int:
    inputs, outputs, kind = operation.inputs, operation.outputs, operation.type
    match kind:
        case "MatMul" | "BatchMatMulV2":
            name = "transpose_a" if kind == "MatMul" else "adj_x"
            inner = _shape(inputs[0])[-2 if operation.get_attr(name) else -1]
            return inner * math.prod(_shape(outputs[0]))
        case "Einsum":
            labels = operation.get_attr("equation").decode().split("->")[0].split(",")
            sizes = {}
            for letters, tensor in zip(labels, inputs, strict=True):
                sizes |= zip(letters, _shape(tensor), strict=True)
            return math.prod(sizes.values())
        case "Conv2D" | "DepthwiseConv2dNative":
            return _convolution(inputs[1], outputs[0])
        case "Conv2DBackpropInput" | "DepthwiseConv2dNativeBackpropInput":
            return _convolution(inputs[1], inputs[2])
        case "Conv2DBackpropFilter" | "DepthwiseConv2dNativeBackpropFilter":
            return _convolution(outputs[0], inputs[2])
        case "PartitionedCall" | "StatefulPartitionedCall":
            return multiply_adds(_inner(operation, "f"))
        case "While" | "StatelessWhile":
            most = tf.get_static_value(inputs[1])  # `maximum_iterations`, -1 for none
            if most is None or most < 0:
                raise ValueError(
                    "A loop needs a length that is known before it runs. Received: "
                    f"{operation.name}"
                )
            return int(most) * multiply_adds(_inner(operation, "body"))
    attributes = operation.op_def.attr
    calls = any(attribute.type in ("func", "list(func)") for attribute in attributes)
    if calls or "MatMul" in kind or "Conv" in kind:
        raise ValueError(f"Cannot count this operation. Received: {kind}")
    return 0


def _convolution(kernel, maps) -> int:
    """Of a kernel `[h, w, ...]` at each place of maps `[B, H, W, C]`, its outputs."""
    return math.prod(_shape(kernel)) * math.prod(_shape(maps)[:-1])


def _inner(operation, name):
    """The graph of a function that an operation calls; TensorFlow has no public way."""
    function = operation.graph._get_function(operation.get_attr(name).name)
    return function.graph


def _shape(tensor) -> list[int]:
    tensor.shape.assert_is_fully_defined()
    return tensor.shape.as_list()
