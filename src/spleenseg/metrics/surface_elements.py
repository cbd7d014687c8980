"""The area of the surface between eight neighbouring voxels, for each of their 256 patterns.

The surface of a mask is taken where marching cubes (Lorensen & Cline 1987) puts it. Eight voxel centres that
form a 2x2x2 block are the corners of a cell; the surface crosses the cell's edges in their middle wherever one
end is inside the mask and the other is not. A pattern's surface follows from these rules:

1. A pattern with more than four voxels inside has the surface of its opposite. On each face of the cell the
   crossings are joined by lines; where inside and outside stand at opposite corners of a face, a line cuts off
   each of the two inside corners.
2. The lines of all faces form closed polygons of three to six corners.
3. A polygon that is not flat is divided into triangles the way that gives the largest area when the
   voxels are cubes. The same division is kept for every voxel size.

These rules give the areas that the `surface-distance` package of Nikolov et al. (arXiv 1809.04430) uses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Corner = tuple[int, int, int]

CODES = 256


def surface_areas(spacing: Sequence[float]) -> NDArray[np.float64]:
    """Return the surface area of each pattern.

    Args:
        spacing: voxel size along the array's three axes, in mm.

    Returns:
        float64 [256] in mm². Bit ``4 i + 2 j + k`` of the index tells whether the voxel at place (i, j, k) of
        the block is inside.
    """
    first, second, third = spacing
    scale = np.array([second * third, first * third, first * second])
    areas: NDArray[np.float64] = np.linalg.norm(_area_vectors() * scale, axis=2).sum(axis=1)
    return areas


@lru_cache(maxsize=1)
def _area_vectors() -> NDArray[np.float64]:
    """Return each pattern's triangles as normals as long as their area, for cubes of 1 mm: [256, n, 3]."""
    triangles = [_triangles(_inside(code)) for code in range(CODES)]
    vectors = np.zeros((CODES, max(map(len, triangles)), 3))
    for code, found in enumerate(triangles):
        for place, triangle in enumerate(found):
            vectors[code, place] = _normal(triangle)
    return vectors


def _inside(code: int) -> frozenset[Corner]:
    """Return the inside corners of a pattern, or the outside ones if they are fewer: the surface is one."""
    chosen = [corner for bit, corner in enumerate(_corners()) if code >> bit & 1]
    others = [corner for bit, corner in enumerate(_corners()) if not code >> bit & 1]
    return frozenset(chosen if len(chosen) <= len(others) else others)


def _corners() -> list[Corner]:
    return [(i, j, k) for i, j, k in product((0, 1), repeat=3)]


def _triangles(inside: frozenset[Corner]) -> list[tuple[Point, ...]]:
    return [triangle for polygon in _polygons(inside) for triangle in _divide(polygon)]


def _polygons(inside: frozenset[Corner]) -> list[list[Point]]:
    """Follow the lines on the faces until they close: every crossing belongs to two of them."""
    neighbours: dict[Point, list[Point]] = {}
    for one, other in (line for face in _faces() for line in _lines(face, inside)):
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    polygons = []
    while neighbours:
        polygon = [next(iter(neighbours))]
        while step := [point for point in neighbours.pop(polygon[-1]) if point in neighbours]:
            polygon.append(step[0])
        polygons.append(polygon)
    return polygons


def _faces() -> Iterator[list[Corner]]:
    """Yield the six faces, each as its four corners in order around it."""
    for axis, side in product(range(3), (0, 1)):
        around = [[0, 0], [0, 1], [1, 1], [1, 0]]
        for corner in around:
            corner.insert(axis, side)
        yield [(i, j, k) for i, j, k in around]


def _lines(face: list[Corner], inside: frozenset[Corner]) -> Iterator[tuple[Point, Point]]:
    """Yield the lines on one face: one around each group of neighbouring inside corners."""
    edges = [(face[place - 1], face[place]) for place in range(4)]
    crossings = [_middle(*edge) for edge in edges if (edge[0] in inside) != (edge[1] in inside)]
    if len(crossings) == 2:
        yield crossings[0], crossings[1]
    elif len(crossings) == 4:
        for place, corner in enumerate(face):
            if corner in inside:
                yield _middle(*edges[place]), _middle(*edges[(place + 1) % 4])


def _middle(one: Corner, other: Corner) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2, (one[2] + other[2]) / 2


def _divide(polygon: list[Point]) -> list[tuple[Point, ...]]:
    """Return the polygon's triangles, divided the way that gives the largest area."""
    return max(_divisions(tuple(polygon)), key=lambda triangles: sum(math.hypot(*_normal(t)) for t in triangles))


def _divisions(polygon: tuple[Point, ...]) -> Iterator[list[tuple[Point, ...]]]:
    """Yield every way to cut a polygon into triangles along its diagonals."""
    if len(polygon) < 3:
        yield []
        return
    for tip in range(1, len(polygon) - 1):
        triangle = (polygon[0], polygon[tip], polygon[-1])
        for left in _divisions(polygon[: tip + 1]):
            for right in _divisions(polygon[tip:]):
                yield [*left, triangle, *right]


def _normal(triangle: tuple[Point, ...]) -> Point:
    """Return half the cross product of two sides: as long as the triangle's area."""
    origin, one, other = triangle
    a, b, c = (end - start for start, end in zip(origin, one, strict=True))
    d, e, f = (end - start for start, end in zip(origin, other, strict=True))
    return (b * f - c * e) / 2, (c * d - a * f) / 2, (a * e - b * d) / 2
