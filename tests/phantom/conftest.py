"""A few patients, made once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pytest

from spleenseg.phantom import Patient, make_patient

SIZE, SLICES = 96, 36


@lru_cache(maxsize=12)
def _made(seed: int, splenectomy: float) -> Patient:
    return make_patient(seed, SIZE, slices=SLICES, splenectomy=splenectomy)


@pytest.fixture(scope="session")
def patient() -> Callable[[int], Patient]:
    """Return `patient(seed)`: a patient with a spleen, small, made once."""
    return lambda seed: _made(seed, 0.0)


@pytest.fixture(scope="session")
def patients(patient: Callable[[int], Patient]) -> list[Patient]:
    """Six patients of all phases: portal venous, native, arterial, with oral contrast and without."""
    return [patient(seed) for seed in (1, 2, 5, 7, 31, 60)]
