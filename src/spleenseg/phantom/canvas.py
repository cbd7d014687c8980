"""The scan's grid while it is painted: one tissue a voxel, later shapes over earlier ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.grid import Array, Grid, Slices3
from spleenseg.phantom.tissues import Tissue


class Canvas:
    """Tissues of all voxels.

    Attributes:
        tissue: uint8 [z, y, x], values of `Tissue`.
    """

    def __init__(self, grid: Grid) -> None:
        """Begin with air."""
        frame = grid.frame
        self._grid = grid
        self.tissue = np.zeros((frame.slices, frame.size, frame.size), np.uint8)

    def paint(
        self, shape: Array, box: Slices3, tissue: Tissue, over: Iterable[Tissue] | None = None
    ) -> tuple[NDArray[np.bool_], Slices3]:
        """Paint the inside of a shape.

        Args:
            shape: values on the nodes of `box`, positive inside.
            box: where they are.
            tissue: what the inside is made of.
            over: paint these tissues only; None: all.

        Returns:
            Which voxels were painted, and the window they lie in.
        """
        values, window = self._grid.to_voxels(*self._grid.tighten(shape, box))
        return self._put(values > 0, window, tissue, over)

    def paint_sheet(
        self, middle: Array, within: Array, half: float, box: Slices3, tissue: Tissue, over: Iterable[Tissue]
    ) -> None:
        """Paint a sheet thinner than the distance between nodes.

        Args:
            middle: 0 in the middle of the sheet, in mm from it elsewhere.
            within: positive where there is a sheet at all.
            half: half its thickness, in mm.
            box: where the nodes are.
            tissue: what it is made of.
            over: the tissues it is painted over.
        """
        nearby = np.minimum(within, half + 2 - np.abs(middle))
        _, tight = self._grid.tighten(nearby, box)
        inner = tuple(slice(t.start - b.start, t.stop - b.start) for t, b in zip(tight, box, strict=True))
        depth, window = self._grid.to_voxels(within[inner], tight)
        distance, _ = self._grid.to_voxels(middle[inner], tight)
        self._put((depth > 0) & (np.abs(distance) < half), window, tissue, over)

    def _put(
        self, mask: NDArray[np.bool_], window: Slices3, tissue: Tissue, over: Iterable[Tissue] | None
    ) -> tuple[NDArray[np.bool_], Slices3]:
        view = self.tissue[window]
        if over is not None:
            allowed = np.zeros(len(Tissue), bool)
            allowed[list(over)] = True
            mask &= allowed[view]
        np.copyto(view, np.uint8(tissue), where=mask)
        return mask, window
