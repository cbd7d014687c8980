"""OpenCV's ways to resize inside an ONNX graph, as products with two matrices.

Resizing is linear and separable: `rows @ image @ columns.T`, where each row of a matrix holds the weights with
which the pixels of one side enter a pixel of the result. The matrices are made inside the graph from the size of
the image at hand, positions as exact fractions of whole numbers. ONNX itself knows no area averaging.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spleenseg.inference.onnx_nodes import Nodes, whole

_CUBIC_A = -0.75  # of OpenCV's cubic kernel (Keys 1981)
_TIE = 0.125  # OpenCV rounds the .5 of exact halvings up, and to even elsewhere; these are multiples of .25
_MORE = whole(1 << 20)  # makes positions positive before a whole division, which ONNX rounds towards zero

Matrix = Callable[[Nodes, str, int], str]  # (graph, length int64 [1], length of the result) -> float32 [result, length]


def fitted(add: Nodes, image: str, size: tuple[int, int], method: str | None) -> str:
    """Resize grey images to the network's grid as `fit_size` does.

    Args:
        add: the graph.
        image: float32 [N, C, H, W], whole numbers 0..255, any H and W.
        size: height and width of the grid.
        method: OpenCV's name; None: area-averaged down, cubic where a side grows.

    Returns:
        float32 [N, C, height, width], whole numbers 0..255.
    """
    sides = add("Gather", add("Shape", image), whole(2, 3))
    unchanged, resized = add.branch("unchanged"), add.branch("resized")
    unchanged("Identity", image)
    if method in (None, "INTER_AREA"):
        shrunk, grown = resized.branch("shrunk"), resized.branch("grown")
        _averaged(shrunk, image, sides, size)
        _interpolated(grown, image, size, _cubic if method is None else _area_grown)
        resized.choose(resized.every(resized("GreaterOrEqual", sides, whole(*size))), shrunk, grown)
    else:
        _interpolated(resized, image, size, _METHODS[method])
    return add.choose(add.every(add("Equal", sides, whole(*size))), unchanged, resized)


def _averaged(add: Nodes, image: str, sides: str, size: tuple[int, int]) -> None:
    mean = _product(add, image, size, _area)
    halved = add.every(add("Equal", sides, whole(*(2 * side for side in size))))
    add("Round", add("Add", mean, add("Mul", add.cast(halved, np.float32), _TIE)))


def _interpolated(add: Nodes, image: str, size: tuple[int, int], matrix: Matrix) -> None:
    add("Round", add("Min", add("Max", _product(add, image, size, matrix), 0.0), 255.0))


def _product(add: Nodes, image: str, size: tuple[int, int], matrix: Matrix) -> str:
    rows = matrix(add, add.length(image, 2), size[0])
    columns = add("Transpose", matrix(add, add.length(image, 3), size[1]))
    return add("MatMul", add("MatMul", rows, image), columns)


def _area(add: Nodes, length: str, result: int) -> str:
    """Weigh each pixel by the share of it that lies in a pixel of the result."""
    left = add("Mul", np.arange(result, dtype=np.int64)[:, None], length)
    own_left = add("Mul", _places(add, length), whole(result))
    right, own_right = add("Add", left, length), add("Add", own_left, whole(result))
    overlap = add("Sub", add("Min", right, own_right), add("Max", left, own_left))
    return add("Div", add("Max", add.cast(overlap, np.float32), 0.0), add.cast(length, np.float32))


def _area_grown(add: Nodes, length: str, result: int) -> str:
    """Follow what OpenCV does for INTER_AREA where a side grows: each pixel stays flat, borders blend."""
    end = add("Mul", np.arange(1, result + 1, dtype=np.int64)[:, None], length)
    first = add("Div", add("Sub", end, length), whole(result))
    beyond = add("Sub", end, add("Mul", add("Add", first, whole(1)), whole(result)))
    share = add("Max", add("Div", add.cast(beyond, np.float32), add.cast(length, np.float32)), 0.0)
    return _taps(add, length, first, {0: add("Sub", 1.0, share), 1: share})


def _nearest(add: Nodes, length: str, result: int) -> str:
    scaled = add("Mul", np.arange(result, dtype=np.int64)[:, None], length)
    return _taps(add, length, add("Div", scaled, whole(result)), {0: np.ones((result, 1), np.float32)})


def _linear(add: Nodes, length: str, result: int) -> str:
    first, share = _centres(add, length, result)
    return _taps(add, length, first, {0: add("Sub", 1.0, share), 1: share})


def _cubic(add: Nodes, length: str, result: int) -> str:
    first, share = _centres(add, length, result)
    return _taps(add, length, first, {tap: _cubic_weight(add, share, tap) for tap in (-1, 0, 1, 2)})


def _lanczos(add: Nodes, length: str, result: int) -> str:
    """Weigh eight pixels by sinc(d) sinc(d / 4), made to add up to one."""
    first, share = _centres(add, length, result)
    taps = {tap: add("Mul", _sinc(add, share, tap, 1.0), _sinc(add, share, tap, 0.25)) for tap in range(-3, 5)}
    total = add("Sum", *taps.values())
    return _taps(add, length, first, {tap: add("Div", weight, total) for tap, weight in taps.items()})


def _cubic_weight(add: Nodes, share: str, tap: int) -> str:
    """Return the kernel at the distance of a tap: one cubic up to 1, another up to 2."""
    far = add("Abs", add("Sub", share, float(tap)))
    near = (_CUBIC_A + 2, -(_CUBIC_A + 3), 0.0, 1.0)
    tail = (_CUBIC_A, -5 * _CUBIC_A, 8 * _CUBIC_A, -4 * _CUBIC_A)
    return _polynomial(add, far, near if tap in (0, 1) else tail)


def _polynomial(add: Nodes, value: str, coefficients: tuple[float, ...]) -> str:
    first, *others = coefficients
    total = add("Mul", value, first)
    for coefficient in others[:-1]:
        total = add("Mul", add("Add", total, coefficient), value)
    return add("Add", total, others[-1])


def _sinc(add: Nodes, share: str, tap: int, scale: float) -> str:
    angle = add("Mul", add("Sub", share, float(tap)), np.pi * scale)
    small = add("Less", add("Abs", angle), 1e-6)
    return add("Where", small, 1.0, add("Div", add("Sin", angle), add("Where", small, 1.0, angle)))


def _centres(add: Nodes, length: str, result: int) -> tuple[str, str]:
    """Return for each pixel of the result the pixel at or before its centre, and how far beyond that one it lies."""
    odd = np.arange(1, 2 * result, 2, dtype=np.int64)[:, None]
    step = whole(2 * result)
    position = add("Sub", add("Mul", odd, length), whole(result))
    first = add("Sub", add("Div", add("Add", position, step * _MORE), step), _MORE)
    rest = add("Sub", position, add("Mul", first, step))
    return first, add("Div", add.cast(rest, np.float32), float(2 * result))


def _taps(add: Nodes, length: str, first: str, weights: dict[int, str | np.ndarray]) -> str:
    """Put weights [result, 1] at `first` + tap, those beyond the border at the border."""
    places, last = _places(add, length), add("Sub", length, whole(1))
    parts = []
    for tap, weight in weights.items():
        place = add("Min", add("Max", add("Add", first, whole(tap)), whole(0)), last)
        parts.append(add("Where", add("Equal", places, place), weight, 0.0))
    return add("Sum", *parts)


def _places(add: Nodes, length: str) -> str:
    """Return 0, 1 .. length - 1, int64 [1, length]."""
    count = add("Range", np.int64(0), add("Squeeze", length), np.int64(1))
    return add("Unsqueeze", count, whole(0))


_METHODS: dict[str, Matrix] = {
    "INTER_NEAREST": _nearest,
    "INTER_LINEAR": _linear,
    "INTER_CUBIC": _cubic,
    "INTER_LANCZOS4": _lanczos,
}
