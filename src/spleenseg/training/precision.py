"""Which number format a network computes in when the config leaves the choice to the machine."""

from __future__ import annotations

import platform
from collections.abc import Set
from pathlib import Path

from spleenseg.models.accelerators import Capability, Kind, accelerator

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_BFLOAT16_FROM: Capability = (8, 0)  # NVIDIA's Ampere
_FLOAT16_FROM: Capability = (7, 0)  # its Volta: the first with units for it; cards before are no faster in it


def resolve_precision(precision: str) -> str:
    """Return "float32", "bfloat16" or "float16"; "auto" is what the device in use computes fastest in, see `fastest`.

    With "auto" the backend is loaded.
    """
    if precision != "auto":
        return precision
    kind, capability = accelerator()
    return fastest(kind, capability, _processor_flags())


def fastest(kind: Kind, capability: Capability | None, flags: Set[str]) -> str:
    """Return the number format that a device computes fastest in, without a loss of training.

    Args:
        kind: what computes.
        capability: an NVIDIA card's compute capability, None where it is not known.
        flags: names of the processor's features, for "processor".

    Returns:
        "bfloat16" where the device has it; else "float16" (the optimiser then scales the loss) on NVIDIA cards that
        have units for it; else, and wherever it is not known, "float32".
    """
    if kind == "processor":
        return "bfloat16" if flags & _BFLOAT16_FLAGS else "float32"
    if kind != "nvidia" or capability is None:
        return "float32"
    if capability >= _BFLOAT16_FROM:
        return "bfloat16"
    return "float16" if capability >= _FLOAT16_FROM else "float32"


def _processor_flags() -> set[str]:
    """The processor's feature names; empty where the system does not tell (then float32 is the safe choice)."""
    if platform.system() != "Linux":
        return set()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    listed = [line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features"))]
    return set(" ".join(listed).split())
