"""What happens to the labelled organ alone: its size and its brightness, whatever surrounds it.

Few slices show a small piece of an organ, such as the tip of a spleen, and an organ's contrast to its neighbours
differs between phases of a contrast agent. Both are varied about the mask of each slice, as Kovacs et al. 2023
(Anatomy-informed Data Augmentation for Enhanced Prostate Cancer Detection, MICCAI) did with a prostate's neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.augment.fields import Grid, Plane
from spleenseg.augment.geometry import Geometry, Linear
from spleenseg.augment.tone import plus
from spleenseg.augment.warp import Image, Mask

_REACH = 2.2  # ellipse radii from the organ's centre to where nothing moves any more
_CENTRE = 1e-3  # radii: closer to the centre the factor no longer grows
_EDGE_SIGMA = 0.8  # pixels over which a change of brightness fades at the organ's edge
_LEAST_AXIS = 1.0  # pixels: half the shortest axis of the ellipse, at least


@dataclass(frozen=True)
class Organ:
    """Parameters of what is done to the labelled pixels of a slice, all labels together.

    Attributes:
        size: factor of the organ's diameter; its neighbours follow, and farther away nothing moves.
        shift: grey values added to the organ where it is neither 0 nor 255.
    """

    size: float = 1.0
    shift: float = 0.0

    def then(self, later: Organ) -> Organ:
        """Return both changes as one."""
        return Organ(self.size * later.size, self.shift + later.shift)

    def moved(self, geometry: Geometry, mask: Mask) -> Geometry:
        """Return `geometry` with the organ of `mask` resized as well; the same without an organ."""
        if self.size == 1.0 or not mask.any():
            return geometry
        return geometry.then(Geometry(fields=(Swelling.about(mask, self.size, geometry.linear),)))

    def shaded(self, image: Image, mask: Mask) -> Image:
        """Return the image [H, W, C] with the organ of `mask` brighter or darker, its edge softened."""
        if self.shift == 0.0 or not mask.any():
            return image
        share = cv2.GaussianBlur((mask > 0).astype(np.float32), (0, 0), _EDGE_SIGMA)
        return plus(image, np.repeat(np.float32(self.shift) * share, image.shape[2], axis=1))


UNCHANGED = Organ()


@dataclass(frozen=True)
class Swelling:
    """A field that scales an ellipse about its centre and brings everything back to rest around it.

    A pixel at distance r from the centre, counted in radii of the ellipse, is read from g(r), which is 1 at `size` and
    the identity from the reach R on. To enlarge, g is linear on either side of `size`, so that the organ's texture
    stays; to shrink, it is R · (r / R) to a power, for what bends slowly folds on no grid. It rises everywhere.

    Attributes:
        center: (x, y) in pixels of the output.
        whitening: row-major 2x2 matrix that makes the ellipse the unit circle.
        size: factor of the ellipse's radii.
    """

    center: tuple[float, float]
    whitening: Linear
    size: float

    @classmethod
    def about(cls, mask: Mask, size: float, linear: Linear) -> Swelling:
        """Return the field that scales the organ of a source's mask [H, W] by `size`.

        The ellipse has the mask's centre and second moments (radii of two standard deviations, as those of a filled
        ellipse are), carried to the output by the inverse of `linear` (output -> source about the middle).
        """
        y, x = np.nonzero(mask)
        middle = (np.array(mask.shape[::-1]) - 1) / 2
        points = np.linalg.solve(np.reshape(linear, (2, 2)), np.stack([x, y]) - middle[:, None])
        center = points.mean(axis=1)
        variances, axes = np.linalg.eigh(_covariance(points - center[:, None]))
        radii = np.maximum(2.0 * np.sqrt(np.maximum(variances, 0.0)), _LEAST_AXIS)
        whitening = axes @ np.diag(1.0 / radii) @ axes.T
        (xx, xy), (yx, yy) = whitening.tolist()
        at_x, at_y = (center + middle).tolist()
        return cls((at_x, at_y), (xx, xy, yx, yy), size)

    @property
    def spacing(self) -> int:
        """A quarter of the shortest radius that the organ gets, a power of two between 1 and 4 pixels."""
        shortest = min(1.0, self.size) / float(np.linalg.norm(np.reshape(self.whitening, (2, 2)), 2))
        return 4 if shortest >= 16 else 2 if shortest >= 8 else 1

    def on(self, grid: Grid) -> tuple[Plane, Plane]:
        """Return the displacement at the nodes."""
        x, y = grid.positions()
        dx, dy = x - np.float32(self.center[0]), y - np.float32(self.center[1])
        xx, xy, yx, yy = (np.float32(value) for value in self.whitening)
        distance = np.hypot(xx * dx + xy * dy, yx * dx + yy * dy)
        factor = _factor(distance, self.size, _REACH * max(1.0, self.size))
        return factor * dx, factor * dy


def _factor(distance: Plane, size: float, reach: float) -> Plane:
    """Return g(r) / r - 1 for distances r; see `Swelling`."""
    if size < 1.0:
        power = math.log(reach) / math.log(reach / size)
        factor = np.clip(distance / reach, _CENTRE, 1.0) ** (power - 1.0)
    else:
        far = np.maximum(distance, _CENTRE)
        factor = np.interp(far, (0.0, size, reach), (0.0, 1.0, reach)) / far
        factor[distance >= reach] = 1.0
    return np.asarray(factor - 1.0, np.float32)


def _covariance(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the second moments [2, 2] of centred points [2, N]."""
    return np.asarray(points @ points.T / points.shape[1])
