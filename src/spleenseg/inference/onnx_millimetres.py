"""Slices brought to a network's pixels by millimetres inside an ONNX graph: `datasets.millimetres` node by node."""

from __future__ import annotations

import numpy as np

from spleenseg.datasets.millimetres import NOT_A_TIE, certain_background
from spleenseg.inference.onnx_nodes import Nodes, whole

_LEAST = 0.5  # as there


def steps(add: Nodes, spacing: str, pixel_mm: float) -> tuple[str, str]:
    """Return how many pixels of the slice make one of the grid, down and across, float64 [1] each.

    Args:
        add: the graph.
        spacing: float32 [2], size of a pixel in mm, across (x) and down (y).
        pixel_mm: of the grid.
    """
    both = add("Div", np.float64(np.float32(pixel_mm)), add.cast(spacing, np.float64))
    return add("Gather", both, whole(1)), add("Gather", both, whole(0))


def grey_on_grid(add: Nodes, image: str, size: tuple[int, int], step: tuple[str, str]) -> str:
    """Bring grey images float32 [N, C, H, W] to the grid, whole numbers 0..255."""
    lengths = (whole(size[0]), whole(size[1]))
    found = _product(add, add.cast(image, np.float64), lengths, step)
    return add.cast(add("Floor", add("Add", found, np.float64(0.5 + NOT_A_TIE))), np.float32)


def probabilities_on_slice(add: Nodes, found: str, channels: int, sides: tuple[str, str], step: tuple[str, str]) -> str:
    """Bring probabilities float32 [N, K, h, w] from the grid to a slice of the sides (height, width) int64 [1]."""
    outside = certain_background(channels)[:, None, None]
    back = (add("Div", np.float64(1), step[0]), add("Div", np.float64(1), step[1]))
    return add("Add", _product(add, add("Sub", found, outside), sides, back, np.float32), outside)


def _product(
    add: Nodes,
    image: str,
    sides: tuple[str | np.ndarray, str | np.ndarray],
    step: tuple[str, str],
    kind: type = np.float64,
) -> str:
    rows = add.cast(_weights(add, add.length(image, 2), sides[0], step[0]), kind)
    columns = add.cast(_weights(add, add.length(image, 3), sides[1], step[1]), kind)
    return add("MatMul", add("MatMul", rows, image), add("Transpose", columns))


def _weights(add: Nodes, length: str, result: str | np.ndarray, step: str) -> str:
    """Return float64 [result, length], see `datasets.millimetres.weights`."""
    own, last = _counted(add, length), _half(add, length)
    centred = add("Sub", _counted(add, result), _half(add, result))
    places = add("Unsqueeze", add("Add", last, add("Mul", centred, step)), whole(1))
    distance = add("Div", add("Abs", add("Sub", own, places)), add("Max", np.float64(1), step))
    near = add("Max", add("Sub", np.float64(1), distance), np.float64(0))
    total = add("ReduceSum", near, whole(1), keepdims=1)
    shares = add("Div", near, add("Max", total, np.float64(_LEAST)))
    beyond = add("Sub", add.cast(length, np.float64), np.float64(0.5))
    inside = add("And", add("GreaterOrEqual", places, np.float64(-0.5)), add("LessOrEqual", places, beyond))
    return add("Where", inside, shares, np.float64(0))


def _half(add: Nodes, length: str | np.ndarray) -> str:
    """Return (length - 1) / 2, float64 [1]."""
    return add("Div", add("Sub", add.cast(_named(add, length), np.float64), np.float64(1)), np.float64(2))


def _counted(add: Nodes, length: str | np.ndarray) -> str:
    """Return 0, 1 .. length - 1, float64 [length]."""
    count = add("Range", np.int64(0), add("Squeeze", _named(add, length)), np.int64(1))
    return add.cast(count, np.float64)


def _named(add: Nodes, value: str | np.ndarray) -> str:
    return value if isinstance(value, str) else add("Identity", value)
