"""What a network holds at once."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from spleenseg.inference.onnx_memory import activation_bytes  # noqa: E402

PICTURE = 4 * 8 * 8  # bytes of one channel, float32


def network(*nodes: tuple[str, list[str], str]) -> onnx.ModelProto:
    """A graph over x, float32 ["N", 8, 8, 1], whose operations are element by element."""
    shape = ["N", 8, 8, 1]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output]) for kind, inputs, output in nodes],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1][2], TensorProto.FLOAT, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_a_chain_holds_what_goes_in_and_what_comes_out() -> None:
    assert activation_bytes(network(("Relu", ["x"], "a"), ("Exp", ["a"], "b"), ("Relu", ["b"], "c"))) == 2 * PICTURE


def test_what_is_read_again_later_is_held_until_then() -> None:
    skipping = network(("Relu", ["x"], "a"), ("Exp", ["a"], "b"), ("Exp", ["b"], "c"), ("Add", ["a", "c"], "d"))
    assert activation_bytes(skipping) == 3 * PICTURE
