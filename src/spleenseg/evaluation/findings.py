"""report.json: every number of a report, and what it is about. The page is drawn from it alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from spleenseg.errors import UserError
from spleenseg.files import write_json

FORMAT = 1
Pair = tuple[float, float]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Figure(_Record):
    """One column of the case table in a few numbers; None is undefined.

    Attributes:
        n: cases with a defined value.
        mean, median, sd, worst: of them.
        worst_case: the case of the worst value.
        ci95: 95 % confidence interval of the mean, patients resampled (`metrics.mean_interval`).
        ci95_bca: the same by BCa.
    """

    n: int
    mean: float | None = None
    ci95: Pair | None = None
    ci95_bca: Pair | None = None
    median: float | None = None
    sd: float | None = None
    worst: float | None = None
    worst_case: str | None = None


class Volumetry(_Record):
    """Agreement of volumes over the cases with truth; see `metrics.Agreement`."""

    n: int
    bias_ml: float | None
    low_ml: float | None
    high_ml: float | None
    icc: float | None
    within_5_pct: float | None
    within_10_pct: float | None


class LabelFindings(_Record):
    """What was found of one label.

    Attributes:
        label: its name.
        cases: how many were compared.
        undefined: of these, how many have no Dice: truth and prediction are empty, and `Findings.empty` is "nan".
        with_truth: of these, how many have the label in the truth.
        missed: of those, how many without any predicted voxel: their distances are undefined.
        invented: cases without the label in which some was predicted.
        figures: column -> figure, over the cases with truth: the headline.
        every: the same over all cases, for figures that are defined then.
        volumetry: of the cases with truth; None where no volume is known.
        slice_dice: over single slices with truth.
        empty_slices: slices without truth.
        false_positive_pixels: predicted on those.
    """

    label: str
    cases: int
    undefined: int = 0
    with_truth: int
    missed: int
    invented: int
    figures: dict[str, Figure]
    every: dict[str, Figure]
    volumetry: Volumetry | None
    slice_dice: Figure
    empty_slices: int
    false_positive_pixels: int


class CaseFindings(_Record):
    """One line of the case table.

    Attributes:
        case, patient, label: whose line it is.
        has_truth: whether the label occurs in the truth.
        values: the columns of cases.csv.
        predicted_dice: what the quality score expected, without the truth.
        truth_size, pred_size: of a spleen, against healthy adults (`metrics.spleen_size`).
    """

    case: str
    patient: str
    label: str
    has_truth: bool
    values: dict[str, float | None]
    predicted_dice: float | None = None
    truth_size: str | None = None
    pred_size: str | None = None


class ThresholdFindings(_Record):
    """Which probability counted as organ, and who chose it.

    Attributes:
        value: the threshold.
        chosen: "config", "option", or "valid": on the validation split, never on the one that is reported.
        mean_dice, mean_dice_at_half, cases, curve: of the choice; see `metrics.Threshold`.
    """

    value: float
    chosen: Literal["config", "option", "valid"]
    mean_dice: float | None = None
    mean_dice_at_half: float | None = None
    cases: int | None = None
    curve: tuple[float, ...] = ()


class CalibrationFindings(_Record):
    """Whether probabilities mean what they say; see `metrics.Reliability`."""

    label: str
    probability: tuple[float, ...]
    observed: tuple[float | None, ...]
    voxels: tuple[int, ...]
    ece: float | None
    ece_everywhere: float | None


class QualityFindings(_Record):
    """The predicted Dice of one label: fitted on valid, checked on the split that is reported.

    Attributes:
        label: its name.
        threshold: from which its voxels count in that Dice; None in older reports.
        slope, intercept, fitted_cases, fitted_error: see `metrics.QualityCalibration`.
        checked_cases, checked_error, rank_correlation: see `metrics.QualityCheck`; None where the fit was made on
            the very cases that are reported.
    """

    label: str
    threshold: float | None = None
    slope: float
    intercept: float
    fitted_cases: int
    fitted_error: float
    checked_cases: int | None = None
    checked_error: float | None = None
    rank_correlation: float | None = None


class Picture(_Record):
    """A picture of the gallery: a file beside report.json, relative to it."""

    file: str
    case: str
    label: str
    dice: float
    slices: tuple[int, ...]


class Findings(_Record):
    """The content of report.json.

    Attributes:
        kind, format: say that the file is one of ours, and its layout.
        created_by: the program and its version.
        title: what was evaluated.
        section: "train", "eval", "test" or "folders".
        empty: what Dice, IoU and NSD are where truth and prediction are both empty: 1 ("defined"), or undefined
            and left out of means ("nan").
        figures: loss and metrics at the network's size, of a run.
        labels: by label.
        mean: of several labels the mean of their means, by column.
        cases: the case table.
        gallery: the worst cases.
        provenance: facts for the reader: name -> text.
        config: every value of the config, of a run.
        remarks: what limits the figures.
    """

    kind: Literal["spleenseg evaluation"] = "spleenseg evaluation"
    format: int = FORMAT
    created_by: str
    title: str
    section: str
    empty: Literal["defined", "nan"] = "defined"
    figures: dict[str, float | None]
    labels: tuple[LabelFindings, ...]
    mean: dict[str, float | None]
    cases: tuple[CaseFindings, ...]
    threshold: ThresholdFindings | None = None
    calibration: tuple[CalibrationFindings, ...] = ()
    quality: tuple[QualityFindings, ...] = ()
    gallery: tuple[Picture, ...] = ()
    provenance: dict[str, str]
    config: dict[str, dict[str, Any]] | None = None
    remarks: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Write report.json atomically."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Findings:
        """Read a report.json.

        Raises:
            UserError: there is none, it is damaged, or a newer version of the program wrote it.
        """
        if not path.is_file():
            raise UserError(f"no {path.name} in {path.parent}: run `spleenseg evaluate` first")
        try:
            data = json.loads(path.read_bytes())
            if isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] > FORMAT:
                raise UserError(f"{path} was written by a newer version ({data.get('created_by')}); upgrade spleenseg")
            return cls.model_validate(data)
        except (OSError, ValueError, ValidationError) as error:
            raise UserError(f"{path} is no report of this version; run `spleenseg evaluate` again") from error
