"""`prepare`: labelled CT volumes into an image/mask dataset, split by patient, resumable after a kill."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from spleenseg.datasets.manifest import (
    MANIFEST_NAME,
    UNFINISHED_NAME,
    CaseRecord,
    Display,
    Manifest,
    Request,
    read_manifest,
)
from spleenseg.datasets.msd import MsdSource, Scan, read_msd
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.slicing import slice_scan
from spleenseg.datasets.split import SHARES, split_by_patient
from spleenseg.errors import UserError, did_you_mean
from spleenseg.files import require_free_folder, write_json
from spleenseg.progress import SILENT, Reporter

WINDOW_HU = (-160.0, 240.0)
_REQUEST_NAME = "request.json"
_LEFTOVERS = "*/*/.writing-*"  # pictures that a killed run had not finished


def prepare(
    source: Path | str,
    dataset: Path | str,
    *,
    window: tuple[float, float] = WINDOW_HU,
    display: str = "radiological",
    labels: Mapping[str, int] | None = None,
    seed: int = 137,
    shares: tuple[float, float, float] = SHARES,
    threads: int | None = None,
    resume: bool = False,
    reporter: Reporter = SILENT,
) -> Manifest:
    """Write ``DATASET/{train,valid,test}/{images,masks}/{10000+z}_{case}.png`` from a folder in the MSD layout.

    Every slice of every labelled scan is written, lossless; a patient is in one split only. Masks are 0 and
    255 for a single label, the label values for several. manifest.json comes last: with it the dataset is
    complete. At most `threads` scans are in memory at once.

    Args:
        source: folder with imagesTr and labelsTr (and dataset.json).
        dataset: folder to write; new or empty, unless `resume`.
        window: (low, high) in HU, shown as 0 and 255.
        display: "radiological", or "reference" (mirrored left-right).
        labels: name -> value of the labels to keep; None: those of dataset.json, else ``organ = 1``.
        seed: of the split.
        shares: of train, valid and test.
        threads: scans worked on at once; None: one a core, at most 4.
        resume: continue what an interrupted run began; cases that are done are not done again.
        reporter: shows progress.

    Returns:
        The manifest, as written.

    Raises:
        UserError: a source that cannot be read, a dataset folder that is in use, a resumed run that asks for
            something else, fewer than three patients, or impossible arguments.
        KeyboardInterrupt: asked to stop; `resume` continues.
    """
    found = read_msd(Path(source))
    dataset = Path(dataset)
    request = _request(found, window, display, labels, seed, shares)
    split = split_by_patient(request.cases, seed, shares)
    finished = read_manifest(dataset / MANIFEST_NAME) if resume else None
    if finished is not None:
        _require_same_request(finished.request, request, dataset)
        return finished
    _claim(dataset, request, resume)
    done = _done_cases(dataset)

    def work(scan: Scan) -> None:
        record = slice_scan(scan, found.folder, split[scan.case], dataset, request, strict=labels is None)
        write_json(_record_path(dataset, scan.case), record.model_dump(mode="json"))

    in_threads(work, [scan for scan in found.scans if scan.case not in done], "preparing", threads, reporter)
    return _finish(dataset, found, request)


def parse_labels(texts: Sequence[str] | None) -> dict[str, int] | None:
    """Read labels written as ``NAME=VALUE``; None and an empty list mean those of dataset.json.

    Raises:
        UserError: a text of another form, or a name or value given twice.
    """
    labels: dict[str, int] = {}
    for text in texts or ():
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value.isdecimal():
            raise UserError(f"--label {text}: write NAME=VALUE with a whole number, such as spleen=1")
        if name in labels:
            raise UserError(f"--label {name} is given twice")
        labels[name] = int(value)
    return labels or None


def _request(
    source: MsdSource,
    window: tuple[float, float],
    display: str,
    labels: Mapping[str, int] | None,
    seed: int,
    shares: tuple[float, float, float],
) -> Request:
    if not window[0] < window[1]:
        raise UserError(f"the window must be LOW HIGH with LOW below HIGH, not {window[0]:g} {window[1]:g}")
    displays = get_args(Display)
    if display not in displays:
        hint = did_you_mean(display, displays)
        raise UserError(f"display must be {' or '.join(displays)}, is {display!r}{hint}")
    return Request(
        window_hu=window,
        display=display,
        labels=_checked(labels or source.labels or {"organ": 1}),
        seed=seed,
        shares=shares,
        cases=tuple(scan.case for scan in source.scans),
    )


def _checked(labels: Mapping[str, int]) -> dict[str, int]:
    for name, value in labels.items():
        if not 1 <= value <= 255:
            raise UserError(f"label {name}={value}: values go from 1 to 255; 0 is the background")
    if len(set(labels.values())) < len(labels):
        raise UserError(f"two labels have the same value: {', '.join(f'{n}={v}' for n, v in labels.items())}")
    return dict(labels)


def _claim(dataset: Path, request: Request, resume: bool) -> None:
    """Make the dataset folder ours by noting the request in it, or recognise our own, begun earlier."""
    begun = dataset / UNFINISHED_NAME / _REQUEST_NAME
    if not resume or dataset.is_file():
        require_free_folder(dataset, "dataset")
    if begun.is_file():
        _require_same_request(_read_request(begun), request, dataset)
        for leftover in dataset.glob(_LEFTOVERS):
            leftover.unlink(missing_ok=True)
        return
    if dataset.is_dir() and any(path.name != UNFINISHED_NAME for path in dataset.iterdir()):
        raise UserError(f"{dataset} was not begun by prepare; give a new folder")
    write_json(begun, request.model_dump(mode="json"))


def _read_request(path: Path) -> Request:
    try:
        return Request.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} is damaged; prepare into a new folder") from error


def _require_same_request(before: Request, now: Request, dataset: Path) -> None:
    difference = before.difference(now)
    if difference:
        raise UserError(f"{dataset} was begun with other settings: {difference}; repeat those, or give a new folder")


def _record_path(dataset: Path, case: str) -> Path:
    return dataset / UNFINISHED_NAME / "cases" / f"{case}.json"


def _done_cases(dataset: Path) -> dict[str, CaseRecord]:
    """Return the records of finished cases; each was written after the last slice of its case."""
    folder = _record_path(dataset, "").parent
    records = {}
    for path in sorted(folder.glob("[!.]*.json")):
        with suppress(OSError, ValueError):  # unreadable: the case is done again
            records[path.stem] = CaseRecord.model_validate_json(path.read_bytes())
    return records


def _finish(dataset: Path, source: MsdSource, request: Request) -> Manifest:
    manifest = Manifest(
        created_by=f"spleenseg {version('spleenseg')}",
        source=source.folder.resolve().name,
        cases=dict(sorted(_done_cases(dataset).items())),
        **request.model_dump(exclude={"cases"}),
    )
    manifest.write(dataset)
    shutil.rmtree(dataset / UNFINISHED_NAME, ignore_errors=True)  # our own notes; the manifest says it all
    return manifest
