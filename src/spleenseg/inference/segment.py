"""`segment`: CT scans in, label maps in the scans' own grids and millilitres out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from spleenseg.errors import UserError
from spleenseg.files import write_csv
from spleenseg.inference.ledger import Ledger, source_of
from spleenseg.inference.loading import EXACT, load_predictor
from spleenseg.inference.measure import COLUMNS, Row, measure
from spleenseg.inference.memory import DEFAULT_LIMIT, bytes_of, plan
from spleenseg.inference.predictor import Predictor
from spleenseg.inference.scans import FORMATS, TABLES, Scan, find_scans, require_safe
from spleenseg.inference.slices import Prediction, predict_slices
from spleenseg.progress import SILENT, Reporter
from spleenseg.render import volume_overlay
from spleenseg.volumes import Volume, read_volume, write_dicom_seg, write_labels, write_map, write_seg_nrrd

LOG_COLUMNS = ("case", "status", "read_s", "predict_s", "write_s", "message")
_VOLUMES, _LOG = "/volumes", "/log"  # their entries in the record; no scan can be called so
_PHASES = ("read", "predict", "write")


@dataclass(frozen=True)
class Reading:
    """How scans are read.

    Attributes:
        series: which DICOM series of several: its UID or its number.
        allow_gaps: resample DICOM with missing or uneven slices onto even positions.
        orientation: where the stored axes run to, such as "LAS", against what the files say.
    """

    series: str | None = None
    allow_gaps: bool = False
    orientation: str | None = None

    def asked(self) -> str:
        """Return what was asked for, "" where nothing was: part of what a result depends on."""
        words = {"series": self.series, "allow-gaps": self.allow_gaps or None, "orientation": self.orientation}
        return "".join(f" {key}={value}" for key, value in words.items() if value is not None)


@dataclass(frozen=True)
class ScanResult:
    """What became of one scan.

    Attributes:
        case: its name.
        path: its file.
        status: "done", "kept" (an earlier run had finished it) or "failed".
        volumes_ml: millilitres by label name; empty if it failed.
        message: why it failed, else empty.
    """

    case: str
    path: Path
    status: Literal["done", "kept", "failed"]
    volumes_ml: dict[str, float]
    message: str = ""


@dataclass(frozen=True)
class SegmentSummary:
    """What `segment` did.

    Attributes:
        out: the output folder.
        scans: one result a scan, sorted by case.
    """

    out: Path
    scans: tuple[ScanResult, ...]

    @property
    def failed(self) -> tuple[ScanResult, ...]:
        """The scans that could not be segmented."""
        return tuple(scan for scan in self.scans if scan.status == "failed")

    def summary(self) -> str:
        """Say in one line what was done and where it lies."""
        done, kept = len(self.scans) - len(self.failed), sum(scan.status == "kept" for scan in self.scans)
        words = [f"{done} of {len(self.scans)} scans segmented" + (f" ({kept} by an earlier run)" if kept else "")]
        if self.failed:
            words.append("failed: " + ", ".join(scan.case for scan in self.failed))
        return "; ".join([*words, f"volumes in {self.out / TABLES[0]}"])


def segment(
    inputs: Sequence[Path | str],
    out: Path | str = Path("segmentations"),
    model: Path | str = Path(),
    *,
    engine: str | None = None,
    precision: str = EXACT,
    threads: int | None = None,
    threshold: float | None = None,
    probabilities: bool = False,
    formats: Sequence[str] = ("nifti",),
    reading: Reading = Reading(),
    resume: bool = False,
    batch_size: int = 4,
    max_memory: str = DEFAULT_LIMIT,
    reporter: Reporter = SILENT,
) -> SegmentSummary:
    """Segment CT scans into `out`: label map, overlay, volumes.csv and run.log.csv.

    A scan that cannot be segmented is reported and the others go on, unless it is the only one.

    Args:
        inputs: NIfTI, NRRD or MetaImage files, DICOM (a folder, a zip archive, a multi-frame file), folders of
            any of them, or patterns.
        out: the folder to write to; made if need be.
        model: the run folder of a training, or an exported model.
        engine, precision: what runs it and how, see `load_predictor`.
        threads: for an exported model; None: all cores.
        threshold: probability from which a voxel is organ; models of several labels take the likeliest. None:
            that of an exported model, else 0.5.
        probabilities: also write `{case}_prob.nii.gz` (with several labels: of any of them).
        formats: of the label map, of `scans.FORMATS`: "nifti", "dicom-seg", "nrrd".
        reading: how the scans are read; what it changed stands in the notes of volumes.csv.
        resume: keep the scans that an earlier run into `out` finished with the same model, threshold and reading.
        batch_size: slices predicted at once.
        max_memory: what the program may take, such as "2GB": batches shrink, then probabilities go to a temporary
            file in `out`; a scan that still takes more fails.
        reporter: shows progress and names the scans that fail.

    Raises:
        UserError: no input, two inputs of one name, outputs that exist, an output folder that holds an
            input, a model that cannot be used, or the only scan cannot be segmented.
    """
    out, formats, limit = Path(out), _known(formats), bytes_of(max_memory)
    scans = find_scans([Path(given) for given in inputs])
    require_safe(scans, out, probabilities, formats)
    ledger = Ledger(out)
    _refuse_existing(ledger, [name for scan in scans for name in scan.outputs(probabilities, formats)], resume)
    predictor = load_predictor(
        Path(model),
        engine=engine,
        precision=precision,
        batch_size=batch_size,
        threshold=threshold,
        threads=threads,
        reporter=reporter,
    )
    settings = predictor.settings + reading.asked()
    _refuse_other_settings(ledger, settings)
    return _Run(out, ledger, predictor, settings, probabilities, formats, reading, limit, reporter).all(scans)


def _known(formats: Sequence[str]) -> tuple[str, ...]:
    unknown = [form for form in formats if form not in FORMATS]
    if unknown or not formats:
        raise UserError(f"no format '{' '.join(unknown)}'; label maps are written as {', '.join(FORMATS)}")
    return tuple(form for form in FORMATS if form in formats)


def _refuse_existing(ledger: Ledger, names: Sequence[str], resume: bool) -> None:
    if ledger.existing() and not resume:
        first = ledger.folder / ledger.existing()[0]
        raise UserError(f"{first} exists; give another folder, or --resume to continue the run that made it")
    strangers = set(ledger.strangers())
    for name in (*TABLES, *names):
        if name in strangers:
            raise UserError(f"{ledger.folder / name} exists and spleenseg did not make it; give another folder")


def _refuse_other_settings(ledger: Ledger, settings: str) -> None:
    if any(item.settings != settings for item in ledger.items.values() if item.rows):
        raise UserError(
            f"{ledger.folder} holds results of another model or threshold, or of scans read otherwise; "
            "give another folder"
        )


@dataclass
class _Run:
    out: Path
    ledger: Ledger
    predictor: Predictor
    settings: str
    probabilities: bool
    formats: tuple[str, ...]
    reading: Reading
    limit: int
    reporter: Reporter
    log: list[Row] = field(default_factory=list)

    def all(self, scans: Sequence[Scan]) -> SegmentSummary:
        """Segment what is not finished; tables and record are up to date after every scan."""
        for entry, table in zip((_VOLUMES, _LOG), TABLES, strict=True):
            self.ledger.begin(entry, "", self.settings, [table])
        results = []
        with self.reporter.task("segmenting scans", len(scans)) as task:
            for scan in scans:
                watch = _Stopwatch()
                results.append(self._one(scan, watch, alone=len(scans) == 1))
                said = results[-1].message or self._notes(scan)
                self.log.append([scan.case, results[-1].status, *watch.columns(), said])
                self._write_tables()
                task.advance(note=scan.case)
        self.ledger.finish(_VOLUMES)  # never the log: the record, unlike it, is the same for two runs
        self.ledger.save()
        return SegmentSummary(self.out, tuple(results))

    def _one(self, scan: Scan, watch: _Stopwatch, alone: bool) -> ScanResult:
        try:
            status = self._segmented_or_kept(scan, watch)
        except Exception as error:  # whatever one scan does must not cost the others
            if alone:
                raise
            message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self.reporter.warn(f"{scan.case} failed: {message}")
            return ScanResult(scan.case, scan.path, "failed", {}, message)
        volumes = {str(row[1]): float(row[2] or 0) for row in self.ledger.items[scan.case].rows}
        return ScanResult(scan.case, scan.path, status, volumes)

    def _segmented_or_kept(self, scan: Scan, watch: _Stopwatch) -> Literal["done", "kept"]:
        files = scan.outputs(self.probabilities, self.formats)
        source = source_of(scan.path)
        old = self.ledger.items.get(scan.case)
        if old and old.rows and old.source != source:
            raise UserError(f"{self.out} holds the result of another scan called {scan.case}; give another folder")
        if self.ledger.finished(scan.case, source, self.settings, files):
            return "kept"
        self.ledger.begin(scan.case, source, self.settings, files)
        self.ledger.save()
        with watch.phase("read"):
            volume = self._read(scan)
        with watch.phase("predict"):
            prediction = self._predict(volume)
        with watch.phase("write"):
            self._write(volume, prediction, scan)
        names = self.predictor.names
        self.ledger.finish(scan.case, measure(volume, prediction.labels, names))
        self.ledger.save()
        return "done"

    def _predict(self, volume: Volume) -> Prediction:
        size, batch = self.predictor.config.model, self.predictor.batch_size
        pixels = size.image_height * size.image_width
        fits = plan(volume.array.shape, self.limit, batch, pixels, self.probabilities)
        with self.reporter.task(f"slices of {volume.case}", len(volume.array)) as task:
            return predict_slices(
                volume.array,
                replace(self.predictor, batch_size=fits.batch_size),
                slice_mm=volume.spacing[2],
                keep_probability=self.probabilities,
                spill=self.out if fits.on_disk else None,
                advance=task.advance,
            )

    def _read(self, scan: Scan) -> Volume:
        volume = _read_ct(scan, self.reading)
        if "dicom-seg" in self.formats and volume.source is None:
            raise UserError(f"{scan.path}: is no DICOM, so no DICOM SEG can refer to it; leave --format dicom-seg out")
        for note in volume.notes:
            self.reporter.warn(f"{scan.case}: {note}")
        return volume

    def _write(self, volume: Volume, prediction: Prediction, scan: Scan) -> None:
        names = self.predictor.names
        for form, name in scan.maps(self.formats).items():
            if form == "nifti":
                write_labels(prediction.labels, volume, self.out / name)
            elif form == "nrrd":
                write_seg_nrrd(prediction.labels, volume, self.out / name, names)
            else:
                write_dicom_seg(prediction.labels, volume, self.out / name, names, model=self.settings)
        picture = self.out / f"{scan.case}_overlay.png"
        shown = {value: name for name, value in names.items()}
        volume_overlay(volume.array, prediction.labels, volume.spacing, picture, title=volume.case, names=shown)
        if prediction.probability is not None:
            write_map(prediction.probability, volume, self.out / f"{scan.case}_prob.nii.gz")

    def _notes(self, scan: Scan) -> str | None:
        """Return what was done on reading a scan, as its rows say."""
        item = self.ledger.items.get(scan.case)
        return str(item.rows[0][-1]) if item and item.rows and item.rows[0][-1] else None

    def _write_tables(self) -> None:
        rows = [row for _, item in sorted(self.ledger.items.items()) for row in item.rows]
        write_csv(self.out / TABLES[0], COLUMNS, rows)
        write_csv(self.out / TABLES[1], LOG_COLUMNS, self.log)


def _read_ct(scan: Scan, reading: Reading) -> Volume:
    volume = read_volume(
        scan.path, series=reading.series, allow_gaps=reading.allow_gaps, orientation=reading.orientation
    )
    if volume.modality not in (None, "CT"):
        raise UserError(f"{scan.path}: is {volume.modality}; only CT can be segmented")
    return volume


class _Stopwatch:
    """Seconds by phase of one scan."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = time.perf_counter() - started

    def columns(self) -> list[float | None]:
        return [round(self._seconds[name], 3) if name in self._seconds else None for name in _PHASES]
