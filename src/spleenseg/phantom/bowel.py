"""Colon and small bowel, and what fills hollow organs."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from spleenseg.phantom.filling import paint_hollow
from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import chain, intersect, noise
from spleenseg.phantom.stage import Stage
from spleenseg.phantom.tissues import Tissue
from spleenseg.phantom.traits import Traits

_LOOP = 27.0  # mm between loops of small bowel


def build_colon(at: Region, traits: Traits, rng: np.random.Generator) -> Array:
    """Return the colon with its haustra: up on the right, across in front, up to the spleen, down on the left."""
    high = (
        20
        + rng.normal(0, 14)
        + (34 if traits.spleen == 0 else 0)
        - 60 * max(0.0, (traits.spleen / 230) ** (1 / 3) - 1.15)
    )
    flexure = (92.0, -62.0, high)
    sag = rng.uniform(0, 30)
    up = [(-96, -22, -170, 25), (-98, -26, -90, 23), (-92, -42, -48, 21)]
    across = [
        (-84, -84, -52, 18),
        (-42, -118, -62 - sag, 18),
        (18, -124, -62 - sag, 18),
        (68, -112, -34 + 0.6 * (high - 14), 17),
    ]
    down = [(*flexure, 17), (103, -34, -18, 14), (100, -24, -80, 13), (100, -24, -170, 14)]
    nodes = [
        (*(np.asarray(n[:3]) + rng.normal(0, 5, 3)), n[3] * rng.uniform(0.75, 1.15)) for n in (*up, *across, *down)
    ]
    return chain(at, nodes) + 2.6 * noise(rng, at.x.shape, 17)


def build_small_bowel(at: Region, room: Array, traits: Traits, rng: np.random.Generator) -> Array:
    """Return loops of small bowel in the room left in front of the spine.

    Args:
        at: the box.
        room: the part of the abdomen where there may be loops.
        traits: the patient; visceral fat keeps the loops apart.
        rng: where the loops are drawn from.
    """
    x, y, z = (v + 5.5 * noise(rng, at.x.shape, 24) for v in (at.x, at.y, 0.8 * at.z))
    inside = np.flatnonzero((room > -6).ravel())
    places = np.stack([v.ravel()[inside] for v in (x, y, z)], axis=1)
    shape = np.full(at.x.size, -20, np.float32)
    shape[inside] = _cells(places, traits, rng)
    return intersect(6, shape.reshape(at.x.shape), room)


def _cells(places: Array, traits: Traits, rng: np.random.Generator) -> Array:
    """Return packed cells: loops of bowel in section, some of them missing where there is fat.

    Args:
        places: (x, y, z) of each node.
        traits: the patient; visceral fat widens the gaps.
        rng: where the cells are drawn from.
    """
    if not len(places):
        return np.zeros(0, np.float32)
    low, high = places.min(axis=0) - _LOOP, places.max(axis=0) + _LOOP
    lattice = np.stack(np.meshgrid(*(np.arange(a, b, _LOOP) for a, b in zip(low, high, strict=True))), axis=-1)
    seeds = lattice.reshape(-1, 3) + rng.normal(0, 0.3 * _LOOP, (lattice.size // 3, 3))
    radius = rng.uniform(0.48, 0.78, len(seeds)) * _LOOP
    radius[rng.random(len(seeds)) < 0.1 + 0.45 * traits.visceral] = 0
    distance, nearest = cKDTree(seeds).query(places, k=2)
    between = (distance[:, 1] - distance[:, 0]) / 2 - (0.3 + 1.2 * traits.visceral)
    return intersect(7, between.astype(np.float32), (radius[nearest[:, 0]] - distance[:, 0]).astype(np.float32))


def small_bowel_room(at: Region, abdomen: Array) -> Array:
    """Return where small bowel lies: below stomach and pancreas, in front of kidneys and spine."""
    ceiling = 2 + 0.22 * at.x - at.z
    front_of_spine = -34 - 6 * np.abs(at.x) / 60 - at.y
    return intersect(10, abdomen - 6, ceiling.astype(np.float32), front_of_spine.astype(np.float32))


def mesenteric_vessels(at: Region, rng: np.random.Generator) -> Array:
    """Return specks and strings of vessels in the fat of the abdomen."""
    a, b = noise(rng, at.x.shape, 15), noise(rng, at.x.shape, 15)
    return (2.4 - 10 * np.hypot(a, b)).astype(np.float32)


def paint_bowel(stage: Stage) -> None:
    """Paint colon, small bowel and mesenteric vessels into the fat that is left of the abdomen."""
    at = stage.at((-180, -200, -400), (180, 60, 90))
    abdomen = stage.trunk.abdomen[at.box]
    free = [Tissue.VISCERAL_FAT]
    colon = intersect(4, build_colon(at, stage.traits, stage.streams["colon"]), abdomen - 2)
    rng = stage.streams["colon contents"]
    gas = float(rng.beta(1.5, 2.5))
    paint_hollow(stage, colon, at, rng, over=free, wall=2.5, gas=gas, uneven=9, stool=True)
    room = intersect(4, small_bowel_room(at, abdomen), -colon - 2)
    loops = build_small_bowel(at, room, stage.traits, stage.streams["small bowel"])
    rng = stage.streams["small bowel contents"]
    paint_hollow(stage, loops, at, rng, over=free, wall=2.6, gas=0.08, uneven=14)
    strings = np.minimum(mesenteric_vessels(at, stage.streams["mesentery"]), abdomen - 7)
    stage.fill(Tissue.SMALL_VESSEL, strings, at, free)
