"""`spleenseg check`, from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spleenseg.cli.app import run
from spleenseg.phantom import write_cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("check") / "cohort", 3, 7, size=96, slices=36, splenectomy=0, threads=1)


@pytest.fixture
def damaged(cohort: Path, tmp_path: Path) -> Path:
    """The cohort with one scan cut short; the others are linked."""
    folder = tmp_path / "damaged"
    for path in cohort.glob("*/*.nii.gz"):
        target = folder / path.relative_to(cohort)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes()[: 4000 if path.name == "phantom_002.nii.gz" else None])
    return folder


def test_a_clean_dataset_ends_with_0_and_says_what_agrees(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(cohort)]) == 0
    shown = capsys.readouterr().out
    assert "cohort: 3 scans, 0 errors" in shown
    assert "left-right" in shown


def test_errors_end_with_1_and_name_the_scan(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(damaged), "--quick"]) == 1
    assert "phantom_002" in capsys.readouterr().out


def test_json_holds_findings_and_every_verdict(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(damaged), "--json", "--quiet"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert {found["case"] for found in report["findings"]} == {"phantom_002"}
    assert {verdict["verdict"] for verdict in report["orientation"]} == {"agrees"}
    assert {"case", "kind", "severity", "message"} == set(report["findings"][0])


def test_a_folder_without_data_ends_with_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
