"""How much a network holds in memory while it computes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from onnx import ModelProto, ValueInfoProto, shape_inference
from onnx.helper import tensor_dtype_to_np_dtype


def activation_bytes(network: ModelProto) -> int:
    """Return the most bytes of activations that exist at once while one picture goes through a network.

    A tensor exists from the operation that makes it to the last one that reads it, and operations follow each other
    as the file lists them. What an engine needs besides (its blocked layouts, memory that it keeps) is not in it.

    Args:
        network: for pictures of a fixed size; other sizes left open, such as the batch, count as 1.
    """
    graph = shape_inference.infer_shapes(network).graph
    sizes = {value.name: _bytes(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    last_use = {name: place for place, node in enumerate(graph.node) for name in node.input}
    alive = {value.name for value in graph.input}
    most = 0
    for place, node in enumerate(graph.node):
        alive.update(node.output)
        most = max(most, _together(alive, sizes))
        alive = {name for name in alive if last_use.get(name, len(graph.node)) > place}
    return most


def _together(names: Iterable[str], sizes: dict[str, int]) -> int:
    return sum(sizes.get(name, 0) for name in names)


def _bytes(value: ValueInfoProto) -> int:
    tensor = value.type.tensor_type
    if not tensor.elem_type:
        return 0
    sides: list[int] = [axis.dim_value or 1 for axis in tensor.shape.dim]
    return prod(sides) * int(tensor_dtype_to_np_dtype(tensor.elem_type).itemsize)
