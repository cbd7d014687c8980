"""Figures between two label maps and over many cases, in NumPy and SciPy only."""

from spleenseg.metrics.calibration import Reliability, Threshold, best_threshold, histogram, reliability
from spleenseg.metrics.cases import CaseMetrics, case_metrics, undefined_if_empty
from spleenseg.metrics.components import Components, count_components
from spleenseg.metrics.confidence import Interval, bca_interval, mean_interval
from spleenseg.metrics.overlap import Counts, confusion, dice, iou, precision, sensitivity, specificity
from spleenseg.metrics.paired import Comparison, Verdict, compare_paired, verdict
from spleenseg.metrics.quality import (
    QualityCalibration,
    QualityCheck,
    agreement_of_histogram,
    agreement_of_masks,
    agreement_of_probabilities,
    check_quality,
)
from spleenseg.metrics.spleen_size import SizeClass, is_spleen, spleen_size
from spleenseg.metrics.statistics import Summary, summarize
from spleenseg.metrics.surface import SurfaceDistances, surface_distances
from spleenseg.metrics.volumetry import Agreement, agreement

__all__ = [
    "Agreement",
    "CaseMetrics",
    "Comparison",
    "Components",
    "Counts",
    "Interval",
    "QualityCalibration",
    "QualityCheck",
    "Reliability",
    "SizeClass",
    "Summary",
    "SurfaceDistances",
    "Threshold",
    "Verdict",
    "agreement",
    "agreement_of_histogram",
    "agreement_of_masks",
    "agreement_of_probabilities",
    "bca_interval",
    "best_threshold",
    "case_metrics",
    "check_quality",
    "compare_paired",
    "confusion",
    "count_components",
    "dice",
    "histogram",
    "iou",
    "is_spleen",
    "mean_interval",
    "precision",
    "reliability",
    "sensitivity",
    "specificity",
    "spleen_size",
    "summarize",
    "surface_distances",
    "undefined_if_empty",
    "verdict",
]
