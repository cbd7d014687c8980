"""EfficientNetB7UNet: the contract with a trunk of fewer, narrower blocks, and once the whole of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from tests.models.test_efficient_unet import TestTensorflowEfficientUNet as EfficientUNetTests
from tests.models.test_efficient_unet import trunk_parameters

from spleenseg.config import Config
from spleenseg.models import efficientnet
from spleenseg.models.build import build_model

MakeConfig = Callable[..., Config]


class TestTensorflowEfficientNetB7UNet(EfficientUNetTests):
    name = "TensorflowEfficientNetB7UNet"
    overfit: ClassVar[dict[str, object]] = {"base_filters": 8, "normalization": True}

    @pytest.fixture(autouse=True)
    def _slimmed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(efficientnet.SCALES, "B7", (0.5, 0.5))

    def parameters(self, config: Config) -> int:
        return super().parameters(config.model_copy(update={"model": _as_b7(config)}))


def _as_b7(config: Config) -> object:
    return config.model.model_copy(update={"efficientnet": "B7"})


def test_the_trunk_of_b7_has_the_published_number_of_parameters() -> None:
    top = 640 * 2560 + 4 * 2560
    assert trunk_parameters(3, "B7") + top + 2560 * 1000 + 1000 == 66_658_680


@pytest.mark.full
def test_the_whole_network_builds_without_downloads(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="EfficientNetB7UNet", base_filters=32).model)
    assert model.get_layer("block7d_add").output.shape == (None, 1, 1, 640)
