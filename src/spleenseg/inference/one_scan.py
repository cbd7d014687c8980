"""One scan: read, predicted, measured and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.inference.meanwhile import Meanwhile
from spleenseg.inference.measure import Origin, Row, measure, remarks
from spleenseg.inference.memory import Plan, plan
from spleenseg.inference.postprocess import Pieces, postprocess
from spleenseg.inference.predictor import SliceModel
from spleenseg.inference.reading import Reading, read_ct
from spleenseg.inference.refinement import Refinement
from spleenseg.inference.scans import Scan
from spleenseg.inference.slices import Prediction, predict_slices
from spleenseg.inference.smoothing import Smoothing
from spleenseg.inference.stopwatch import Stopwatch
from spleenseg.metrics.quality import agreement_of_sizes
from spleenseg.progress import Reporter
from spleenseg.render import volume_overlay
from spleenseg.volumes import Volume, write_dicom_seg, write_labels, write_map, write_seg_nrrd


@dataclass(frozen=True)
class OneScan:
    """How each scan of a cohort is treated.

    Attributes:
        out: the output folder.
        predictor: the model.
        settings: of all that decides the outputs.
        probabilities: whether they are written too.
        formats: of the label map.
        reading: how scans are read.
        refinement: what is done for better masks.
        limit: bytes the program may take.
        reporter: shows progress and is told what reading changed.
    """

    out: Path
    predictor: SliceModel
    settings: str
    probabilities: bool
    formats: tuple[str, ...]
    reading: Reading
    refinement: Refinement
    limit: int
    reporter: Reporter

    def files(self, scan: Scan) -> tuple[str, ...]:
        """Return the names of the files to be made of a scan."""
        return scan.outputs(self.probabilities, self.formats)

    def segmented(self, scan: Scan, watch: Stopwatch) -> list[Row]:
        """Write the files of a scan; return its rows of volumes.csv.

        Raises:
            UserError: it cannot be read, is no CT, or takes more memory than allowed.
        """
        with watch.phase("read"):
            volume = self._read(scan)
        with watch.phase("predict"):
            prediction = self._predict(volume)
            prediction, origin = self._refined(volume, prediction)
        with watch.phase("write"):
            self._write(volume, prediction, scan)
        rows = measure(volume, prediction.labels, self.predictor.names, origin)
        for line in remarks(rows):
            self.reporter.warn(line)
        return rows

    def _read(self, scan: Scan) -> Volume:
        volume = read_ct(scan, self.reading, self._plan)
        if "dicom-seg" in self.formats and volume.source is None:
            raise UserError(f"{scan.path}: is no DICOM, so no DICOM SEG can refer to it; leave --format dicom-seg out")
        if self.reading.series is not None and volume.source is None:
            self.reporter.warn(f"{scan.case}: is no DICOM; --series {self.reading.series} says nothing about it")
        for note in volume.notes:
            self.reporter.warn(f"{scan.case}: {note}")
        return volume

    def _predict(self, volume: Volume) -> Prediction:
        mm, threshold = self.refinement.smooth_mm, self.predictor.threshold
        smoothing = Smoothing(mm, volume.spacing, threshold) if mm else None
        fits = self._plan(volume.array.shape, held=len(smoothing.weights) if smoothing else 0)
        with self.reporter.task(f"slices of {volume.case}", len(volume.array)) as task:
            return predict_slices(
                volume.array,
                self.predictor,
                slice_mm=volume.spacing[2],
                pixel_size=volume.spacing[:2],
                batch_size=fits.batch_size,
                keep_probability=self.probabilities,
                spill=self.out if fits.on_disk else None,
                smoothing=smoothing,
                advance=task.advance,
            )

    def _plan(self, shape: tuple[int, ...], held: int = 0) -> Plan:
        """Decide what fits; before a scan is read nobody knows how many slices smoothing holds."""
        return plan(
            shape,
            self.limit,
            self.predictor.batch_size,
            self.predictor.memory,
            self.probabilities,
            held=held,
            channels=1 if len(self.predictor.names) == 1 else 1 + len(self.predictor.names),
        )

    def _refined(self, volume: Volume, prediction: Prediction) -> tuple[Prediction, Origin]:
        """Post-process the labels; return also where they come from."""
        record, names, slice_mm = self.predictor.record, self.predictor.names, volume.spacing[2]
        options = self.refinement.postprocess(record.postprocess)
        labels, pieces = postprocess(prediction.labels, volume.voxel_ml, names, options, slice_mm=slice_mm)
        return replace(prediction, labels=labels), Origin(pieces, self._quality(prediction, pieces), record.engine)

    def _quality(self, prediction: Prediction, pieces: Mapping[str, Pieces]) -> dict[str, float]:
        """Return by label the Dice to be expected; labels of which nothing is left, or nothing known, are missing.

        It is that of the network's answer. Where post-processing dropped a part it is at most the Dice of what is left
        with that answer: nobody knows which of the two is right.
        """
        known = {} if self.refinement.smooth_mm else self.predictor.record.quality
        return {
            name: min(
                known[name].predict(agreement_of_sizes([int(size) for size in sizes])), _dice_of_share(found.kept)
            )
            for (name, found), sizes in zip(pieces.items(), prediction.sizes, strict=True)
            if name in known
            and (found.count and found.kept)
            and sizes.any()  # where no threshold finds anything all agree, and nothing is known
        }

    def _write(self, volume: Volume, prediction: Prediction, scan: Scan) -> None:
        picture = Meanwhile(lambda: self._draw(volume, prediction, scan))  # it and the maps pack in native code
        try:
            for form, name in scan.maps(self.formats).items():
                self._write_map(form, self.out / name, volume, prediction)
            if prediction.probability is not None:
                write_map(prediction.probability, volume, self.out / f"{scan.case}_prob.nii.gz")
        finally:
            picture.result()

    def _write_map(self, form: str, path: Path, volume: Volume, prediction: Prediction) -> None:
        names = self.predictor.names
        if form == "nifti":
            write_labels(prediction.labels, volume, path)
        elif form == "nrrd":
            write_seg_nrrd(prediction.labels, volume, path, names)
        else:
            write_dicom_seg(prediction.labels, volume, path, names, model=self.settings)

    def _draw(self, volume: Volume, prediction: Prediction, scan: Scan) -> None:
        picture = self.out / f"{scan.case}_overlay.png"
        shown = {value: name for name, value in self.predictor.names.items()}
        volume_overlay(
            volume.array,
            prediction.labels,
            volume.spacing,
            picture,
            voxel_ml=volume.voxel_ml,
            title=volume.case,
            names=shown,
        )


def _dice_of_share(kept: float) -> float:
    """Return the Dice of a mask with a share of itself, 0..1."""
    return 2 * kept / (1 + kept)
