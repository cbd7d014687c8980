"""What an audit found: findings, verdicts on the orientation, and the report that holds both."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
Verdict = Literal["agrees", "contradicts", "uncertain"]
Kind = Literal[
    "unreadable", "layout", "grid", "labels", "empty", "hu", "spacing", "duplicate", "leak", "shifted", "orientation"
]
_RANK = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One thing a user should know of a dataset.

    Attributes:
        case: the scan, picture or split it is about.
        kind: what sort of thing.
        severity: "error": do not train on this; "warning": look at it; "note": true, and may be right.
        message: one sentence.
    """

    case: str
    kind: Kind
    severity: Severity
    message: str


@dataclass(frozen=True)
class AxisVerdict:
    """Whether the image of a scan bears out what its geometry says of one axis.

    Attributes:
        case: the scan.
        axis: "left-right", "front-back" or "up-down".
        verdict: agrees, contradicts or uncertain.
        score: how strongly, in the unit that `evidence` names; positive agrees. None: nothing to measure.
        evidence: what was seen, one sentence.
    """

    case: str
    axis: str
    verdict: Verdict
    score: float | None
    evidence: str


@dataclass(frozen=True)
class Report:
    """The audit of one dataset.

    Attributes:
        dataset: name of its folder.
        kind: "volumes" or "pictures".
        cases: how many scans (of pictures: how many images).
        findings: the worst first, then by case.
        orientation: three verdicts a scan; of pictures one for each direction of display.
    """

    dataset: str
    kind: str
    cases: int
    findings: tuple[Finding, ...]
    orientation: tuple[AxisVerdict, ...]

    def count(self, severity: Severity) -> int:
        """Return how many findings have a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def rows(self) -> list[dict[str, Any]]:
        """Return the findings as a table."""
        return [asdict(finding) for finding in self.findings]

    def orientation_rows(self) -> list[dict[str, Any]]:
        """Return for each axis how many scans agree, contradict and are uncertain."""
        found = Counter((verdict.axis, verdict.verdict) for verdict in self.orientation)
        axes = dict.fromkeys(verdict.axis for verdict in self.orientation)
        words: tuple[Verdict, ...] = ("agrees", "contradicts", "uncertain")
        return [{"axis": axis} | {word: found[axis, word] for word in words} for axis in axes]

    def to_json(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return asdict(self)

    def summary(self) -> str:
        """Say the result in one line."""
        what = "scan" if self.kind == "volumes" else "picture"
        counts = ", ".join(_counted(self.count(severity), severity) for severity in ("error", "warning", "note"))
        return f"{self.dataset}: {_counted(self.cases, what)}, {counts}"


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings without repetitions, the worst first, then by case and kind."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda found: (_RANK[found.severity], found.case, found.kind)))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
