"""What became of the scans that `segment` was given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spleenseg.inference.scans import TABLES


@dataclass(frozen=True)
class ScanResult:
    """What became of one scan.

    Attributes:
        case: its name.
        path: its file.
        status: "done", "kept" (an earlier run had finished it) or "failed".
        volumes_ml: millilitres by label name; empty if it failed.
        message: why it failed, else empty.
    """

    case: str
    path: Path
    status: Literal["done", "kept", "failed"]
    volumes_ml: dict[str, float]
    message: str = ""


@dataclass(frozen=True)
class SegmentSummary:
    """What `segment` did.

    Attributes:
        out: the output folder.
        scans: one result a scan, sorted by case.
    """

    out: Path
    scans: tuple[ScanResult, ...]

    @property
    def failed(self) -> tuple[ScanResult, ...]:
        """The scans that could not be segmented."""
        return tuple(scan for scan in self.scans if scan.status == "failed")

    def summary(self) -> str:
        """Say in one line what was done and where it lies."""
        done, kept = len(self.scans) - len(self.failed), sum(scan.status == "kept" for scan in self.scans)
        words = [f"{done} of {len(self.scans)} scans segmented" + (f" ({kept} by an earlier run)" if kept else "")]
        if self.failed:
            words.append("failed: " + ", ".join(scan.case for scan in self.failed))
        return "; ".join([*words, f"volumes in {self.out / TABLES[0]}"])
