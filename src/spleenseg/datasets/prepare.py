"""`prepare`: labelled CT volumes into a dataset, split by patient, resumable after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from spleenseg.datasets.layouts import Writer, writer_of
from spleenseg.datasets.likeness import print_of
from spleenseg.datasets.manifest import MANIFEST_NAME, CaseRecord, Manifest, Request, read_manifest
from spleenseg.datasets.owners import one_patient_each
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.reading import pseudonym_key, read_scan, record_of
from spleenseg.datasets.request import make_request
from spleenseg.datasets.source import Scan, Source, content_sha256
from spleenseg.datasets.sources import read_source
from spleenseg.datasets.split import SHARES, named_by_case, split_by_patient
from spleenseg.datasets.unfinished import Done, Unfinished, require_same_request
from spleenseg.errors import UserError
from spleenseg.progress import SILENT, Reporter

WINDOW_HU = (-160.0, 240.0)


def prepare(
    source: Path | str,
    dataset: Path | str,
    *,
    labels_from: Path | str | None = None,
    layout: str = "slices",
    window: tuple[float, float] = WINDOW_HU,
    display: str = "radiological",
    pixel_mm: float | None = None,
    labels: Mapping[str, int] | None = None,
    seed: int = 137,
    shares: tuple[float, float, float] = SHARES,
    into: str | None = None,
    allow_gaps: bool = False,
    orientation: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    reporter: Reporter = SILENT,
) -> Manifest:
    """Write a dataset from labelled scans in the layout of the Decathlon or of nnU-Net, or side by side.

    The layouts written are ``"slices"``: ``DATASET/{train,valid,test}/{images,masks}/{10000+z}_{case}.png``,
    every slice, lossless, masks 0 and 255 for a single label and the label values for several;
    ``"volumes"``: ``DATASET/{cases,labels}/{case}.npy`` in HU; ``"nnunet"``: nnU-Net's raw folders.
    A patient is in one split only; cases whose images are nearly the same count as one patient.
    manifest.json comes last: with it the dataset is complete. At most `threads` scans are in memory at once.

    Args:
        source: folder with imagesTr and labelsTr (and dataset.json), or with `labels_from` of scans.
        dataset: folder to write; new or empty, unless `resume`.
        labels_from: folder of label maps named like the scans in `source`.
        layout: "slices", "volumes" or "nnunet".
        window: (low, high) in HU, shown as 0 and 255; volumes are kept whole, and shown so by default.
        display: "radiological", or "reference" (mirrored left-right).
        pixel_mm: size of the pixels that networks trained on it see, see `millimetres`; what is written keeps the
            scans' own. None: their slices are resized by pixels.
        labels: name -> value of the labels to keep; None: those of dataset.json, else ``organ = 1``.
        seed: of the split.
        shares: of train, valid and test.
        into: "train", "valid" or "test": put every case there; None: divide them.
        allow_gaps: resample DICOM series that lack slices onto even positions; noted in the manifest.
        orientation: where the stored axes of every scan lead, such as "LPS", against what the files say.
        threads: scans worked on at once; None: one a core, at most 4.
        resume: continue what an interrupted run began; cases that are done are not done again.
        reporter: shows progress, and which cases count as one patient.

    Returns:
        The manifest, as written.

    Raises:
        UserError: a source that cannot be read, a dataset folder that is in use, a resumed run that asks for
            something else, fewer than three patients to divide, or impossible arguments.
        KeyboardInterrupt: asked to stop; `resume` continues.
    """
    dataset = Path(dataset)
    found = read_source(Path(source), None if labels_from is None else Path(labels_from))
    request = make_request(
        found,
        dataset,
        layout=layout,
        window=window,
        display=display,
        pixel_mm=pixel_mm,
        labels=labels,
        seed=seed,
        shares=shares,
        into=into,
        allow_gaps=allow_gaps,
        orientation=orientation,
    )
    finished = read_manifest(dataset / MANIFEST_NAME) if resume else None
    if finished is not None:
        require_same_request(finished.request, request, dataset)
        return finished
    notes, writer = Unfinished(dataset), writer_of(request, dataset)
    notes.claim(request, resume)
    _write_cases(found, request, notes, writer, labels is None, threads, reporter)
    return _finish(found, request, notes, writer, reporter)


def _write_cases(
    source: Source,
    request: Request,
    notes: Unfinished,
    writer: Writer,
    strict: bool,
    threads: int | None,
    reporter: Reporter,
) -> None:
    key, done = pseudonym_key(source, notes.dataset), notes.done()

    def work(scan: Scan) -> None:
        if scan.case in done:
            _require_unchanged(scan, done[scan.case].record)
            return
        read = read_scan(
            scan,
            request.labels,
            strict=strict,
            key=key,
            allow_gaps=request.allow_gaps,
            orientation=request.declared_orientation,
        )
        writer.write(scan.case, read.volume, read.labels)
        notes.note(scan.case, Done(record_of(scan, read, source, request), print_of(read.volume.array)))

    in_threads(work, source.scans, "preparing", threads, reporter)


def _finish(source: Source, request: Request, notes: Unfinished, writer: Writer, reporter: Reporter) -> Manifest:
    """Put every case into its split, and write the manifest."""
    done = notes.done()
    known = {case: case_done.record.patient for case, case_done in done.items()}
    patients = one_patient_each(known, {case: case_done.cells for case, case_done in done.items()}, reporter)
    splits = _splits(patients, request)
    records = {
        case: case_done.record.model_copy(update={"patient": patients[case], "split": splits[case]})
        for case, case_done in sorted(done.items())
    }
    _warn_of_empty_labels(records, request, reporter)
    writer.finish(records)
    manifest = Manifest(
        created_by=f"spleenseg {version('spleenseg')}",
        source=source.folder.resolve().name,
        cases=records,
        **request.model_dump(exclude={"cases"}),
    )
    manifest.write(notes.dataset)
    notes.remove()
    return manifest


def _require_unchanged(scan: Scan, record: CaseRecord) -> None:
    """Refuse to keep what was made of a scan that is another one now.

    Raises:
        UserError: the scan or its label map has changed.
    """
    for path, before in ((scan.image, record.source_sha256), (scan.labels, record.labels_sha256)):
        if content_sha256(path) != before:
            raise UserError(f"{path} has changed since its case was prepared; prepare into a new folder")


def _splits(patients: Mapping[str, str], request: Request) -> dict[str, str]:
    """Return case -> split."""
    if request.into:
        return dict.fromkeys(patients, request.into)
    named = named_by_case(patients)
    if len(set(named.values())) == 1 < len(named):
        raise UserError(
            f"all {len(named)} scans name the same patient, so they cannot be divided; if that is a placeholder "
            "for many, give each scan its own PatientID, or put all into one split with --into"
        )
    split = split_by_patient(list(named.values()), request.seed, request.shares)
    return {case: split[first] for case, first in named.items()}


def _warn_of_empty_labels(records: Mapping[str, CaseRecord], request: Request, reporter: Reporter) -> None:
    """Warn of labels that no scan shows: their value is probably mistyped."""
    for name, value in request.labels.items():
        if not any(record.organ_voxels[name] for record in records.values()):
            reporter.warn(f"no label map holds {name}={value}: every mask of it is empty")
