"""The demonstration, tiny: every piece is there, it continues when stopped, and touches nothing of others."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from spleenseg.demo.run import DemoSize, demo
from spleenseg.errors import UserError

TINY = DemoSize(
    cases=5,
    unlabelled=1,
    pixels=32,
    settings=("train.epochs=1", "train.steps_per_epoch=2", "model.base_filters=4", "model.num_layers=3"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "demo"
    demo(out, size=TINY)
    return out


def test_the_demonstration_leaves_page_figures_run_folder_and_segmentations(finished: Path) -> None:
    assert (finished / "run" / "models" / "best_model.weights.h5").is_file()
    assert (finished / "segmentations" / "volumes.csv").is_file()
    assert "run/report.html" in (finished / "index.html").read_text(encoding="utf-8")
    assert (finished / "run" / "report.html").is_file()
    assert len(list((finished / "segmentations").glob("*_overlay.png"))) == 1
    with (finished / "cases.csv").open() as file:
        assert len(list(csv.DictReader(file))) >= 1


def test_the_page_stands_alone_and_says_that_patients_are_synthetic(finished: Path) -> None:
    page = (finished / "index.html").read_text(encoding="utf-8")
    assert "synthetic" in page
    assert page.count("src='data:image/png;base64,") == 3
    assert not re.findall(r"(?:src|href)=['\"](?!data:)", page)


def test_a_finished_demonstration_is_not_made_again(finished: Path) -> None:
    weights = finished / "run" / "models" / "best_model.weights.h5"
    before = weights.stat().st_mtime_ns
    demo(finished, size=TINY)
    assert weights.stat().st_mtime_ns == before


def test_a_demonstration_of_another_seed_is_refused(finished: Path) -> None:
    with pytest.raises(UserError, match="another seed"):
        demo(finished, seed=1, size=TINY)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not a demo"):
        demo(tmp_path, size=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
