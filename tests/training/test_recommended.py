"""The config that is recommended."""

from __future__ import annotations

from pathlib import Path

from spleenseg.config import load_config
from spleenseg.training.preflight import check
from spleenseg.training.schedule import Schedule

from .conftest import Project

CONFIG = Path(__file__).parents[2] / "projects" / "spleen" / "recommended.config"


def test_the_recommended_config_is_complete_and_asks_for_nothing_that_has_no_effect(project: Project) -> None:
    data = project().parent / "data"
    settings = [
        f"{section}.{key}_datapath={data / split / f'{key}s'}"
        for section, split in (("train", "train"), ("eval", "valid"), ("test", "valid"))
        for key in ("image", "mask")
    ]
    config = load_config(CONFIG, settings, strict=True)
    assert not config.warnings
    check(config)
    given = [view for view in config.describe() if view.origin.source == "file"]
    assert len(given) > 30
    assert [view.key for view in given if view.reason] == []


def test_its_schedule_ends_with_its_training_and_is_not_cut_short() -> None:
    config = load_config(CONFIG)
    schedule = Schedule.of(config)
    assert schedule.factor(config.train.epochs - 1, config.train.steps_per_epoch - 1) < 0.01
    assert config.train.patience >= config.train.epochs
