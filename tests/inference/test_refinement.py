"""What was asked for beyond the network's answer: in the files, in the record, on the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spleenseg.cli.app import run as command
from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.inference.postprocess import NOTHING, Postprocess
from spleenseg.inference.refinement import Refinement
from spleenseg.inference.segment import segment
from spleenseg.volumes import Volume, read_labels

from .runs import brightness_run, write_scan

BIG = {"image_width": 32, "image_height": 32}
ALL = Refinement("largest", fill_holes=True, min_ml=0.1, tta=True, smooth_mm=0.5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brightness_run(tmp_path_factory.mktemp("run"), [0.5], **BIG)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Volume]:
    """Return a scan with an organ that has a hole, and a piece astray."""
    hu = np.full((8, 32, 32), -100, np.int16)
    hu[2:6, 8:20, 16:28] = 200
    hu[3, 13:15, 21:23] = -100
    hu[1, 26:29, 2:5] = 200
    path = tmp_path_factory.mktemp("ct") / "a.nii.gz"
    return path, write_scan(path, hu, spacing=(1.0, 1.0, 2.0))


def labels_in(folder: Path, volume: Volume) -> np.ndarray:
    return read_labels(folder / "a.nii.gz", like=volume)


def test_nothing_is_done_unless_the_model_or_the_user_says_so(run: Path, scan, tmp_path: Path) -> None:
    path, volume = scan
    segment([path], tmp_path / "out", run)
    assert labels_in(tmp_path / "out", volume).sum() == 4 * 144 - 4 + 9
    with (tmp_path / "out" / "volumes.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["components"], row["stray_ml"], row["engine"]) == ("2", "0.018", "keras")


def test_each_step_does_what_it_says(run: Path, scan, tmp_path: Path) -> None:
    path, volume = scan
    wanted = {
        "largest": (Refinement(components="largest"), 4 * 144 - 4),
        "holes": (Refinement(fill_holes=True), 4 * 144 + 9),
        "small": (Refinement(min_ml=0.02), 4 * 144 - 4),
        "none": (Refinement(min_ml=5), 0),
    }
    for name, (refinement, voxels) in wanted.items():
        segment([path], tmp_path / name, run, refinement=refinement)
        assert labels_in(tmp_path / name, volume).sum() == voxels


def test_an_organ_that_some_thin_slices_miss_stays_whole(run: Path, tmp_path: Path) -> None:
    hu = np.full((12, 32, 32), -100, np.int16)
    hu[2:5, 12:20, 20:25] = hu[7:10, 12:20, 20:25] = 200
    for name, millimetres in (("thin", 0.8), ("thick", 5.0)):
        volume = write_scan(tmp_path / name / "a.nii.gz", hu, spacing=(1.0, 1.0, millimetres))
        segment([tmp_path / name], tmp_path / f"{name}-out", run, refinement=Refinement(components="largest"))
        found = labels_in(tmp_path / f"{name}-out", volume)
        assert found.sum() == (240 if name == "thin" else 120)


def test_two_runs_with_everything_on_give_the_same_bytes(run: Path, scan, tmp_path: Path) -> None:
    for name in ("one", "two"):
        segment([scan[0]], tmp_path / name, run, refinement=ALL, probabilities=True)
    for path in (tmp_path / "one").iterdir():
        if path.name != "run.log.csv":
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    "other", [Refinement(tta=True), Refinement(smooth_mm=1), Refinement("largest"), Refinement(min_ml=1)]
)
def test_masks_made_otherwise_are_not_mixed(run: Path, scan, tmp_path: Path, other: Refinement) -> None:
    segment([scan[0]], tmp_path / "out", run)
    with pytest.raises(UserError, match="another model"):
        segment([scan[0]], tmp_path / "out", run, refinement=other, resume=True)


def test_smoothing_and_views_change_probabilities_and_hardly_the_mask(run: Path, scan, tmp_path: Path) -> None:
    path, volume = scan
    made = {"plain": Refinement(), "smooth": Refinement(smooth_mm=1), "tta": Refinement(tta=True)}
    for name, refinement in made.items():
        segment([path], tmp_path / name, run, refinement=refinement, probabilities=True)
    plain = labels_in(tmp_path / "plain", volume)
    for name in ("smooth", "tta"):
        found = labels_in(tmp_path / name, volume)
        assert 2 * (plain & found).sum() / (plain.sum() + found.sum()) > 0.85
        files = [(tmp_path / folder / "a_prob.nii.gz").read_bytes() for folder in ("plain", name)]
        assert files[0] != files[1]


def test_the_dice_to_expect_is_that_of_the_mask_which_is_left(run: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    shutil.copytree(run, told)
    line = {"slope": 0, "intercept": 0.9, "cases": 3, "mean_error": 0.1}
    weights = sha256(told / "models" / "best_model.weights.h5")
    words = {"weights_sha256": weights, "threshold": None, "quality": {"spleen": line}}
    (told / "calibration.json").write_text(json.dumps(words))
    hu = np.full((8, 32, 32), -100, np.int16)
    hu[2:5, 12:20, 20:25] = hu[2:4, 12:20, 4:9] = 200  # 120 voxels and 80, 1 microlitre each
    write_scan(tmp_path / "a.nii.gz", hu, spacing=(1.0, 1.0, 1.0))

    def quality(name: str, threshold: float | None = None, **wanted: object) -> str:
        segment([tmp_path / "a.nii.gz"], tmp_path / name, told, threshold=threshold, refinement=Refinement(**wanted))
        with (tmp_path / name / "volumes.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        return row["quality"]

    assert quality("all") == quality("half", threshold=0.5) == quality("holes", fill_holes=True) == "0.9"
    assert quality("largest", components="largest") == "0.75"  # 2 * 120 / (120 + 200)
    assert quality("nothing", min_ml=1) == ""
    assert quality("other", threshold=0.4) == quality("smooth", smooth_mm=1) == quality("tta", tta=True) == ""


@pytest.mark.parametrize("wrong", [{"components": "larges"}, {"min_ml": -1}, {"smooth_mm": float("nan")}])
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError):
        Refinement(**wrong)


def test_what_the_user_says_goes_before_what_the_model_records() -> None:
    recorded = Postprocess(components="largest", min_ml=1)
    assert Refinement().postprocess(recorded) == recorded
    assert Refinement("all", min_ml=0).postprocess(recorded) == NOTHING
    assert Refinement("all", min_ml=0).settings(recorded) == ""
    assert "largest" in Refinement().settings(recorded)


def test_the_command_line_knows_all_of_it(run: Path, scan, tmp_path: Path, capsys) -> None:
    other = brightness_run(tmp_path / "other", [0.45], **BIG)
    words = ["segment", str(scan[0]), "--model", str(run), "--model", str(other), "-o", str(tmp_path / "out")]
    steps = ["--tta", "--smooth", "0.5", "--components", "largest", "--fill-holes", "--min-ml", "0.1"]
    assert command([*words, *steps]) == 0
    found = labels_in(tmp_path / "out", scan[1])
    assert not found[1, 26:29, 2:5].any()
    assert found[3, 13:15, 21:23].all()
    said = " ".join(capsys.readouterr().err.split())
    assert "a: the network found 2 pieces of spleen, 0.018 mL astray" in said
    assert command([*words[:-1], str(tmp_path / "no"), "--components", "biggest"]) == 2
