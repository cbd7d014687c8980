"""The two grids of a phantom: a coarse one to think on, the scan's own to paint on.

Anatomy is computed as smooth functions on a coarse grid (`STEP` mm), positive inside an organ and roughly in mm
from its surface. Interpolating such a function (Catmull-Rom, three small matrix products) and asking where it is
positive gives the organ on the scan's grid, far cheaper than computing it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Slices3 = tuple[slice, slice, slice]
STEP = 3.0
_THICKEST_LAYER = 3.4  # mm


@dataclass(frozen=True)
class Frame:
    """The scan's grid, in mm about the centre of the first lumbar vertebra (x Left, y Posterior, z Superior).

    Attributes:
        size: pixels along x and along y.
        slices: number of slices.
        pixel: mm between pixels.
        step: mm between slices.
        corner: place of the first voxel's centre, (x, y, z).
    """

    size: int
    slices: int
    pixel: float
    step: float
    corner: tuple[float, float, float]

    @property
    def layers(self) -> int:
        """How many layers each slice is painted in, an odd number, so that one lies in its middle."""
        return 1 if self.step <= _THICKEST_LAYER else 2 * int(np.ceil((self.step / _THICKEST_LAYER - 1) / 2)) + 1

    def layered(self) -> Frame:
        """Return the frame whose slices are this one's layers."""
        n = self.layers
        x, y, z = self.corner
        below = (n - 1) / 2 * self.step / n
        return Frame(self.size, self.slices * n, self.pixel, self.step / n, (x, y, z - below))

    def axis(self, name: str) -> NDArray[np.float64]:
        """Return the places of the voxel centres along "x", "y" or "z", in mm."""
        length, step = (self.slices, self.step) if name == "z" else (self.size, self.pixel)
        places: NDArray[np.float64] = self.corner["xyz".index(name)] + step * np.arange(length, dtype=np.float64)
        return places

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Mm between voxels along x, y and z."""
        return self.pixel, self.pixel, self.step


@dataclass(frozen=True, eq=False)
class Region:
    """A box of the coarse grid: the places of its nodes, each [z, y, x], bent with the patient's own shape."""

    box: Slices3
    x: Array
    y: Array
    z: Array

    @cached_property
    def _spans(self) -> list[tuple[Array, Array]]:
        """Return the lowest and highest place along x, y and z of each layer of nodes across it."""
        axes = ((self.x, (0, 1)), (self.y, (0, 2)), (self.z, (1, 2)))
        return [(values.min(axis=across), values.max(axis=across)) for values, across in axes]

    def cut(self, low: tuple[float, ...], high: tuple[float, ...]) -> Slices3:
        """Return the nodes of this box, counted from its corner, that hold all places between two corners."""
        cuts = []
        for (lowest, highest), first, last in zip(self._spans, low, high, strict=True):
            hit = np.flatnonzero((highest >= first) & (lowest <= last))
            cuts.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0))
        return cuts[2], cuts[1], cuts[0]


class Grid:
    """The coarse grid around a frame and the way from it to the frame's voxels."""

    def __init__(self, frame: Frame) -> None:
        """Lay the coarse grid so that it surrounds every voxel by two nodes."""
        self.frame = frame
        fine = [frame.axis(name) for name in "zyx"]
        self.nodes = [_nodes_around(axis) for axis in fine]
        self._matrices = [_interpolation(axis, nodes) for axis, nodes in zip(fine, self.nodes, strict=True)]
        self._starts = [(axis - nodes[0]) / STEP for axis, nodes in zip(fine, self.nodes, strict=True)]

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Nodes along z, y and x."""
        z, y, x = map(len, self.nodes)
        return z, y, x

    def places(self) -> tuple[Array, Array, Array]:
        """Return x, y and z of every node, each [z, y, x]."""
        z, y, x = np.meshgrid(*self.nodes, indexing="ij")
        return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)

    def box(self, low: tuple[float, float, float], high: tuple[float, float, float]) -> Slices3:
        """Return the nodes between two corners (x, y, z) in mm; at least four along each axis."""
        cuts = []
        for nodes, first, last in zip(self.nodes, low[::-1], high[::-1], strict=True):
            start = int(np.clip(np.searchsorted(nodes, first), 0, len(nodes) - 4))
            cuts.append(slice(start, int(np.clip(np.searchsorted(nodes, last), start + 4, len(nodes)))))
        return cuts[0], cuts[1], cuts[2]

    def tighten(self, values: Array, box: Slices3) -> tuple[Array, Slices3]:
        """Cut the nodes off that are far outside the organ; an organ that is not there becomes an empty box."""
        near = values > -STEP
        inner, outer = [], []
        for axis, cut in enumerate(box):
            hit = np.flatnonzero(near.any(axis=tuple({0, 1, 2} - {axis})))
            low, high = (max(0, hit[0] - 2), min(near.shape[axis], hit[-1] + 3)) if len(hit) else (0, 0)
            inner.append(slice(low, high))
            outer.append(slice(cut.start + low, cut.start + high))
        return values[inner[0], inner[1], inner[2]], (outer[0], outer[1], outer[2])

    def to_voxels(self, values: Array, box: Slices3) -> tuple[Array, Slices3]:
        """Interpolate node values to the voxels inside the box.

        Args:
            values: the nodes of `box`.
            box: where they are.

        Returns:
            The values at the voxels [z, y, x], and which voxels they are.
        """
        windows = [
            _voxels_inside(start, cut, len(nodes))
            for start, cut, nodes in zip(self._starts, box, self.nodes, strict=True)
        ]
        z, y, x = (matrix[window, cut] for matrix, window, cut in zip(self._matrices, windows, box, strict=True))
        planes = np.tensordot(z, values, axes=(1, 0))
        voxels: Array = np.matmul(np.matmul(y, planes), x.T)
        return voxels, (windows[0], windows[1], windows[2])

    def planes(self, values: Array, part: slice) -> Array:
        """Interpolate values on all nodes to the voxels of some slices [z, y, x]."""
        z, y, x = self._matrices
        planes = np.tensordot(z[part], values, axes=(1, 0))
        voxels: Array = np.matmul(np.matmul(y, planes), x.T)
        return voxels


def _nodes_around(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    first = np.floor(axis[0] / STEP) - 2
    last = np.ceil(axis[-1] / STEP) + 2
    return np.arange(first, last + 1) * STEP


def _interpolation(axis: NDArray[np.float64], nodes: NDArray[np.float64]) -> Array:
    """Return the matrix [voxels, nodes] of Catmull-Rom interpolation."""
    place = (axis - nodes[0]) / STEP
    left = np.floor(place).astype(int)
    t = place - left
    weights = (
        -0.5 * t**3 + t**2 - 0.5 * t,
        1.5 * t**3 - 2.5 * t**2 + 1,
        -1.5 * t**3 + 2 * t**2 + 0.5 * t,
        0.5 * t**3 - 0.5 * t**2,
    )
    matrix = np.zeros((len(axis), len(nodes)), np.float32)
    for offset, weight in enumerate(weights, start=-1):
        matrix[np.arange(len(axis)), left + offset] = weight
    return matrix


def _voxels_inside(places: NDArray[np.float64], cut: slice, count: int) -> slice:
    """Return the voxels whose four neighbour nodes all lie in the cut."""
    if cut.stop - cut.start < 4:
        return slice(0, 0)
    low = int(np.searchsorted(places, cut.start + 1))
    high = int(np.searchsorted(places, min(cut.stop, count) - 2, side="left"))
    return slice(low, max(low, high))
