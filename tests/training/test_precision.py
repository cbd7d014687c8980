"""What stays float32 where a network computes in fewer bits."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from spleenseg.config import load_config
from spleenseg.training.network import build
from spleenseg.training.precision import resolve_precision

from .conftest import Project


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_weights_logits_slots_and_averages_stay_float32(project: Project, precision: str) -> None:
    settings = [f"train.precision={precision}", "train.ema=0.9", "model.model=FastUNet", "model.num_layers=3"]
    learner = build(load_config(project(), settings))
    assert {v.dtype for v in learner.variables() if "float" in v.dtype} == {"float32"}
    assert learner.network.get_layer("up1_conv").compute_dtype == precision
    images = np.full((2, 32, 32, 1), 100, np.float32)
    logits = learner.model(images)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    targets = np.zeros((2, 32, 32, 1), np.float32)
    loss = learner.model.compute_loss(images, targets, logits)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"


def test_the_choice_may_be_left_to_the_processor() -> None:
    assert resolve_precision("auto") in {"float32", "bfloat16"}
    assert resolve_precision("float16") == "float16"
