"""Watching a training: pictures of validation slices, loggers of the extras, and a training that none disturbs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.errors import UserError
from spleenseg.training import loggers
from spleenseg.training.train import train

from .conftest import Project


def weights_of(config: Path) -> list[np.ndarray]:
    with np.load(config.parent / "models" / "last" / "state.npz") as saved:
        return [saved[name] for name in saved.files if name != "state"]


def test_pictures_come_every_n_epochs_and_change_nothing(project: Project) -> None:
    config = project()
    train(config, overrides=["train.epochs=3"])
    alone = weights_of(config)
    assert not (config.parent / "eval" / "epochs").exists()
    more = ["train.epoch_change_infer=True", "train.epoch_change_every=2", "train.num_infer_images=2"]
    train(config, overrides=["train.epochs=3", *more])
    for one, other in zip(alone, weights_of(config), strict=True):
        np.testing.assert_array_equal(one, other)
    pictures = sorted((config.parent / "eval" / "epochs").iterdir())
    assert [path.name for path in pictures] == ["epoch_0002.png"]
    shown = np.asarray(Image.open(pictures[0]))
    assert (shown == (64, 190, 255)).all(axis=-1).any()  # the outline of the truth


def test_the_pictures_of_an_earlier_run_are_moved_aside(project: Project) -> None:
    config = project()
    train(config, overrides=["train.epochs=2", "train.epoch_change_infer=True"])
    train(config, overrides=["train.epochs=1", "train.epoch_change_infer=True"])
    assert [path.name for path in (config.parent / "eval" / "epochs").iterdir()] == ["epoch_0001.png"]
    (aside,) = config.parent.glob("models_*_bak")
    assert len(list((aside / "eval" / "epochs").iterdir())) == 2


@pytest.mark.parametrize("key", ["tensorboard", "mlflow"])
def test_a_logger_whose_package_is_missing_is_refused_before_any_work(
    project: Project, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project()
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"\[train\] {key} .*\[{key}\]"):
        train(config, overrides=[f"train.{key}=True"])
    assert not (config.parent / "models").exists()


@pytest.mark.skipif(importlib.util.find_spec("tensorboardX") is None, reason="extra tensorboard is not installed")
def test_tensorboard_gets_every_figure_of_every_epoch(project: Project) -> None:
    config = project()
    train(config, overrides=["train.tensorboard=True"])
    (events,) = (config.parent / "eval" / "tensorboard").iterdir()
    content = events.read_bytes()
    assert content.count(b"loss/validation") == content.count(b"dice_coef/train") == 2


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="extra mlflow is not installed")
def test_mlflow_logs_to_the_run_folder(project: Project) -> None:
    config = project()
    train(config, overrides=["train.mlflow=True"])
    (losses,) = (config.parent / "mlruns").glob("*/*/metrics/val_loss")
    history = json.loads((config.parent / "history.json").read_text())["val_loss"]
    assert [float(line.split()[1]) for line in losses.read_text().splitlines()] == pytest.approx(history)
