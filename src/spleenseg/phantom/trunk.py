"""The trunk: skin, fat, muscle, the cavity inside, the diaphragm and what lies above it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spleenseg.phantom.grid import Array, Grid, Region, Slices3
from spleenseg.phantom.shapes import intersect, noise
from spleenseg.phantom.traits import Streams, Traits

_POSTERIOR = 40.0  # of the cavity, behind the centre of the vertebral body
_SQUARENESS = 2.35
_ARCH = 62.0  # over how many mm from the wall the diaphragm rises


@dataclass(frozen=True, eq=False)
class Trunk:
    """Shapes of the trunk on the nodes of the whole grid, positive inside, in mm.

    Attributes:
        region: the whole grid, bent.
        wall: the cavity inside ribs and abdominal muscles.
        muscle: everything under the fat.
        skin: everything under the air.
        abdomen: the cavity below the diaphragm.
        round: angle about the cavity from the back (0) by the side (pi/2) to the front (pi).
        thickness: of the muscles outside the cavity, in mm.
    """

    region: Region
    wall: Array
    muscle: Array
    skin: Array
    abdomen: Array
    round: Array
    thickness: Array

    def at(self, box: Slices3) -> Region:
        """Return the bent places of a box."""
        return Region(box, self.region.x[box], self.region.y[box], self.region.z[box])


def build_trunk(grid: Grid, traits: Traits, streams: Streams) -> Trunk:
    """Shape the trunk of a patient."""
    region, flat_y = _bent(grid, traits, streams)
    half_width, depth, y0 = _cavity_size(region.z, traits)
    ex, ey = region.x / half_width, (region.y - y0) / depth
    rho = (np.abs(ex) ** _SQUARENESS + np.abs(ey) ** _SQUARENESS) ** np.float32(1 / _SQUARENESS) + 1e-3
    radius = np.hypot(region.x, region.y - y0) / rho
    wall = (1 - rho) * radius
    angle = np.arctan2(np.abs(ex), ey)
    thickness = _muscle_thickness(region, angle, traits)
    muscle = wall + thickness
    fat = _fat_thickness(region, angle, grid, traits, streams)
    skin = intersect(30, muscle + fat, _back(traits) - flat_y)
    beside_spine = np.hypot(region.x, region.y - 22) - np.float32(32)
    below = _below_diaphragm(region, wall, angle, traits)
    return Trunk(
        region=region,
        wall=intersect(10, wall, beside_spine),
        muscle=intersect(8, muscle, skin - 3),
        skin=skin,
        abdomen=np.minimum(below, beside_spine + 3),
        round=angle,
        thickness=thickness,
    )


def _bent(grid: Grid, traits: Traits, streams: Streams) -> tuple[Region, Array]:
    """Return the places of all nodes in the average body, and their place y in the scanner's."""
    x, y, z = grid.places()
    rng = streams["bend"]
    k = np.float32(1 / traits.build)
    bend = [np.float32(6.5) * noise(rng, grid.shape, 115) for _ in range(3)]
    z0, y0, x0 = (slice(0, count) for count in grid.shape)
    return Region(
        (z0, y0, x0), k * x + bend[0], k * y + np.float32(0.6) * bend[1], k * z + np.float32(0.7) * bend[2]
    ), y


def _cavity_size(z: Array, traits: Traits) -> tuple[Array, Array, Array]:
    """Return the half axes of the cavity across and from front to back, and the y of its middle, at every z."""
    heights = (-140, -90, -40, 20, 80, 150)
    width = np.interp(z, heights, (116, 117, 119, 127, 127, 112)).astype(np.float32)
    belly = 8 * traits.visceral
    depth = np.interp(z, heights, (84, 85 + belly, 88 + belly, 92 + belly, 95, 90)).astype(np.float32)
    depth += np.float32(26 * (traits.visceral - 0.4))
    return width + np.float32(10 * (traits.visceral - 0.4)), depth, np.float32(_POSTERIOR) - depth


def _muscle_thickness(region: Region, angle: Array, traits: Traits) -> Array:
    behind = np.exp(-np.square(np.square(angle / np.float32(0.85))))
    beside = np.exp(-np.square((angle - 1.25) / np.float32(0.5)))
    before = np.exp(-np.square(np.square((angle - np.pi) / np.float32(0.7))))
    strength = np.float32(1.1 - 0.3 * traits.visceral)
    groove = 9 * np.exp(-np.square(region.x / 9)) * behind
    latissimus = 7 * np.clip((region.z - 10) / 60, 0, 1) * beside
    thickness = 12 + 24 * behind + latissimus - 2 * before - groove
    result: Array = thickness * strength
    return result


def _fat_thickness(region: Region, angle: Array, grid: Grid, traits: Traits, streams: Streams) -> Array:
    front = (1 - np.cos(angle)) / 2
    low = np.clip((30 - region.z) / 120, 0, 1)
    shape = 0.75 + 0.25 * np.cos(2 * angle) + front * low * 0.7 + 0.25 * low
    uneven = 1 + 0.1 * noise(streams["fat"], grid.shape, 90)
    result: Array = np.float32(traits.fat) * shape * uneven + 3
    return result


def _back(traits: Traits) -> float:
    """Return the y of the table's surface, on which the back lies flat."""
    return traits.build * (_POSTERIOR + 31) + 0.75 * traits.fat


def table_place(traits: Traits) -> float:
    """Return the y of the table's surface, in mm behind the vertebra."""
    return _back(traits) + 1.5


def _below_diaphragm(region: Region, wall: Array, angle: Array, traits: Traits) -> Array:
    """Return the cavity below two elliptic domes that rise from the wall."""
    top = np.float32(traits.dome / traits.build)
    right = np.clip((20 - region.x) / 60, 0, 1)
    saddle = np.exp(-(((region.x - 4) / np.float32(26)) ** 2))
    front = np.clip((angle - 1.9) / 1.1, 0, 1)
    peak = top + 13 * right - 15 * saddle
    foot = top - 98 + 48 * front * front * (3 - 2 * front)
    height = np.maximum(peak - foot, 20)
    u = np.maximum(1 - wall / np.float32(_ARCH), 0)
    v = np.maximum((region.z - foot) / height, 0)
    rho = np.sqrt(u * u + v * v) + np.float32(1e-3)
    slope = np.sqrt((u / np.float32(_ARCH)) ** 2 + (v / height) ** 2) / rho
    dome = (1 - rho) / np.maximum(slope, np.float32(1e-3))
    result: Array = np.minimum(dome, np.float32(200))
    return result


def body_extent(traits: Traits) -> tuple[float, float, float]:
    """Return half the width of the body, and the y of its front and back, about, in mm."""
    k, visceral = traits.build, traits.visceral - 0.4
    half_width = k * (127 + 10 * visceral + 15) + 0.8 * traits.fat + 3
    depth = 95 + 26 * visceral + 4 * traits.visceral
    front = k * (_POSTERIOR - 2 * depth - 10) - 1.4 * traits.fat - 3
    return half_width, front, _back(traits)
