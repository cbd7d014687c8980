"""A cohort of synthetic patients on disk, in the layout of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spleenseg.errors import UserError
from spleenseg.files import require_free_folder, write_json
from spleenseg.phantom.patient import Patient, make_patient
from spleenseg.phantom.traits import Streams, Traits
from spleenseg.progress import SILENT, Reporter
from spleenseg.volumes import Volume, write_labels, write_volume

NOTICE = (
    "Synthetic CT made by spleenseg phantom, for tests and demonstrations; "
    "not images of people and not evidence about patients"
)
_SETTINGS = "phantom.json"
_MOST_THREADS = 4  # a patient of 512 x 512 x 90 takes about 0.3 GB while it is made
_LABELLED, _UNLABELLED = 0, 1
_FLIPS = ((True, True), (False, True), (False, False))  # stored as RAS, LAS or LPS


@dataclass(frozen=True)
class CohortSettings:
    """What the files of a cohort depend on."""

    seed: int
    size: int
    slices: int | None
    splenectomy: float


@dataclass(frozen=True)
class _Case:
    """One patient of the cohort: name, place in the seed's tree, and the files to write."""

    name: str
    key: tuple[int, int]
    image: Path
    label: Path | None

    def is_complete(self) -> bool:
        return self.image.is_file() and (self.label is None or self.label.is_file())


def write_cohort(
    folder: Path | str,
    cases: int,
    seed: int,
    *,
    size: int = 512,
    splenectomy: float = 0.05,
    unlabelled: int | None = None,
    slices: int | None = None,
    threads: int | None = None,
    resume: bool = False,
    reporter: Reporter = SILENT,
) -> Path:
    """Write a cohort of synthetic patients: dataset.json, imagesTr, labelsTr, imagesTs, and phantom.json.

    A patient depends on the seed and the patient's number only, not on how many there are or on the threads.
    The files are stored in different axis orders, as those of several converters would be. phantom.json holds
    the settings and what was drawn for each patient.

    Args:
        folder: where to write; empty or new, unless `resume`.
        cases: number of patients with a label map.
        seed: of everything random.
        size: pixels along x and y.
        splenectomy: probability that a patient's spleen has been removed.
        unlabelled: number of further patients without a label map; None: a quarter of `cases`, at least one.
        slices: number of slices of each scan over the patient's scan range; None: as the drawn slice distance gives.
        threads: patients made at a time; None: as many as the machine has cores, at most four.
        resume: continue a cohort that was begun with the same settings; complete patients are left alone.
        reporter: told of the progress.

    Returns:
        The folder.

    Raises:
        UserError: a setting is out of range, the folder is not empty or was begun with other settings, or
            cannot be written to.
    """
    folder = Path(folder)
    settings = CohortSettings(seed, size, slices, splenectomy)
    unlabelled = max(1, cases // 4) if unlabelled is None else unlabelled
    _check(settings, cases, unlabelled, threads)
    _open_folder(folder, settings, resume)
    wanted = [*_cases(folder, cases, _LABELLED), *_cases(folder, unlabelled, _UNLABELLED)]
    _write_all([case for case in wanted if not case.is_complete()], settings, threads, len(wanted), reporter)
    write_json(folder / _SETTINGS, {**_record(settings), "patients": _facts(wanted, settings)})
    write_json(folder / "dataset.json", _dataset_json(wanted))
    reporter.say(f"{cases} labelled and {unlabelled} unlabelled synthetic patients in {folder}")
    return folder


def _check(settings: CohortSettings, cases: int, unlabelled: int, threads: int | None) -> None:
    limits = (
        ("the number of cases", cases, 1, 9999),
        ("the number of unlabelled cases", unlabelled, 0, 9999),
        ("the size", settings.size, 16, 2048),
        ("the number of slices", settings.slices, 1, 1000),
        ("the number of threads", threads, 1, 256),
        ("the seed", settings.seed, 0, 2**64),
        ("the share of splenectomies", settings.splenectomy, 0, 1),
    )
    for what, value, low, high in limits:
        if value is not None and not low <= value <= high:
            raise UserError(f"{what} must lie in {low}..{high}, not {value}")


def _open_folder(folder: Path, settings: CohortSettings, resume: bool) -> None:
    """Begin or continue a folder; it records the settings first."""
    recorded = folder / _SETTINGS
    now = _record(settings)
    if resume and recorded.is_file():
        try:
            before = json.loads(recorded.read_text(encoding="utf-8"))["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{recorded}: not the record of a cohort; give a new folder") from error
        if before != now["settings"]:
            raise UserError(f"{folder} was begun with other settings ({before}); give them again, or a new folder")
        return
    require_free_folder(folder, "the cohort's folder")
    write_json(recorded, now)


def _record(settings: CohortSettings) -> dict[str, Any]:
    return {"notice": NOTICE, "settings": asdict(settings)}


def _cases(folder: Path, count: int, kind: int) -> Iterator[_Case]:
    images = folder / ("imagesTr" if kind == _LABELLED else "imagesTs")
    for number in range(1, count + 1):
        name = f"phantom_{number:03d}" if kind == _LABELLED else f"phantom_u{number:03d}"
        label = folder / "labelsTr" / f"{name}.nii.gz" if kind == _LABELLED else None
        yield _Case(name, (kind, number), images / f"{name}.nii.gz", label)


def _write_all(
    cases: list[_Case], settings: CohortSettings, threads: int | None, total: int, reporter: Reporter
) -> None:
    workers = threads or min(os.cpu_count() or 1, _MOST_THREADS)
    with reporter.task("synthetic patients", total) as task, ThreadPoolExecutor(workers) as pool:
        task.advance(total - len(cases))
        jobs = [pool.submit(_write_case, case, settings) for case in cases]
        try:
            for job in as_completed(jobs):
                task.advance(1, note=job.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_case(case: _Case, settings: CohortSettings) -> str:
    """Make one patient and write its files; it counts as done when both are there."""
    sequence = _sequence(case, settings)
    patient = make_patient(sequence, settings.size, slices=settings.slices, splenectomy=settings.splenectomy)
    volume = _in_the_world(patient, case.name, Streams(sequence)["world"])
    write_volume(volume, case.image)
    if case.label is not None:
        write_labels(patient.labels, volume, case.label)
    return case.name


def _sequence(case: _Case, settings: CohortSettings) -> np.random.SeedSequence:
    return np.random.SeedSequence(settings.seed, spawn_key=case.key)


def _in_the_world(patient: Patient, name: str, rng: np.random.Generator) -> Volume:
    """Give a patient a place in the scanner's space and the axis order of some converter."""
    _, height, width = patient.hu.shape
    dx, dy, dz = patient.spacing
    affine = np.diag([-dx, -dy, dz, 1.0])
    affine[:3, 3] = (
        dx * (width - 1) / 2 + rng.normal(0, 8),
        dy * (height - 1) / 2 + rng.normal(150, 25),
        rng.uniform(-1200, -200),
    )
    flip_x, flip_y = _FLIPS[int(rng.integers(len(_FLIPS)))]
    turn = np.diag([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0, 1.0, 1.0])
    turn[:2, 3] = (width - 1 if flip_x else 0, height - 1 if flip_y else 0)
    stored = patient.hu.transpose(2, 1, 0)[:: -1 if flip_x else 1, :: -1 if flip_y else 1]
    return Volume.from_stored(stored, affine @ turn, case=name, modality="CT")


def _dataset_json(cases: list[_Case]) -> dict[str, Any]:
    """Return the description of the cohort in the Decathlon's own form."""
    labelled = [case for case in cases if case.label is not None]
    others = [case for case in cases if case.label is None]
    return {
        "name": "Spleen phantom",
        "description": NOTICE,
        "reference": "spleenseg",
        "licence": "Apache-2.0",
        "release": "1.0",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen"},
        "numTraining": len(labelled),
        "numTest": len(others),
        "training": [
            {"image": f"./imagesTr/{case.image.name}", "label": f"./labelsTr/{case.image.name}"} for case in labelled
        ],
        "test": [f"./imagesTs/{case.image.name}" for case in others],
    }


def _facts(cases: list[_Case], settings: CohortSettings) -> dict[str, Any]:
    """Return what was drawn for each patient."""
    return {
        case.name: asdict(Traits.draw(Streams(_sequence(case, settings))["traits"], settings.splenectomy))
        for case in cases
    }
