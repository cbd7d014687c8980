"""What one image costs a network, counted from its layers and the sizes they work at.

Counted are multiplications with an addition each: of convolutions (also separable and transposed ones), of dense
layers, and of the two matrix products of attention. Not counted is what takes little beside them: biases,
activations, normalisations, pooling, resizing, sums. A GFLOP is 1e9 multiplications or additions, so twice the
multiply-adds / 1e9; counted so, the U-Net of the reference's spleen config takes 44.7 for an image of 512x512x3.
"""

from __future__ import annotations

import math
from typing import Any

from keras import layers

OF_OUTPUT = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Dense,
)
OF_INPUT = (layers.Conv2DTranspose, layers.Conv3DTranspose)


def gflop(model: Any) -> float:
    """Return the GFLOP of one image through `model`, a keras.Model with a fixed input size."""
    return 2 * multiply_adds(model) / 1e9


def multiply_adds(model: Any) -> int:
    """Return the multiply-adds of one image through `model`."""
    return sum(of_operation(operation) for operation in model.operations)


def of_operation(operation: Any) -> int:
    """Return the multiply-adds of one image through one layer or operation of a model.

    A layer class of our own that multiplies says how often by a method `multiply_adds()`.

    Raises:
        TypeError: it has matrices, and there is no formula for its kind.
    """
    if hasattr(operation, "multiply_adds"):
        return int(operation.multiply_adds())
    if isinstance(operation, OF_INPUT):
        return _kernels(operation) * _positions(operation.input)
    if isinstance(operation, OF_OUTPUT):
        return _kernels(operation) * _positions(operation.output)
    if isinstance(operation, layers.MultiHeadAttention):
        return _attention(operation)
    if type(operation).__name__ == "Matmul":
        return int(math.prod(operation.output.shape[1:]) * operation.input[0].shape[-1])
    if _kernels(operation):
        raise TypeError(f"no formula for the multiplications of {type(operation).__name__} '{operation.name}'")
    return 0


def _positions(x: Any) -> int:
    return int(math.prod(x.shape[1:-1]))


def _kernels(layer: Any) -> int:
    """Return how many numbers all matrices and kernels of a layer hold."""
    return sum(math.prod(weight.shape) for weight in getattr(layer, "weights", ()) if len(weight.shape) > 1)


def _attention(layer: Any) -> int:
    """Return the multiply-adds of queries, keys and values, of both products between tokens, and of the output."""
    tokens = _positions(layer.output)
    width = layer.num_heads * (layer.key_dim + layer.value_dim)
    projections = sum(math.prod(weight.shape) for weight in layer.weights if weight.path.endswith("kernel"))
    return int(tokens * projections + tokens * tokens * width)
