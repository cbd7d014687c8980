"""`check`: the audit of a dataset, in whatever layout it lies on disk."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from spleenseg.audit.cases import CaseList, list_cases, list_prepared
from spleenseg.audit.cohort import compare
from spleenseg.audit.findings import Finding, Report, in_order
from spleenseg.audit.pictures import audit_pictures, picture_folders
from spleenseg.audit.scan import Ask, ScanFacts, audit_scan
from spleenseg.audit.values import undeclared
from spleenseg.datasets.manifest import Manifest, find_manifest
from spleenseg.datasets.parallel import in_threads
from spleenseg.errors import UserError
from spleenseg.progress import SILENT, Reporter
from spleenseg.volumes.orientation import require_orientation


def check(
    dataset: Path | str,
    *,
    labels_from: Path | str | None = None,
    labels: Mapping[str, int] | None = None,
    orientation: str | None = None,
    quick: bool = False,
    threads: int | None = None,
    reporter: Reporter = SILENT,
) -> Report:
    """Look for what is wrong with a dataset. Nothing is changed.

    Volumes are checked for files that cannot be read, label maps on another grid, label values nobody declared, empty
    label maps, numbers that are no HU, odd spacings, copies, patients in several splits, labels that do not lie on
    their organ, and an image that contradicts the orientation of its file; pictures for the same as far as they can be.

    Args:
        dataset: a folder in the layout of MSD or nnU-Net, of scans (DICOM folders, NIfTI, NRRD), of pictures
            (``{train,valid,test}/{images,masks}`` or images and masks), or one that `prepare` wrote.
        labels_from: folder of label maps named like the scans of `dataset`.
        labels: name -> value of the labels; None: those of the dataset's own description.
        orientation: where the stored axes of all scans run to, such as "LPS", against what the files say.
        quick: leave out what looks at the image: orientation, places of labels, look-alikes.
        threads: scans read at once; None: one a core, at most 4.
        reporter: shows progress.

    Raises:
        UserError: no such folder, or nothing in it that could be checked.
    """
    dataset = Path(dataset)
    if not dataset.is_dir():
        raise UserError(f"dataset {dataset} is not a folder")
    if orientation is not None:
        require_orientation(orientation)
    name = dataset.resolve().name
    manifest = find_manifest(dataset)
    folders = picture_folders(dataset) if labels_from is None else {}
    if folders and (manifest is None or manifest.layout == "slices"):
        if labels or orientation:
            raise UserError("pictures have no orientation and no named labels; leave --orientation and --label out")
        count, found, verdicts = audit_pictures(folders, manifest, quick, threads, reporter)
        return Report(name, "pictures", count, in_order(found), verdicts)
    listed = _volumes(dataset, manifest, Path(labels_from) if labels_from is not None else None)
    ask = Ask(labels or listed.labels, orientation, secrets.token_bytes(32), quick)
    return _of_volumes(name, listed, ask, threads, reporter)


def _volumes(dataset: Path, manifest: Manifest | None, labels_from: Path | None) -> CaseList:
    if manifest is not None and manifest.layout == "volumes":
        return list_prepared(dataset, manifest)
    return list_cases(dataset, labels_from)


def _of_volumes(name: str, listed: CaseList, ask: Ask, threads: int | None, reporter: Reporter) -> Report:
    scans = in_threads(partial(audit_scan, ask=ask), listed.cases, "checking scans", threads, reporter)
    found = [*listed.findings, *(finding for scan in scans for finding in scan.findings)]
    found += compare(scans)
    found += _no_labels(name, scans)
    if ask.labels is None:
        found += undeclared({scan.case.name: scan.values for scan in scans if scan.values is not None})
    verdicts = tuple(verdict for scan in scans for verdict in scan.orientation)
    return Report(name, "volumes", len(scans), in_order(found), verdicts)


def _no_labels(name: str, scans: list[ScanFacts]) -> list[Finding]:
    labelled = [scan for scan in scans if scan.values is not None]
    if labelled and not any(scan.values for scan in labelled):
        return [Finding(name, "empty", "error", "no label map shows any organ")]
    return []
