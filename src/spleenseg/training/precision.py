"""Which number format a network computes in when the config leaves the choice to the machine."""

from __future__ import annotations

import platform
from pathlib import Path

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def resolve_precision(precision: str) -> str:
    """Return "float32", "bfloat16" or "float16"; "auto" is bfloat16 where the processor computes in it."""
    if precision != "auto":
        return precision
    return "bfloat16" if _processor_flags() & _BFLOAT16_FLAGS else "float32"


def _processor_flags() -> set[str]:
    """The processor's feature names; empty where the system does not tell (then float32 is the safe choice)."""
    if platform.system() != "Linux":
        return set()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    listed = [line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features"))]
    return set(" ".join(listed).split())
