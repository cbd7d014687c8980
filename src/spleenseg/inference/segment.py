"""`segment`: CT scans in, label maps in the scans' own grids and millilitres out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.inference.builtin import builtin_model
from spleenseg.inference.cohort import Cohort
from spleenseg.inference.engine_choice import EXACT
from spleenseg.inference.ensemble import load_models
from spleenseg.inference.ledger import Ledger
from spleenseg.inference.lock import only_run_in
from spleenseg.inference.memory import DEFAULT_LIMIT, bytes_of
from spleenseg.inference.one_scan import OneScan
from spleenseg.inference.reading import Reading
from spleenseg.inference.refinement import Refinement
from spleenseg.inference.results import SegmentSummary
from spleenseg.inference.scans import FORMATS, TABLES, find_scans, require_safe
from spleenseg.inference.views import with_views
from spleenseg.progress import SILENT, Reporter


def segment(
    inputs: Sequence[Path | str],
    out: Path | str = Path("segmentations"),
    model: Path | str | Sequence[Path | str] | None = None,
    *,
    engine: str | None = None,
    precision: str = EXACT,
    threads: int | None = None,
    threshold: float | None = None,
    probabilities: bool = False,
    formats: Sequence[str] = ("nifti",),
    reading: Reading = Reading(),
    refinement: Refinement = Refinement(),
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
        model: the run folder of a training, an exported model, or the name of a built-in one; several of them
            answer together. None: the built-in `builtin.DEFAULT`.
        engine, precision: what runs it and how, see `load_predictor`.
        threads: for an exported model; None: all cores.
        threshold: probability from which a voxel is organ; models of several labels take the likeliest. None:
            that of an exported model, else 0.5.
        probabilities: also write `{case}_prob.nii.gz` (with several labels: of any of them).
        formats: of the label map, of `scans.FORMATS`: "nifti", "dicom-seg", "nrrd".
        reading: how the scans are read; what it changed stands in the notes of volumes.csv.
        refinement: what is done for better masks; by default what helped on the model's own validation split.
        resume: keep the scans that an earlier run into `out` finished with the same model, threshold and reading.
        batch_size: slices predicted at once.
        max_memory: what the program may take, such as "2GB": batches shrink, then probabilities go to a temporary
            file in `out`; a scan that still takes more fails.
        reporter: shows progress and names the scans that fail.

    Raises:
        UserError: no input, two inputs of one name, outputs that exist, an output folder that holds an
            input or that another run writes to, a model that cannot be used, or the only scan cannot be segmented.
    """
    out, formats, limit = Path(out), _known(formats), bytes_of(max_memory)
    scans = find_scans([Path(given) for given in inputs], reporter)
    require_safe(scans, out, probabilities, formats)
    with only_run_in(out):
        ledger = Ledger(out)
        _refuse_existing(ledger, [name for scan in scans for name in scan.outputs(probabilities, formats)], resume)
        given = [model] if isinstance(model, Path | str) else model or [builtin_model()]
        predictor = load_models(
            [Path(one) for one in given],
            engine=engine,
            precision=precision,
            batch_size=batch_size,
            threshold=threshold,
            threads=threads,
            reporter=reporter,
        )
        if refinement.tta:
            predictor = with_views(predictor)
        settings = predictor.settings + reading.asked() + refinement.settings(predictor.record.postprocess)
        _refuse_other_settings(ledger, settings)
        one = OneScan(out, predictor, settings, probabilities, formats, reading, refinement, limit, reporter)
        return Cohort(ledger, one, reporter).all(scans)


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
