"""Building an ONNX graph node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 15


class Nodes:
    """Collects nodes and constants; calling it adds a node and returns the name of its output.

    Args:
        prefix: beginning of every name, so that parts of one graph do not meet.
    """

    def __init__(self, prefix: str) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix = prefix

    def __call__(self, kind: str, *inputs: str | float | np.generic | npt.NDArray[Any], **attributes: Any) -> str:
        """Add a node.

        Args:
            kind: the operator.
            inputs: names; a number becomes a float32 constant, an array a constant of its own type.
            attributes: of the operator; `output` names the result.
        """
        output = attributes.pop("output", None) or f"{self._prefix}{kind}_{len(self.nodes)}"
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        self.nodes.append(helper.make_node(kind, names, [output], name=output, **attributes))
        return output

    def cast(self, value: str, kind: type) -> str:
        """Return `value` with elements of a NumPy type."""
        return self("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def length(self, value: str, axis: int) -> str:
        """Return the length of an axis, int64 [1]."""
        return self("Gather", self("Shape", value), whole(axis))

    def every(self, flags: str) -> str:
        """Return whether all flags [n] hold, bool []."""
        return self.cast(self("ReduceMin", self.cast(flags, np.int32), keepdims=0), bool)

    def choose(self, condition: str, then: Nodes, otherwise: Nodes) -> str:
        """Run one of two branches, made with `branch`; the last node of each gives its result."""
        branches = {"then_branch": then.graph("then"), "else_branch": otherwise.graph("otherwise")}
        return self("If", condition, **branches)

    def branch(self, name: str) -> Nodes:
        """Return an empty collection for a branch of `choose`, which may use all that was made here before."""
        return Nodes(f"{self._prefix}{name}_{len(self.nodes)}_")

    def graph(self, name: str) -> GraphProto:
        """Return the graph without inputs that gives the result of the last node, float32 with four axes."""
        last = helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, [None] * 4)
        return helper.make_graph(self.nodes, name, [], [last], initializer=self.constants)

    def _constant(self, value: float | np.generic | npt.NDArray[Any]) -> str:
        array = value if isinstance(value, np.generic | np.ndarray) else np.float32(value)
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name


def whole(*values: int) -> npt.NDArray[np.int64]:
    """Return whole numbers as ONNX wants axes and sizes, int64 [n]."""
    return np.array(values, np.int64)
