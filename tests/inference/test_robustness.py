"""Cohorts with broken scans, killed and resumed; scans stored every way; the same bytes again."""

from __future__ import annotations

import csv
import hashlib
import random
import shutil
import subprocess
import sys
import time
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from spleenseg.inference.export import export
from spleenseg.inference.segment import segment
from spleenseg.volumes import Volume, read_labels, read_volume, write_volume

from ..volumes.dicom_files import write_series
from .runs import SPLEEN, blocks, brightness_run, write_scan

UP_LEFT = (0, 0)
PROGRAM = "import sys; from spleenseg.cli.app import run; sys.exit(run(sys.argv[1:]))"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a network that looks at the pixel above to the left: no flip or turn leaves its answer the same."""
    return export(brightness_run(tmp_path_factory.mktemp("run"), [0.5], tap=UP_LEFT)).path


def broken(good: bytes) -> list[bytes]:
    """Return ways in which files are broken: empty, no NIfTI, cut off, damaged inside, a header alone."""
    turned = bytearray(good)
    turned[len(good) // 2] ^= 0xFF
    return [b"", b"this is no scan", good[: len(good) // 2], bytes(turned), good[:40]]


def broken_series(folder: Path) -> None:
    """Write a series that lacks all but the name of its last image."""
    write_series(folder, blocks((3, 32, 16)))
    (folder / "IM0002").write_bytes(b"")


def broken_archive(folder: Path) -> None:
    """Write an archive of a series that is cut off."""
    series = write_series(folder.with_name("whole"), blocks((3, 32, 16)))
    path = Path(shutil.make_archive(str(folder), "zip", series))
    shutil.rmtree(series)
    path.write_bytes(path.read_bytes()[:-200])


def cohort(folder: Path, good: int, bad: int) -> None:
    """Write good scans and broken ones, their kinds in turn."""
    for index in range(good):
        write_scan(folder / f"good_{index:03}.nii.gz", blocks((12, 32, 16), seed=index))
    kinds = broken((folder / "good_000.nii.gz").read_bytes())
    for index in range(bad):
        path, kind = folder / f"bad_{index:03}", index % (len(kinds) + 2)
        if kind < 2:
            (broken_series, broken_archive)[kind](path)
        else:
            path.with_suffix(".nii.gz").write_bytes(kinds[kind - 2])


def start(folder: Path, out: Path, model: Path, *more: str) -> subprocess.Popen[str]:
    words = ["segment", str(folder), "--model", str(model), "-o", str(out), "--threads", "1", "--quiet", *more]
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stderr=subprocess.PIPE, text=True)


def digests(out: Path) -> dict[str, str]:
    files = sorted(path for path in out.iterdir() if path.name != "run.log.csv")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def finished(out: Path) -> dict[str, int]:
    """Return when each file of the scans in volumes.csv was written."""
    table = out / "volumes.csv"
    if not table.is_file():
        return {}
    with table.open(newline="") as file:
        cases = {row["case"] for row in csv.DictReader(file)}
    ends = (".nii.gz", "_overlay.png")
    return {case + end: (out / (case + end)).stat().st_mtime_ns for case in cases for end in ends}


@pytest.mark.parametrize(("good", "bad"), [(9, 4), pytest.param(190, 10, marks=pytest.mark.full)])
def test_a_cohort_killed_three_times_ends_as_if_it_never_was(tmp_path: Path, model: Path, good: int, bad: int) -> None:
    cohort(tmp_path / "ct", good, bad)
    whole = start(tmp_path / "ct", tmp_path / "whole", model)
    assert whole.wait() == 1
    out, moments = tmp_path / "out", random.Random(good)
    kept: dict[str, int] = {}
    for kill in range(1, 4):
        process = start(tmp_path / "ct", out, model, "--resume")
        least = good * kill // 5
        while len(finished(out)) < 2 * least and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.communicate()
        now = finished(out)
        assert now.items() >= kept.items()
        kept = now
    last = start(tmp_path / "ct", out, model, "--resume")
    _, said = last.communicate()
    assert last.returncode == 1
    assert finished(out).items() >= kept.items()
    assert digests(out) == digests(tmp_path / "whole")
    assert sum(name.startswith("good") and name.endswith(".nii.gz") for name in digests(out)) == good
    assert all(f"bad_{index:03} failed: " in " ".join(said.split()) for index in range(bad))
    with (out / "run.log.csv").open(newline="") as file:
        failed = {row["case"]: row["message"] for row in csv.DictReader(file) if row["status"] == "failed"}
    assert sorted(failed) == [f"bad_{index:03}" for index in range(bad)]
    assert all(failed.values())


def test_a_scan_stored_in_any_of_48_orders_gives_the_same_mask(tmp_path: Path, model: Path) -> None:
    hu = blocks((5, 40, 24), seed=9)
    plain = write_scan(tmp_path / "ct" / "plain.nii.gz", hu)
    orders = list(product(permutations(range(3)), product((1, -1), repeat=3)))
    for number, (axes, signs) in enumerate(orders):
        affine, stored = plain.affine.copy(), hu.transpose(2, 1, 0)
        for axis in (axis for axis in range(3) if signs[axis] < 0):
            stored = np.flip(stored, axis)
            affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
            affine[:3, axis] *= -1
        affine[:, :3] = affine[:, axes]
        other = Volume.from_stored(np.ascontiguousarray(stored.transpose(axes)), affine, case="other")
        write_volume(other, tmp_path / "ct" / f"order_{number:02}.nii.gz")
    segment([tmp_path / "ct"], tmp_path / "out", model)
    expected = read_labels(tmp_path / "out" / "plain.nii.gz", like=plain)
    assert 0 < expected.mean() < 1
    for number in range(48):
        found = read_labels(tmp_path / "out" / f"order_{number:02}.nii.gz", like=plain)
        np.testing.assert_array_equal(found, expected)


SIDE, STEP = 160, 0.8  # voxels and mm: finer than 1 mm, or edges a voxel deep cost more than 0.5 % of the organ


def ellipsoid(path: Path, affine: np.ndarray) -> None:
    """Write an organ of radii 40, 44 and 48 mm around the origin, its edge one voxel soft."""
    voxels = np.stack([*np.mgrid[:SIDE, :SIDE, :SIDE], np.ones((SIDE,) * 3)], axis=-1)
    depth = 44 * (1 - np.linalg.norm((voxels @ affine.T)[..., :3] / (40, 44, 48), axis=-1))
    hu = np.rint(40 + 150 * np.clip(depth, -1, 1)).astype(np.int16)
    write_volume(Volume.from_stored(hu, affine, case="organ"), path)


def test_oblique_and_gantry_tilted_copies_agree_in_world_coordinates(tmp_path: Path) -> None:
    angle, tilt = np.radians(17), np.radians(20)
    turned, sheared = np.eye(4), np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    sheared[1, 2] = np.tan(tilt)
    for name, form in (("straight", np.eye(4)), ("oblique", turned), ("tilted", sheared)):
        affine = form @ np.diag([-STEP, -STEP, STEP, 1.0])
        affine[:3, 3] = -affine[:3, :3] @ np.full(3, (SIDE - 1) / 2)
        ellipsoid(tmp_path / "ct" / f"{name}.nii.gz", affine)
    run = brightness_run(tmp_path / "run", [0.5], SPLEEN, image_width=SIDE, image_height=SIDE)
    segment([tmp_path / "ct"], tmp_path / "out", run)
    scans = {name: read_volume(tmp_path / "ct" / f"{name}.nii.gz") for name in ("straight", "oblique", "tilted")}
    masks = {name: read_labels(tmp_path / "out" / f"{name}.nii.gz", like=scan) for name, scan in scans.items()}
    straight = masks["straight"] > 0
    for name in ("oblique", "tilted"):
        to_copy = np.linalg.inv(scans[name].affine) @ scans["straight"].affine
        there = affine_transform(masks[name].T.astype(np.float32), to_copy, order=1).T >= 0.5
        assert 2 * (there & straight).sum() / (there.sum() + straight.sum()) >= 0.995


def test_two_runs_write_the_same_bytes_in_every_format(tmp_path: Path, model: Path) -> None:
    folder = write_series(tmp_path / "ct" / "series", blocks((3, 32, 16)))
    for out in ("one", "two"):
        formats = ("nifti", "dicom-seg", "nrrd")
        segment([folder], tmp_path / out, model, formats=formats, probabilities=True)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert len(digests(tmp_path / "one")) == 7


@pytest.mark.parametrize("scan", ["amos-0001/dicom", "totalsegmentator-example/dicom"])
def test_two_processes_write_the_same_bytes_of_a_real_scan(
    tmp_path: Path, model: Path, real_data: Path, scan: str
) -> None:
    formats = [word for form in ("nifti", "dicom-seg", "nrrd") for word in ("--format", form)]
    for out in ("one", "two"):
        started = start(real_data / scan, tmp_path / out, model, "--prob", *formats)
        assert started.wait(timeout=300) == 0, started.stderr
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    kinds = (".nii.gz", ".seg.dcm", ".seg.nrrd", "_overlay.png", "_prob.nii.gz")
    assert all(any(name.endswith(kind) for name in digests(tmp_path / "one")) for kind in kinds)
