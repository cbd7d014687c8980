"""Figures between two label maps and over many cases, in NumPy and SciPy only."""

from spleenseg.metrics.cases import CaseMetrics, case_metrics
from spleenseg.metrics.overlap import Counts, confusion, dice, iou, precision, sensitivity, specificity
from spleenseg.metrics.statistics import Summary, summarize
from spleenseg.metrics.surface import SurfaceDistances, surface_distances

__all__ = [
    "CaseMetrics",
    "Counts",
    "Summary",
    "SurfaceDistances",
    "case_metrics",
    "confusion",
    "dice",
    "iou",
    "precision",
    "sensitivity",
    "specificity",
    "summarize",
    "surface_distances",
]
