"""Weights kept in half precision: a file of half the size that computes in float32."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
_GREATEST = float(np.finfo(np.float16).max)
_STORED = "_float16"


def with_half_weights(network: ModelProto) -> ModelProto:
    """Return a network whose kernels are stored in float16, each with a Cast to float32 behind it.

    Engines fold the Cast when they load the file, so that the network computes in float32 with rounded weights.
    Biases, normalisation, and kernels that float16 cannot hold stay as they are.

    Args:
        network: as `network_of` returns it.
    """
    halved = ModelProto()
    halved.CopyFrom(network)
    graph = halved.graph
    kernels = {name for node in graph.node if node.op_type in _WEIGHTED for name in node.input[:2]}
    casts = []
    for tensor in graph.initializer:
        if tensor.name not in kernels or tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max(initial=0) > _GREATEST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + _STORED))
        casts.append(helper.make_node("Cast", [name + _STORED], [name], name=name, to=TensorProto.FLOAT))
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *others])
    return halved
