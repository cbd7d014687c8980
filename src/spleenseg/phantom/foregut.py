"""Oesophagus, stomach and pancreas."""

from __future__ import annotations

import numpy as np

from spleenseg.phantom.filling import paint_hollow
from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import chain, intersect, noise
from spleenseg.phantom.stage import SOFT, Placed, Stage
from spleenseg.phantom.tissues import Tissue
from spleenseg.phantom.traits import Traits


def build_stomach(at: Region, traits: Traits, rng: np.random.Generator) -> Array:
    """Return the stomach before its neighbours press on it: fundus behind, body, antrum to the right."""
    f = traits.filling
    top = traits.dome / traits.build
    pushed = 42 * max(0.0, (traits.spleen / 230) ** (1 / 3) - 1.2)
    sag = rng.uniform(-12, 14)
    nodes = [
        (62 - pushed, -44.0, top - 42, 25 + 17 * f),
        (60 - pushed, -80.0, 24 + 0.3 * sag, 19 + 14 * f),
        (44 - 0.6 * pushed, -98.0, -12 - sag, 14 + 12 * f),
        (8.0, -104.0, -20 - 0.6 * sag, 13 + 8 * f),
        (-28.0, -86.0, -8.0, 9.0),
    ]
    moved = [(*(np.asarray(node[:3]) + rng.normal(0, 5, 3)), node[3]) for node in nodes]
    return chain(at, moved, rounding=24) + 2.5 * noise(rng, at.x.shape, 32)


def build_pancreas(at: Region, rng: np.random.Generator) -> Array:
    """Return the pancreas from the head beside the duodenum to the tail at the hilum of the spleen."""
    lift = rng.normal(0, 7)
    nodes = [
        (-30, -52, -26, 15),
        (-18, -58, -8, 12),
        (8, -62, 4 + lift, 9),
        (42, -48, 16 + lift, 10),
        (74, -26, 28 + lift, 9),
    ]
    moved = [(*(np.asarray(node[:3]) + rng.normal(0, 3, 3)), float(node[3])) for node in nodes]
    return chain(at, moved) + 2.0 * noise(rng, at.x.shape, 13)


def build_duodenum(at: Region, rng: np.random.Generator) -> Array:
    """Return the duodenum about the head of the pancreas."""
    nodes = [(-30, -84, -8, 11), (-50, -66, -18, 12), (-50, -55, -55, 12), (-20, -46, -68, 11), (20, -48, -62, 11)]
    moved = [(*(np.asarray(node[:3]) + rng.normal(0, 3, 3)), float(node[3])) for node in nodes]
    return chain(at, moved) + 1.5 * noise(rng, at.x.shape, 16)


def oesophagus(at: Region) -> Array:
    """Return the oesophagus, from the chest to the stomach."""
    return chain(at, [(8, -36, 260, 8), (10, -38, 96, 8.5), (32, -46, 72, 8)])


def paint_foregut(stage: Stage, rough: Placed, at: Region, neighbours: list[Placed]) -> None:
    """Paint stomach, oesophagus, duodenum and pancreas between their neighbours."""
    others = [-stage.on(other, at) - 0.4 for other in neighbours]
    stomach = intersect(5, rough.shape, stage.trunk.abdomen[at.box] - 1.5, *others)
    rng = stage.streams["stomach contents"]
    wall, gas = rng.uniform(3.5, 6.5) - 1.5 * stage.traits.filling, 0.15 + 0.35 * stage.traits.filling
    paint_hollow(stage, stomach, at, rng, over=SOFT, wall=wall, gas=gas)
    middle = stage.at((-90, -130, -110), (115, 20, 400))
    tubes = np.maximum(build_duodenum(middle, stage.streams["duodenum"]), oesophagus(middle))
    fat, rng = [Tissue.VISCERAL_FAT], stage.streams["duodenum contents"]
    paint_hollow(stage, tubes, middle, rng, over=fat, wall=3.5, gas=0.1)
    stage.fill(Tissue.PANCREAS, build_pancreas(middle, stage.streams["pancreas"]), middle, fat)
