"""The learning-rate range test: what it writes, what it says, and that it leaves the run alone."""

from __future__ import annotations

import csv

import pytest

from spleenseg.errors import UserError
from spleenseg.training.rate_finder import HIGHEST, LOWEST, RatePoint, _suggested, find_rate
from spleenseg.training.train import train

from .conftest import Project


def test_rates_rise_and_one_is_suggested_without_touching_the_run(project: Project) -> None:
    config = project()
    train(config, overrides=["train.epochs=1"])
    kept = {path: path.read_bytes() for path in config.parent.rglob("*") if path.is_file()}
    found = find_rate(config, steps=30)
    rates = [point.rate for point in found.points]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(LOWEST)
    assert LOWEST / 10 <= found.suggested < HIGHEST
    with found.csv.open() as file:
        assert [float(row["learning_rate"]) for row in csv.DictReader(file)] == pytest.approx(rates)
    assert found.png.is_file()
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_folder_that_cannot_be_written_to_is_said_before_any_rate_is_tried(project: Project) -> None:
    config = project()
    (config.parent / "eval").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write to .*eval"):
        find_rate(config, steps=10**6)


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_smoothed_loss() -> None:
    points = [RatePoint(rate, 0.0, loss) for rate, loss in ((1e-4, 0.7), (1e-3, 0.5), (1e-2, 0.3), (1e-1, 0.9))]
    assert _suggested(points) == pytest.approx(1e-3)
