"""Two folders of label maps compared case by case, whoever made them: no network, no config."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spleenseg.errors import UserError
from spleenseg.evaluation.cases import CaseRow, Empty, SliceRow, parse_empty, slice_row
from spleenseg.evaluation.findings import Findings
from spleenseg.evaluation.label_maps import LabelMap, LoadedMap, described_labels, find_label_maps
from spleenseg.evaluation.outcome import Evaluation
from spleenseg.evaluation.publish import Facts, publish
from spleenseg.files import sha256
from spleenseg.metrics import case_metrics
from spleenseg.models.run_folder import MANIFEST_NAME, RunFolder
from spleenseg.progress import SILENT, Reporter
from spleenseg.volumes import Volume, apply_window, read_volume

_WINDOW_HU = (-160.0, 240.0)
_SECTION = "folders"
Mask = npt.NDArray[np.bool_]


def evaluate_folders(
    predictions: Path | str,
    truth: Path | str,
    out: Path | str = "evaluation",
    *,
    labels: Mapping[str, int] | None = None,
    images: Path | str | None = None,
    empty: Empty = "defined",
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Compare every label map of `truth` with that of the same name in `predictions`.

    Args:
        predictions: folder of NIfTI label maps: ours, nnU-Net's, or TotalSegmentator's (a folder a case with a
            file a label). More of them than truth are passed over, with a warning.
        truth: folder of the true ones, in any of these forms.
        out: folder of the tables and the report; an earlier comparison there is replaced.
        labels: name -> value; None: those of a dataset.json in or above either folder, else "label N" for each value.
        images: folder of the scans, for the pictures of the worst cases.
        empty: what Dice, IoU and NSD are where truth and prediction are both empty: 1 ("defined"), or undefined
            and left out of means as nnU-Net does ("nan").
        reporter: shows progress.

    Raises:
        UserError: a folder is missing or empty, a case has no prediction, two files do not share a grid or cannot be
            read, no label is found, `out` holds something else, or there is no such rule for empty cases.
    """
    empty = parse_empty(empty)
    predictions, truth, run = Path(predictions), Path(truth), RunFolder.at(Path(out))
    _claim(run)
    pairs = _paired(predictions, truth, reporter)
    names = dict(labels or described_labels(truth, predictions) or _values_in(pairs))
    scans = _FolderScans(pairs, names, Path(images) if images else None)
    cases, slices = [], []
    with reporter.task("comparing cases", len(pairs)) as task:
        for case in sorted(pairs):
            for one, rows in scans.measured(case):
                cases.append(one)
                slices += rows
            task.advance(note=case)
    facts = Facts(
        title=f"{predictions.resolve().name} against {truth.resolve().name}",
        section=_SECTION,
        provenance=_provenance(predictions, truth, pairs, names),
        remarks=_remarks(len(pairs)),
        empty=empty,
    )
    return publish(run, tuple(cases), tuple(slices), facts, scans, reporter)


def _claim(run: RunFolder) -> None:
    """Refuse an output folder in which something else lies."""
    if run.root.is_file():
        raise UserError(f"output folder {run.root} is a file; give a folder with -o")
    if (run.root / MANIFEST_NAME).exists():
        raise UserError(f"{run.root} is the folder of a training; give another one with -o")
    if run.root.is_dir() and any(run.root.iterdir()) and not _is_comparison(run):
        raise UserError(f"output folder {run.root} holds something else; give a new one with -o")


def _is_comparison(run: RunFolder) -> bool:
    """Whether the report there is one of two folders: that of a run or a cross-validation is no less valuable."""
    try:
        return Findings.read(run.report_json).section == _SECTION
    except UserError:
        return False


Pairs = Mapping[str, tuple[LabelMap, LabelMap]]  # case -> truth, prediction


def _paired(predictions: Path, truth: Path, reporter: Reporter) -> Pairs:
    true, found = find_label_maps(truth), find_label_maps(predictions)
    missing = sorted(true.keys() - found.keys())
    if missing:
        of = f"{len(missing)} of the {len(true)} cases in {truth}"
        raise UserError(
            f"{of} have no prediction in {predictions} ({missing[0]}...); add them, or leave them out of both"
        )
    more = sorted(found.keys() - true.keys())
    if more:
        reporter.warn(f"{len(more)} predictions have no truth and are passed over ({more[0]}...)")
    return {case: (true[case], found[case]) for case in true}


def _values_in(pairs: Pairs) -> dict[str, int]:
    """Name every value of the true label maps by its number."""
    values: set[int] = set()
    for truth, _ in pairs.values():
        values |= truth.values()
    if not values:
        raise UserError("the truth holds no label at all; name the labels to compare with --label NAME=VALUE")
    return {f"label {value}": value for value in sorted(values)}


class _FolderScans:
    """Reads pairs of label maps, one case at a time; see `gallery.Scans`."""

    def __init__(self, pairs: Pairs, names: Mapping[str, int], images: Path | None) -> None:
        self._pairs, self._names, self._images = pairs, names, images
        self._open: dict[str, tuple[LoadedMap, LoadedMap]] = {}
        self._scan: dict[str, Volume] = {}

    def measured(self, case: str) -> Iterator[tuple[CaseRow, list[SliceRow]]]:
        """Yield the row of each label, and its slices'."""
        grid = self._maps(case)[0].grid
        for label in self._names:
            truth, found = self.masks(case, label)
            metrics = case_metrics(truth, found, grid.spacing, voxel_ml=grid.voxel_ml)
            row = CaseRow(case, case, label, metrics, bool(truth.any()), len(truth))
            yield row, [slice_row(f"{case} {z}", case, z, label, truth[z], found[z]) for z in range(len(truth))]

    def masks(self, case: str, label: str) -> tuple[Mask, Mask]:
        """Return truth and prediction, bool [z, y, x]."""
        truth, found = self._maps(case)
        return truth.mask(label, self._names[label]), found.mask(label, self._names[label])

    def image(self, case: str, z: int) -> npt.NDArray[np.uint8] | None:
        """Return a slice of the scan as grey values, or None without scans."""
        scan = self._image(case)
        return None if scan is None else apply_window(scan.array[z], _WINDOW_HU)

    def aspect(self, case: str) -> float:
        """Return the height of a pixel over its width."""
        x, y, _ = self._maps(case)[0].grid.spacing
        return y / x

    def number(self, case: str, z: int) -> int:
        """Return `z`: slices count from the foot."""
        return z

    def _maps(self, case: str) -> tuple[LoadedMap, LoadedMap]:
        if case not in self._open:
            truth, found = self._pairs[case]
            grid = truth.grid()
            self._open = {case: (truth.on(grid), found.on(grid))}
        return self._open[case]

    def _image(self, case: str) -> Volume | None:
        if self._images is None:
            return None
        if case not in self._scan:
            self._scan = {case: _read_scan(self._images, case, self._maps(case)[0].grid)}
        return self._scan[case]


def _read_scan(images: Path, case: str, grid: Volume) -> Volume:
    paths = [images / f"{case}{end}" for end in (".nii.gz", "_0000.nii.gz", ".nii", "_0000.nii")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise UserError(f"no scan of {case} in {images} (such as {paths[0].name}); leave --images out")
    scan = read_volume(path)
    if scan.array.shape != grid.array.shape:
        raise UserError(f"{path}: lies on another grid than the truth of {case}; leave --images out")
    return scan


def _provenance(predictions: Path, truth: Path, pairs: Pairs, names: Mapping[str, int]) -> dict[str, str]:
    facts = {
        "predictions": f"{len(pairs)} cases in {predictions}",
        "truth": f"{len(pairs)} cases in {truth}",
        "labels": ", ".join(f"{name} = {value}" for name, value in names.items()),
        "evaluated with": f"spleenseg {version('spleenseg')}, Python {platform.python_version()}",
    }
    for case, (true, found) in sorted(pairs.items()):
        facts[f"files of {case}"] = "; ".join(
            f"{path.name} SHA-256 {sha256(path)}" for path in (*true.files, *found.files)
        )
    return facts


def _remarks(count: int) -> tuple[str, ...]:
    remarks = ["Truth is what was given as truth: agreement with a program's masks is not accuracy."]
    if count < 20:
        remarks.append(f"{count} cases are few: the confidence intervals rest on these alone.")
    return (*remarks, "Each case is taken for another patient.")
