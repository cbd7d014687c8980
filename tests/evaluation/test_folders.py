from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from spleenseg.cli.app import run
from spleenseg.errors import UserError
from spleenseg.evaluation.findings import Findings
from spleenseg.evaluation.folders import evaluate_folders
from spleenseg.progress import Silent
from spleenseg.volumes import Volume, read_labels, read_volume, write_labels

from ..inference.runs import write_scan

SHAPE = (6, 24, 20)
BODY = np.s_[1:5, 6:18, 4:14]  # 4 x 12 x 10


def grid(folder: Path, shape: tuple[int, int, int] = SHAPE) -> Volume:
    folder.mkdir(parents=True, exist_ok=True)
    return write_scan(folder / "scan.nii.gz", np.zeros(shape, np.int16), (0.8, 0.7, 3.0))


def write(folder: Path, maps: Mapping[str, np.ndarray], like: Volume) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in maps.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_labels(labels, like, folder / f"{name}.nii.gz")
    return folder


def body(value: int = 1, shift: int = 0) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[BODY] = value
    return np.roll(labels, shift, axis=2)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_folders_have_the_figures_computed_by_hand(tmp_path: Path) -> None:
    like = grid(tmp_path / "g")
    truth = write(tmp_path / "truth", {"a": body(), "b": body()}, like)
    found = write(tmp_path / "found", {"a": body(), "b": body(shift=2)}, like)
    result = evaluate_folders(found, truth, tmp_path / "out", labels={"spleen": 1})
    a, b = result.cases
    ml = 4 * 12 * 10 * 0.8 * 0.7 * 3 / 1000
    assert (a.metrics.dice, b.metrics.dice) == (1, pytest.approx(0.8))
    assert b.metrics.truth_ml == pytest.approx(ml)
    assert b.metrics.hd_mm == pytest.approx(1.6)
    assert result.mean_dice == pytest.approx(0.9)
    line = rows(tmp_path / "out" / "cases.csv")[1]
    assert (line["case"], float(line["dice"]), line["missed_components"]) == ("b", 0.8, "0")


def test_table_json_and_page_hold_the_same_numbers(tmp_path: Path) -> None:
    like = grid(tmp_path / "g")
    shifts = {f"c{shift}": body(shift=shift) for shift in range(5)}
    truth = write(tmp_path / "truth", dict.fromkeys(shifts, body()), like)
    found = write(tmp_path / "found", shifts, like)
    evaluate_folders(found, truth, tmp_path / "out", labels={"spleen": 1})
    findings = Findings.read(tmp_path / "out" / "report.json")
    figure = findings.labels[0].figures["dice"]
    assert figure.mean == pytest.approx(np.mean([1, 0.9, 0.8, 0.7, 0.6]))
    assert figure.worst_case == "c4"
    summary = {row["figure"]: row for row in rows(tmp_path / "out" / "summary.csv")}
    assert float(summary["dice"]["mean"]) == pytest.approx(figure.mean)
    assert figure.ci95 is not None
    assert float(summary["dice"]["ci95_low"]) == pytest.approx(figure.ci95[0], abs=1e-6)
    assert [row.values["dice"] for row in findings.cases] == [
        pytest.approx(float(row["dice"])) for row in rows(tmp_path / "out" / "cases.csv")
    ]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"<b>{figure.mean:.3f}</b>" in page
    assert f"95 % CI {figure.ci95[0]:.3f} to {figure.ci95[1]:.3f}" in page
    volumetry = findings.labels[0].volumetry
    assert volumetry is not None
    assert (volumetry.bias_ml, volumetry.within_5_pct) == (0, 1)
    assert findings.cases[0].truth_size == "not above 1 SD"


def test_the_rule_for_cases_without_organ_holds_in_every_file(tmp_path: Path) -> None:
    like = grid(tmp_path / "g")
    nothing = np.zeros(SHAPE, np.uint8)
    truth = write(tmp_path / "t", {"both": nothing, "found": body(), "invented": nothing, "missed": body()}, like)
    found = write(tmp_path / "p", {"both": nothing, "found": body(), "invented": body(), "missed": nothing}, like)
    for empty, kept in (("defined", 1), ("nan", None)):
        out = tmp_path / empty
        words = ["evaluate", "--predictions", str(found), "--truth", str(truth), "-o", str(out), "--label", "spleen=1"]
        assert run([*words, *([] if empty == "defined" else ["--empty", empty])]) == 0
        findings = Findings.read(out / "report.json")
        for column in ("dice", "iou", "nsd_2mm"):
            assert [case.values[column] for case in findings.cases] == [kept, 1, 0, 0]
            assert [row[column] for row in rows(out / "cases.csv")] == [
                "" if kept is None else "1.0",
                "1.0",
                "0.0",
                "0.0",
            ]
        (label,) = findings.labels
        assert (findings.empty, label.undefined) == (empty, 0 if kept else 1)
        assert label.every["dice"].mean == pytest.approx(2 / 4 if kept else 1 / 3)
        assert label.figures["dice"].mean == 0.5
        page = (out / "report.html").read_text(encoding="utf-8")
        assert ("1 case empty in truth and prediction: Dice undefined" in page) == (kept is None)
        assert ("both empty: undefined, as is NSD" in page) == (kept is None)


def test_where_nothing_is_defined_it_is_said(tmp_path: Path) -> None:
    like = grid(tmp_path / "g")
    nothing = write(tmp_path / "t", dict.fromkeys("ab", np.zeros(SHAPE, np.uint8)), like)
    result = evaluate_folders(nothing, nothing, tmp_path / "out", labels={"spleen": 1}, empty="nan")
    said = "in no case of the truth; Dice undefined in all 2 cases, empty in truth and prediction"
    assert result.headline() == f"spleen: {said}"
    assert result.findings.gallery == ()
    with pytest.raises(UserError, match="--empty drop is no rule; use defined or nan"):
        evaluate_folders(nothing, nothing, tmp_path / "out", labels={"spleen": 1}, empty="drop")  # type: ignore[arg-type]


def test_several_labels_have_their_rows_and_a_mean(tmp_path: Path) -> None:
    like = grid(tmp_path / "g")
    true = body(1)
    true[1:3, 0:4] = 2
    wrong = true.copy()
    wrong[wrong == 2] = 0
    truth, found = write(tmp_path / "t", {"a": true}, like), write(tmp_path / "p", {"a": wrong}, like)
    (truth / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "spleen": 1, "liver": 2}}))
    result = evaluate_folders(found, truth, tmp_path / "out")
    assert [(row.label, row.metrics.dice) for row in result.cases] == [("spleen", 1), ("liver", 0)]
    assert result.findings.mean["dice"] == 0.5
    assert result.findings.labels[1].missed == 1
    assert "mean over labels: Dice 0.5000" in result.summary()
    assert ["mean over labels", "dice"] in [[r["label"], r["figure"]] for r in rows(tmp_path / "out" / "summary.csv")]


def test_files_of_other_programs_find_each_other(tmp_path: Path) -> None:
    like = grid(tmp_path / "g")
    truth = write(tmp_path / "truth", {"case_0000": body(3)}, like)
    nnunet = write(tmp_path / "nnunet", {"case": body(3), "case_prob": body()}, like)
    assert evaluate_folders(nnunet, truth, tmp_path / "one").cases[0].label == "label 3"
    total = write(tmp_path / "total", {"case/spleen": body(), "case/liver": body(shift=3)}, like)
    result = evaluate_folders(total, truth, tmp_path / "two", labels={"spleen": 3})
    assert [(row.case, row.metrics.dice) for row in result.cases] == [("case", 1)]
    with pytest.raises(UserError, match=r"no file colon\.nii\.gz"):
        evaluate_folders(total, truth, tmp_path / "three", labels={"colon": 3})


def test_a_case_that_failed_is_not_left_out(tmp_path: Path) -> None:
    like = grid(tmp_path / "g")
    truth = write(tmp_path / "truth", {"a": body(), "b": body()}, like)
    found = write(tmp_path / "found", {"a": body()}, like)
    with pytest.raises(UserError, match=r"1 of the 2 cases .* have no prediction .*\(b\.\.\.\)"):
        evaluate_folders(found, truth, tmp_path / "out")
    warned: list[str] = []

    class Warned(Silent):
        def warn(self, message: str) -> None:
            warned.append(message)

    evaluate_folders(truth, found, tmp_path / "out", reporter=Warned())
    assert warned == ["1 predictions have no truth and are passed over (b...)"]


def test_another_grid_is_one_clear_line(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", {"a": body()}, grid(tmp_path / "g"))
    other = grid(tmp_path / "h", (5, 24, 20))
    found = write(tmp_path / "found", {"a": body()[1:]}, other)
    with pytest.raises(UserError, match="another grid"):
        evaluate_folders(found, truth, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_of_the_users_is_replaced(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", {"a": body()}, grid(tmp_path / "g"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cases.csv").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        evaluate_folders(truth, truth, tmp_path / "out")
    assert (tmp_path / "out" / "cases.csv").read_text() == "mine"
    evaluate_folders(truth, truth, tmp_path / "new")
    evaluate_folders(truth, truth, tmp_path / "new")
    report = tmp_path / "new" / "report.json"
    Findings.read(report).model_copy(update={"section": "folds"}).write(report)  # the tables of a cross-validation
    with pytest.raises(UserError, match="holds something else"):
        evaluate_folders(truth, truth, tmp_path / "new")


def test_names_from_files_cannot_write_into_the_page_or_run_in_a_spreadsheet(tmp_path: Path) -> None:
    like = grid(tmp_path / "g")
    name = "=1+1 <img src=x onerror=alert(1)>"
    truth = write(tmp_path / "truth", {name: body()}, like)
    found = write(tmp_path / "found", {name: body(shift=1)}, like)
    evaluate_folders(found, truth, tmp_path / "out", labels={"<b>": 1})
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "<b>:" not in page
    assert "&lt;img src=x" in page
    assert rows(tmp_path / "out" / "cases.csv")[0]["case"].startswith("'=")


def test_the_command_takes_two_folders_and_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = str(write(tmp_path / "truth", {"a": body()}, grid(tmp_path / "g")))
    out = str(tmp_path / "out")
    assert run(["evaluate", "--predictions", truth, "--truth", truth, "--label", "spleen=1", "-o", out]) == 0
    assert "mean Dice 1.0000" in capsys.readouterr().out
    (tmp_path / "out" / "report.html").unlink()
    assert run(["report", out]) == 0
    assert (tmp_path / "out" / "report.html").is_file()
    for words, said in (
        (["evaluate", "--truth", truth], "both --predictions and --truth"),
        (["evaluate"], "give a CONFIG, or two folders"),
        (["evaluate", "x.config", "--truth", truth, "--predictions", truth], "is not needed"),
        (["report", str(tmp_path / "g")], "run `spleenseg evaluate` first"),
    ):
        assert run(words) == 2
        assert said in capsys.readouterr().err


def test_a_real_spleen_and_its_shifted_copy_have_the_figures_computed_by_hand(tmp_path: Path, real_data: Path) -> None:
    source = real_data / "amos-0001"
    scan = read_volume(source / "ct.nii.gz")
    spleen = read_labels(source / "labels.nii.gz", scan) == 1
    shifted = np.roll(spleen, 3, axis=2)
    truth = write(tmp_path / "truth", {"amos": spleen}, scan)
    found = write(tmp_path / "found", {"amos": shifted}, scan)
    (tmp_path / "ct").mkdir()
    shutil.copyfile(source / "ct.nii.gz", tmp_path / "ct" / "amos_0000.nii.gz")
    result = evaluate_folders(found, truth, tmp_path / "out", labels={"spleen": 1}, images=tmp_path / "ct")
    (row,) = result.cases
    voxels, overlap = int(spleen.sum()), int((spleen[:, :, :-3] & spleen[:, :, 3:]).sum())
    assert voxels == 42444
    assert row.metrics.truth_ml == pytest.approx(42444 * 0.5703125**2 * 5 / 1000, rel=1e-5)
    assert row.metrics.volume_error_ml == 0
    assert row.metrics.dice == pytest.approx(overlap / voxels)
    assert row.metrics.iou == pytest.approx(overlap / (2 * voxels - overlap))
    assert row.metrics.sensitivity == row.metrics.precision == pytest.approx(overlap / voxels)
    assert row.metrics.hd_mm == pytest.approx(3 * 0.5703125, rel=1e-5)
    assert row.metrics.nsd_2mm == 1  # 1.71 mm at most
    with_organ = [one for one in result.slices if one.truth_pixels]
    assert len(with_organ) == 7
    assert sum(one.truth_pixels for one in with_organ) == 42444


def test_shipped_masks_agree_with_themselves_and_another_grid_is_refused(tmp_path: Path, real_data: Path) -> None:
    source = real_data / "totalsegmentator-example"
    for folder, file in (("one", "example_seg"), ("two", "example_seg"), ("other", "example_seg_dicom")):
        (tmp_path / folder).mkdir()
        shutil.copyfile(source / f"{file}.nii.gz", tmp_path / folder / "case.nii.gz")
    labels = {"spleen": 1, "liver": 5}
    result = evaluate_folders(tmp_path / "one", tmp_path / "two", tmp_path / "out", labels=labels)
    volume = read_volume(source / "example_seg.nii.gz")
    for row, value in zip(result.cases, (1, 5), strict=True):
        assert (row.metrics.dice, row.metrics.hd_mm, row.metrics.nsd_2mm) == (1, 0, 1)
        assert row.metrics.truth_ml == pytest.approx(int((volume.array == value).sum()) * 27 / 1000, rel=1e-4)
    with pytest.raises(UserError, match="another grid"):
        evaluate_folders(tmp_path / "other", tmp_path / "one", tmp_path / "refused", labels=labels)
    swapped = volume.array.copy()
    swapped[volume.array == 5] = 1
    write_labels(swapped.astype(np.uint8), volume, tmp_path / "other" / "case.nii.gz")
    merged = evaluate_folders(tmp_path / "other", tmp_path / "one", tmp_path / "merged", labels=labels).cases
    spleen, liver = (int((volume.array == value).sum()) for value in (1, 5))
    assert merged[0].metrics.dice == pytest.approx(2 * spleen / (2 * spleen + liver))
    assert merged[0].metrics.sensitivity == 1
    assert (merged[1].metrics.dice, merged[1].metrics.hd_mm) == (0, None)
