"""Where a patient is painted: the grids, the trunk that gives every organ its place, and the canvas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.canvas import Canvas
from spleenseg.phantom.grid import Array, Grid, Region, Slices3
from spleenseg.phantom.tissues import Tissue
from spleenseg.phantom.traits import Streams, Traits
from spleenseg.phantom.trunk import Trunk, build_trunk

Corner = tuple[float, float, float]
SOFT = (Tissue.VISCERAL_FAT, Tissue.DIAPHRAGM)
OUTSIDE = -60.0  # mm: the value of a shape where it was not computed


@dataclass(frozen=True, eq=False)
class Placed:
    """A shape on the nodes of a box."""

    shape: Array
    box: Slices3


@dataclass(frozen=True, eq=False)
class Stage:
    """One patient while being painted."""

    grid: Grid
    traits: Traits
    streams: Streams
    trunk: Trunk
    canvas: Canvas

    @classmethod
    def build(cls, grid: Grid, traits: Traits, streams: Streams) -> Stage:
        """Shape the trunk and begin with an empty canvas."""
        return cls(grid, traits, streams, build_trunk(grid, traits, streams), Canvas(grid))

    def at(self, low: Corner, high: Corner) -> Region:
        """Return the bent places of the nodes between two corners, in mm of the average body."""
        k = self.traits.build
        margin = 12.0  # the bend moves places by about as much
        first = (k * low[0] - margin, k * low[1] - margin, k * low[2] - margin)
        last = (k * high[0] + margin, k * high[1] + margin, k * high[2] + margin)
        return self.trunk.at(self.grid.box(first, last))

    def fill(
        self, tissue: Tissue, shape: Array, at: Region, over: Iterable[Tissue] | None = None
    ) -> tuple[NDArray[np.bool_], Slices3]:
        """Paint a shape; return the voxels painted and their window."""
        return self.canvas.paint(shape, at.box, tissue, over)

    def on(self, placed: Placed, at: Region) -> Array:
        """Return a placed shape on the nodes of another box."""
        whole = np.full(self.grid.shape, OUTSIDE, np.float32)
        whole[placed.box] = placed.shape
        return whole[at.box]
