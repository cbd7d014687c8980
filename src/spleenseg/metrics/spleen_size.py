"""The size of a spleen against healthy adults: a comparison, not a diagnosis."""

from __future__ import annotations

from enum import StrEnum

COHORT_MEAN_ML, COHORT_SD_ML = 236.9, 77.6
ABOVE_1_SD_ML, ABOVE_2_5_SD_ML = 314.5, 430.8

COHORT = "healthy adult cohort (236.9 ± 77.6 mL, Linguraru 2013: above 1 SD = 314.5 mL, above 2.5 SD = 430.8 mL)"
"""What the classes compare with: Linguraru et al., Medical Physics 40 (2013), as published."""

CAVEATS = (
    "about one healthy adult in six is above 1 SD",
    "not scaled to body size",
    "not for children",
    "volume differs by more than 5 % between contrast phases",
    "not a diagnosis",
)
"""What has to be said wherever a class is shown."""


class SizeClass(StrEnum):
    """Where a spleen's volume lies in the healthy adult cohort."""

    NOT_ABOVE_1_SD = "not above 1 SD"
    ABOVE_1_SD = "above 1 SD"
    ABOVE_2_5_SD = "above 2.5 SD"


def spleen_size(volume_ml: float) -> SizeClass:
    """Compare a spleen's volume with the healthy adult cohort; see `COHORT` and `CAVEATS`.

    Args:
        volume_ml: volume in mL, 0 or more.

    Raises:
        ValueError: the volume is negative or not a number.
    """
    if not volume_ml >= 0:
        raise ValueError(f"a volume is 0 mL or more, not {volume_ml}")
    if volume_ml > ABOVE_2_5_SD_ML:
        return SizeClass.ABOVE_2_5_SD
    return SizeClass.ABOVE_1_SD if volume_ml > ABOVE_1_SD_ML else SizeClass.NOT_ABOVE_1_SD


def is_spleen(label: str) -> bool:
    """Tell whether a label is called spleen: only then its volume is compared."""
    return label.strip().lower() == "spleen"
