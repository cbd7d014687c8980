"""`evaluate`: how good the best network of a run is, slice by slice and case by case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spleenseg.config import Config, load_config
from spleenseg.datasets.manifest import Expectation
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError, did_you_mean
from spleenseg.evaluation.calibrate import (
    AUTO,
    Calibration,
    calibration_findings,
    predicted_dice,
    quality_findings,
    threshold_findings,
)
from spleenseg.evaluation.cases import Empty, case_rows, parse_empty, slice_rows
from spleenseg.evaluation.outcome import Evaluation, LabelSummary
from spleenseg.evaluation.provenance import of_run, remarks_on_run, trained_on_line
from spleenseg.evaluation.publish import Facts, publish
from spleenseg.evaluation.slice_scans import SliceScans, names_of
from spleenseg.models.run_folder import RunFolder, Trained, load_trained, trained_config
from spleenseg.progress import SILENT, Reporter
from spleenseg.training.preflight import check

if TYPE_CHECKING:
    from spleenseg.evaluation.passes import Pass

__all__ = ["Evaluation", "LabelSummary", "evaluate"]

_VALID = "eval"
_SECTIONS = {"train": "train", _VALID: _VALID, "valid": _VALID, "test": "test"}  # as it may be written


def evaluate(
    config: Config | Path | str,
    *,
    overrides: Sequence[str] = (),
    section: str | None = None,
    threshold: float | str | None = None,
    empty: Empty = "defined",
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Evaluate the best network of a run on every slice of a split, once and as it is.

    Loss and metrics are taken at the model's size; Dice and all else of cases and slices at the files' own
    size, against masks that were never blurred or resized.

    Args:
        config: a config file, or one already loaded; its folder is the run folder.
        overrides: "section.key=value" settings over the file (not with a loaded config).
        section: "train", "eval" (or "valid") or "test"; None: `[model] evaluation`.
        threshold: probability from which a pixel is organ; "auto": the best one on the validation split [eval];
            None: `[infer] threshold`.
        empty: what Dice, IoU and NSD are where truth and prediction are both empty: 1 ("defined"), or undefined
            and left out of means as nnU-Net does ("nan").
        reporter: shows progress; warned of what makes figures mean something else.

    Returns:
        the figures, also written to evaluation.csv, cases.csv, slices.csv, summary.csv, report.json and
        report.html of the run folder.

    Raises:
        UserError: no trained network, folders of the split that are missing, incomplete or unreadable,
            "auto" for a network of several labels, an unknown section, or an unknown rule for empty cases.
    """
    empty, section = parse_empty(empty), parse_section(section)
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    for line in config.warnings:
        reporter.warn(line)
    section = section or config.model.evaluation
    auto = threshold == AUTO
    config = trained_config(config, reporter)  # what is checked is what the network gets
    check(config, tuple(dict.fromkeys((section, *([_VALID] if auto else [])))))
    trained = load_trained(config, reporter)
    if auto and trained.config.model.num_classes > 1:
        raise UserError("--threshold auto is for one organ; of several labels the likeliest wins, without a threshold")
    return _Job(config, section, trained, reporter).run(threshold, empty)


def parse_section(text: str | None) -> str | None:
    """Return the section whose slices are evaluated as the config names it; None where nothing is given.

    Raises:
        UserError: there is no such section to evaluate.
    """
    if text is not None and text not in _SECTIONS:
        near = did_you_mean(text, _SECTIONS)
        raise UserError(f"--section {text} cannot be evaluated{near}; use train, eval (or valid, the same) or test")
    return text and _SECTIONS[text]


class _Job:
    """One evaluation of one network."""

    def __init__(self, config: Config, section: str, trained: Trained, reporter: Reporter) -> None:
        self.config, self.section, self.trained, self.reporter = config, section, trained, reporter
        self.run_folder = RunFolder.of(config)
        record = trained.manifest.weights
        self.weights_sha256 = record.sha256 if record else None

    def run(self, wanted: float | str | None, empty: Empty) -> Evaluation:
        fitted, value, chosen = self._threshold(wanted)
        slices, found, names = self._pass(self.section, value)
        if self.section == _VALID:
            fitted = self._fitted(slices, found, names)
        by_slice = tuple(slice_rows(slices.files, found, names))
        by_case = tuple(case_rows(slices.files, found, names, slices.manifest, self.reporter))
        predicted = predicted_dice(found, names, fitted)
        several = self.trained.config.model.num_classes > 1
        facts = Facts(
            title=f"{self.trained.manifest.network.name} in {self.run_folder.root.name}, split {self.section}",
            section=self.section,
            provenance=of_run(self.trained, slices, self.section, len(by_slice) // len(names)),
            figures=found.figures,
            threshold=None if several else threshold_findings(value, chosen, fitted.threshold if fitted else None),
            calibration=calibration_findings(found, names),
            quality=quality_findings(found, names, predicted, fitted, in_sample=self.section == _VALID),
            predicted_dice=predicted,
            config=self.trained.manifest.config,
            remarks=remarks_on_run(self.trained, slices, self.section),
            empty=empty,
        )
        return publish(self.run_folder, by_case, by_slice, facts, SliceScans(slices, found, names), self.reporter)

    def _threshold(self, wanted: float | str | None) -> tuple[Calibration | None, float, str]:
        """Return what is known from valid, the threshold, and who chose it."""
        if wanted == AUTO:
            fitted = self._fit_on_valid()
            return fitted, fitted.threshold.value if fitted.threshold else 0.5, "valid"
        known = Calibration.read(self.run_folder.calibration, self.weights_sha256)
        if isinstance(wanted, float | int):
            return known, float(wanted), "option"
        return known, self.config.infer.threshold, "config"

    def _pass(self, section: str, threshold: float) -> tuple[SliceSet, Pass, dict[str, int]]:
        from spleenseg.evaluation.passes import predict_all

        slices = SliceSet.from_config(self.trained.config, section, self.reporter)
        _warn_of_other_slices(self.trained, slices, section, self.reporter)
        if section != "train" and (line := trained_on_line(self.trained, slices, section)) is not None:
            self.reporter.warn(line)
        config = self.trained.config
        size = config.test.batch_size if section == "test" else config.eval.batch_size  # that of [train] is for steps
        found = predict_all(self.trained, slices, threshold, size, self.reporter, keep_levels=section == _VALID)
        return slices, found, names_of(slices, self.trained.config.model.num_classes)

    def _fit_on_valid(self) -> Calibration:
        if self.section == _VALID:
            self.reporter.warn("the threshold is chosen on the very slices that are reported: expect less elsewhere")
        return self._fitted(*self._pass(_VALID, self.config.infer.threshold))

    def _fitted(self, slices: SliceSet, found: Pass, names: dict[str, int]) -> Calibration:
        from spleenseg.evaluation.refine import choose_on

        fitted = Calibration.fit(found, names, self.weights_sha256, self.trained.config.model.num_classes)
        choice = choose_on(found.cut_at(fitted.cut), slices, names)
        if choice is not None:
            self.reporter.say(choice.summary())
            fitted = fitted.model_copy(update={"postprocess": choice})
        fitted.write(self.run_folder.calibration)
        return fitted


def _warn_of_other_slices(trained: Trained, slices: SliceSet, section: str, reporter: Reporter) -> None:
    """Warn of every way in which the slices do not look as the network expects."""
    for key in Expectation.model_fields:
        if key == "labels" and slices.manifest is None:
            continue  # nobody names those of a plain folder
        wanted, given = getattr(trained.expectation, key), getattr(slices.expectation, key)
        if wanted != given:
            reporter.warn(f"the network was trained with {key} {wanted}, [{section}] has {given}: expect poor figures")
