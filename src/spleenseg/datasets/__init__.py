"""Layouts on disk: image/mask folders, the MSD layout, prepared datasets; splits by patient; slices for a model.

Names are loaded from their modules when first used, so that checking a config stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spleenseg.datasets.check import check_sections as check_sections
    from spleenseg.datasets.decode import read_image as read_image
    from spleenseg.datasets.decode import read_mask as read_mask
    from spleenseg.datasets.folders import SliceFile as SliceFile
    from spleenseg.datasets.folders import list_images as list_images
    from spleenseg.datasets.folders import list_pairs as list_pairs
    from spleenseg.datasets.folds import fold as fold
    from spleenseg.datasets.folds import read_folds as read_folds
    from spleenseg.datasets.identity import data_hash as data_hash
    from spleenseg.datasets.identity import patient_overlap as patient_overlap
    from spleenseg.datasets.identity import patients as patients
    from spleenseg.datasets.manifest import Expectation as Expectation
    from spleenseg.datasets.manifest import Manifest as Manifest
    from spleenseg.datasets.manifest import find_manifest as find_manifest
    from spleenseg.datasets.msd import read_msd as read_msd
    from spleenseg.datasets.slices import SliceSet as SliceSet
    from spleenseg.datasets.source import Scan as Scan
    from spleenseg.datasets.source import Source as Source
    from spleenseg.datasets.sources import read_source as read_source
    from spleenseg.datasets.split import kfold as kfold
    from spleenseg.datasets.split import split_by_patient as split_by_patient
    from spleenseg.datasets.statistics import stats as stats
    from spleenseg.datasets.targets import hard_target as hard_target
    from spleenseg.datasets.targets import soft_target as soft_target
    from spleenseg.datasets.targets import soften as soften

_NAMES = {
    "check": ("check_sections",),
    "decode": ("read_image", "read_mask"),
    "folders": ("SliceFile", "list_images", "list_pairs"),
    "folds": ("fold", "read_folds"),
    "identity": ("data_hash", "patient_overlap", "patients"),
    "manifest": ("Expectation", "Manifest", "find_manifest"),
    "msd": ("read_msd",),
    "slices": ("SliceSet",),
    "source": ("Scan", "Source"),
    "sources": ("read_source",),
    "split": ("kfold", "split_by_patient"),
    "statistics": ("stats",),
    "targets": ("hard_target", "soft_target", "soften"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)  # one table says it all


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'spleenseg.datasets' has no attribute {name!r}")
    return getattr(import_module(f"spleenseg.datasets.{_HOMES[name]}"), name)
