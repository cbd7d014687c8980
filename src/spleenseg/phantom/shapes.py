"""Implicit shapes: functions that are positive inside, negative outside, and roughly in mm from the surface."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.grid import STEP, Array, Region

Point = tuple[float, float, float]
Knot = tuple[float, float, float, float]
_TINY = 1e-3


def intersect(rounding: float, *shapes: Array) -> Array:
    """Return what lies in all shapes, edges rounded over `rounding` mm (polynomial smooth minimum)."""
    result = shapes[0]
    for shape in shapes[1:]:
        overlap = np.maximum(np.float32(rounding) - np.abs(result - shape), 0)
        result = np.minimum(result, shape) - overlap * overlap * np.float32(0.25 / rounding)
    return result


def unite(rounding: float, *shapes: Array) -> Array:
    """Return what lies in any shape, joints rounded over `rounding` mm."""
    return -intersect(rounding, *(-shape for shape in shapes))


def ellipsoid(at: Region, centre: Point, radii: Point, turn: NDArray[np.float64] | None = None) -> Array:
    """Return an ellipsoid.

    Args:
        at: where to evaluate it.
        centre: (x, y, z) in mm.
        radii: along the rows of `turn`, in mm.
        turn: 3x3, rows are the directions of the axes; None: x, y, z.
    """
    axes = np.eye(3) if turn is None else turn
    offset = (at.x - np.float32(centre[0]), at.y - np.float32(centre[1]), at.z - np.float32(centre[2]))
    first = np.zeros_like(at.x)
    second = np.zeros_like(at.x)
    for row, radius in zip(axes, radii, strict=True):
        along = sum(np.float32(part / radius) * o for part, o in zip(row, offset, strict=True))
        square = np.square(along)
        first += square
        second += square / np.float32(radius**2)
    rho = np.sqrt(first) + np.float32(_TINY)
    return (1 - rho) * rho / (np.sqrt(second) + np.float32(_TINY / min(radii)))


def chain(at: Region, nodes: Sequence[Knot], rounding: float = 6.0) -> Array:
    """Return a chain of round cones through knots (x, y, z, radius): vessels, bowel, stomach.

    Further than `rounding` + 15 mm outside it the value is constant.
    """
    margin = rounding + 15
    result: Array = np.full(at.x.shape, -margin, np.float32)
    for a, b in pairwise(nodes):
        reach = max(a[3], b[3]) + margin
        low, high = np.minimum(a[:3], b[:3]) - reach, np.maximum(a[:3], b[:3]) + reach
        near = at.cut(tuple(low), tuple(high))
        link = _round_cone(at.x[near], at.y[near], at.z[near], a, b)
        result[near] = unite(rounding, result[near], link)
    return result


def _round_cone(x: Array, y: Array, z: Array, a: Knot, b: Knot) -> Array:
    direction = np.subtract(b[:3], a[:3])
    length2 = np.float32(direction @ direction)
    x, y, z = (values - np.float32(start) for values, start in zip((x, y, z), a[:3], strict=True))
    dx, dy, dz = (np.float32(part) for part in direction)
    t = np.clip((x * dx + y * dy + z * dz) / length2, 0, 1)
    distance = np.sqrt(np.square(x - t * dx) + np.square(y - t * dy) + np.square(z - t * dz))
    result: Array = np.float32(a[3]) + t * np.float32(b[3] - a[3]) - distance
    return result


def noise(rng: np.random.Generator, shape: tuple[int, int, int], length: float) -> Array:
    """Return smooth noise on the nodes of a grid: mean 0, deviation about 1, features of about `length` mm.

    Args:
        rng: where it is drawn from.
        shape: nodes along z, y, x.
        length: mm between the random values that are joined by a cubic B-spline.
    """
    result: Array | None = None
    knots = [int(np.ceil(count * STEP / length)) + 3 for count in shape]
    values = rng.standard_normal(knots, dtype=np.float32)
    for axis, count in enumerate(shape):
        weights = _spline(count, knots[axis], length)
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
    result = values / np.float32(0.33)  # the deviation of a cubic B-spline of unit noise in three dimensions
    return np.ascontiguousarray(result)


def _spline(count: int, knots: int, length: float) -> Array:
    """Return the matrix [nodes, knots] of a uniform cubic B-spline."""
    place = np.arange(count) * (STEP / length)
    left = np.floor(place).astype(int)
    t = place - left
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    matrix = np.zeros((count, knots), np.float32)
    for offset, weight in enumerate(weights):
        matrix[np.arange(count), left + offset] += weight / 6
    return matrix


def volume_ml(shape: Array) -> float:
    """Return the volume of a shape on the nodes, with soft edges, in mL."""
    return float(np.clip(shape / np.float32(STEP) + np.float32(0.5), 0, 1).sum()) * STEP**3 / 1000


def rotation(axis: Point, degrees: float) -> NDArray[np.float64]:
    """Return the 3x3 matrix that turns about an axis by the right-hand rule."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    turn: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn
