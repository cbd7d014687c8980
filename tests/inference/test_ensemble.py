from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.inference.combine import LogitMean, logits_of, mean_threshold
from spleenseg.inference.ensemble import load_models
from spleenseg.inference.export import export
from spleenseg.inference.labels import labels_of
from spleenseg.inference.ledger import Ledger
from spleenseg.inference.postprocess import Place, Postprocess
from spleenseg.inference.record import Record
from spleenseg.inference.segment import segment
from spleenseg.inference.slices import predict_slices
from spleenseg.volumes import apply_window

from .runs import SPLEEN, blocks, brightness_run, write_scan

TWO_LABELS = SPLEEN.model_copy(update={"labels": {"spleen": 1, "liver": 2}})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the folders of two models that begin the organ at 46 and at 54 % of the brightness."""
    root = tmp_path_factory.mktemp("runs")
    return [brightness_run(root / f"fold_{index}", [limit]) for index, limit in enumerate((0.46, 0.54))]


def mean(*answers: np.ndarray) -> np.ndarray:
    found = LogitMean()
    for answer in answers:
        found.add(logits_of(np.float32(answer)))
    return found.probabilities()


def test_the_mean_is_that_of_the_logits() -> None:
    np.testing.assert_allclose(mean([[0.2]], [[0.8]]), [[0.5]], atol=1e-6)
    odds = np.sqrt((0.9 / 0.1) * (0.6 / 0.4))
    np.testing.assert_allclose(mean([[0.9]], [[0.6]]), [[odds / (1 + odds)]], atol=1e-6)
    np.testing.assert_allclose(mean([[0.0]], [[1.0]]), [[0.5]], atol=0.02)
    several = mean([[0.7, 0.2, 0.1]], [[0.1, 0.2, 0.7]])
    np.testing.assert_allclose(several.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(several[0, 0], several[0, 2], atol=1e-6)
    assert several.dtype == np.float32


def test_what_weighs_nothing_has_no_say_and_nothing_has_no_mean() -> None:
    found = LogitMean()
    with pytest.raises(ValueError, match="nothing"):
        found.probabilities()
    found.add(logits_of(np.float32([[0.9], [0.9]])))
    found.add(logits_of(np.float32([[0.1], [0.1]])), np.float32([[0], [1]]))
    np.testing.assert_allclose(found.probabilities(), [[0.9], [0.5]], atol=1e-6)


def test_the_threshold_of_several_is_that_of_their_mean_logit() -> None:
    assert mean_threshold([0.3, 0.3, 0.3]) == 0.3
    assert mean_threshold([0.2, 0.8]) == pytest.approx(0.5)
    assert 0.2 < mean_threshold([0.2, 1.0]) < 1


def test_two_models_meet_in_the_middle_whatever_their_order(runs: list[Path]) -> None:
    hu = blocks((3, 32, 16), seed=1)
    together = load_models(runs)
    found = predict_slices(hu, together, keep_probability=True)
    grey = apply_window(hu, (-160, 240)) / 255
    clear = np.abs(grey - 0.5) > 0.02
    np.testing.assert_array_equal(found.labels[clear], (grey > 0.5)[clear])
    turned = predict_slices(hu, load_models(runs[::-1]), keep_probability=True)
    assert together.settings == load_models(runs[::-1]).settings
    np.testing.assert_array_equal(found.probability, turned.probability)


def test_an_exported_model_and_a_run_folder_answer_together(runs: list[Path], tmp_path: Path) -> None:
    hu = blocks((3, 32, 16), seed=2)
    export(runs[0], tmp_path / "one.onnx")
    mixed = predict_slices(hu, load_models([tmp_path / "one.onnx", runs[1]]), keep_probability=True).probability
    plain = predict_slices(hu, load_models(runs), keep_probability=True).probability
    np.testing.assert_allclose(mixed, plain, atol=2e-3)


def test_several_labels_are_averaged_too(tmp_path: Path) -> None:
    runs = [brightness_run(tmp_path / str(low), [low, 0.8], TWO_LABELS, num_classes=3) for low in (0.26, 0.34)]
    hu = blocks((2, 32, 16), seed=3)
    found = predict_slices(hu, load_models(runs), keep_probability=True)
    grey = apply_window(hu, (-160, 240)) / 255
    clear = (np.abs(grey - 0.3) > 0.02) & (np.abs(grey - 0.8) > 0.02)
    np.testing.assert_array_equal(found.labels[clear], ((grey > 0.3).astype(int) + (grey > 0.8))[clear])


@pytest.mark.parametrize(
    ("other", "model", "word"),
    [
        ({"labels": {"liver": 1}}, {}, "labels"),
        ({"window_hu": (-100, 200)}, {}, "window_hu"),
        ({"display": "reference"}, {}, "display"),
        ({"context": 1}, {}, "context"),
        ({}, {"num_classes": 3, "limits": [0.3, 0.7]}, "num_classes"),
    ],
)
def test_models_that_are_not_alike_are_refused(
    runs: list[Path], tmp_path: Path, other: dict[str, object], model: dict[str, object], word: str
) -> None:
    limits = model.pop("limits", [0.5])
    second = brightness_run(tmp_path / "other", limits, SPLEEN.model_copy(update=other), **model)
    with pytest.raises(UserError, match=rf"must be alike: .*{word}"):
        load_models([runs[0], second])


def test_one_model_given_twice_and_none_are_refused(runs: list[Path]) -> None:
    with pytest.raises(UserError, match="are the same"):
        load_models([runs[0], runs[0]])
    with pytest.raises(UserError, match="no model"):
        load_models([])


def test_what_is_recommended_is_what_all_recommend() -> None:
    from spleenseg.inference.ensemble import _together

    left, back = Place(side="left"), Place(depth="back")
    one = Postprocess(components="largest", fill_holes=True, min_ml=1, places={"a": left, "b": back})
    other = Postprocess(components="largest", min_ml=2, places={"a": left, "b": left})
    found = _together([Record("x", "onnx", True, one), Record("y", "keras", False, other)])
    assert found.postprocess == Postprocess(components="largest", min_ml=1, places={"a": left})
    assert (found.name, found.engine, found.mirrored) == ("x + y", "onnx x + keras y", False)


def test_the_tables_and_the_record_name_every_model(runs: list[Path], tmp_path: Path) -> None:
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    segment([tmp_path / "a.nii.gz"], tmp_path / "out", runs)
    with (tmp_path / "out" / "volumes.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert sorted(row["engine"].split(" + ")) == ["keras fold_0", "keras fold_1"]
    assert row["quality"] == ""
    settings = Ledger(tmp_path / "out").items["a"].settings
    assert set(settings.split("+")) == {load_models([run]).settings for run in runs}
    with pytest.raises(UserError, match="another model"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "out", runs[0], resume=True)
    assert segment([tmp_path / "a.nii.gz"], tmp_path / "out", runs[::-1], resume=True).scans[0].status == "kept"


def test_the_threshold_given_is_that_of_the_mean(runs: list[Path]) -> None:
    together = load_models(runs, threshold=0.2)
    assert together.threshold == 0.2
    np.testing.assert_array_equal(together.labels(np.float32([[0.19], [0.2]])), labels_of(np.float32([[0.0], [1.0]])))
