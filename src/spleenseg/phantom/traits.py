"""What makes one patient and one scan different from another: every figure that is drawn once and used often."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

Phase = Literal["native", "arterial", "portal venous"]
_PHASES: tuple[Phase, ...] = ("native", "arterial", "portal venous")
_PHASE_SHARES = (0.15, 0.2, 0.65)
_STEPS_MM = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
_STEP_SHARES = (0.04, 0.06, 0.14, 0.22, 0.24, 0.08, 0.22)
_SPLEEN_MEDIAN_ML = 230.0
_SPLEEN_SPREAD = 0.48
_SPLEEN_RANGE_ML = (60.0, 1600.0)
_SPLENOMEGALY_SHARE = 0.08


@dataclass(frozen=True)
class Streams:
    """Independent sources of randomness, one for each name, all from one seed.

    A new organ with a name of its own changes nothing of the others.
    """

    seed: np.random.SeedSequence

    def __getitem__(self, name: str) -> np.random.Generator:
        key = (*self.seed.spawn_key, zlib.crc32(name.encode()))
        return np.random.default_rng(np.random.SeedSequence(self.seed.entropy, spawn_key=key))


@dataclass(frozen=True)
class Traits:
    """One patient on one day in one scanner. Lengths in mm, volumes in mL.

    Attributes:
        build: size of the skeleton, 1 for the average adult.
        fat: thickness of the fat under the skin.
        visceral: fat inside the abdomen, 0 (lean: organs touch) to 1.
        spleen: volume of the spleen as intended; 0 after splenectomy.
        accessory: number of accessory spleens.
        liver: volume of the liver as intended.
        phase: of the contrast agent.
        oral_contrast: whether stomach and bowel hold positive contrast.
        filling: of the stomach, 0 (collapsed) to 1.
        dome: height of the left diaphragm above the first lumbar vertebra.
        steatosis: HU the liver has lost to fat.
        dose: noise of the scan, HU in a slice of 3 mm in an average patient.
        step: mm between slices.
        above: mm scanned above the left diaphragm.
        below: mm scanned below the first lumbar vertebra.
        margin: mm of air beside the body.
    """

    build: float
    fat: float
    visceral: float
    spleen: float
    accessory: int
    liver: float
    phase: Phase
    oral_contrast: bool
    filling: float
    dome: float
    steatosis: float
    dose: float
    step: float
    above: float
    below: float
    margin: float

    @classmethod
    def draw(cls, rng: np.random.Generator, splenectomy: float) -> Traits:
        """Draw a patient.

        Args:
            rng: where it is drawn from.
            splenectomy: share of patients without a spleen, 0..1.
        """
        fatness = rng.normal()
        build = float(np.clip(rng.normal(1.0, 0.055), 0.87, 1.14))
        fat = float(np.clip(np.exp(2.75 + 0.45 * fatness), 5, 45))
        spleen = _draw_spleen(rng, splenectomy)
        return cls(
            build=build,
            fat=fat,
            visceral=float(np.clip(0.42 + 0.2 * fatness + rng.normal(0, 0.15), 0, 1)),
            spleen=spleen,
            accessory=int(rng.choice(3, p=(0.82, 0.14, 0.04))),
            liver=float(np.clip(rng.normal(1680, 230) * build**2, 1200, 2300)),
            phase=_PHASES[int(rng.choice(len(_PHASES), p=_PHASE_SHARES))],
            oral_contrast=bool(rng.random() < 0.35),
            filling=float(rng.beta(1.6, 1.6)),
            dome=float(np.clip(rng.normal(96, 8), 80, 112)) * build,
            steatosis=float(rng.uniform(8, 35)) if rng.random() < 0.2 else float(rng.normal(0, 3)),
            dose=float(np.exp(rng.normal(2.3, 0.25))),
            step=float(rng.choice(_STEPS_MM, p=_STEP_SHARES)),
            above=float(rng.uniform(12, 42)),
            below=max(float(rng.uniform(85, 130)), _reach(spleen)),
            margin=float(rng.uniform(12, 40)),
        )


def _reach(spleen: float) -> float:
    """Return how far down a scan must go to hold a spleen of a volume in mL."""
    return 95 + 65 * (float(np.cbrt(spleen / _SPLEEN_MEDIAN_ML)) - 1)


def _draw_spleen(rng: np.random.Generator, splenectomy: float) -> float:
    """Draw a volume in mL: log-normal, a share of it enlarged, none after splenectomy."""
    is_removed = rng.random() < splenectomy
    is_enlarged = rng.random() < _SPLENOMEGALY_SHARE
    volume = _SPLEEN_MEDIAN_ML * np.exp(_SPLEEN_SPREAD * rng.normal())
    enlarged = rng.uniform(500, 1400)
    chosen = float(np.clip(enlarged if is_enlarged else volume, *_SPLEEN_RANGE_ML))
    return 0.0 if is_removed else chosen
