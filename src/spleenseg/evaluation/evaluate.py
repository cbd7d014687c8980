"""`evaluate`: how good the best network of a run is, slice by slice and case by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from spleenseg.config import Config, load_config
from spleenseg.datasets.slices import SliceSet
from spleenseg.evaluation.cases import CaseRow, SliceRow, case_rows, slice_rows
from spleenseg.evaluation.tables import write_cases, write_figures, write_slices
from spleenseg.inference.labels import label_names
from spleenseg.metrics import Summary, summarize
from spleenseg.models.run_folder import RunFolder, Trained, load_trained
from spleenseg.progress import SILENT, Reporter
from spleenseg.training.preflight import check


@dataclass(frozen=True)
class LabelSummary:
    """What the tables say of one label.

    Attributes:
        label: its name.
        positive: Dice over the cases whose truth has the label: the headline (n = 0: there is none).
        every: Dice over all cases (a case rightly without the label scores 1).
        worst: the case of the lowest Dice among those with the label, else among all.
        slices: Dice over the slices whose truth has the label.
        empty_slices: slices whose truth has not.
        false_positive_pixels: predicted pixels on those.
    """

    label: str
    positive: Summary
    every: Summary
    worst: CaseRow
    slices: Summary
    empty_slices: int
    false_positive_pixels: int

    def line(self) -> str:
        """Say it in one line, the mean and the worst case by name."""
        every = f"{self.every.mean:.4f} over all {_cases(self.every.n)}"
        if self.positive.n == 0:
            return f"{self.label}: in no case of the truth; Dice {every}"
        worst = f"worst {self.worst.metrics.dice:.4f} in {self.worst.case}"
        if self.positive.n == self.every.n:
            return f"{self.label}: mean Dice {every} ({worst})"
        mean = f"mean Dice {self.positive.mean:.4f} over {_cases(self.positive.n)} with it"
        return f"{self.label}: {mean} ({worst}); {every}"

    def slice_line(self) -> str:
        """Say in one line what single slices show."""
        parts = []
        if self.slices.n:
            parts.append(f"mean slice Dice {self.slices.mean:.4f} over {self.slices.n} slices with it")
        if self.empty_slices:
            parts.append(f"{self.false_positive_pixels} false pixels on {self.empty_slices} slices without it")
        return f"{self.label}: " + "; ".join(parts)


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        section: the split: "train", "eval" or "test".
        run: the run folder, which holds evaluation.csv, cases.csv and slices.csv.
        figures: "loss" and metrics at the model's size, as in evaluation.csv.
        cases: the rows of cases.csv.
        slices: the rows of slices.csv.
        labels: a summary of each label.
    """

    section: str
    run: RunFolder
    figures: dict[str, float]
    cases: tuple[CaseRow, ...]
    slices: tuple[SliceRow, ...]
    labels: tuple[LabelSummary, ...]

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
        figures = ", ".join(f"{name} {value:.4f}" for name, value in self.figures.items())
        lines = [f"[{self.section}] {figures} ({len(self.slices) // len(self.labels)} slices)"]
        lines += [line for label in self.labels for line in (label.line(), label.slice_line())]
        return "\n".join([*lines, f"by case: {self.run.cases_csv}"])


def evaluate(
    config: Config | Path | str,
    *,
    overrides: Sequence[str] = (),
    section: str | None = None,
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Evaluate the best network of a run on every slice of a split, once and as it is.

    Loss and metrics are taken at the model's size; Dice and all else of cases and slices at the files' own
    size, against masks that were never blurred or resized.

    Args:
        config: a config file, or one already loaded; its folder is the run folder.
        overrides: "section.key=value" settings over the file (not with a loaded config).
        section: "train", "eval" or "test"; None: `[model] evaluation`.
        reporter: shows progress; warned of what makes figures mean something else.

    Returns:
        the figures, also written to evaluation.csv, cases.csv and slices.csv of the run folder.

    Raises:
        UserError: no trained network, or folders of the split that are missing, incomplete or unreadable.
    """
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    for line in config.warnings:
        reporter.warn(line)
    section = section or config.model.evaluation
    check(config, (section,))
    trained = load_trained(config, reporter)
    slices = SliceSet.from_config(trained.config, section, reporter)
    _warn_of_other_slices(trained, slices, section, reporter)
    return _evaluated(config, section, trained, slices, reporter)


def _evaluated(config: Config, section: str, trained: Trained, slices: SliceSet, reporter: Reporter) -> Evaluation:
    from spleenseg.evaluation.passes import predict_all

    found = predict_all(trained, slices, config.infer.threshold, reporter)
    names = _names(slices, trained.config.model.num_classes)
    by_slice = tuple(slice_rows(slices.files, found, names))
    by_case = tuple(case_rows(slices.files, found, names, slices.manifest, reporter))
    run = RunFolder.of(config)
    write_figures(run.evaluation_csv, found.figures)
    write_cases(run.cases_csv, by_case)
    write_slices(run.slices_csv, by_slice)
    labels = tuple(_summary(name, by_case, by_slice) for name in names)
    return Evaluation(section, run, found.figures, by_case, by_slice, labels)


def _names(slices: SliceSet, classes: int) -> dict[str, int]:
    """Return label name -> value in a `SliceSet`, where an organ alone is always 1."""
    names = label_names(slices.expectation.labels, classes)
    return names if classes > 1 else dict.fromkeys(names, 1)


def _summary(label: str, cases: Sequence[CaseRow], slices: Sequence[SliceRow]) -> LabelSummary:
    own = [row for row in cases if row.label == label]
    positive = [row for row in own if row.has_truth]
    seen = [row for row in slices if row.label == label]
    empty = [row for row in seen if not row.truth_pixels]
    return LabelSummary(
        label=label,
        positive=summarize(row.metrics.dice for row in positive),
        every=summarize(row.metrics.dice for row in own),
        worst=min(positive or own, key=lambda row: row.metrics.dice),
        slices=summarize(row.dice for row in seen if row.truth_pixels),
        empty_slices=len(empty),
        false_positive_pixels=sum(row.pred_pixels for row in empty),
    )


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _warn_of_other_slices(trained: Trained, slices: SliceSet, section: str, reporter: Reporter) -> None:
    for key in ("window_hu", "display"):
        wanted, given = getattr(trained.expectation, key), getattr(slices.expectation, key)
        if wanted != given:
            reporter.warn(f"the network was trained with {key} {wanted}, [{section}] has {given}: expect poor figures")
