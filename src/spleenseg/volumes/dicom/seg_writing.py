"""Label maps as DICOM SEG that refer to the images they were made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from spleenseg.errors import UserError
from spleenseg.files import atomic
from spleenseg.volumes.dicom import codes
from spleenseg.volumes.dicom.headers import quietly
from spleenseg.volumes.dicom.source import DicomSource
from spleenseg.volumes.volume import Volume

_MAKER = "spleenseg"
_SERIES_AFTER = 1000  # our series number: the source's and this
_ARTIFICIAL_INTELLIGENCE = Code("123109", "DCM", "Artificial Intelligence")
_MOMENT = ("Date", "Time")
_UNKNOWN_MOMENT = {"Date": "19000101", "Time": "000000"}
_MAY_BE_EMPTY = (
    "PatientID PatientName PatientBirthDate PatientSex StudyID StudyDate StudyTime AccessionNumber "
    "ReferringPhysicianName"
)
_UIDS = {  # what must not be empty, and what tells one of a scan from another
    "SOPInstanceUID": "slice {}",
    "FrameOfReferenceUID": "frame of reference",
    "SeriesInstanceUID": "series",
    "StudyInstanceUID": "study",
}
_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}


def write(
    labels: NDArray[np.integer], like: Volume, path: Path, names: Mapping[str, int], model: str, version: str
) -> None:
    """Write a label map as `write_dicom_seg` says.

    Raises:
        UserError: `like` was not read from DICOM, its headers lack what the standard asks of a segmentation,
            or the file cannot be written.
    """
    source = like.source
    if source is None:
        raise UserError(f"{like.case}: was not read from DICOM, so no DICOM SEG can refer to it; write NIfTI")
    ordered = sorted(names.items(), key=lambda item: item[1])
    numbered = np.zeros(256, np.uint8)
    numbered[[value for _, value in ordered]] = np.arange(1, len(ordered) + 1)
    frames = numbered[_on_source_slices(labels.astype(np.uint8), like, source)]
    seed = _seed(source, frames, [name for name, _ in ordered], model)
    with quietly():
        images = [_completed(image, number, like, source) for number, image in enumerate(source.load())]
        made = _segmentation(images, frames, [name for name, _ in ordered], seed, model, version, like.case)
        made.ContentCreatorName = None  # required to be there, and nobody's
        _fix_moments(made, images[0], seed)
        with atomic(path) as temporary:
            made.save_as(temporary, enforce_file_format=True)


def _on_source_slices(labels: NDArray[np.uint8], like: Volume, source: DicomSource) -> NDArray[np.uint8]:
    """Return [frame, row, column] for every source frame in its own order: the nearest slice of the grid."""
    slices = like.stored.axis_map.to_stored(labels).transpose(2, 1, 0)
    world = source.positions * (-1, -1, 1)
    places = (world - like.stored.affine[:3, 3]) @ np.linalg.inv(like.stored.affine[:3, :3]).T
    nearest = np.clip(np.rint(places[:, 2]).astype(int), 0, len(slices) - 1)
    order = np.argsort(source.frames) if source.frames else np.arange(len(nearest))
    return np.ascontiguousarray(slices[nearest[order]], np.uint8)


def _segmentation(
    images: list[Dataset],
    frames: NDArray[np.uint8],
    names: list[str],
    seed: list[str],
    model: str,
    version: str,
    case: str,
) -> Segmentation:
    try:
        return Segmentation(
            source_images=images,
            pixel_array=frames,
            segmentation_type="BINARY",
            segment_descriptions=[_described(number, name, model, version) for number, name in enumerate(names, 1)],
            series_instance_uid=generate_uid(entropy_srcs=[*seed, "series"]),
            series_number=int(images[0].get("SeriesNumber") or 0) + _SERIES_AFTER,
            sop_instance_uid=generate_uid(entropy_srcs=[*seed, "instance"]),
            instance_number=1,
            manufacturer=_MAKER,
            manufacturer_model_name=_MAKER,
            software_versions=version,
            device_serial_number=model[:16] or version,
            content_label="SEGMENTATION",
            series_description="Segmentation",
        )
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{case}: its DICOM headers lack what a segmentation object needs ({_lack(error)}); write NIfTI"
        ) from None


def _completed(image: Dataset, number: int, like: Volume, source: DicomSource) -> Dataset:
    """Add what anonymisers and careless exports left out and the standard lets be empty, or follows from the rest."""
    for keyword in _MAY_BE_EMPTY.split():
        if keyword not in image:
            setattr(image, keyword, None)
    if not image.get("SOPClassUID") and str(image.get("Modality")) in _CLASSES:
        image.SOPClassUID = _CLASSES[str(image.Modality)]
    origin = source.series_uid or hashlib.sha256(like.array.tobytes()).hexdigest()
    for keyword, part in _UIDS.items():
        if not image.get(keyword):
            setattr(image, keyword, generate_uid(entropy_srcs=[origin, part.format(number)]))
    if "NumberOfFrames" not in image and not image.get("SliceThickness"):
        image.SliceThickness = f"{np.linalg.norm(like.stored.affine[:3, 2]):.6g}"
    return image


def _lack(error: Exception) -> str:
    """Name the missing attribute, never a value."""
    name = getattr(error, "name", None)
    return str(name) if name else type(error).__name__


def _described(number: int, name: str, model: str, version: str) -> SegmentDescription:
    algorithm = AlgorithmIdentificationSequence(
        name=_MAKER,
        version=version,
        family=_ARTIFICIAL_INTELLIGENCE,
        parameters={"model": model} if model else None,
    )
    side = codes.side(name)
    made = SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=_code(codes.ORGAN_CATEGORY),
        segmented_property_type=_code(codes.organ(name)),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
    )
    if side is not None:
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_item(side)]
    return made


def _code(code: codes.Code) -> Code:
    return Code(code[0], "SCT", code[1])


def _item(code: codes.Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[0], "SCT", code[1]
    return item


def _seed(source: DicomSource, frames: NDArray[np.uint8], names: list[str], model: str) -> list[str]:
    """Return what the new UIDs follow from: the same labels of the same series by the same model, the same UIDs."""
    return [source.study_uid, source.series_uid, hashlib.sha256(frames.tobytes()).hexdigest(), *names, model]


def _fix_moments(made: Dataset, image: Dataset, seed: list[str]) -> None:
    """Take moments from the source, and UIDs from the content, so that two runs write the same bytes."""
    moment = {
        kind: str(image.get(f"Series{kind}") or image.get(f"Study{kind}") or _UNKNOWN_MOMENT[kind]) for kind in _MOMENT
    }
    for prefix in ("Content", "Series", "InstanceCreation"):
        for kind in _MOMENT:
            if f"{prefix}{kind}" in made:
                setattr(made, f"{prefix}{kind}", moment[kind])
    for item in made.get("ContributingEquipmentSequence") or ():
        item.ContributionDateTime = moment["Date"] + moment["Time"]
    known: dict[str, Any] = {}
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        old = str(item.DimensionOrganizationUID)
        item.DimensionOrganizationUID = known.setdefault(
            old, generate_uid(entropy_srcs=[*seed, f"dimensions {len(known)}"])
        )
