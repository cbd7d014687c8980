"""DICOM series made here: any orientation, any tilt, archives, several series, faults, and segmentations back."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
import zipfile
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from spleenseg.errors import UserError
from spleenseg.volumes import (
    Volume,
    case_name,
    is_scan,
    list_series,
    read_labels,
    read_volume,
    write_dicom_seg,
    write_labels,
    write_seg_nrrd,
    write_volume,
)

from .dicom_files import COMPRESSED, IDENTIFYING, enhanced, image, save, write_series

HU = np.random.default_rng(1).integers(-1000, 3000, (5, 36, 34), dtype=np.int16)
REQUIRED = (
    "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality SeriesNumber FrameOfReferenceUID "
    "Manufacturer ManufacturerModelName DeviceSerialNumber SoftwareVersions InstanceNumber ContentDate ContentTime "
    "ContentLabel ImageType SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated "
    "BitsStored SegmentationType "
    "NumberOfFrames SegmentSequence SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence "
    "DimensionOrganizationSequence DimensionIndexSequence ReferencedSeriesSequence PixelData"
)
MAY_BE_EMPTY = (
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID "
    "AccessionNumber ContentCreatorName ContentDescription PositionReferenceIndicator"
)
NAMES = {"spleen": 1, "left_kidney": 2}
LPS_TO_RAS = np.diag([-1.0, -1, 1, 1])
ORDERS = [(axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def refusal(path: Path, **asked: object) -> str:
    with pytest.raises(UserError) as caught:
        read_volume(path, **asked)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def labels_of(volume: Volume) -> NDArray[np.uint8]:
    labels = (volume.array > 500).astype(np.uint8)
    labels[volume.array > 1500] = 2
    return labels


def world_of_values(array: NDArray[np.integer], affine: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return where the values 0, 1, 2, ... of an array [k, j, i] lie."""
    kji = np.stack(np.unravel_index(np.argsort(array.ravel()), array.shape), -1)
    return nib.affines.apply_affine(affine, kji[:, ::-1])


@settings(max_examples=96, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.sampled_from(ORDERS), tilt=st.floats(-0.35, 0.35), turn=st.floats(-0.3, 0.3))
def test_every_orientation_and_tilt_keeps_every_voxel_and_its_place_and_segmentations_return_bit_exact(
    order: tuple[tuple[int, ...], tuple[int, ...]], tilt: float, turn: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("turned")
    axes, signs = order
    stored = np.random.default_rng(0).permutation(3 * 5 * 4).reshape(3, 5, 4).astype(np.int16)
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    sheared = np.array([[1, 0, 0], [0, 1, tilt], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = (turned @ np.eye(3)[:, list(axes)] * signs) @ sheared @ np.diag((0.7, 0.9, 2.5))
    affine[:3, 3] = (-31.5, 17.25, 880.0)

    volume = read_volume(write_series(folder / "series", stored, affine))
    np.testing.assert_allclose(
        world_of_values(volume.array, volume.affine), world_of_values(stored, LPS_TO_RAS @ affine), atol=1e-4
    )
    assert nib.aff2axcodes(volume.affine) == ("L", "P", "S")

    labels = (volume.array % 3).astype(np.uint8)
    write_dicom_seg(labels, volume, folder / "labels.dcm", NAMES)
    assert np.array_equal(read_labels(folder / "labels.dcm", volume), labels)
    write_volume(volume, folder / "scan.nii.gz")
    again = read_volume(folder / "scan.nii.gz")
    assert np.array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, atol=1e-4)
    assert np.array_equal(read_labels(folder / "labels.dcm", again), labels)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, *COMPRESSED],
    ids=lambda syntax: syntax.name,
)
def test_every_transfer_syntax_gives_the_same_voxels(syntax: str, tmp_path: Path) -> None:
    assert np.array_equal(read_volume(write_series(tmp_path / "s", HU, syntax=syntax)).array, HU)


def test_big_endian_reads_alike(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", HU)
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.PixelData = data.pixel_array.astype(">i2").tobytes()
        data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        pydicom.dcmwrite(file, data, little_endian=False, implicit_vr=False, force_encoding=True)
    assert np.array_equal(read_volume(folder).array, HU)


def test_unsigned_numbers_bits_above_the_stored_ones_and_slopes_become_hu(tmp_path: Path) -> None:
    stored = (HU[0].astype(np.int32) + 1024).clip(0, 4095).astype(np.uint16)
    dirty = stored | 0x5000  # an overlay above the twelve stored bits
    save(image(dirty, (0, 0, 0), BitsStored=12, HighBit=11), tmp_path / "a.dcm")
    assert np.array_equal(read_volume(tmp_path / "a.dcm").array[0], stored.astype(np.int16) - 1024)
    save(image(stored, (0, 0, 0), RescaleSlope=0.5, RescaleIntercept=-0.5), tmp_path / "b.dcm")
    assert np.array_equal(read_volume(tmp_path / "b.dcm").array[0], np.rint(stored * 0.5 - 0.5))
    save(image(stored, (0, 0, 0), RescaleSlope=100), tmp_path / "c.dcm")
    assert "HU must lie in" in refusal(tmp_path / "c.dcm")


def test_a_multi_frame_image_an_archive_and_a_folder_are_one_volume(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "case_7", HU)
    positions = np.array([(0, 0, 2.0 * k) for k in range(len(HU))])
    order = np.array([3, 0, 4, 1, 2])
    save(enhanced(HU[order] + 1024, positions[order]), tmp_path / "frames.dcm")
    with zipfile.ZipFile(tmp_path / "case_8.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/readme.txt", "not an image")
        for file in folder.iterdir():
            archive.write(file, f"../../{file.name}")  # nothing is ever unpacked
    before = sorted(tmp_path.rglob("*"))
    volumes = [read_volume(tmp_path / name) for name in ("case_7", "frames.dcm", "case_8.zip")]
    assert sorted(tmp_path.rglob("*")) == before
    assert [volume.case for volume in volumes] == ["case_7", "frames", "case_8"]
    for volume in volumes:
        assert np.array_equal(volume.array, HU)
        assert np.array_equal(volume.affine, volumes[0].affine)
        write_dicom_seg(labels_of(volume), volume, tmp_path / "labels.dcm", NAMES)
        assert np.array_equal(read_labels(tmp_path / "labels.dcm", volume), labels_of(volume))


def test_archives_beyond_the_limits_encrypted_or_damaged_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(128) + b"DICM" + bytes(3_000_000))
    monkeypatch.setattr("spleenseg.volumes.dicom.members._FREE_BYTES", 1_000_000)
    from spleenseg.volumes.dicom.members import members

    with pytest.raises(UserError, match="times its size"):
        members(path)
    monkeypatch.setattr("spleenseg.volumes.dicom.members._MOST_ENTRIES", 0)
    with pytest.raises(UserError, match="entries"):
        members(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match="not a zip archive"):
        members(path)


@pytest.mark.parametrize("size", [0, 100, 200])
@pytest.mark.parametrize("name", ["z.dcm", "Z.DCM", "IM0009", "IM12"])
def test_a_file_that_should_be_an_image_and_is_none_is_named_in_a_folder_and_in_an_archive(
    name: str, size: int, tmp_path: Path
) -> None:
    folder = write_series(tmp_path / "ct", HU)
    (folder / name).write_bytes(bytes(size))
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"export/{file.name}")
    for path in (folder, tmp_path / "ct.zip"):
        assert name in refusal(path)
        assert "no DICOM header" in refusal(path)
        with pytest.raises(UserError, match="no DICOM header"):
            list_series(path)


def test_a_link_that_leads_nowhere_is_named_and_several_broken_files_are_counted(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU)
    (folder / "y.dcm").symlink_to(tmp_path / "gone")
    (folder / "z.dcm").touch()
    assert "y.dcm (and 1 more): no DICOM header" in refusal(folder)


def test_what_usually_lies_beside_images_is_left_aside(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", HU)
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
        archive.writestr("__MACOSX/._a.dcm", b"of a file manager")
        archive.writestr("README", b"")
    for name in ("README.txt", "README", "VERSION", "DICOMDIR", "series.json", "LOCKFILE", "._IM0000", "._a.dcm"):
        (folder / name).write_bytes(b"")
    for path in (folder, tmp_path / "ct.zip"):
        assert np.array_equal(read_volume(path).array, HU)


def test_of_several_series_one_is_chosen_by_number_or_uid_and_scouts_do_not_count(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", HU)
    scout = image(HU[0], (0, 0, 0), series="1.2.77", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesNumber=1)
    save(scout, folder / "scout")
    report = image(HU[0], (0, 0, 0), series="1.2.78", ImagePositionPatient=None, SeriesNumber=99)
    save(report, folder / "report")
    assert np.array_equal(read_volume(folder).array, HU)

    write_series(tmp_path / "t", HU[:3] + 5, series="1.2.79", SeriesNumber=3, SeriesDescription="Doe^Jane thin")
    for file in (tmp_path / "t").iterdir():
        file.rename(folder / f"thin_{file.name}")
    message = refusal(folder)
    assert "choose one with --series: 2 (CT, 5 slices), 3 (CT, 3 slices)" in message
    assert "Jane" not in message
    assert len(read_volume(folder, series="3").array) == 3
    assert len(read_volume(folder, series="1.2.3.4").array) == 5
    assert "holds no series 8" in refusal(folder, series="8")
    assert "localizer" in refusal(folder, series="1")
    listed = {series.number: (series.slices, series.is_volume) for series in list_series(folder)}
    assert listed == {1: (1, False), 2: (5, True), 3: (3, True), 99: (1, False)}


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda folder: shutil.copy(folder / "IM0000", folder / "copy"), "two slices share the position"),
        (lambda folder: (folder / "IM0001").unlink(), "1 slice is missing"),
        (lambda folder: change(folder / "IM0001", ImageOrientationPatient=[0, 1, 0, 0, 0, 1]), "orientation"),
        (lambda folder: change(folder / "IM0001", PixelSpacing=[1, 1]), "pixel spacing"),
        (lambda folder: change(folder / "IM0001", Rows=18), "differ in size"),
        (lambda folder: change(folder / "IM0001", ImagePositionPatient=[3, 0, 2]), "sideways"),
        (lambda folder: change(folder / "IM0001", ImagePositionPatient=None), "no position"),
        (lambda folder: change(folder / "IM0001", PhotometricInterpretation="PALETTE COLOR"), "colour"),
        (lambda folder: change(folder / "IM0001", RescaleSlope="0"), "rescale slope is 0"),
        (lambda folder: change(folder / "IM0001", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localizer"),
    ],
)
def test_what_is_no_even_stack_of_slices_is_refused(spoil: object, word: str, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", HU, shuffled=False)
    spoil(folder)  # type: ignore[operator]
    assert word in refusal(folder)


def change(path: Path, **elements: object) -> None:
    data = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.save_as(path)


def test_interpolated_slices_are_linear_and_a_segmentation_returns_to_the_slices_that_exist(tmp_path: Path) -> None:
    ramp = np.broadcast_to((np.arange(6, dtype=np.int16) * 100)[:, None, None], (6, 8, 9)).copy()
    folder = write_series(tmp_path / "s", ramp, shuffled=False)
    (folder / "IM0003").unlink()
    message = refusal(folder)
    assert "gap between 4.00 and 8.00 mm" in message
    volume = read_volume(folder, allow_gaps=True)
    assert np.array_equal(volume.array, ramp)
    assert "5 slices interpolated onto 6 even positions 2 mm apart" in volume.notes[0]
    labels = (volume.array >= 300).astype(np.uint8)
    write_dicom_seg(labels, volume, tmp_path / "labels.dcm", {"spleen": 1})
    made = pydicom.dcmread(tmp_path / "labels.dcm")
    assert made.NumberOfFrames == 2
    found = read_labels(tmp_path / "labels.dcm", volume)
    assert np.array_equal(np.delete(found, 3, 0), np.delete(labels, 3, 0))


def test_positions_rounded_to_a_decimal_are_even(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    for k in range(12):
        save(image(HU[0], (0, 0, round(0.75 * k, 1)), number=k + 1), folder / f"{k}")
    volume = read_volume(folder)
    assert volume.spacing[2] == pytest.approx(0.75, abs=0.01)
    assert volume.notes == ()


def test_a_segmentation_refers_to_its_source_says_who_made_it_and_is_the_same_twice(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path / "s", HU))
    for name in ("a.dcm", "b.dcm"):
        write_dicom_seg(labels_of(volume), volume, tmp_path / name, NAMES, model="4f2a")
    assert hashlib.sha256((tmp_path / "a.dcm").read_bytes()).digest() == (
        hashlib.sha256((tmp_path / "b.dcm").read_bytes()).digest()
    )
    made = pydicom.dcmread(tmp_path / "a.dcm")
    assert (made.Modality, made.SegmentationType, made.PatientID) == ("SEG", "BINARY", IDENTIFYING["PatientID"])
    assert made.StudyInstanceUID == volume.source.study_uid
    referred = made.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == volume.source.series_uid
    assert {item.ReferencedSOPInstanceUID for item in referred.ReferencedInstanceSequence} == {
        f"1.2.3.4.{number}" for number in range(1, 6)
    }
    spleen, kidney = made.SegmentSequence
    assert (spleen.SegmentLabel, spleen.SegmentedPropertyTypeCodeSequence[0].CodeValue) == ("spleen", "78961009")
    side = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert side.CodeMeaning == "Left"
    write_dicom_seg(labels_of(volume), volume, tmp_path / "c.dcm", NAMES, model="other")
    assert pydicom.dcmread(tmp_path / "c.dcm").SOPInstanceUID != made.SOPInstanceUID


def test_a_segmentation_holds_what_the_standard_requires(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path / "s", HU))
    write_dicom_seg(labels_of(volume), volume, tmp_path / "a.dcm", NAMES)
    made = pydicom.dcmread(tmp_path / "a.dcm")
    assert [keyword for keyword in REQUIRED.split() if made.get(keyword) in (None, "")] == []
    assert [keyword for keyword in MAY_BE_EMPTY.split() if keyword not in made] == []
    for frame in made.PerFrameFunctionalGroupsSequence:
        assert len(frame.PlanePositionSequence[0].ImagePositionPatient) == 3
        assert frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber in (1, 2)
        assert frame.FrameContentSequence[0].DimensionIndexValues
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert source.ReferencedSOPInstanceUID.startswith("1.2.3.4.")
    shared = made.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.8, 0.7]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert made.FrameOfReferenceUID == "1.2.5"
    assert (made.BitsAllocated, made.BitsStored, made.HighBit, made.LossyImageCompression) == (1, 1, 0, "00")
    assert all(len(uid) <= 64 for uid in (made.SOPInstanceUID, made.SeriesInstanceUID))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian's dicom3tools) is not installed")
@pytest.mark.parametrize("anonymised", [False, True])
def test_the_validator_of_the_standard_finds_no_error_in_a_segmentation(tmp_path: Path, anonymised: bool) -> None:
    folder = write_series(tmp_path / "s", HU)
    if anonymised:
        _empty_uids(folder)
    volume = read_volume(folder)
    write_dicom_seg(labels_of(volume), volume, tmp_path / "a.dcm", NAMES)
    judged = subprocess.run(["dciodvfy", tmp_path / "a.dcm"], capture_output=True, text=True, check=False)
    said = (judged.stdout + judged.stderr).splitlines()
    assert "Segmentation" in said
    assert [line for line in said if line.startswith("Error")] == []


def test_a_segmentation_of_a_series_stripped_of_its_uids_has_uids_of_its_own(tmp_path: Path) -> None:
    made = []
    for name, voxels in (("a", HU), ("b", HU + 1)):
        folder = write_series(tmp_path / name, voxels)
        _empty_uids(folder)
        volume = read_volume(folder)
        write_dicom_seg(labels_of(volume), volume, tmp_path / f"{name}.dcm", NAMES)
        made.append(pydicom.dcmread(tmp_path / f"{name}.dcm"))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert made[0][keyword].value != made[1][keyword].value
        assert all(one[keyword].value for one in made)
    assert all(one.ReferencedSeriesSequence[0].SeriesInstanceUID for one in made)


def _empty_uids(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        data = pydicom.dcmread(path)
        data.StudyInstanceUID = data.SeriesInstanceUID = ""
        data.save_as(path)


def test_no_organ_at_all_is_a_segmentation_too(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path / "s", HU))
    write_dicom_seg(np.zeros(HU.shape, np.uint8), volume, tmp_path / "a.dcm", NAMES)
    assert not read_labels(tmp_path / "a.dcm", volume).any()


def test_what_no_segmentation_can_say_is_refused(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path / "s", HU))
    write_volume(volume, tmp_path / "scan.nii.gz")
    with pytest.raises(UserError, match="was not read from DICOM"):
        write_dicom_seg(labels_of(volume), read_volume(tmp_path / "scan.nii.gz"), tmp_path / "a.dcm", NAMES)
    with pytest.raises(ValueError, match=r"labels \[2\] have no name"):
        write_dicom_seg(labels_of(volume), volume, tmp_path / "a.dcm", {"spleen": 1})
    with pytest.raises(ValueError, match="value of its own"):
        write_seg_nrrd(labels_of(volume), volume, tmp_path / "a.seg.nrrd", {"spleen": 1, "liver": 1, "x": 2})
    assert not (tmp_path / "a.dcm").exists()


def test_a_segmentation_of_another_series_is_refused(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path / "s", HU))
    write_dicom_seg(labels_of(volume), volume, tmp_path / "a.dcm", NAMES)
    shifted = np.diag((0.7, 0.8, 2.0, 1.0))
    shifted[0, 3] = 0.3
    for affine in (shifted, np.diag((0.7, 0.8, 1.5, 1.0))):
        other = read_volume(write_series(tmp_path / f"t{affine[2, 2]}", HU, affine))
        with pytest.raises(UserError, match="another grid"):
            read_labels(tmp_path / "a.dcm", other)


def test_label_images_must_hold_labels(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path / "s", HU))
    write_series(tmp_path / "labels", labels_of(volume).astype(np.int16), intercept=0)
    assert np.array_equal(read_labels(tmp_path / "labels", volume), labels_of(volume))
    with pytest.raises(UserError, match=r"must lie in 0\.\.255"):
        read_labels(tmp_path / "s", volume)


def test_a_patient_is_a_pseudonym_with_a_key_and_the_case_without(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "case", HU)
    import hmac

    expected = hmac.new(b"key", IDENTIFYING["PatientID"].encode(), hashlib.sha256).hexdigest()[:12]
    assert read_volume(folder, key=b"key").patient == expected
    assert read_volume(folder, key=b"other").patient != expected
    assert read_volume(folder).patient == "case"


def test_nothing_of_the_patient_reaches_messages_warnings_logs_or_the_volume(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    caplog.set_level(logging.DEBUG)
    folder = write_series(tmp_path / "case", HU, PatientAge="Doe^Jane", AcquisitionDate="Doe^Jane came in May")
    caplog.clear(), recwarn.clear(), capfd.readouterr()
    volume = read_volume(folder, key=b"key")
    write_dicom_seg(labels_of(volume), volume, tmp_path / "a.dcm", NAMES)
    (folder / "IM0000").unlink()
    said = [refusal(folder), repr(volume), repr(volume.source), caplog.text, *capfd.readouterr()]
    said += [str(warning.message) for warning in recwarn]
    assert [value for value in (*IDENTIFYING.values(), "Jane") if any(value in text for text in said)] == []


def test_what_is_a_scan_is_known_from_names_and_first_bytes(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "case.v2", HU)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    for name in ("a.png", "b.txt", "c"):
        (tmp_path / name).write_bytes(b"x" * 200)
    (tmp_path / "empty").mkdir()
    assert is_scan(folder)
    assert is_scan(folder / "IM0000")
    assert not [name for name in ("a.png", "b.txt", "c", "empty", "x.zip", "gone") if is_scan(tmp_path / name)]
    assert not is_scan(tmp_path)
    assert case_name(folder) == "case.v2"
    assert case_name(folder / "IM0000") == "IM0000"


@pytest.mark.parametrize("stored", ["RAS", "LPS", "ASR"])
@pytest.mark.parametrize("declared", ["LAS", "IPR"])
def test_a_declared_orientation_turns_the_array_and_labels_still_return_to_the_file(
    stored: str, declared: str, tmp_path: Path
) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (3, 4, 5), dtype=np.int16)
    turn = nib.orientations.axcodes2ornt(tuple(stored))
    affine = np.zeros((4, 4))
    for axis, (world, sign) in enumerate(turn):
        affine[int(world), axis] = sign * (0.7, 0.9, 2.5)[axis]
    affine[:, 3] = (5, 6, 7, 1)
    nib.save(nib.Nifti1Image(array, affine), tmp_path / "scan.nii.gz")
    volume = read_volume(tmp_path / "scan.nii.gz", orientation=declared)

    claimed = np.zeros((4, 4))
    for axis, (world, sign) in enumerate(nib.orientations.axcodes2ornt(tuple(declared))):
        claimed[int(world), axis] = sign * (0.7, 0.9, 2.5)[axis]
    claimed[3, 3] = 1
    nib.save(nib.Nifti1Image(array, claimed), tmp_path / "claimed.nii.gz")
    meant = read_volume(tmp_path / "claimed.nii.gz")
    assert np.array_equal(volume.array, meant.array)
    np.testing.assert_allclose(volume.affine[:3, :3], meant.affine[:3, :3], atol=1e-6)
    assert volume.notes == (f"orientation overridden: {declared}, where the file says {stored}",)

    labels = (volume.array > 0).astype(np.uint8)
    write_labels(labels, volume, tmp_path / "labels.nii.gz")
    written = nib.load(tmp_path / "labels.nii.gz")
    assert np.array_equal(np.asarray(written.dataobj), array > 0)
    np.testing.assert_allclose(written.affine, affine, atol=1e-4)
    assert np.array_equal(read_labels(tmp_path / "labels.nii.gz", volume), labels)


@pytest.mark.parametrize("code", ["LA", "LAA", "XYZ", "", "LASR"])
def test_what_is_no_orientation_is_refused(code: str, tmp_path: Path) -> None:
    assert "is no orientation" in refusal(write_series(tmp_path / "s", HU), orientation=code)


_PEAK = """
import sys
from spleenseg.volumes import read_volume
from tests.volumes.fuzzing import peak_bytes
read_volume(sys.argv[1])
before = peak_bytes()
volume = read_volume(sys.argv[2])
print((peak_bytes() - before) / volume.array.nbytes)
"""


@pytest.mark.parametrize("kind", ["series", "zip", "int16.nii", "float32.nii.gz", "float64.nii", "float64.nii.gz"])
def test_reading_takes_at_most_three_times_the_memory_of_the_volume(kind: str, tmp_path: Path) -> None:
    large = np.random.default_rng(0).integers(-1000, 1000, (60, 512, 512), dtype=np.int16)
    paths = []
    for name, array in (("small", large[:2]), ("large", large)):
        path = write_series(tmp_path / name, array)
        if kind == "zip":
            with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", zipfile.ZIP_STORED) as archive:
                for file in path.iterdir():
                    archive.write(file, file.name)
            path = tmp_path / f"{name}.zip"
        if ".nii" in kind:
            path = tmp_path / f"{name}.{kind}"
            flat = array[: len(array) // 2].repeat(2, axis=0) // 64  # so that packing it takes no minute
            nib.save(nib.Nifti1Image(flat.T.astype(kind.split(".")[0]), np.diag([-1.0, -1, 2, 1])), path)
        paths.append(str(path))
    done = subprocess.run([sys.executable, "-c", _PEAK, *paths], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 3


def test_asking_for_help_loads_no_dicom_library() -> None:
    code = "import sys, spleenseg.cli.commands; sys.exit(bool({'pydicom', 'highdicom', 'gdcm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
