"""Public datasets from the internet: fetched when asked for, resumed, verified, unpacked within limits."""

from __future__ import annotations

from spleenseg.download.catalogue import DATASETS, Archive
from spleenseg.download.dataset import download_dataset

__all__ = ["DATASETS", "Archive", "download_dataset"]
