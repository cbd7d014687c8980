"""Augmentation: parameters drawn once, one map, applied to an image and its mask together."""

from __future__ import annotations

from spleenseg.augment.policies import Policy, build_policy
from spleenseg.augment.stream import Batch, BatchStream
from spleenseg.augment.transform import Transform

__all__ = ["Batch", "BatchStream", "Policy", "Transform", "build_policy"]
