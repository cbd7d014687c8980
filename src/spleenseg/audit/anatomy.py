"""Which organs lie on which side, and which are solid: what a label's name tells of the place it must have."""

from __future__ import annotations

import re

_LEFT = ("spleen", "stomach", "descending_aorta")
_RIGHT = ("liver", "gallbladder", "caecum", "cecum", "inferior_vena_cava")
_SOLID = ("spleen", "liver", "kidney")


def side_of(label: str) -> int:
    """Return 1 for an organ on the patient's left, -1 for one on the right, 0 where the name does not tell."""
    words = set(re.split(r"[^a-z]+", label.lower()))
    name = "_".join(re.split(r"[^a-z]+", label.lower()))
    if "left" in words or "right" in words:
        return int("left" in words) - int("right" in words)
    return int(name in _LEFT) - int(name in _RIGHT)


def is_solid(label: str) -> bool:
    """Say whether a label is an organ of one tissue throughout, without gas or fat."""
    return any(name in label.lower() for name in _SOLID)
