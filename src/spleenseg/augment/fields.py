"""Smooth displacement fields on a coarse grid, brought to full resolution once, never folding.

A field is drawn as a small frozen record (its parameters and the seed of its noise) and computed when it is
needed, so a transform is cheap to keep and gives the same pixels whenever it is replayed.

Between grid nodes the field is bilinear. Its gradient is then bounded by the differences along the cell
edges, and the Jacobian determinant is smallest at a cell corner: `unfolded` checks exactly what is applied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.float32]
Shape: TypeAlias = tuple[int, int]  # (H, W)

_LEAST_JACOBIAN = 0.02
_COARSEST = 16  # pixels between nodes at most
_TRUNCATE = 4.0  # Gaussian kernels reach this many sigmas, as SciPy's
_NOISE_MEAN, _NOISE_SD = 127.5, math.sqrt((256**2 - 1) / 12)  # of a uniform byte


@dataclass(frozen=True)
class Grid:
    """Nodes every `spacing` pixels over an image of `shape`, with one node of margin on every side.

    Node (i, j) lies at pixel spacing · (i - 1) + (spacing - 1) / 2 of the rows, and alike of the columns.
    """

    shape: Shape
    spacing: int

    @property
    def nodes(self) -> Shape:
        """Number of nodes (rows, columns)."""
        height, width = self.shape
        return -(-height // self.spacing) + 2, -(-width // self.spacing) + 2

    def positions(self) -> tuple[Plane, Plane]:
        """Pixel coordinates of the nodes: x as a row, y as a column."""
        rows, columns = self.nodes
        y, x = (self.spacing * (np.arange(n) - 0.5) - 0.5 for n in (rows, columns))
        return x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]

    @property
    def fine(self) -> Shape:
        """Pixels (rows, columns) that the nodes cover, the margin included."""
        rows, columns = self.nodes
        return rows * self.spacing, columns * self.spacing

    def upsample(self, plane: Plane, out: Plane) -> Plane:
        """Return the bilinear values [H, W] at every pixel of `plane` [nodes], a view of `out` [fine]."""
        cv2.resize(plane, self.fine[::-1], dst=out, interpolation=cv2.INTER_LINEAR)
        height, width = self.shape
        return out[self.spacing : self.spacing + height, self.spacing : self.spacing + width]

    def refined(self, plane: Plane, finer: Grid) -> Plane:
        """Return the bilinear values at the nodes of a `finer` grid, whose spacing divides this one's."""
        ratio = self.spacing // finer.spacing
        if ratio == 1:
            return plane
        between: Plane = cv2.resize(plane, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
        (rows, columns), first = finer.nodes, ratio - 1  # both margins begin one spacing outside the image
        return between[first : first + rows, first : first + columns]


class Field(Protocol):
    """Parameters of one displacement field; hashable and replayable."""

    @property
    def spacing(self) -> int:
        """The widest node spacing that resolves this field: a power of two, in pixels."""

    def on(self, grid: Grid) -> tuple[Plane, Plane]:
        """Return the displacement (dx, dy) in pixels at the nodes of `grid`, whose spacing is the field's."""


def total(fields: Sequence[Field], shape: Shape) -> tuple[Grid, Plane, Plane]:
    """Sum `fields` on the grid the finest of them needs, and scale the sum until it folds nowhere."""
    finest = Grid(shape, min(field.spacing for field in fields))
    dx, dy = _on_finer(fields[0], finest)
    for field in fields[1:]:
        more_x, more_y = _on_finer(field, finest)
        dx, dy = dx + more_x, dy + more_y
    return finest, *unfolded(dx, dy, finest.spacing)


def _on_finer(field: Field, finest: Grid) -> tuple[Plane, Plane]:
    own = Grid(finest.shape, field.spacing)
    dx, dy = field.on(own)
    return own.refined(dx, finest), own.refined(dy, finest)


def unfolded(dx: Plane, dy: Plane, spacing: int) -> tuple[Plane, Plane]:
    """Scale a displacement by the largest factor <= 1 whose Jacobian determinant stays >= 0.02 everywhere.

    det(I + s ∇d) = 1 + s tr + s² det ∇d is solved for s at the four corners of every cell that may fold:
    where det ∇d >= 0 the determinant exceeds 1 + s tr, elsewhere it is concave in s and smallest at s = 1.
    """
    room = 1.0 - _LEAST_JACOBIAN
    trace, determinant = _corner_invariants(dx, dy, spacing)
    least = np.minimum(trace, trace + determinant)
    if least.min() >= -room:
        return dx, dy
    risky = least < -room
    tr, det = trace[risky].astype(np.float64), determinant[risky].astype(np.float64)
    discriminant = tr * tr - 4.0 * room * det
    root = 2.0 * room / (np.sqrt(np.maximum(discriminant, 0.0)) - tr)
    factor = np.float32(np.min(root, where=discriminant >= 0.0, initial=1.0))
    return dx * factor, dy * factor


def _corner_invariants(dx: Plane, dy: Plane, spacing: int) -> tuple[Plane, Plane]:
    """Return trace and determinant of ∇d at the corners of all cells, [4, rows - 1, columns - 1]."""
    step = np.float32(1.0 / spacing)
    xx, yx = ((plane[:, 1:] - plane[:, :-1]) * step for plane in (dx, dy))
    xy, yy = ((plane[1:] - plane[:-1]) * step for plane in (dx, dy))
    trace = np.empty((4, xx.shape[0] - 1, xx.shape[1]), np.float32)
    determinant = np.empty_like(trace)
    for corner in range(4):
        row, column = divmod(corner, 2)
        along = slice(row, row + xx.shape[0] - 1)
        across = slice(column, column + xx.shape[1])
        np.add(xx[along], yy[:, across], out=trace[corner])
        np.multiply(xx[along], yy[:, across], out=determinant[corner])
        determinant[corner] -= yx[along] * xy[:, across]
    return trace, determinant


@dataclass(frozen=True)
class Elastic:
    """Elastic deformation (Simard, Steinkraus & Platt 2003): two independent Gaussian-smoothed noises.

    Attributes:
        amplitude: standard deviation of the displacement along each axis, pixels.
        sigma: of the smoothing Gaussian, pixels; the displacement's correlation at distance r is
            exp(-r² / 4 sigma²).
        seed: of the noise.
    """

    amplitude: float
    sigma: float
    seed: int

    @property
    def spacing(self) -> int:
        """Half a sigma or less."""
        return _spacing_for(self.sigma)

    def on(self, grid: Grid) -> tuple[Plane, Plane]:
        """Return the stationary field; the noise reaches beyond the image, so its edge is like its middle."""
        sigma = self.sigma / grid.spacing
        kernel = _gaussian(sigma)
        margin = len(kernel) // 2
        rows, columns = grid.nodes
        noise = _noise(self.seed, (2, rows + 2 * margin, columns + 2 * margin))
        strength = self.amplitude / float(np.sum(kernel**2)) / _kept_by_bilinear(sigma, grid.spacing) / _NOISE_SD
        across, down = kernel.astype(np.float32), (kernel * strength).astype(np.float32)
        inside = slice(margin, margin + rows), slice(margin, margin + columns)
        centred = -_NOISE_MEAN * strength
        dx, dy = (cv2.sepFilter2D(plane, cv2.CV_32F, across, down, delta=centred)[inside] for plane in noise)
        return dx, dy


@dataclass(frozen=True)
class Distortion:
    """Smooth distortion: the gradient of one Gaussian-smoothed noise, so whole regions swell and shrink.

    The noise is mirrored at the image's edge, so nothing moves across it.

    Attributes:
        reach: largest displacement along each axis, as a fraction of the longer side.
        sigma: of the smoothing Gaussian, pixels.
        seed: of the noise.
    """

    reach: float
    sigma: float
    seed: int

    @property
    def spacing(self) -> int:
        """Half a sigma or less."""
        return _spacing_for(self.sigma)

    def on(self, grid: Grid) -> tuple[Plane, Plane]:
        """Return the gradient field, each axis scaled to its reach."""
        smooth = _gaussian(self.sigma / grid.spacing)
        offsets = np.arange(len(smooth)) - len(smooth) // 2
        slope = (smooth * offsets).astype(np.float32)
        smooth = smooth.astype(np.float32)
        (rows, columns), margin = grid.nodes, len(smooth) // 2
        beyond = margin + 1
        noise = _noise(self.seed, (rows - 2, columns - 2))
        mirrored = cv2.copyMakeBorder(noise, beyond, beyond, beyond, beyond, cv2.BORDER_REFLECT)
        inside = slice(margin, margin + rows), slice(margin, margin + columns)
        dx = cv2.sepFilter2D(mirrored, cv2.CV_32F, slope, smooth)[inside]
        dy = cv2.sepFilter2D(mirrored, cv2.CV_32F, smooth, slope)[inside]
        reach = self.reach * max(grid.shape)
        return _scaled_to(dx, reach), _scaled_to(dy, reach)


@dataclass(frozen=True)
class Radial:
    """Barrel (`amount` > 0, the middle swells) or pincushion (`amount` < 0) distortion within a circle.

    A pixel at distance r < R from the centre is read from r · sin(π r / 2R)^amount; outside nothing moves.

    Attributes:
        center: (x, y) as fractions of width and height.
        radius: R as a fraction of the width.
        amount: > -1; at -1 the middle would be torn open.
    """

    center: tuple[float, float]
    radius: float
    amount: float

    @property
    def spacing(self) -> int:
        """Four pixels: the field is steep at its centre only."""
        return 4

    def on(self, grid: Grid) -> tuple[Plane, Plane]:
        """Return the radial field; it is the same each time, so the last few are remembered."""
        return _radial(self, grid)


@lru_cache(maxsize=16)
def _radial(field: Radial, grid: Grid) -> tuple[Plane, Plane]:
    height, width = grid.shape
    x, y = grid.positions()
    dx, dy = x - (field.center[0] * width - 0.5), y - (field.center[1] * height - 0.5)
    distance = np.sqrt(dx * dx + dy * dy) / (field.radius * width)
    inside = (distance > 0.0) & (distance < 1.0)
    sine = np.sin(0.5 * math.pi * distance, where=inside, out=np.ones_like(distance))
    factor = sine ** np.float32(field.amount) - np.float32(1.0)
    dx, dy = factor * dx, factor * dy
    dx.flags.writeable = dy.flags.writeable = False
    return dx, dy


def _noise(seed: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """White noise, uniform over 0..255: bytes are quick to draw and to smooth, and Gaussian once smoothed."""
    return np.frombuffer(np.random.default_rng(seed).bytes(math.prod(shape)), np.uint8).reshape(shape)


def _spacing_for(sigma: float) -> int:
    """The largest power of two up to half a sigma, between 1 and 16 pixels."""
    return 2 ** max(0, int(math.log2(min(sigma / 2, _COARSEST)))) if sigma >= 2 else 1


@lru_cache(maxsize=64)
def _gaussian(sigma: float) -> NDArray[np.float64]:
    """Return a normalised Gaussian kernel reaching four sigmas."""
    reach = max(1, math.ceil(_TRUNCATE * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    kernel.flags.writeable = False
    return np.asarray(kernel)


@lru_cache(maxsize=64)
def _kept_by_bilinear(sigma: float, spacing: int) -> float:
    """Return the share of a field's standard deviation that is left, on average, between its nodes."""
    weight = ((np.arange(spacing) + 0.5) / spacing - 0.5) % 1.0
    neighbours = math.exp(-0.25 / sigma**2)
    return 1.0 - 2.0 * (1.0 - neighbours) * float(np.mean(weight * (1.0 - weight)))


def _scaled_to(plane: Plane, reach: float) -> Plane:
    largest = float(np.abs(plane).max())
    return plane * np.float32(reach / largest) if largest > 0.0 else plane
