from __future__ import annotations

import pytest

from spleenseg.config import Origin

from .conftest import Load, refusal


def test_overrides_win_and_the_last_of_them_wins(load: Load) -> None:
    config = load("[train]", "epochs = 5", overrides=("train.epochs=2", "TRAIN.Epochs = 3"))
    assert config.train.epochs == 3
    assert config.origin("train", "epochs") == Origin("--set")


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("model.loss=dice_loss", "model", "loss", "dice_loss"),
        ("model.loss='dice_loss'", "model", "loss", "dice_loss"),
        ("mask.blur=False", "mask", "blur", False),
        ("model.clipvalue=None", "model", "clipvalue", None),
        ("augmentor.angles=(5,10)", "augmentor", "angles", (5, 10)),
        ("deformation.alpah=7", "deformation", "alpha", 7),
        ("segmentation.white=#00ff00", "segmentation", "white", "#00ff00"),
    ],
)
def test_an_override_is_a_literal_or_else_text(
    override: str, section: str, key: str, value: object, load: Load
) -> None:
    assert getattr(getattr(load(overrides=(override,)), section), key) == value


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("train.epochs", "--set train.epochs: write it as SECTION.KEY=VALUE"),
        ("epochs=2", "--set epochs=2: write it as SECTION.KEY=VALUE"),
        ("=2", "write it as SECTION.KEY=VALUE"),
        ("train.epocs=2", "--set train.epocs=2: unknown key (did you mean 'epochs'?)"),
        ("trian.epochs=2", "--set trian.epochs=2: unknown section (did you mean [train]?)"),
        ("train.hflip=True", "--set train.hflip=True: unknown key; [augmentor] knows it"),
        ("train.epochs=ten", "c: [train] epochs (--set): must be a whole number from 1 to 1000000, is 'ten'"),
        ("train.epochs=1/0", "c: [train] epochs (--set): must be a whole number"),
        ("model.image_width=65", "c: [model] image_width (--set): must be divisible by 4"),
    ],
)
def test_a_wrong_override_is_one_line_that_names_set(override: str, problem: str, load: Load) -> None:
    assert problem in refusal(load, overrides=(override,))


def test_an_override_mends_a_wrong_value_of_the_file(load: Load) -> None:
    assert load("[train]", "epochs = ten", overrides=("train.epochs=2",)).train.epochs == 2
