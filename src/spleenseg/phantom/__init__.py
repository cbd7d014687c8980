"""Synthetic abdominal CT with a known spleen, for tests and demonstrations; not evidence about patients."""

from __future__ import annotations

from spleenseg.phantom.cohort import write_cohort
from spleenseg.phantom.patient import Patient, make_patient

__all__ = ["Patient", "make_patient", "write_cohort"]
