"""What the validation split teaches about post-processing reaches the masks of `segment`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spleenseg.evaluation import refine
from spleenseg.evaluation.evaluate import evaluate
from spleenseg.inference.export import export
from spleenseg.inference.exported_engine import ModelFile
from spleenseg.inference.fitted import Fitted
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.postprocess import Place
from spleenseg.inference.postprocess_choice import CaseMasks
from spleenseg.inference.refinement import Refinement
from spleenseg.inference.segment import segment
from spleenseg.volumes import read_labels

from ..inference.runs import write_scan
from .test_evaluate import SIZE, SPACING, Scans, project, rows, scan, write_manifest

ORGAN, STRAY = np.s_[20:28, 10:14], np.s_[2:4, 2:4]


def cases(count: int, stray: bool = True) -> Scans:
    """The organ lies left and behind, and the network finds a speck besides."""
    found = {0: STRAY} if stray else {}
    return {f"case_{n}": scan(SIZE, {1: ORGAN, 2: ORGAN}, {1: ORGAN, 2: ORGAN, **found}) for n in range(count)}


def fitted(root: Path) -> Fitted:
    found = Fitted.read(root / "calibration.json", json.loads((root / "run.json").read_text())["weights"]["sha256"])
    assert found is not None
    return found


def test_what_helped_on_valid_is_recorded_exported_and_done(tmp_path: Path) -> None:
    root = tmp_path / "run"
    scans = cases(3)
    config = project(root, scans)
    write_manifest(root / "data", scans)
    evaluate(config, section="eval")
    choice = fitted(root).postprocess
    assert choice is not None
    assert (choice.cases, choice.options.components, choice.options.fill_holes) == (3, "largest", False)
    assert choice.options.places == {"spleen": Place(side="left", depth="back")}
    assert choice.dice == 1 > choice.dice_without

    export(root)
    card = ModelFile.read(root / "model.onnx").card
    assert card.postprocess == choice
    assert set(card.quality) == {"spleen"}
    keras, onnx = (load_predictor(root, engine=engine).record for engine in ("keras", "onnx"))
    assert keras.postprocess == onnx.postprocess == choice.options

    hu = np.full(SIZE, -100, np.int16)
    for place in ((1, *ORGAN), (2, *ORGAN), (0, *STRAY)):
        hu[place] = 200
    volume = write_scan(tmp_path / "a.nii.gz", hu)
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", root)
    labels = read_labels(tmp_path / "out" / "a.nii.gz", like=volume)
    assert not labels[(0, *STRAY)].any()
    assert labels.sum() == 64
    (row,) = rows(tmp_path / "out" / "volumes.csv")
    assert (row["components"], row["engine"]) == ("2", "onnx")
    assert float(row["stray_ml"]) == pytest.approx(4 * volume.voxel_ml, abs=1e-3)
    assert 0.5 < float(row["quality"]) <= 1

    segment([tmp_path / "a.nii.gz"], tmp_path / "all", root, refinement=Refinement(components="all"))
    assert read_labels(tmp_path / "all" / "a.nii.gz", like=volume).sum() == 68


def test_it_is_measured_on_masks_at_the_threshold_that_is_exported_with_it(tmp_path: Path) -> None:
    faint = {
        case: (np.where(image == 255, 125, image).astype(np.uint8), mask) for case, (image, mask) in cases(3).items()
    }
    evaluate(project(tmp_path, faint), section="eval")  # probability 0.12: nothing at the config's 0.5
    found = fitted(tmp_path)
    assert found.threshold is not None
    assert found.threshold.value < 0.2
    assert found.postprocess is not None
    assert found.postprocess.options.components == "largest"
    assert found.postprocess.dice == 1 > found.postprocess.dice_without == pytest.approx(found.threshold.mean_dice)


def test_lost_slices_are_judged_by_the_distance_that_the_manifest_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[CaseMasks] = []
    monkeypatch.setattr(refine, "choose_postprocess", lambda cases, names: seen.extend(cases))
    scans = cases(3)
    config = project(tmp_path, scans)
    evaluate(config, section="eval")
    write_manifest(tmp_path / "data", scans)
    evaluate(config, section="eval")
    assert [case.slice_mm for case in seen] == [None] * 3 + [SPACING[2]] * 3


def test_what_does_not_help_is_not_done_and_two_cases_decide_nothing(tmp_path: Path) -> None:
    evaluate(project(tmp_path / "clean", cases(3, stray=False)), section="eval")
    choice = fitted(tmp_path / "clean").postprocess
    assert choice is not None
    assert choice.options.steps == 0
    evaluate(project(tmp_path / "few", cases(2)), section="eval")
    assert fitted(tmp_path / "few").postprocess is None


def test_pictures_shown_mirrored_teach_the_patients_own_side(tmp_path: Path) -> None:
    evaluate(project(tmp_path, cases(3)), section="eval")  # without manifest: as the reference shows them
    choice = fitted(tmp_path).postprocess
    assert choice is not None
    (place,) = choice.options.places.values()
    assert place == Place(side="right", depth="back")


def test_cases_that_lack_slices_decide_nothing(tmp_path: Path) -> None:
    scans = cases(3)
    config = project(tmp_path, scans)
    write_manifest(tmp_path / "data", scans)
    for kind in ("images", "masks"):
        first = min((tmp_path / "data" / "test" / kind).iterdir())
        first.unlink()
    evaluate(config, section="eval")
    assert fitted(tmp_path).postprocess is None
