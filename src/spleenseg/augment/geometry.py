"""Where every output pixel comes from: one linear map about the image's centre plus displacement fields.

A `Geometry` maps an output pixel `p` to the source position it is read from,

    source(p) = c + L (p + d(p) - c),      c = ((W - 1) / 2, (H - 1) / 2),

with the linear part `L` exact at full resolution and the displacement `d` the sum of all fields, in pixels of
the output. Because a field moves output pixels, the Jacobian is det L · det(I + ∇d): the map folds nowhere as
long as the summed field does not. Points are (x, y), x to the right, y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from spleenseg.augment.fields import Field

Linear: TypeAlias = tuple[float, float, float, float]  # (xx, xy, yx, yy), output -> source

_UNMOVED: Linear = (1.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Geometry:
    """One map from output to source pixels, independent of the image's size.

    Attributes:
        linear: row-major 2x2 matrix about the centre, output -> source.
        fields: displacement fields whose sum is added in the output's frame.
    """

    linear: Linear = _UNMOVED
    fields: tuple[Field, ...] = ()

    def then(self, later: Geometry) -> Geometry:
        """Return the map of `self` applied to the picture first, `later` to its result.

        The linear parts multiply; fields add up and act in the final frame.
        """
        (a, b, c, d), (e, f, g, h) = self.linear, later.linear
        product = (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)
        return Geometry(product, self.fields + later.fields)

    @property
    def mirrors(self) -> tuple[bool, bool] | None:
        """(left-right, up-down) if the map is nothing but flips, so that no pixel is resampled."""
        if self.fields or tuple(map(abs, self.linear)) != _UNMOVED:
            return None
        return self.linear[0] < 0, self.linear[3] < 0


IDENTITY = Geometry()


def hflip() -> Geometry:
    """Mirror left and right."""
    return Geometry((-1.0, 0.0, 0.0, 1.0))


def vflip() -> Geometry:
    """Mirror up and down."""
    return Geometry((1.0, 0.0, 0.0, -1.0))


def rotation(degrees: float) -> Geometry:
    """Turn the picture counter-clockwise as seen (the direction of PIL and OpenCV); 350 is 10 clockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return Geometry((cos, -sin, sin, cos))


def scaling(factor: float) -> Geometry:
    """Scale the picture about its centre: below 1 shrinks it within the border, above 1 zooms and crops."""
    return Geometry((1.0 / factor, 0.0, 0.0, 1.0 / factor))


def shear(vertical: float = 0.0, horizontal: float = 0.0) -> Geometry:
    """Slide columns down by `vertical` · x and rows right by `horizontal` · y, measured from the centre.

    Raises:
        ValueError: `vertical` · `horizontal` = 1, which would squash the picture onto a line.
    """
    area = 1.0 - vertical * horizontal
    if math.isclose(area, 0.0, abs_tol=1e-9):
        raise ValueError("a shear with vertical * horizontal = 1 has no inverse")
    return Geometry((1.0 / area, -horizontal / area, -vertical / area, 1.0 / area))


def displacement(field: Field) -> Geometry:
    """Move pixels by `field` alone."""
    return Geometry(fields=(field,))
