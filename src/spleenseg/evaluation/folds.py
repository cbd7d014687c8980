"""Cross-validated figures: every case predicted by the fold that did not see it, all of them in one table."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spleenseg.config import Config, load_config
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.evaluation.cases import CaseRow, Empty, SliceRow, case_rows, parse_empty, slice_rows
from spleenseg.evaluation.gallery import Scans
from spleenseg.evaluation.outcome import Evaluation
from spleenseg.evaluation.provenance import of_run
from spleenseg.evaluation.publish import Facts, publish
from spleenseg.evaluation.slice_scans import SliceScans, names_of
from spleenseg.models.run_folder import RunFolder, load_trained
from spleenseg.progress import SILENT, Reporter
from spleenseg.training.differences import training_differences
from spleenseg.training.folds import trained_folds

Mask = npt.NDArray[np.bool_]
_VALID = "eval"


class _Part:
    """What one fold found on the cases it held out."""

    def __init__(self, number: int, run: RunFolder, threshold: float, reporter: Reporter) -> None:
        from spleenseg.evaluation.passes import predict_all

        trained = load_trained(load_config(run.root / run.config_name), reporter)
        slices = SliceSet.from_config(trained.config, _VALID, reporter)
        self.number = number
        found = predict_all(trained, slices, threshold, trained.config.eval.batch_size, reporter)
        names = names_of(slices, trained.config.model.num_classes)
        self.slices: tuple[SliceRow, ...] = tuple(slice_rows(slices.files, found, names))
        self.cases: tuple[CaseRow, ...] = tuple(case_rows(slices.files, found, names, slices.manifest, reporter))
        self.settings = trained.manifest.config
        self.figures, self.count = found.figures, len(slices)
        self.facts = of_run(trained, slices, _VALID, len(slices))
        self.known = slices.manifest is not None
        self.scans = SliceScans(slices, found, names)

    def line(self) -> str:
        """Say what the fold found in one line."""
        dice = [row.metrics.dice for row in self.cases if row.has_truth and row.metrics.dice is not None]
        mean = f"mean Dice {np.mean(dice):.4f}" if dice else "no case with truth"
        count = len({row.case for row in self.cases})
        return f"fold {self.number}: {mean} over {count} case{'' if count == 1 else 's'} it never saw"


def evaluate_folds(
    config: Config | Path | str,
    *,
    overrides: Sequence[str] = (),
    empty: Empty = "defined",
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Evaluate each fold of a config on the cases it held out, and publish all cases as one cohort.

    Loss and metrics of evaluation.csv are the means of the folds, weighted by their slices. Everything of cases and
    slices is computed as by `evaluate`, the interval resamples the patients of all folds.

    Args:
        config: the config the folds were trained from; its folder takes the tables and the report.
        overrides: "section.key=value" settings over the file (not with a loaded config).
        empty: see `evaluate`.
        reporter: shows progress, and one line a fold.

    Raises:
        UserError: a fold is not trained to its end, or was trained on a patient it holds out now; two folds hold out
            the same case, or a file cannot be read.
    """
    empty = parse_empty(empty)
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    _, runs = trained_folds(config)
    parts = []
    for number, run in enumerate(runs):
        parts.append(_Part(number, run, config.infer.threshold, reporter))
        reporter.say(parts[-1].line())
    owners = _owners(parts)
    cases = sorted((row for part in parts for row in part.cases), key=lambda row: row.case)
    slices = [row for part in parts for row in part.slices]
    facts = Facts(
        title=f"{len(parts)} folds of {config.folder.name}, every case by the fold that did not see it",
        section="folds",
        provenance=_provenance(parts),
        figures=_figures(parts),
        config=None,
        remarks=_remarks(parts),
        empty=empty,
    )
    return publish(RunFolder.of(config), tuple(cases), tuple(slices), facts, _FoldScans(owners), reporter)


def _owners(parts: Sequence[_Part]) -> dict[str, Scans]:
    """Return case -> the scans of the fold that held it out."""
    owners: dict[str, Scans] = {}
    for part in parts:
        for case in {row.case for row in part.cases}:
            if case in owners:
                raise UserError(f"case {case} is held out by two folds; divide the dataset again")
            owners[case] = part.scans
    return owners


class _FoldScans:
    """The scans of all folds; see `gallery.Scans`."""

    def __init__(self, owners: Mapping[str, Scans]) -> None:
        self._owners = owners

    def masks(self, case: str, label: str) -> tuple[Mask, Mask]:
        return self._owners[case].masks(case, label)

    def image(self, case: str, z: int) -> npt.NDArray[np.uint8] | None:
        return self._owners[case].image(case, z)

    def aspect(self, case: str) -> float:
        return self._owners[case].aspect(case)

    def number(self, case: str, z: int) -> int:
        return self._owners[case].number(case, z)


def _figures(parts: Sequence[_Part]) -> dict[str, float]:
    counts = [part.count for part in parts]
    return {
        name: float(np.average([part.figures[name] for part in parts], weights=counts)) for name in parts[0].figures
    }


def _provenance(parts: Sequence[_Part]) -> dict[str, str]:
    facts = {"evaluated with": f"spleenseg {version('spleenseg')}, Python {platform.python_version()}"}
    for part in parts:
        for name in ("network", "weights", "trained", "trained with", "evaluated on", "best epoch"):
            if name in part.facts:
                facts[f"fold {part.number}: {name}"] = part.facts[name]
    return facts


def _remarks(parts: Sequence[_Part]) -> tuple[str, ...]:
    remarks = [
        "No network saw the patients it is judged on in training, but its best epoch was chosen on them: "
        "expect slightly lower figures elsewhere.",
        "Loss and metrics at the model's size are means of the folds, weighted by their slices.",
    ]
    patients = len({row.patient for part in parts for row in part.cases})
    if patients < 20:
        remarks.append(f"{patients} patients are few: the confidence intervals rest on these alone.")
    first, *others = parts
    for other in others:
        for line in training_differences(first.settings, other.settings):
            remarks.append(f"Fold {other.number} was trained otherwise than fold {first.number}: {line}.")
    if not all(part.known for part in parts):
        remarks.append("The dataset has no manifest: voxel sizes, volumes and distances are unknown.")
    return tuple(remarks)
