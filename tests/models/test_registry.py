"""Names of networks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.models import registry
from spleenseg.models.build import build_model

MakeConfig = Callable[..., Config]


@pytest.mark.parametrize("name", ["TensorflowUNet", "UNet", "unet", "tensorflowunet", "TENSORFLOWUNET"])
def test_a_network_answers_with_and_without_prefix_in_any_case(name: str) -> None:
    assert registry.resolve(name).name == "TensorflowUNet"


@pytest.mark.parametrize(("typo", "meant"), [("TensorflowUnet2", "TensorflowUNet"), ("Unett", "UNet")])
def test_a_typo_is_answered_with_the_nearest_name(typo: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"no model '{typo}'.*did you mean '{meant}'.*there are: Tensor"):
        registry.resolve(typo)


def test_an_unknown_network_is_reported_with_its_line(make_config: MakeConfig) -> None:
    config = make_config(model="TensorflowUNett")
    with pytest.raises(UserError, match=r"config: \[model\] model \(line \d+\): no model 'TensorflowUNett'"):
        registry.check(config)


def test_a_size_that_cannot_be_halved_is_refused_before_building(make_config: MakeConfig) -> None:
    model = make_config().model.model_copy(update={"image_height": 30})
    with pytest.raises(UserError, match=r"\[model\] image_height: 30 is not divisible by 4.*; 28 or 32 would do"):
        build_model(model)


@pytest.mark.parametrize("module", ["models", "models.registry", "models.run_folder", "training.registry"])
def test_names_are_known_without_loading_keras(module: str) -> None:
    code = f"import sys, spleenseg.{module}; print([n for n in sys.modules if n in ('keras', 'tensorflow', 'h5py')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["Tensorflow3DUNet", "3DUNet"])
def test_a_network_to_come_is_named_as_such_and_not_listed(make_config: MakeConfig, name: str) -> None:
    assert "Tensorflow3DUNet" not in registry.names()
    with pytest.raises(
        UserError, match=r"\[model\] model \(line \d+\): Tensorflow3DUNet is not built yet: .*ResEncUNet"
    ):
        registry.check(make_config(model=name))
