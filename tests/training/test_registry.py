"""Names of losses and metrics in a config."""

from __future__ import annotations

from pathlib import Path

import pytest

from spleenseg.config import Config, load_config, parse_config
from spleenseg.errors import UserError
from spleenseg.training import keras_metrics, losses, registry

MODEL = "image_width=32\nimage_height=32\nimage_channels=1\nnum_classes=1\nbase_filters=2\nnum_layers=2"


def _config(tmp_path: Path, model: str = "", train: str = "") -> Config:
    return parse_config(f"[model]\n{MODEL}\n{model}\n[train]\n{train}\n", tmp_path / "c.config")


@pytest.mark.parametrize("name", registry.LOSSES)
def test_every_loss_that_is_listed_is_built(name: str) -> None:
    assert losses.build_loss(name).__name__ == name


def test_every_metric_that_is_listed_is_built() -> None:
    assert [metric.name for metric in keras_metrics.build_metrics(list(registry.METRICS))] == list(registry.METRICS)


@pytest.mark.parametrize(
    ("model", "train", "line", "message"),
    [
        ('loss = "bce_dice_los"', "", 8, r"\[model\] loss .*no loss 'bce_dice_los' \(did you mean 'bce_dice_loss'"),
        ('metrics = ["dice_coef", "sensitivty"]', "", 8, r"\[model\] metrics .*did you mean 'sensitivity'"),
        ("", 'metrics = ["val_iou_cof"]', 10, r"\[train\] metrics .*no metric 'val_iou_cof' .*'val_iou_coef'"),
    ],
)
def test_a_typo_names_file_section_key_and_line(
    tmp_path: Path, model: str, train: str, line: int, message: str
) -> None:
    with pytest.raises(UserError, match=rf"c\.config.*{message}.*accepted: ") as caught:
        registry.check(_config(tmp_path, model, train))
    assert f"(line {line})" in str(caught.value)


def test_loss_may_be_a_column_beside_metrics(tmp_path: Path) -> None:
    config = _config(tmp_path, train='metrics = ["loss", "val_loss", "val_specificity"]')
    registry.check(config)
    assert registry.metric_names(config) == ("binary_accuracy", "specificity", "dice_coef", "iou_coef")


def test_the_reference_config_is_accepted_and_gets_dice_and_iou(real_data: Path) -> None:
    config = load_config(real_data / "reference" / "train_eval_infer.config")
    registry.check(config)
    assert registry.metric_names(config) == ("binary_accuracy", "dice_coef", "iou_coef")
