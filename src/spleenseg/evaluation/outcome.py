"""What an evaluation gives back, and the words it is said in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from spleenseg.evaluation.cases import CaseRow, SliceRow
from spleenseg.evaluation.findings import Findings
from spleenseg.metrics import Summary, summarize
from spleenseg.models.run_folder import RunFolder


@dataclass(frozen=True)
class LabelSummary:
    """What the tables say of one label.

    Attributes:
        label: its name.
        positive: Dice over the cases whose truth has the label: the headline (n = 0: there is none).
        every: Dice over all cases (a case rightly without the label scores 1, or is left out: `undefined`).
        worst: the case of the lowest Dice among those with the label, else among all.
        slices: Dice over the slices whose truth has the label.
        empty_slices: slices whose truth has not.
        false_positive_pixels: predicted pixels on those.
        ci95: 95 % confidence interval of the headline, patients resampled; None for fewer than two patients.
        undefined: cases left out of `every`, empty in truth and prediction, as `--empty nan` wants.
    """

    label: str
    positive: Summary
    every: Summary
    worst: CaseRow
    slices: Summary
    empty_slices: int
    false_positive_pixels: int
    ci95: tuple[float, float] | None = None
    undefined: int = 0

    @classmethod
    def of(
        cls, label: str, cases: tuple[CaseRow, ...], slices: tuple[SliceRow, ...], findings: Findings
    ) -> LabelSummary:
        """Sum up the rows of one label."""
        own = [row for row in cases if row.label == label]
        positive = [row for row in own if row.has_truth]
        seen = [row for row in slices if row.label == label]
        known = next(one for one in findings.labels if one.label == label)
        return cls(
            label=label,
            positive=summarize(row.metrics.dice for row in positive),
            every=summarize(row.metrics.dice for row in own),
            worst=min(positive or own, key=_dice_or_last),
            slices=summarize(row.dice for row in seen if row.truth_pixels),
            empty_slices=known.empty_slices,
            false_positive_pixels=known.false_positive_pixels,
            ci95=known.figures["dice"].ci95,
            undefined=known.undefined,
        )

    def line(self) -> str:
        """Say it in one line, the mean and the worst case by name."""
        every = self._every()
        if self.positive.n == 0:
            return f"{self.label}: in no case of the truth; Dice {every}"
        worst = f"worst {self.worst.metrics.dice:.4f} in {self.worst.case}"
        if self.positive.n == self.every.n and not self.undefined:
            return f"{self.label}: mean Dice {every} ({worst})"
        mean = f"mean Dice {self.positive.mean:.4f} over {_cases(self.positive.n)} with it"
        return f"{self.label}: {mean} ({worst}); {every}"

    def _every(self) -> str:
        if self.every.n == 0:
            return f"undefined in all {_cases(self.undefined)}, empty in truth and prediction"
        if not self.undefined:
            return f"{self.every.mean:.4f} over all {_cases(self.every.n)}"
        left_out = f"{_cases(self.undefined)} left out, empty in truth and prediction"
        return f"{self.every.mean:.4f} over {_cases(self.every.n)} ({left_out})"

    def more_lines(self) -> list[str]:
        """Say how sure the mean is, and what single slices show."""
        lines = []
        if self.ci95:
            low, high = self.ci95
            lines.append(
                f"{self.label}: 95 % confidence interval of the mean {low:.4f} to {high:.4f}, patients resampled"
            )
        parts = []
        if self.slices.n:
            parts.append(f"mean slice Dice {self.slices.mean:.4f} over {self.slices.n} slices with it")
        if self.empty_slices:
            parts.append(f"{self.false_positive_pixels} false pixels on {self.empty_slices} slices without it")
        return [*lines, f"{self.label}: " + "; ".join(parts)]


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        section: the split: "train", "eval" or "test"; "folders" for two folders of label maps.
        run: the folder that holds the tables and the report.
        figures: "loss" and metrics at the model's size, as in evaluation.csv; none of folders.
        cases: the rows of cases.csv.
        slices: the rows of slices.csv.
        labels: a summary of each label.
        findings: the content of report.json.
    """

    section: str
    run: RunFolder
    figures: dict[str, float]
    cases: tuple[CaseRow, ...]
    slices: tuple[SliceRow, ...]
    labels: tuple[LabelSummary, ...]
    findings: Findings

    @property
    def mean_dice(self) -> float | None:
        """Mean Dice over the cases with truth, then over labels; None if no case has any."""
        means = [label.positive.mean for label in self.labels if label.positive.mean is not None]
        return fmean(means) if means else None

    def headline(self) -> str:
        """Say the figure that counts, the mean over cases with truth, and the worst case."""
        return "; ".join(label.line() for label in self.labels)

    def summary(self) -> str:
        """Say in a few lines what was found and where it lies."""
        slices = f"{len(self.slices) // len(self.labels)} slices"
        figures = ", ".join(f"{name} {value:.4f}" for name, value in self.figures.items())
        lines = [f"[{self.section}] {figures} ({slices})" if figures else f"{slices} compared"]
        threshold = self.findings.threshold
        if threshold and threshold.chosen == "valid":
            lines.append(f"threshold {threshold.value:.2f}, chosen on {_cases(threshold.cases or 0)} of [eval]")
        lines += [line for label in self.labels for line in (label.line(), *label.more_lines())]
        if len(self.labels) > 1 and self.mean_dice is not None:
            lines.append(f"mean over labels: Dice {self.mean_dice:.4f}")
        return "\n".join([*lines, f"by case: {self.run.cases_csv}", f"report: {self.run.report}"])


def _dice_or_last(row: CaseRow) -> float:
    return math.inf if row.metrics.dice is None else row.metrics.dice


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"
