"""DICOM files made from arrays: the series, archives and multi-frame images of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

CT_CLASS, ENHANCED_CLASS = UID("1.2.840.10008.5.1.4.1.1.2"), UID("1.2.840.10008.5.1.4.1.1.2.1")
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
IDENTIFYING = {
    "PatientName": "Doe^Jane",
    "PatientID": "SECRET-4711",
    "PatientBirthDate": "19560402",
    "InstitutionName": "Secret Hospital",
    "ReferringPhysicianName": "Smith^John",
    "AccessionNumber": "ACC-0815",
}


def image(
    stored: NDArray[np.integer],
    position: Sequence[float],
    *,
    orientation: Sequence[float] = AXIAL,
    spacing: Sequence[float] = (0.8, 0.7),
    syntax: str = ExplicitVRLittleEndian,
    number: int = 1,
    series: str = "1.2.3.4",
    intercept: float = -1024,
    **elements: Any,
) -> Dataset:
    """Return a classic CT image of [row, column] stored numbers; `elements` set or, where None, remove others."""
    data = _common(stored, CT_CLASS, f"{series}.{number}", series)
    data.ImagePositionPatient, data.ImageOrientationPatient = list(position), list(orientation)
    data.PixelSpacing, data.SliceThickness = list(spacing), 2.0
    data.RescaleSlope, data.RescaleIntercept, data.InstanceNumber = 1, intercept, number
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    _encode(data, stored, syntax)
    return data


def enhanced(stored: NDArray[np.integer], positions: NDArray[np.floating], intercept: float = -1024) -> Dataset:
    """Return one multi-frame CT image of [frame, row, column] stored numbers."""
    data = _common(stored[0], ENHANCED_CLASS, "1.2.9.1", "1.2.9")
    data.NumberOfFrames = len(stored)
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=list(AXIAL))]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[0.8, 0.7], SliceThickness=2.0)]
    shared.PixelValueTransformationSequence = [_item(RescaleSlope=1, RescaleIntercept=intercept, RescaleType="HU")]
    data.SharedFunctionalGroupsSequence = Items([shared])
    places = [_item(ImagePositionPatient=[float(x) for x in position]) for position in positions]
    data.PerFrameFunctionalGroupsSequence = Items([_item(PlanePositionSequence=[place]) for place in places])
    _encode(data, stored, ExplicitVRLittleEndian)
    return data


def write_series(
    folder: Path,
    array: NDArray[np.integer],
    affine: NDArray[np.floating] | None = None,
    *,
    intercept: int = -1024,
    shuffled: bool = True,
    **settings: Any,
) -> Path:
    """Write HU [slice, row, column] as a series whose file names say nothing of the order.

    `affine` takes voxel (column, row, slice, 1) to LPS mm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag((0.7, 0.8, 2.0, 1.0)) if affine is None else affine
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :2] / lengths[:2]
    order = np.random.default_rng(0).permutation(len(array)) if shuffled else np.arange(len(array))
    for name, k in enumerate(order):
        data = image(
            (array[k].astype(np.int32) - intercept).astype(settings.get("dtype", np.int16)),
            (affine @ (0, 0, k, 1))[:3].tolist(),
            orientation=directions.T.ravel().tolist(),
            spacing=(float(lengths[1]), float(lengths[0])),
            number=int(k) + 1,
            intercept=intercept,
            **{key: value for key, value in settings.items() if key != "dtype"},
        )
        save(data, folder / f"IM{name:04d}")
    return folder


def save(data: Dataset, path: Path) -> Path:
    """Write a data set as a DICOM file."""
    data.save_as(path, enforce_file_format=True)
    return path


def _common(stored: NDArray[np.integer], sop_class: UID, uid: str, series: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = UID(uid)
    data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = UID("1.2.3"), UID(series), UID("1.2.5")
    data.Modality, data.ImageType, data.SeriesNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], 2
    data.StudyDate, data.StudyTime, data.StudyID, data.PatientSex = "20200102", "101112", "7", "F"
    for keyword, value in IDENTIFYING.items():
        setattr(data, keyword, value)
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = stored.dtype.itemsize * 8
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(stored.dtype.kind == "i")
    return data


def _encode(data: Dataset, stored: NDArray[np.integer], syntax: str) -> None:
    little = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    plain = UID(syntax).is_encapsulated
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if plain else UID(syntax)
    data.PixelData = little.tobytes()
    data["PixelData"].VR = "OW"
    if plain:
        data.compress(UID(syntax), generate_instance_uid=False)


def _item(**elements: Any) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


COMPRESSED = (RLELossless, UID("1.2.840.10008.1.2.4.80"), UID("1.2.840.10008.1.2.4.90"))
