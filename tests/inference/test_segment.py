from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.remarks import Remarks

from spleenseg.errors import UserError
from spleenseg.inference import cohort, one_scan, reading
from spleenseg.inference.scans import find_scans
from spleenseg.inference.segment import segment
from spleenseg.render.canvas import Canvas
from spleenseg.volumes import Volume, apply_window, read_labels, read_volume, write_volume

from ..volumes.dicom_files import write_series
from .runs import SPLEEN, blocks, brightness_run, write_scan


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder: organ is what is brighter than 40 HU."""
    return brightness_run(tmp_path_factory.mktemp("run"), [0.5])


def truth(hu: np.ndarray) -> np.ndarray:
    return apply_window(hu, (-160, 240)) >= 127.5


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.name != "run.log.csv")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_folder_of_scans_becomes_the_files_of_the_contract(tmp_path, run):
    for index in (1, 2):
        write_scan(tmp_path / "ct" / f"case_{index}.nii.gz", blocks((3, 32, 16), seed=index))
    (tmp_path / "ct" / "notes.txt").write_text("not a scan")
    (tmp_path / "ct" / "._case_1.nii.gz").write_text("left by a file manager")
    summary = segment([tmp_path / "ct"], tmp_path / "out", run, probabilities=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    made = {f"case_{index}{kind}" for index in (1, 2) for kind in (".nii.gz", "_overlay.png", "_prob.nii.gz")}
    assert names == made | {"volumes.csv", "run.log.csv", ".spleenseg.json"}
    assert [(scan.case, scan.status) for scan in summary.scans] == [("case_1", "done"), ("case_2", "done")]
    assert "2 of 2 scans segmented" in summary.summary()


def test_labels_probabilities_and_volumes_say_the_same(tmp_path, run):
    hu = blocks((3, 32, 16), seed=3)
    volume = write_scan(tmp_path / "a.nii.gz", hu, spacing=(0.8, 0.7, 3.0))
    summary = segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, probabilities=True)
    labels = read_labels(tmp_path / "out" / "a.nii.gz", like=volume)
    np.testing.assert_array_equal(labels, truth(hu))
    (row,) = rows(tmp_path / "out" / "volumes.csv")
    ml = truth(hu).sum() * 0.8 * 0.7 * 3.0 / 1000
    assert (row["case"], row["label"], row["touches_border"]) == ("a", "spleen", "yes")
    assert float(row["volume_ml"]) == pytest.approx(ml, abs=1e-3)
    assert float(row["mean_hu"]) == pytest.approx(hu[truth(hu)].mean(), abs=0.05)
    assert summary.scans[0].volumes_ml == {"spleen": pytest.approx(ml, abs=1e-3)}
    import nibabel

    stored = nibabel.load(tmp_path / "out" / "a_prob.nii.gz")
    assert stored.get_data_dtype() == np.float32
    np.testing.assert_array_equal(stored.get_fdata().transpose(2, 1, 0) >= 0.5, labels)


def test_the_overlay_is_a_picture_with_the_organ_marked(tmp_path, run):
    hu = np.full((6, 32, 16), -100, np.int16)
    write_scan(tmp_path / "none.nii.gz", hu)
    hu[2:4, 8:24, 4:12] = 100
    write_scan(tmp_path / "some.nii.gz", hu)
    segment([tmp_path / "none.nii.gz", tmp_path / "some.nii.gz"], tmp_path / "out", run)
    colourful = {}
    for case in ("none", "some"):
        picture = np.asarray(Image.open(tmp_path / "out" / f"{case}_overlay.png")).astype(int)[70:]
        colourful[case] = int((np.ptp(picture, axis=2) > 60).sum())
    assert colourful["none"] == 0
    assert colourful["some"] > 100


def test_an_organ_inside_the_scan_does_not_touch_its_border_and_none_has_no_mean(tmp_path, run):
    hu = np.full((6, 32, 16), -100, np.int16)
    write_scan(tmp_path / "none.nii.gz", hu)
    hu[2:4, 8:24, 4:12] = 100
    write_scan(tmp_path / "some.nii.gz", hu)
    segment([tmp_path / "none.nii.gz", tmp_path / "some.nii.gz"], tmp_path / "out", run)
    none, some = rows(tmp_path / "out" / "volumes.csv")
    assert (none["volume_ml"], none["slices"], none["mean_hu"], none["touches_border"]) == ("0.0", "0", "", "no")
    assert (some["slices"], some["mean_hu"], some["touches_border"]) == ("2", "100.0", "no")


ORDERS = [
    (axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)
]  # all 48 ways to store a scan


@pytest.mark.parametrize("order", [ORDERS[index] for index in (0, 7, 13, 21, 34, 47)])
def test_a_scan_stored_in_another_axis_order_gives_the_same_mask_on_its_own_grid(tmp_path, run, order):
    axes, signs = order
    hu = blocks((5, 40, 24), seed=9)  # not square, not the model's size
    plain = write_scan(tmp_path / "plain.nii.gz", hu)
    affine = plain.affine.copy()
    stored = hu.transpose(2, 1, 0)
    for axis, sign in enumerate(signs):
        if sign < 0:
            stored = np.flip(stored, axis)
            affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
            affine[:3, axis] *= -1
    affine[:, :3] = affine[:, axes]
    other = Volume.from_stored(np.ascontiguousarray(stored.transpose(axes)), affine, case="other")
    write_volume(other, tmp_path / "other.nii.gz")
    segment([tmp_path / "plain.nii.gz", tmp_path / "other.nii.gz"], tmp_path / "out", run)
    expected = read_labels(tmp_path / "out" / "plain.nii.gz", like=plain)
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "other.nii.gz", like=plain), expected)
    import nibabel

    written = nibabel.load(tmp_path / "out" / "other.nii.gz")
    assert written.shape == other.stored.shape
    np.testing.assert_allclose(written.affine, nibabel.load(tmp_path / "other.nii.gz").affine)


def test_two_runs_give_the_same_bytes_in_every_file_but_the_log(tmp_path, run):
    write_scan(tmp_path / "a.nii.gz", blocks((3, 32, 16)))
    for name in ("one", "two"):
        segment([tmp_path / "a.nii.gz"], tmp_path / name, run, probabilities=True)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_a_broken_scan_is_named_and_the_others_go_on(tmp_path, run):
    folder = tmp_path / "ct"
    for case in ("a", "c"):
        write_scan(folder / f"{case}.nii.gz", blocks((2, 32, 16)))
    (folder / "b.nii.gz").write_bytes((folder / "a.nii.gz").read_bytes()[:200])
    remarks = Remarks()
    summary = segment([folder], tmp_path / "out", run, reporter=remarks)
    assert [scan.status for scan in summary.scans] == ["done", "failed", "done"]
    assert [scan.case for scan in summary.failed] == ["b"]
    assert next(line for line in remarks.warnings if "failed" in line).startswith("b failed")
    assert "failed: b" in summary.summary()
    log = rows(tmp_path / "out" / "run.log.csv")
    assert [row["status"] for row in log] == ["done", "failed", "done"]
    assert "b.nii.gz" in log[1]["message"]
    assert [row["case"] for row in rows(tmp_path / "out" / "volumes.csv")] == ["a", "c"]
    assert not (tmp_path / "out" / "b.nii.gz").exists()


def test_a_failed_scan_is_tried_again_with_resume_once_it_is_mended(tmp_path, run):
    folder = tmp_path / "ct"
    write_scan(folder / "a.nii.gz", blocks((2, 32, 16)))
    whole = (folder / "a.nii.gz").read_bytes()
    (folder / "b.nii.gz").write_bytes(whole[:200])
    segment([folder], tmp_path / "out", run)
    (folder / "b.nii.gz").write_bytes(whole)
    summary = segment([folder], tmp_path / "out", run, resume=True)
    assert [scan.status for scan in summary.scans] == ["kept", "done"]
    assert [row["case"] for row in rows(tmp_path / "out" / "volumes.csv")] == ["a", "b"]


def test_the_only_scan_that_fails_is_an_error_and_the_next_try_needs_no_flag(tmp_path, run):
    (tmp_path / "a.nii.gz").write_bytes(b"not a scan at all")
    with pytest.raises(UserError, match=r"a\.nii\.gz"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    assert segment([tmp_path / "a.nii.gz"], tmp_path / "out", run).scans[0].status == "done"


def test_a_scan_that_is_no_ct_is_refused(tmp_path, run, monkeypatch):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    monkeypatch.setattr(reading, "read_volume", lambda path, **asked: read_volume(path, modality="MR", **asked))
    with pytest.raises(UserError, match="is MR; only CT"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)


def test_the_picture_of_a_tilted_scan_tells_the_volume_of_the_table(tmp_path, run, monkeypatch):
    written, affine = [], np.diag([-5.0, -5.0, 5.0, 1.0])
    affine[1, 2] = 3.0  # a gantry tilted by 31 degrees: the slices lie 5 mm apart, their corners 5.83 mm
    stored = np.ascontiguousarray(blocks((3, 32, 16)).transpose(2, 1, 0))
    write_volume(Volume.from_stored(stored, affine, case="a"), tmp_path / "a.nii.gz")
    monkeypatch.setattr(Canvas, "write", lambda sheet, line, *args, **kwargs: written.append(line))
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    (row,) = rows(tmp_path / "out" / "volumes.csv")
    assert f"spleen: {float(row['volume_ml']):.1f} mL" in written


def test_existing_outputs_are_refused_without_resume_and_kept_with_it(tmp_path, run):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    before = digest(tmp_path / "out")
    stamp = (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns
    with pytest.raises(UserError, match="--resume"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    summary = segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, resume=True)
    assert summary.scans[0].status == "kept"
    assert summary.scans[0].volumes_ml["spleen"] > 0
    assert digest(tmp_path / "out") == before
    assert (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("lost", ["a.nii.gz", "a_overlay.png", "volumes.csv"])
def test_a_case_counts_as_done_only_when_all_its_files_are_there(tmp_path, run, lost):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    before = digest(tmp_path / "out")
    (tmp_path / "out" / lost).unlink()
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, resume=True)
    assert digest(tmp_path / "out") == before


def test_probabilities_asked_for_later_are_added(tmp_path, run):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    summary = segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, probabilities=True, resume=True)
    assert summary.scans[0].status == "done"
    assert (tmp_path / "out" / "a_prob.nii.gz").exists()
    assert segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, resume=True).scans[0].status == "kept"


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("module", "step"),
    [(one_scan, "write_labels"), (one_scan, "volume_overlay"), (one_scan, "measure"), (cohort, "write_csv")],
)
def test_a_run_killed_at_any_step_goes_on_to_the_same_bytes(tmp_path, run, monkeypatch, module, step):
    for index in (1, 2, 3):
        write_scan(tmp_path / "ct" / f"case_{index}.nii.gz", blocks((2, 32, 16), seed=index))
    segment([tmp_path / "ct"], tmp_path / "whole", run)
    real, calls = getattr(module, step), []

    def dies_the_second_time(*args, **kwargs):
        calls.append(step)
        if len(calls) == 2:
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(module, step, dies_the_second_time)
    with pytest.raises(Killed):
        segment([tmp_path / "ct"], tmp_path / "out", run)
    monkeypatch.setattr(module, step, real)
    summary = segment([tmp_path / "ct"], tmp_path / "out", run, resume=True)
    assert summary.scans[0].status == "kept"
    assert digest(tmp_path / "out") == digest(tmp_path / "whole")


def test_a_mask_corrected_by_hand_is_never_overwritten(tmp_path, run):
    for case in ("a", "b"):
        write_scan(tmp_path / "ct" / f"{case}.nii.gz", blocks((2, 32, 16)))
    segment([tmp_path / "ct"], tmp_path / "out", run)
    (tmp_path / "out" / "a.nii.gz").write_bytes(b"corrected by hand")
    (tmp_path / "out" / "a_overlay.png").unlink()
    summary = segment([tmp_path / "ct"], tmp_path / "out", run, resume=True)
    assert [scan.status for scan in summary.scans] == ["failed", "kept"]
    assert "changed since" in summary.failed[0].message
    assert (tmp_path / "out" / "a.nii.gz").read_bytes() == b"corrected by hand"


@pytest.mark.parametrize("others", [0, 1])
def test_a_mask_drawn_where_a_scan_failed_is_never_overwritten(tmp_path, run, others):
    write_scan(tmp_path / "ct" / "s.nii.gz", blocks((2, 32, 16)))
    for index in range(others):
        write_scan(tmp_path / "ct" / f"other_{index}.nii.gz", blocks((2, 32, 16)))
    with suppress(UserError):  # of a scan alone
        segment([tmp_path / "ct"], tmp_path / "out", run, max_memory="100MB")
    assert not (tmp_path / "out" / "s.nii.gz").exists()
    (tmp_path / "out" / "s.nii.gz").write_text("mine")
    with pytest.raises(UserError, match="did not make it"):
        segment([tmp_path / "ct"], tmp_path / "out", run, resume=True)
    assert (tmp_path / "out" / "s.nii.gz").read_text() == "mine"


def break_off(tmp_path, run, monkeypatch, failure):
    """Segment a.nii.gz up to its label map, then raise `failure`."""

    def fails(*args, **kwargs):
        raise failure

    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    monkeypatch.setattr(one_scan, "measure", fails)
    with pytest.raises(failure):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    monkeypatch.undo()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_table_made_where_the_only_scan_failed_is_never_overwritten(tmp_path, run, monkeypatch, failure):
    break_off(tmp_path, run, monkeypatch, failure)
    (tmp_path / "out" / "volumes.csv").write_text("mine")
    with pytest.raises(UserError, match="did not make it"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, resume=True)


def test_a_mask_left_by_an_interrupted_scan_and_corrected_is_never_overwritten(tmp_path, run, monkeypatch):
    break_off(tmp_path, run, monkeypatch, KeyboardInterrupt)
    (tmp_path / "out" / "a.nii.gz").write_bytes(b"corrected by hand")
    with pytest.raises(UserError, match="changed since"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, resume=True)


@pytest.mark.parametrize("name", ["a.nii.gz", "a_overlay.png", "volumes.csv", "run.log.csv"])
@pytest.mark.parametrize("resume", [False, True])
def test_files_of_the_users_are_never_overwritten(tmp_path, run, name, resume):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UserError, match="did not make it"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, resume=resume)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_other_files_in_the_output_folder_do_no_harm(tmp_path, run):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "readme.txt").write_text("mine")
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    assert (tmp_path / "out" / "readme.txt").read_text() == "mine"


@pytest.mark.parametrize("target", ["ct", "link", "ct/../ct"])
def test_an_output_folder_that_holds_an_input_is_refused(tmp_path, run, target):
    write_scan(tmp_path / "ct" / "a.nii.gz", blocks((2, 32, 16)))
    (tmp_path / "link").symlink_to(tmp_path / "ct")
    before = (tmp_path / "ct" / "a.nii.gz").read_bytes()
    with pytest.raises(UserError, match="holds the input"):
        segment([tmp_path / "ct" / "a.nii.gz"], tmp_path / target, run)
    assert (tmp_path / "ct" / "a.nii.gz").read_bytes() == before
    assert len(list((tmp_path / "ct").iterdir())) == 1


def test_an_output_folder_that_is_the_input_is_named_where_both_are_a_dot(tmp_path, run, monkeypatch):
    write_series(tmp_path / "CT_1", blocks((2, 32, 16)))
    monkeypatch.chdir(tmp_path / "CT_1")
    with pytest.raises(UserError, match="holds the input CT_1;"):
        segment(["."], ".", run)


def test_asking_for_a_series_of_what_is_no_dicom_is_warned_of(tmp_path, run):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    remarks = Remarks()
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run, reading=reading.Reading(series="99"), reporter=remarks)
    assert "a: is no DICOM; --series 99 says nothing about it" in remarks.warnings


def test_a_scan_whose_lengths_are_metres_of_unknown_unit_fails_and_stated_ones_are_read(tmp_path, run):
    import nibabel

    hu = blocks((2, 32, 16)).transpose(2, 1, 0)
    for name, unit in (("stated", "meter"), ("unknown", "unknown")):
        image = nibabel.Nifti1Image(hu, np.diag([-0.0008, -0.0007, 0.003, 1]))
        image.header.set_xyzt_units(unit)
        (tmp_path / "ct").mkdir(exist_ok=True)
        nibabel.save(image, tmp_path / "ct" / f"{name}.nii.gz")
    summary = segment([tmp_path / "ct"], tmp_path / "out", run)
    assert [(scan.case, scan.status) for scan in summary.scans] == [("stated", "done"), ("unknown", "failed")]
    assert "voxels of 0.0008x0.0007x0.003 mm are too small" in summary.failed[0].message


def test_a_link_to_a_scan_elsewhere_is_not_written_over_either(tmp_path, run):
    write_scan(tmp_path / "real" / "a.nii.gz", blocks((2, 32, 16)))
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "a.nii.gz").symlink_to(tmp_path / "real" / "a.nii.gz")
    for folder in ("ct", "real"):
        with pytest.raises(UserError, match="holds the input"):
            segment([tmp_path / "ct"], tmp_path / folder, run)


def test_two_scans_of_one_name_are_refused_before_any_work(tmp_path):
    for path in ("x/a.nii.gz", "y/a.nii", "z/A.nii.gz"):
        write_scan(tmp_path / path, blocks((1, 8, 8)))
    for pair in (("x", "y"), ("x", "z")):
        with pytest.raises(UserError, match="both called"):
            segment([tmp_path / name for name in pair], tmp_path / "out", tmp_path / "no model is looked at")
    assert not (tmp_path / "out").exists()


def test_a_scan_called_like_another_ones_output_is_refused(tmp_path, run):
    for case in ("a", "a_prob"):
        write_scan(tmp_path / "ct" / f"{case}.nii.gz", blocks((1, 8, 8)))
    with pytest.raises(UserError, match="would both write"):
        segment([tmp_path / "ct"], tmp_path / "out", run, probabilities=True)
    assert len(segment([tmp_path / "ct"], tmp_path / "out", run).scans) == 2


def test_another_model_or_threshold_is_not_mixed_into_the_results(tmp_path, run):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    other = brightness_run(tmp_path / "other", [0.6])
    for model, threshold in ((run, 0.3), (other, 0.5)):
        with pytest.raises(UserError, match="another model or threshold"):
            segment([tmp_path / "a.nii.gz"], tmp_path / "out", model, threshold=threshold, resume=True)


def test_another_scan_of_the_same_name_is_not_taken_for_the_finished_one(tmp_path, run):
    write_scan(tmp_path / "x" / "a.nii.gz", blocks((2, 32, 16), seed=1))
    write_scan(tmp_path / "y" / "a.nii.gz", blocks((2, 32, 16), seed=2))
    segment([tmp_path / "x"], tmp_path / "out", run)
    before = digest(tmp_path / "out")
    with pytest.raises(UserError, match="another scan called a"):
        segment([tmp_path / "y"], tmp_path / "out", run, resume=True)
    assert digest(tmp_path / "out") == before


def test_a_second_folder_of_scans_adds_to_the_same_table(tmp_path, run):
    write_scan(tmp_path / "x" / "b.nii.gz", blocks((2, 32, 16), seed=1))
    write_scan(tmp_path / "y" / "a.nii.gz", blocks((2, 32, 16), seed=2))
    segment([tmp_path / "x"], tmp_path / "out", run)
    segment([tmp_path / "y"], tmp_path / "out", run, resume=True)
    assert [row["case"] for row in rows(tmp_path / "out" / "volumes.csv")] == ["a", "b"]


def test_a_model_that_records_nothing_is_refused(tmp_path, run):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    bare = tmp_path / "bare"
    shutil.copytree(run, bare)
    (bare / "run.json").unlink()
    with pytest.raises(UserError, match=r"run\.json"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", bare)
    facts = json.loads((run / "run.json").read_text())
    del facts["expectation"]
    (bare / "run.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match="expectation"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", bare)


def test_several_labels_are_one_row_each(tmp_path):
    labels = {"spleen": 1, "liver": 2}
    run = brightness_run(tmp_path / "run", [0.3, 0.7], SPLEEN.model_copy(update={"labels": labels}), num_classes=3)
    hu = blocks((2, 32, 16))
    volume = write_scan(tmp_path / "a.nii.gz", hu)
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    found = read_labels(tmp_path / "out" / "a.nii.gz", like=volume)
    table = rows(tmp_path / "out" / "volumes.csv")
    assert [row["label"] for row in table] == ["spleen", "liver"]
    for row, value in zip(table, (1, 2), strict=True):
        assert float(row["volume_ml"]) == pytest.approx((found == value).sum() * volume.voxel_ml, abs=1e-3)


def test_an_organ_alone_keeps_the_value_its_dataset_gave_it(tmp_path):
    run = brightness_run(tmp_path / "run", [0.5], SPLEEN.model_copy(update={"labels": {"liver": 6}}))
    hu = blocks((2, 32, 16))
    volume = write_scan(tmp_path / "a.nii.gz", hu)
    summary = segment([tmp_path / "a.nii.gz"], tmp_path / "out", run)
    labels = read_labels(tmp_path / "out" / "a.nii.gz", like=volume)
    np.testing.assert_array_equal(labels, truth(hu) * 6)
    assert summary.scans[0].volumes_ml == {"liver": pytest.approx(truth(hu).sum() * volume.voxel_ml, abs=1e-3)}


def test_scans_are_found_by_file_folder_and_pattern_each_once(tmp_path, monkeypatch):
    for name in ("b.nii.gz", "a.nii", "c.NII.GZ"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    given = [Path("b.nii.gz"), tmp_path, Path("*.nii*")]
    assert [scan.case for scan in find_scans(given)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([], "nothing to segment"),
        (["missing.nii.gz"], "no such file"),
        (["*.nothing"], "nothing matches"),
        (["empty"], "holds no scan"),
        (["a.txt"], "not a scan"),
    ],
)
def test_inputs_that_are_no_scans_are_refused(tmp_path, given, complaint):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UserError, match=complaint):
        find_scans([tmp_path / name for name in given])


@pytest.mark.full
@pytest.mark.parametrize("files", [1, 4, 6])
def test_a_process_killed_outright_goes_on_to_the_same_bytes(tmp_path, run, files):
    for index in range(4):
        tissue = blocks((40, 256, 256), seed=index, high=200)  # with bone it would look like a head
        write_scan(tmp_path / "ct" / f"case_{index}.nii.gz", tissue)
    segment([tmp_path / "ct"], tmp_path / "whole", run)
    out = tmp_path / "out"
    script = "import sys; from spleenseg.inference.segment import segment; segment([sys.argv[1]], *sys.argv[2:])"
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path / "ct", out, run])
    while process.poll() is None and len(list(out.glob("case_*"))) < files:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert len(list(out.glob("case_*"))) < 8
    summary = segment([tmp_path / "ct"], out, run, resume=True)
    assert sum(scan.status == "kept" for scan in summary.scans) >= (files - 1) // 2
    assert digest(out) == digest(tmp_path / "whole")


def test_a_real_scan_is_segmented_on_its_own_grid(tmp_path, real_data):
    run = brightness_run(tmp_path / "run", [0.5], image_width=256, image_height=256)
    source = real_data / "amos-0001" / "ct.nii.gz"
    segment([source], tmp_path / "out", run)
    volume = read_volume(source)
    labels = read_labels(tmp_path / "out" / "ct.nii.gz", like=volume)
    assert labels.shape == volume.array.shape
    bright = apply_window(volume.array, (-160, 240)) >= 127.5
    both = np.count_nonzero(bright & (labels > 0))
    assert 2 * both / (bright.sum() + labels.sum()) > 0.85  # the network sees a third of its pixels a side
    import nibabel

    ours, theirs = nibabel.load(tmp_path / "out" / "ct.nii.gz"), nibabel.load(source)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)


def test_series_below_a_folder_of_dicom_are_taken_too(tmp_path):
    for name in ("export", "export/CT_1", "export/deep/CT_2"):
        write_series(tmp_path / name, blocks((1, 8, 8)))
    remarks = Remarks()
    assert [scan.case for scan in find_scans([tmp_path / "export"], remarks)] == ["CT_1", "CT_2", "export"]
    assert not remarks.warnings


def test_files_below_that_are_not_taken_are_counted_in_one_line(tmp_path):
    for name in ("a.nii.gz", "more/b.nii.gz", "more/c.nrrd", ".hidden/d.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    remarks = Remarks()
    assert [scan.case for scan in find_scans([tmp_path], remarks)] == ["a"]
    (line,) = remarks.warnings
    assert "2 scans below were not taken" in line
    remarks = Remarks()
    assert len(find_scans([tmp_path, tmp_path / "more"], remarks)) == 3
    assert not remarks.warnings


def breakages(folder, good):
    """Make broken scans of every kind in a folder; return their cases, sorted."""
    (folder / "series").mkdir(parents=True)
    for index in range(3):
        (folder / "series" / f"{index}.dcm").touch()
    (folder / "series" / "README.txt").write_text("of the exporter")
    (folder / "text.zip").write_bytes(b"no archive")
    with zipfile.ZipFile(folder / "cut.zip", "w") as archive:
        for file in good.iterdir():
            archive.write(file, file.name)
    whole = (folder / "cut.zip").read_bytes()
    (folder / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (folder / "dead.nii.gz").symlink_to(folder / "gone")
    (folder / "circle.mha").symlink_to(folder / "circle.mha")
    for name in ("zero.dcm", "empty.nii.gz", "header.nrrd"):
        (folder / name).touch()
    return ["circle", "cut", "dead", "empty", "header", "series", "text", "zero"]


def test_broken_scans_of_every_kind_fail_by_name_and_the_others_go_on(tmp_path, run):
    good = write_series(tmp_path / "ct" / "good", blocks((2, 32, 16)))
    cases = breakages(tmp_path / "ct", good)
    (tmp_path / "ct" / "notes.txt").write_text("no scan")
    summary = segment([tmp_path / "ct"], tmp_path / "out", run)
    assert {scan.case: scan.status for scan in summary.scans} == {"good": "done", **dict.fromkeys(cases, "failed")}
    log = {row["case"]: row["message"] for row in rows(tmp_path / "out" / "run.log.csv")}
    assert "0.dcm (and 2 more): no DICOM header" in log["series"]
    assert "not a zip archive" in log["text"]
    assert "zero.dcm: no DICOM header" in log["zero"]


def test_a_broken_scan_that_is_named_does_not_keep_the_others_from_being_segmented(tmp_path, run):
    good = write_series(tmp_path / "good", blocks((2, 32, 16)))
    breakages(tmp_path / "ct", good)
    given = [tmp_path / "ct" / name for name in ("text.zip", "dead.nii.gz", "zero.dcm", "series")]
    summary = segment([given[0], good, *given[1:]], tmp_path / "out", run)
    assert sorted((scan.case, scan.status) for scan in summary.scans) == [
        ("dead", "failed"),
        ("good", "done"),
        ("series", "failed"),
        ("text", "failed"),
        ("zero", "failed"),
    ]
    with pytest.raises(UserError, match="not a zip archive"):
        segment(given[:1], tmp_path / "alone", run)


def test_series_behind_links_are_taken_once_and_links_in_circles_end(tmp_path):
    outside = write_series(tmp_path / "disk" / "DICOM", blocks((1, 8, 8)))
    ct = tmp_path / "study" / "ct"
    write_series(ct / "z_real", blocks((1, 8, 8)))
    (ct / "p1").symlink_to(outside)
    (ct / "a_link").symlink_to(ct / "z_real")
    (ct / "self").symlink_to(ct)
    (ct / "z_real" / "up").symlink_to(tmp_path)
    (ct / "z_real" / "root").symlink_to("/")
    write_series(tmp_path / "study" / "other", blocks((1, 8, 8)))
    assert [(scan.case, scan.path) for scan in find_scans([ct])] == [("p1", ct / "p1"), ("z_real", ct / "z_real")]


def test_a_pattern_with_two_stars_reaches_every_depth_but_not_what_was_written(tmp_path, run):
    for name in ("a", "x/b", "x/y/c"):
        write_scan(tmp_path / "ct" / f"{name}.nii.gz", blocks((2, 32, 16)))
    pattern = tmp_path / "ct" / "**" / "*.nii.gz"
    assert [scan.case for scan in find_scans([pattern])] == ["a", "b", "c"]
    segment([pattern], tmp_path / "ct" / "out", run)
    assert [scan.case for scan in find_scans([pattern])] == ["a", "b", "c"]


def test_a_pattern_of_any_depth_passes_over_what_is_no_scan(tmp_path):
    write_series(tmp_path / "in" / "one" / "CT", blocks((2, 8, 8)))
    write_scan(tmp_path / "in" / "two" / "b.nii.gz", blocks((2, 8, 8)))
    (tmp_path / "in" / "notes").mkdir()
    (tmp_path / "in" / "notes" / "list.txt").write_text("no scan")
    assert [scan.case for scan in find_scans([tmp_path / "in" / "**"])] == ["CT", "b"]
    with pytest.raises(UserError, match=r"nothing that matches .* is a scan"):
        find_scans([tmp_path / "in" / "no*"])


def test_a_folder_whose_scans_lie_deeper_says_where(tmp_path):
    (tmp_path / "patients" / "one").mkdir(parents=True)
    (tmp_path / "patients" / "one" / "ct.nii.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"patients holds no scan itself, but .*one does"):
        find_scans([tmp_path / "patients"])
