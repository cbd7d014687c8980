"""The bones of the trunk: spine with discs and canal, ribs with their cartilage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import ellipsoid, intersect, unite
from spleenseg.phantom.stage import SOFT, Stage
from spleenseg.phantom.tissues import Tissue
from spleenseg.phantom.trunk import Trunk

PITCH = 34.0  # mm from vertebra to vertebra
_DISC = 7.0
_RIB_PITCH = 31.0
_LOWEST_RIB = -12.0  # z where the twelfth rib leaves the spine


@dataclass(frozen=True, eq=False)
class Spine:
    """Shapes of the spine in its box, positive inside, in mm."""

    bodies: Array
    discs: Array
    arch: Array
    canal: Array


def build_spine(at: Region) -> Spine:
    """Shape vertebral bodies with discs between them, the arches behind, and the canal through them."""
    phase = (at.z + PITCH / 2) % PITCH - PITCH / 2  # 0 in the middle of a vertebra
    waist = 1.6 * np.cos(2 * np.pi * phase / PITCH)
    size = np.clip(1 - (at.z + 30) / 900, 0.85, 1.1)
    column = _oval(at.x, at.y + 1, (23 - waist) * size, (17 - waist) * size)
    dent = 12 - np.hypot(at.x, at.y - 26)
    column = intersect(4, column, -dent)
    bodies = intersect(2, column, (PITCH - _DISC) / 2 - np.abs(phase))
    discs = intersect(2, column - 0.5, np.abs(phase) - (PITCH - _DISC) / 2 - 0.5)
    canal = _oval(at.x, at.y - 26, 12.5, 9.0)
    return Spine(bodies, discs, _arch(at, phase), canal)


def _oval(x: Array, y: Array, a: Array | float, b: Array | float) -> Array:
    rho = np.sqrt((x / a) ** 2 + (y / b) ** 2) + np.float32(1e-3)
    return ((1 - rho) * np.hypot(x, y) / rho).astype(np.float32)


def _arch(at: Region, phase: Array) -> Array:
    """Return lamina and pedicles, transverse and spinous processes."""
    lamina = 4.5 - np.abs(np.hypot(at.x, (at.y - 26) * 1.25) - 16)
    lamina = intersect(3, lamina, 12 - np.abs(phase + 2) + np.clip((at.y - 22) * 0.4, -6, 4))
    spinous = intersect(3, 4 - np.abs(at.x), at.y - 36, 68 - at.y, 10 - np.abs(phase + 0.35 * (at.y - 36)))
    side = np.abs(at.x)
    transverse = intersect(3, side - 14, 40 - side, 5 - np.abs(at.y - 20 - 0.25 * (side - 14)), 6.5 - np.abs(phase - 2))
    shape = unite(4, lamina, spinous, transverse)
    return shape.astype(np.float32)


def build_ribs(trunk: Trunk) -> tuple[Array, Array]:
    """Return ribs and rib cartilage on the whole grid: bars in the wall that fall from the spine to the front."""
    at, angle = trunk.region, trunk.round
    drop = 62 * (1 - np.cos(np.minimum(angle, 2.0))) + 12 * np.sin(np.clip(angle, 0, 1.5)) ** 2
    rise = 75 * np.clip(angle - 2.15, 0, 2)
    height = at.z + drop - rise - _LOWEST_RIB
    number = np.round(height / _RIB_PITCH)  # 0 is the twelfth rib, 1 the eleventh, ...
    across = height - number * _RIB_PITCH
    outward = trunk.wall + np.float32(6.5)
    bar = _oval(across * np.float32(0.82), outward, 6.5, 3.8)
    ends = np.interp(number, (0, 1, 2, 3), (1.25, 1.75, 2.15, 2.2)).astype(np.float32)
    radius = np.hypot(at.x, at.y + 50)
    length = (ends - angle) * radius
    beyond_spine = np.abs(at.x) - 24
    bone = intersect(3, bar, length, beyond_spine)
    bone = np.where(number >= 0, bone, -9).astype(np.float32)
    gristle = intersect(3, bar, -length, (2.85 - angle) * radius)
    gristle = np.where(number >= 2, gristle, -9).astype(np.float32)
    return bone, gristle


def build_psoas(at: Region, side: int) -> Array:
    """Return the psoas muscle of a side (1: left, -1: right): it grows downwards beside the lumbar spine."""
    down = np.clip((25 - at.z) / 130, 0, 1)
    radius = 2 + 19 * np.sqrt(down)
    centre_x = side * (25 + 14 * down)
    oval = _oval((at.x - centre_x).astype(np.float32), at.y - 6 + 4 * down, radius, radius * 1.15)
    return intersect(3, oval, 30 - at.z).astype(np.float32)


def build_quadratus(at: Region, side: int) -> Array:
    """Return the quadratus lumborum of a side: a flat muscle behind the kidney."""
    flat = ellipsoid(at, (side * 62.0, 33.0, -80.0), (24.0, 9.0, 90.0))
    return intersect(3, flat, 5 - at.z)


def build_crus(at: Region, side: int) -> Array:
    """Return the crus of the diaphragm of a side: a band in front of the spine beside the aorta."""
    along = np.clip((at.z + 45) / 110, 0, 1)
    shell = 3.2 - np.abs(_oval(at.x, at.y + 6, 26 + 7 * along, 27 + 11 * along))
    return intersect(3, shell, side * at.x - 4, -7 - at.y, at.z + 45).astype(np.float32)


def paint_muscles(stage: Stage) -> None:
    """Paint the muscles that reach into the cavity."""
    at = stage.at((-130, -60, -400), (130, 70, 60))
    inside = stage.trunk.wall[at.box] + 8
    crura = stage.at((-60, -70, -60), (60, 30, 110))
    for side in (1, -1):
        muscles = unite(2, build_psoas(at, side), build_quadratus(at, side))
        stage.fill(Tissue.MUSCLE, np.minimum(muscles, inside), at, SOFT)
        stage.fill(Tissue.DIAPHRAGM, build_crus(crura, side), crura, SOFT)


def paint_bones(stage: Stage) -> None:
    """Paint spine and ribs."""
    at = stage.at((-75, -32, -400), (75, 95, 400))
    spine = build_spine(at)
    bone = unite(3, spine.bodies, spine.arch)
    stage.fill(Tissue.DISC, spine.discs, at)
    stage.fill(Tissue.BONE, bone, at)
    stage.fill(Tissue.MARROW, bone - 1.7, at, [Tissue.BONE])
    stage.fill(Tissue.VISCERAL_FAT, spine.canal, at)
    stage.fill(Tissue.CANAL, spine.canal - 2, at)
    whole, wall = stage.trunk.region, (Tissue.MUSCLE, Tissue.FAT)
    ribs, gristle = build_ribs(stage.trunk)
    stage.fill(Tissue.CARTILAGE, gristle, whole, wall)
    stage.fill(Tissue.BONE, ribs, whole, wall)
    stage.fill(Tissue.MARROW, ribs - 1.6, whole, [Tissue.BONE])
