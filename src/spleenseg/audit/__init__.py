"""The audit of a dataset: what is wrong with its files, geometry, labels, splits and orientation, before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spleenseg.audit.findings import Finding as Finding
    from spleenseg.audit.findings import Report as Report
    from spleenseg.audit.orientation import judge_orientation as judge_orientation
    from spleenseg.audit.quick import quick_check as quick_check
    from spleenseg.audit.run import check as check

_HOMES = {
    "check": "run",
    "Finding": "findings",
    "Report": "findings",
    "judge_orientation": "orientation",
    "quick_check": "quick",
}
__all__ = list(_HOMES)  # one table says it all


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'spleenseg.audit' has no attribute {name!r}")
    return getattr(import_module(f"spleenseg.audit.{_HOMES[name]}"), name)
