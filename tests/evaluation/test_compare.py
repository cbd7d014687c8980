from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from spleenseg.cli.app import run
from spleenseg.errors import UserError
from spleenseg.evaluation.compare import compare

GOOD = [0.95, 0.94, 0.96, 0.93, 0.97, 0.92, 0.95, 0.94, 0.96, 0.91]


def table(path: Path, dices: list[float], header: str = "case,label,dice", label: str | None = "spleen") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    middle = "" if label is None else f"{label},"
    lines = [f"case_{place},{middle}{value}" for place, value in enumerate(dices)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("changes", "margin", "said"),
    [
        ([-0.03 + 0.001 * place for place in range(10)], 0.01, "better"),
        ([0.004, -0.004] * 5, 0.01, "non-inferior"),
        ([0.004, -0.004] * 5, 0.001, "can't tell"),
        ([0.03 - 0.001 * place for place in range(10)], 0.01, "worse"),
    ],
)
def test_a_pair_of_results_is_judged_in_a_word(tmp_path: Path, changes: list[float], margin: float, said: str) -> None:
    first = table(tmp_path / "a.csv", GOOD)
    second = table(tmp_path / "b.csv", [value + change for value, change in zip(GOOD, changes, strict=True)])
    found = compare(first, second, tmp_path / "out", margin=margin)
    (one,) = found.findings.deciding
    assert one.verdict == said
    assert one.patients == 10
    assert one.mean == pytest.approx(-sum(changes) / 10)
    assert said in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8").replace("&#x27;", "'")


def test_page_table_and_json_hold_the_same_differences(tmp_path: Path) -> None:
    found = compare(table(tmp_path / "a.csv", GOOD), table(tmp_path / "b.csv", GOOD[::-1]), tmp_path / "out")
    data = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert data["differences"][0]["p_value"] == found.findings.differences[0].p_value
    with (tmp_path / "out" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["difference"]) for row in rows] == pytest.approx(
        [a - b for a, b in zip(GOOD, GOOD[::-1], strict=True)]
    )


def test_a_published_table_stands_in_for_a_run(tmp_path: Path) -> None:
    """Other names, per cent, file names as cases, no label, and a case that we lack."""
    ours = table(tmp_path / "run" / "cases.csv", GOOD).parent
    lines = [f"case_{place}.nii.gz,{100 * (value - 0.02):.2f},5" for place, value in enumerate(GOOD)]
    (tmp_path / "paper.csv").write_text("\n".join(["Case ID,DSC,HD95", *lines, "case_99.nii.gz,90,4"]))
    found = compare(ours, tmp_path / "paper.csv", tmp_path / "out").findings
    assert (found.first, found.second) == ("run", "paper")
    assert found.deciding[0].mean == pytest.approx(0.02)
    assert found.deciding[0].label == "spleen"
    assert found.only_second == ("case_99",)


def test_patients_and_not_cases_are_counted(tmp_path: Path) -> None:
    for name, value in (("a", 0.9), ("b", 0.8)):
        lines = [f"c{place},p{place // 2},{value + place / 100}" for place in range(6)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["case,patient,dice", *lines]))
    assert compare(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "out").findings.deciding[0].patients == 3


@pytest.mark.parametrize("theirs", ["case,dice", "case,patient,dice"])
def test_the_order_of_the_arguments_decides_nothing(tmp_path: Path, theirs: str) -> None:
    """The second table knows no patients, or has the case for one, as an evaluation without a manifest writes it."""
    dices = {f"c{place}": 0.9 + (place * 7 % 5) / 100 for place in range(12)}
    ours = [f"{case},p{place // 3},{dice}" for place, (case, dice) in enumerate(dices.items())]
    (tmp_path / "ours.csv").write_text("\n".join(["case,patient,dice", *ours]))
    middle = "{0}" if theirs == "case,dice" else "{0},{0}"
    lines = [f"{middle.format(case)},{dice - 0.02 - place / 1000}" for place, (case, dice) in enumerate(dices.items())]
    (tmp_path / "theirs.csv").write_text("\n".join([theirs, *reversed(lines)]))
    names = ("ours.csv", "theirs.csv")
    found, back = (
        compare(tmp_path / first, tmp_path / second, tmp_path / first[:4]).findings
        for first, second in (names, names[::-1])
    )
    one, other = found.deciding[0], back.deciding[0]
    assert one.patients == other.patients == 4
    assert one.p_value == other.p_value
    assert one.ci95 == pytest.approx((-other.ci95[1], -other.ci95[0]))
    assert [row.patient for row in found.cases] == [row.patient for row in back.cases]


def test_less_of_a_distance_is_better_and_errors_count_by_their_size(tmp_path: Path) -> None:
    for name, distance, error in (("a", 2, -1), ("b", 3, 5)):
        lines = [f"c{place},0.9,{distance + place / 100},{error}" for place in range(8)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["case,dice,hd95_mm,volume_error_ml", *lines]))
    found = compare(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "out", metric="hd95_mm", margin=0.5).findings
    by_name = {one.metric: one for one in found.differences}
    assert by_name["hd95_mm"].verdict == "better"
    assert (by_name["volume_error_ml"].first, by_name["volume_error_ml"].second) == (1, 5)
    assert by_name["volume_error_ml"].verdict == "better"
    with pytest.raises(UserError, match="give --margin"):
        compare(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "x", metric="hd95_mm")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("dice\n0.9\n", "no column of cases"),
        ("case,colour\na,red\n", "no figure"),
        ("case,dice\na,red\n", r"line 2: dice is no number \(red\)"),
        ("case,dice\na,0.9\na,0.8\n", "line 3: a occurs twice"),
        ("case,dice\n", "holds no case"),
        ("case,dice\nz,0.9\n", "no case and label in common"),
        ("case,label,hd95\ncase_0,spleen,3\n", "no column 'dice'"),
    ],
)
def test_a_table_that_cannot_be_compared_says_why(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(UserError, match=said):
        compare(table(tmp_path / "a.csv", GOOD), tmp_path / "bad.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = table(tmp_path / "a.csv", GOOD)
    assert run(["report", str(first), str(first), "-o", str(tmp_path / "out")]) == 0
    assert "is non-inferior to" in capsys.readouterr().out
    assert run(["report", str(first), str(first), "--metric", "dise", "-o", str(tmp_path / "out")]) == 2
    assert "did you mean 'dice'" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert run(["report", str(first), str(first), "-o", str(tmp_path / "mine")]) == 2
    assert "holds something else" in capsys.readouterr().err
