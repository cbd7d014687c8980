from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from spleenseg.inference.combine import Combined
from spleenseg.inference.export import export
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.predictor import Predictor
from spleenseg.inference.record import trained_mirrored
from spleenseg.inference.slices import predict_slices
from spleenseg.inference.views import views, with_views
from spleenseg.volumes import read_labels, read_volume

from .runs import LEFT_NEIGHBOUR, SPLEEN, brightness_run

BIG = {"image_width": 64, "image_height": 64}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder: organ is what is brighter than 40 HU."""
    return brightness_run(tmp_path_factory.mktemp("run"), [0.5], **BIG)


def disc(shape: tuple[int, int] = (64, 64), centre: tuple[int, int] = (40, 30), radius: int = 12) -> np.ndarray:
    plane = np.full(shape, -1000, np.int16)
    cv2.circle(plane, centre, radius, 120, -1)
    return plane


def test_every_view_is_undone_exactly_where_it_was_turned_to() -> None:
    for view in views((48, 64), mirrored=True):
        points = np.array([[10.0, 12.0, 1], [50.0, 30.0, 1]]).T
        back = cv2.invertAffineTransform(view) @ np.vstack([view @ points, np.ones(2)])
        np.testing.assert_allclose(back, points[:2], atol=1e-9)
    assert len(views((48, 64), mirrored=True)) == len(views((48, 64), mirrored=False)) + 1 == 5
    mirror = views((48, 64), mirrored=True)[-1]
    np.testing.assert_array_equal(mirror @ [0, 7, 1], [63, 7])


def test_a_network_that_judges_each_pixel_finds_what_it_finds_without_views(run: Path) -> None:
    hu = np.stack([disc(), disc(centre=(20, 40)), disc(radius=5)])
    plain = predict_slices(hu, load_predictor(run)).labels
    seen = predict_slices(hu, with_views(load_predictor(run))).labels
    for one, other in zip(plain, seen, strict=True):
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.96
    interior = cv2.erode(plain[0], np.ones((3, 3), np.uint8)) > 0
    assert (seen[0][interior] == 1).all()


def test_an_organ_at_the_edge_is_not_lost_to_views_that_do_not_see_it(run: Path) -> None:
    hu = np.full((1, 64, 64), -1000, np.int16)
    hu[0, :, 56:] = 120
    assert predict_slices(hu, with_views(load_predictor(run))).labels[0, 2:62, 58:].all()


def test_what_lies_outside_of_a_view_is_air_and_never_organ(run: Path) -> None:
    hu = np.full((1, 64, 64), -1000, np.int16)
    assert not predict_slices(hu, with_views(load_predictor(run))).labels.any()


def test_a_network_is_told_how_often_it_is_asked(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, told = load_predictor(run), []
    monkeypatch.setattr(model.engine, "expect", lambda slices, batch_size: told.append(slices))
    predict_slices(np.stack([disc()] * 3), with_views(model))
    assert told == [3 * (1 + len(views((64, 64), model.record.mirrored)))]


def test_views_of_an_exported_model_are_those_of_keras(run: Path, tmp_path: Path) -> None:
    path = export(run, tmp_path / "m.onnx").path
    hu = np.stack([disc(shape=(50, 70)), disc(shape=(50, 70), radius=8)])
    found = [
        predict_slices(hu, with_views(load_predictor(model)), keep_probability=True).probability
        for model in (run, path)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=2e-3)


@pytest.mark.parametrize(
    ("policy", "hflip", "chance", "expected"),
    [
        ("reference", True, 0.5, True),
        ("reference", False, 0.5, False),
        ("strong", True, 0.5, False),
        ("compose", True, 0.5, True),
        ("compose", True, 0.0, False),
    ],
)
def test_whether_a_model_was_trained_mirrored_is_what_its_run_says(
    policy: str, hflip: bool, chance: float, expected: bool
) -> None:
    config = {"augmentor": {"policy": policy, "hflip": hflip}, "compose": {"hflip_probability": chance}}
    assert trained_mirrored({**config, "generator": {"augmentation": True}}) is expected
    assert not trained_mirrored({**config, "generator": {"augmentation": False}})


def test_the_mirrored_view_is_taken_only_by_models_that_were_trained_so(tmp_path: Path) -> None:
    """A network that looks at the pixel on one side shifts what it finds; mirrored, to the other side."""
    hu = np.stack([disc(centre=(32, 32))])
    runs = {}
    for name, flips in (("mirrored", True), ("upright", False)):
        root = brightness_run(tmp_path / name, [0.5], SPLEEN, tap=LEFT_NEIGHBOUR, **BIG)
        manifest = json.loads((root / "run.json").read_text())
        manifest["config"]["augmentor"]["hflip"] = flips
        (root / "run.json").write_text(json.dumps(manifest))
        runs[name] = with_views(load_predictor(root))
    assert (runs["mirrored"].record.engine, runs["upright"].record.engine) == ("keras, 6 views", "keras, 5 views")
    columns = {name: _centre(model, hu) for name, model in runs.items()}
    assert columns["upright"] == pytest.approx(33, abs=0.2)
    assert columns["mirrored"] < columns["upright"] - 0.15


def _centre(model: Predictor | Combined, hu: np.ndarray) -> float:
    weights = predict_slices(hu, model, keep_probability=True).probability
    return float((weights * np.arange(hu.shape[2])).sum() / weights.sum())


def test_views_leave_a_real_scan_close_to_what_it_was(tmp_path: Path, real_data: Path) -> None:
    run = brightness_run(tmp_path, [0.55], image_width=192, image_height=192)
    folder = real_data / "amos-0001"
    volume = read_volume(folder / "ct.nii.gz")
    assert read_labels(folder / "labels.nii.gz", like=volume).any()
    hu = np.ascontiguousarray(volume.array[4:6])
    plain, seen = (predict_slices(hu, model(load_predictor(run))).labels for model in (lambda same: same, with_views))
    assert 2 * (plain & seen).sum() / (plain.sum() + seen.sum()) > 0.85
