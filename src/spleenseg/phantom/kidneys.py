"""Kidneys: cortex, medulla and sinus with the renal pelvis; sometimes a cyst."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import ellipsoid, intersect, noise, rotation, unite
from spleenseg.phantom.stage import SOFT, Placed, Stage
from spleenseg.phantom.tissues import Tissue
from spleenseg.phantom.traits import Traits

_CORTEX = 6.5


@dataclass(frozen=True, eq=False)
class Kidney:
    """Shapes of one kidney in its box, positive inside, in mm."""

    whole: Array
    medulla: Array
    sinus: Array
    pelvis: Array
    cyst: Array


def build_kidney(at: Region, side: int, traits: Traits, rng: np.random.Generator) -> Kidney:
    """Shape the kidney of a side (1: left, -1: right), its upper pole nearer the spine and further back."""
    out = 62 + 8 * traits.visceral + rng.normal(0, 2.5)
    centre = (side * out, 4 + rng.normal(0, 3) - 3 * traits.visceral, (-4 if side > 0 else -20) + rng.normal(0, 7))
    turn = rotation((0, 0, 1), side * rng.normal(28, 6)) @ rotation((0, 1, 0), side * rng.normal(-13, 4))
    turn = turn @ rotation((1, 0, 0), rng.normal(-12, 4))
    size = rng.normal(1, 0.06)
    whole = ellipsoid(at, centre, (29 * size, 24 * size, 54 * size), turn)
    whole += 1.6 * noise(rng, at.x.shape, 26)
    inward = -side * turn[0]
    hilum = _moved(centre, inward, 25)
    sinus = ellipsoid(at, hilum, (19, 9, 24), turn)
    sinus = sinus + 2.2 * noise(rng, at.x.shape, 14)
    pelvis = ellipsoid(at, _moved(centre, inward, 22), (8, 4.5, 8), turn)
    pyramids = 2.8 * noise(rng, at.x.shape, 13)
    medulla = intersect(2, whole - _CORTEX + pyramids - 0.5, -sinus)
    return Kidney(whole, medulla, sinus, pelvis, _cyst(at, centre, rng))


def _cyst(at: Region, centre: tuple[float, float, float], rng: np.random.Generator) -> Array:
    """Return a cyst at the surface of the kidney, or nothing."""
    is_there = rng.random() < 0.18
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    place = _moved(centre, direction * (22, 20, 42), 1)
    radius = float(rng.uniform(5, 17))
    return ellipsoid(at, place, (radius,) * 3) if is_there else np.full_like(at.x, -99)


def _moved(start: tuple[float, float, float], direction: np.ndarray, distance: float) -> tuple[float, float, float]:
    x, y, z = np.add(start, np.asarray(direction) * distance)
    return float(x), float(y), float(z)


def paint_kidney(stage: Stage, side: int) -> Placed:
    """Paint the kidney of a side (1: left, -1: right); return it with its cyst."""
    low, high = sorted((side * 8.0, side * 125.0))
    at = stage.at((low, -60, -115), (high, 75, 85))
    kidney = build_kidney(at, side, stage.traits, stage.streams[f"kidney {side}"])
    inside = stage.trunk.abdomen[at.box] - 1
    whole = intersect(4, kidney.whole, inside, np.abs(at.x) - 30)
    cyst = np.minimum(kidney.cyst, inside)
    stage.fill(Tissue.CORTEX, whole, at)
    stage.fill(Tissue.MEDULLA, kidney.medulla, at, [Tissue.CORTEX])
    stage.fill(Tissue.VISCERAL_FAT, kidney.sinus, at, [Tissue.CORTEX, Tissue.MEDULLA])
    stage.fill(Tissue.URINE, np.minimum(kidney.pelvis, kidney.sinus), at, [Tissue.VISCERAL_FAT])
    stage.fill(Tissue.CYST, cyst, at, [Tissue.CORTEX, Tissue.MEDULLA, *SOFT])
    return Placed(unite(2, whole, cyst), at.box)
