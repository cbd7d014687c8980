"""One scan: read, predicted, measured and written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.inference.measure import Row, measure
from spleenseg.inference.memory import plan
from spleenseg.inference.predictor import Predictor
from spleenseg.inference.reading import Reading, read_ct
from spleenseg.inference.scans import Scan
from spleenseg.inference.slices import Prediction, predict_slices
from spleenseg.inference.stopwatch import Stopwatch
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
        limit: bytes the program may take.
        reporter: shows progress and is told what reading changed.
    """

    out: Path
    predictor: Predictor
    settings: str
    probabilities: bool
    formats: tuple[str, ...]
    reading: Reading
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
        with watch.phase("write"):
            self._write(volume, prediction, scan)
        return measure(volume, prediction.labels, self.predictor.names)

    def _read(self, scan: Scan) -> Volume:
        volume = read_ct(scan, self.reading)
        if "dicom-seg" in self.formats and volume.source is None:
            raise UserError(f"{scan.path}: is no DICOM, so no DICOM SEG can refer to it; leave --format dicom-seg out")
        for note in volume.notes:
            self.reporter.warn(f"{scan.case}: {note}")
        return volume

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
