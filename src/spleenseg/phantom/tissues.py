"""What a voxel is made of, and how bright that is in a phase of the contrast agent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.traits import Traits


class Tissue(IntEnum):
    """Materials, in the order they were thought of; AIR is 0."""

    AIR = 0
    SKIN = auto()
    FAT = auto()
    MUSCLE = auto()
    DIAPHRAGM = auto()
    VISCERAL_FAT = auto()
    LUNG = auto()
    LUNG_VESSEL = auto()
    HEART_MUSCLE = auto()
    BLOOD = auto()
    AORTA = auto()
    CAVA = auto()
    PORTAL_VEIN = auto()
    SMALL_VESSEL = auto()
    LIVER = auto()
    SPLEEN = auto()
    CORTEX = auto()
    MEDULLA = auto()
    URINE = auto()
    CYST = auto()
    PANCREAS = auto()
    GUT_WALL = auto()
    FLUID = auto()
    CONTRAST = auto()
    STOOL = auto()
    GAS = auto()
    BONE = auto()
    MARROW = auto()
    DISC = auto()
    CANAL = auto()
    CARTILAGE = auto()
    WET_WALL = auto()  # marks of a hollow organ while it is being painted
    WET_LUMEN = auto()


@dataclass(frozen=True)
class Look:
    """How a tissue looks: mean HU and the deviation of its grain (about 4 mm) and of its clouds (about 15 mm)."""

    mean: float
    grain: float = 3.0
    clouds: float = 3.0


_ALWAYS = {
    Tissue.AIR: Look(-1000, 0, 0),
    Tissue.SKIN: Look(0, 12, 5),
    Tissue.FAT: Look(-106, 4, 4),
    Tissue.VISCERAL_FAT: Look(-101, 8, 6),
    Tissue.LUNG: Look(-840, 18, 22),
    Tissue.URINE: Look(6, 1, 1),
    Tissue.CYST: Look(7, 1, 1),
    Tissue.FLUID: Look(14, 9, 8),
    Tissue.CONTRAST: Look(290, 35, 40),
    Tissue.STOOL: Look(-10, 75, 45),
    Tissue.GAS: Look(-985, 2, 2),
    Tissue.BONE: Look(560, 90, 70),
    Tissue.MARROW: Look(165, 32, 22),
    Tissue.DISC: Look(82, 6, 6),
    Tissue.CANAL: Look(28, 6, 4),
    Tissue.CARTILAGE: Look(125, 30, 25),
}
_BY_PHASE = {  # native, arterial, portal venous
    Tissue.MUSCLE: (52, 56, 62),
    Tissue.DIAPHRAGM: (50, 56, 64),
    Tissue.LUNG_VESSEL: (35, 110, 90),
    Tissue.HEART_MUSCLE: (46, 105, 108),
    Tissue.BLOOD: (41, 260, 150),
    Tissue.AORTA: (42, 310, 152),
    Tissue.CAVA: (41, 75, 145),
    Tissue.PORTAL_VEIN: (41, 120, 168),
    Tissue.SMALL_VESSEL: (40, 130, 140),
    Tissue.LIVER: (57, 70, 111),
    Tissue.SPLEEN: (50, 124, 116),
    Tissue.CORTEX: (34, 185, 188),
    Tissue.MEDULLA: (31, 75, 168),
    Tissue.PANCREAS: (41, 104, 96),
    Tissue.GUT_WALL: (42, 72, 88),
}
_PHASE_COLUMN = {"native": 0, "arterial": 1, "portal venous": 2}
_GRAIN_OF = {
    Tissue.MUSCLE: (9, 7),
    Tissue.PANCREAS: (9, 6),
    Tissue.LUNG_VESSEL: (30, 20),
    Tissue.LIVER: (4, 4),
    Tissue.SPLEEN: (4, 4),
}
_ENHANCED_TOGETHER = (Tissue.BLOOD, Tissue.AORTA, Tissue.CAVA, Tissue.PORTAL_VEIN, Tissue.SMALL_VESSEL)


def looks(traits: Traits, rng: np.random.Generator) -> dict[Tissue, Look]:
    """Return how every tissue of a patient looks: the phase's means, each moved a little."""
    column = _PHASE_COLUMN[traits.phase]
    strength = 1.0 if column == 0 else float(rng.uniform(0.82, 1.15))
    result = dict(_ALWAYS)
    for tissue, means in _BY_PHASE.items():
        native, mean = means[0], float(means[column])
        grain, clouds = _GRAIN_OF.get(tissue, (3, 3))
        moved = native + strength * (mean - native) + float(rng.normal(0, 4))
        result[tissue] = Look(moved, grain, clouds)
    liver = result[Tissue.LIVER]
    result[Tissue.LIVER] = Look(liver.mean - traits.steatosis, liver.grain, liver.clouds)
    if column == 1:
        result[Tissue.CAVA] = Look(result[Tissue.CAVA].mean, 12, 22)
    if rng.random() < 0.5:  # dense oral contrast, or diluted
        result[Tissue.CONTRAST] = Look(float(rng.uniform(130, 240)), 25, 25)
    return result


def tables(look: dict[Tissue, Look]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return mean, grain and clouds as tables indexed by tissue."""
    plain = Look(0)
    every = (look.get(tissue, plain) for tissue in Tissue)
    rows = np.array([(one.mean, one.grain, one.clouds) for one in every], np.float32)
    return rows[:, 0], rows[:, 1], rows[:, 2]
