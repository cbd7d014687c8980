from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spleenseg.cli.app import run
from spleenseg.errors import UserError
from spleenseg.evaluation.calibrate import Calibration, parse_threshold
from spleenseg.evaluation.evaluate import evaluate
from spleenseg.evaluation.findings import Findings
from spleenseg.evaluation.report import report

from .test_evaluate import BOX, LOW, SIZE, Scans, project, scan, two_cases, write_manifest


def faint_cases() -> Scans:
    """An organ of brightness 120, which the network (limit 128) misses at 0.5 and finds at less."""
    image, mask = scan(SIZE, {1: BOX, 2: LOW}, {})
    image[1][BOX] = image[2][LOW] = 126
    return {"a": (image, mask), "b": (image[::-1].copy(), mask[::-1].copy())}


def with_manifest(root: Path, scans: Scans) -> Path:
    config = project(root, scans)
    write_manifest(root / "data", scans)
    (root / "history.json").write_text(json.dumps({"epoch": [0, 1], "loss": [0.9, 0.5], "val_loss": [0.8, None]}))
    return config.path


def test_an_evaluation_ends_with_a_page_that_stands_alone(tmp_path: Path) -> None:
    evaluate(with_manifest(tmp_path, two_cases()))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=['\"](?!data:)", page)
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("src='data:image/png;base64,") == 1  # case a is perfect: only b is shown
    for part in ("Case by case", "Volumes", "Training", "Where this comes from", "Limits and definitions"):
        assert f"<h2>{part}</h2>" in page
    assert Findings.read(tmp_path / "report.json").provenance["weights"].count("SHA-256") == 1
    assert "about one healthy adult in six is above 1 SD" in page
    assert "not a diagnosis" in page


def test_the_page_can_be_drawn_again_from_the_files(tmp_path: Path) -> None:
    evaluate(with_manifest(tmp_path, two_cases()))
    before = (tmp_path / "report.html").read_bytes()
    (tmp_path / "report.html").unlink()
    assert report(tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_bytes() == before


@pytest.mark.parametrize(("file", "said"), [("report.json", "no report of this version"), ("slices.csv", "damaged")])
def test_damaged_files_are_named(tmp_path: Path, file: str, said: str) -> None:
    evaluate(project(tmp_path, two_cases()))
    (tmp_path / file).write_text("case\nx\n")
    with pytest.raises(UserError, match=said):
        report(tmp_path)


def test_the_threshold_is_chosen_on_valid_and_recorded(tmp_path: Path) -> None:
    config = project(tmp_path, faint_cases())
    plain = evaluate(config)
    assert plain.mean_dice == 0
    chosen = evaluate(config, threshold="auto")
    threshold = chosen.findings.threshold
    assert threshold is not None
    assert (threshold.chosen, threshold.cases) == ("valid", 2)
    assert threshold.value < 0.5
    assert chosen.mean_dice == pytest.approx(threshold.mean_dice, abs=0.05)
    assert chosen.mean_dice > 0.7
    assert "chosen on 2 cases of [eval]" in chosen.summary()
    assert json.loads((tmp_path / "report.json").read_text())["threshold"]["chosen"] == "valid"


def test_the_threshold_does_not_depend_on_the_test_slices(tmp_path: Path) -> None:
    for name, scans in (("one", two_cases()), ("two", {"c": scan(SIZE, {0: BOX}, {3: BOX})})):
        root = tmp_path / name
        config = project(root, scans)
        write_own_valid(root, config.path, faint_cases())
        evaluate(config.path, threshold="auto")
    fits = [json.loads((tmp_path / name / "calibration.json").read_text()) for name in ("one", "two")]
    assert fits[0]["threshold"] == fits[1]["threshold"]
    assert fits[0]["quality"] == fits[1]["quality"]


def write_own_valid(root: Path, path: Path, scans: Scans) -> None:
    from .test_evaluate import write_slices

    write_slices(root / "valid", scans)
    head, tail = path.read_text().split("[eval]")
    path.write_text(head + "[eval]" + tail.replace("data/test/", "valid/"))


def test_a_threshold_may_be_given_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    config = project(tmp_path, faint_cases())
    found = evaluate(config, threshold=0.01).findings.threshold
    assert found is not None
    assert (found.value, found.chosen) == (0.01, "option")
    assert (parse_threshold("AUTO"), parse_threshold("0.3"), parse_threshold(None)) == ("auto", 0.3, None)
    for text in ("2", "half", "nan"):
        with pytest.raises(UserError, match="is no probability"):
            parse_threshold(text)


def test_several_labels_have_no_threshold_to_choose(tmp_path: Path) -> None:
    config = project(tmp_path, two_cases(), limits=(0.3, 0.7), num_classes=3)
    with pytest.raises(UserError, match="for one organ"):
        evaluate(config, threshold="auto")


def test_predicted_dice_is_fitted_on_valid_and_checked_on_test(tmp_path: Path) -> None:
    config = project(tmp_path, two_cases())
    assert evaluate(config).findings.quality == ()
    (fitted,) = evaluate(config, section="eval").findings.quality
    assert (fitted.fitted_cases, fitted.checked_cases) == (2, None)
    (checked,) = evaluate(config).findings.quality
    assert checked.checked_cases == 2
    assert checked.checked_error == pytest.approx(fitted.fitted_error)  # the splits are the same here
    rows = evaluate(config).findings.cases
    assert all(0 <= row.predicted_dice <= 1 for row in rows if row.predicted_dice is not None)


def test_predicted_dice_is_checked_at_the_threshold_it_was_fitted_at(tmp_path: Path) -> None:
    config = project(tmp_path, faint_cases())
    (fitted,) = evaluate(config, section="eval").findings.quality
    result = evaluate(config)
    (checked,) = result.findings.quality
    assert result.mean_dice == 0  # at the config's 0.5
    assert checked.threshold == fitted.threshold < 0.5
    assert checked.checked_error == pytest.approx(fitted.fitted_error)  # the splits are the same here
    assert f"at threshold {fitted.threshold:g}: from how well" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_was_fitted_with_other_weights_is_not_used(tmp_path: Path) -> None:
    config = project(tmp_path, two_cases())
    evaluate(config, section="eval")
    path = tmp_path / "calibration.json"
    assert Calibration.read(path, "other") is None
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "weights_sha256": "0" * 64}))
    assert evaluate(config).findings.quality == ()
    path.write_text("{")
    with pytest.raises(UserError, match=r"calibration\.json is damaged"):
        evaluate(config)


def test_certain_and_right_probabilities_are_calibrated(tmp_path: Path) -> None:
    (found,) = evaluate(project(tmp_path, {"a": two_cases()["a"]})).findings.calibration
    assert found.ece == pytest.approx(0, abs=1e-3)
    (wrong,) = evaluate(project(tmp_path / "w", {"a": scan(SIZE, {1: BOX}, {2: BOX})})).findings.calibration
    assert wrong.ece == pytest.approx(1, abs=1e-3)


def test_the_worst_cases_are_drawn_where_truth_and_prediction_part(tmp_path: Path) -> None:
    from PIL import Image

    result = evaluate(with_manifest(tmp_path, two_cases()))
    (picture,) = result.findings.gallery
    assert (picture.case, picture.slices) == ("b", (2, 1))  # most wrong pixels, most organ
    with Image.open(tmp_path / picture.file) as drawn:
        pixels = np.asarray(drawn.convert("RGB"))
    left = pixels[:, : pixels.shape[1] // 2]
    assert (left == (64, 190, 255)).all(-1).sum() > 200  # the truth, missed: blue
    assert not (left == (255, 170, 0)).all(-1).any()


def test_the_command_evaluates_at_a_threshold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(project(tmp_path, faint_cases()).path)
    assert run(["evaluate", path, "--threshold", "auto"]) == 0
    assert "threshold 0." in capsys.readouterr().out
    assert run(["evaluate", path, "--threshold", "some"]) == 2
    assert "--threshold some" in capsys.readouterr().err
