"""Figures between two label maps and over many cases, in NumPy and SciPy only."""

from spleenseg.metrics.cases import CaseMetrics, case_metrics
from spleenseg.metrics.confidence import Comparison, Interval, compare_paired, mean_interval
from spleenseg.metrics.overlap import Counts, confusion, dice, iou, precision, sensitivity, specificity
from spleenseg.metrics.statistics import Summary, summarize
from spleenseg.metrics.surface import SurfaceDistances, surface_distances

__all__ = [
    "CaseMetrics",
    "Comparison",
    "Counts",
    "Interval",
    "Summary",
    "SurfaceDistances",
    "case_metrics",
    "compare_paired",
    "confusion",
    "dice",
    "iou",
    "mean_interval",
    "precision",
    "sensitivity",
    "specificity",
    "summarize",
    "surface_distances",
]
