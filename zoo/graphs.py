"""Exported graphs with short names and no notes.

Half of a SavedModel's graph are names of nodes and arguments, which spell out every
layer that they are in, once themselves and once for each node that reads them. Nobody
asks for them: signatures name their inputs and outputs elsewhere. A quarter of the rest
are notes on the shape of every node's outputs, which whoever loads it finds again, but
for those of the nodes that run a function.
"""

from pathlib import Path

from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

GRAPH, FINGERPRINT = "saved_model.pb", "fingerprint.pb"
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
RUN = CALLS | {f"{s}{op}" for s in ("", "Stateless") for op in ("While", "If", "Case")}


def shorten_names(folder: Path) -> None:
    """Numbers the nodes and arguments of all functions of a SavedModel, in place.

    Notes on its nodes go. So does its fingerprint, which servers may log: it is that of
    the longer names.
    """
    file = folder / GRAPH
    saved = SavedModel.FromString(file.read_bytes())
    for meta_graph in saved.meta_graphs:
        for function in meta_graph.graph_def.library.function:
            _number(function)
    file.write_bytes(saved.SerializeToString(deterministic=True))
    (folder / FINGERPRINT).unlink(missing_ok=True)


def _number(function) -> None:
    arguments = function.signature.input_arg
    names = {node.name: f"n{i:x}" for i, node in enumerate(function.node_def)}
    names |= {argument.name: f"a{i:x}" for i, argument in enumerate(arguments)}

    def renamed(reference: str) -> str:
        """Of `node`, of `node:output:index` or of `^node`, which only waits for it."""
        mark = "^" if reference.startswith("^") else ""
        node, *output = reference[len(mark) :].split(":", 1)
        return mark + ":".join([names.get(node, node), *output])

    for index, argument in enumerate(arguments):
        argument.name = names[argument.name]
        if index in function.arg_attr:
            function.arg_attr[index].attr.pop("_user_specified_name", None)
    for node in function.node_def:
        node.name = names[node.name]
        node.input[:] = map(renamed, node.input)
        node.attr.pop("_class", None)  # names of nodes that it would stand beside
        if node.op not in RUN:
            node.attr.pop("_output_shapes", None)
        node.ClearField("experimental_debug_info")  # the long names once more
    for name, reference in [*function.ret.items()]:
        function.ret[name] = renamed(reference)
    nodes = sorted(names[node] for node in function.control_ret.values())
    awaited = {f"c{i:x}": node for i, node in enumerate(nodes)}
    function.signature.control_output[:] = awaited
    function.control_ret.clear()
    function.control_ret.update(awaited)
