"""`split`: the folds of any dataset by patient, in splits_final.json."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from spleenseg.datasets.decode import read_image
from spleenseg.datasets.fit import grey_of
from spleenseg.datasets.folders import SliceFile, list_images, split_folders
from spleenseg.datasets.folds import DEFAULT_FOLDS, make_folds, read_folds, require_fitting, write_folds
from spleenseg.datasets.likeness import Print, print_of
from spleenseg.datasets.manifest import find_manifest
from spleenseg.datasets.owners import one_patient_each
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.source import Scan
from spleenseg.datasets.sources import read_source
from spleenseg.datasets.split import Fold
from spleenseg.errors import UserError
from spleenseg.progress import SILENT, Reporter
from spleenseg.volumes import read_volume

_SIDE = 96  # pixels: pictures are shrunk to this before their print is taken, whatever their sizes


def split(
    dataset: Path | str,
    folds: int | None = None,
    *,
    given: Path | str | None = None,
    output: Path | str | None = None,
    threads: int | None = None,
    reporter: Reporter = SILENT,
) -> tuple[Fold, ...]:
    """Divide all labelled cases of a dataset into folds by patient, and write splits_final.json.

    The rule is that of the published nnU-Net folds; see `split.kfold`. Cases whose images are nearly the same count as
    one patient. The splits that `prepare` made do not matter.

    Args:
        dataset: a prepared dataset, a source that `prepare` reads, or folders of pictures.
        folds: how many; None: 5.
        given: a splits_final.json to take over instead, if it fits.
        output: folder to write to; None: the dataset.
        threads: scans read at once.
        reporter: shows progress, and which cases count as one patient.

    Raises:
        UserError: no dataset, too few patients, folds that do not fit or leak, or other folds lie there.
    """
    dataset = Path(dataset)
    if given is not None and folds is not None:
        raise UserError("folds are either made (--folds) or taken over (--from), not both")
    patients = patients_of(dataset, threads, reporter)
    if given is None:
        made = make_folds(patients, DEFAULT_FOLDS if folds is None else folds)
    else:
        made = read_folds(Path(given))
        require_fitting(made, patients, Path(given))
    path = write_folds(made, dataset if output is None else Path(output))
    reporter.say(f"{len(made)} folds of {len(patients)} cases in {path}")
    return made


def patients_of(dataset: Path, threads: int | None = None, reporter: Reporter = SILENT) -> dict[str, str]:
    """Return case -> patient of every labelled case; cases of near-identical images have the same.

    Raises:
        UserError: no dataset, or a scan or picture cannot be read.
    """
    if not dataset.is_dir():
        raise UserError(f"dataset {dataset} is not a folder")
    manifest = find_manifest(dataset)
    if manifest is not None:
        return manifest.patients  # `prepare` has compared the images
    pictures = split_folders(dataset)
    if pictures:
        files = [file for folder in pictures.values() for file in list_images(folder / "images")]
        return _patients_of_pictures(files, threads, reporter)
    return _patients_of_scans(read_source(dataset).scans, threads, reporter)


def _patients_of_scans(scans: Sequence[Scan], threads: int | None, reporter: Reporter) -> dict[str, str]:
    key = secrets.token_bytes(32)  # patients are only told apart here; no pseudonym is kept

    def look(scan: Scan) -> tuple[str, Print]:
        volume = read_volume(scan.image, key=key)
        return scan.case if volume.patient == volume.case else volume.patient, print_of(volume.array)

    found = in_threads(look, scans, "comparing", threads, reporter)
    patients = {scan.case: patient for scan, (patient, _) in zip(scans, found, strict=True)}
    prints = {scan.case: cells for scan, (_, cells) in zip(scans, found, strict=True)}
    return one_patient_each(patients, prints, reporter)


def _patients_of_pictures(files: Sequence[SliceFile], threads: int | None, reporter: Reporter) -> dict[str, str]:
    cases: dict[str, list[SliceFile]] = defaultdict(list)
    for file in files:
        cases[file.case].append(file)
    nameless = [file.name for file in files if not file.names_case]
    if nameless:
        reporter.warn(
            f"{len(nameless)} picture(s), such as {nameless[0]}, are not named NUMBER_CASE (number 10000 and up): each "
            "counts as a patient of its own, so slices of one patient may be trained on and held out"
        )

    def look(case: str) -> Print:
        ordered = sorted(cases[case], key=lambda file: (file.index is None, file.index or 0))
        originals = [file for file in ordered if file.index is not None] or ordered  # not their augmented variants
        greys = (grey_of(read_image(file.image)) for file in originals)
        small = [cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for grey in greys]
        return print_of(np.stack(small).astype(np.uint8))

    prints = dict(zip(cases, in_threads(look, list(cases), "comparing", threads, reporter), strict=True))
    return one_patient_each({case: own[0].patient for case, own in cases.items()}, prints, reporter)
