"""Encoders with the weights of `keras.applications`: the same features, from the same image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.models.build import build_model
from spleenseg.models.encoders import RESNET, check_initial, efficientnet, encoder_of
from spleenseg.models.pretrained import load_encoder

MakeConfig = Callable[..., Config]
SIZE = 64
EFFICIENT = {"model": "EfficientUNet", "image_width": SIZE, "image_height": SIZE, "image_channels": 3}
RESIDUAL = {**EFFICIENT, "model": "DeepLabV3Plus"}


def published(kind: str, **settings: Any) -> Any:
    """Return a network of Keras Applications with weights by chance, running means and deviations too.

    Its first filters do not reach beyond the image, where ours sees another colour than theirs.
    """
    keras.utils.set_random_seed(4)
    make = getattr(keras.applications, kind)
    model = make(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3), **settings)
    rng = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
        elif getattr(layer, "use_bias", False):
            layer.set_weights([layer.get_weights()[0], rng.normal(0, 0.1, layer.bias.shape)])
    stem = model.get_layer("stem_conv" if kind.startswith("Eff") else "conv1_conv")
    kernel, *bias = stem.get_weights()
    inner = slice(0, 2) if kind.startswith("Eff") else slice(3, 5)
    kept = np.zeros_like(kernel)
    kept[inner, inner] = kernel[inner, inner]
    stem.set_weights([kept, *bias])
    return model


@pytest.fixture(scope="module")
def efficient(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    model = published("EfficientNetB0")
    # as in the published files, whose rescaling layers leave what this one does
    normal = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]) ** 2, np.array(0)
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    first.set_weights(normal)
    first.finalize_state()
    path = tmp_path_factory.mktemp("weights") / "b0.h5"
    model.save(path)
    return model, path


def image(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (1, SIZE, SIZE, channels)).astype(np.float32)


def features_of(model: Any, layer: str, x: np.ndarray) -> np.ndarray:
    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(x))


@pytest.mark.parametrize("normalised", [True, pytest.param(False, marks=pytest.mark.full)])
def test_an_efficientnet_sees_what_the_published_one_sees(
    make_config: MakeConfig, efficient: tuple[Any, Path], normalised: bool
) -> None:
    theirs, path = efficient
    config = make_config(**EFFICIENT, input_normalize=normalised)
    ours = build_model(config.model)
    load_encoder(ours, config.model, efficientnet("B0"), path)
    for layer in ("stem_activation", "block2b_add", "block6d_add"):
        found, expected = (features_of(model, layer, image()) for model in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_resnet_sees_what_the_published_one_sees(make_config: MakeConfig, tmp_path: Path) -> None:
    theirs = published("ResNet50")
    theirs.save_weights(tmp_path / "resnet.weights.h5")
    config = make_config(**RESIDUAL)
    ours = build_model(config.model)
    assert len(load_encoder(ours, config.model, RESNET, tmp_path / "resnet.weights.h5")) == 2 * 53
    blue_green_red = image()[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    expected = features_of(theirs, "conv4_block6_out", blue_green_red)  # conv5 is dilated here, strided there
    found = features_of(ours, "conv4_block6_out", image())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("channels", [1, pytest.param(5, marks=pytest.mark.full)])
def test_grey_slices_give_what_grey_in_three_colours_gives(
    make_config: MakeConfig, efficient: tuple[Any, Path], channels: int
) -> None:
    grey = image(1)
    found = []
    for count in (channels, 3):
        config = make_config(**{**EFFICIENT, "image_channels": count}, context=2 if count == 5 else 0)
        model = build_model(config.model)
        load_encoder(model, config.model, efficientnet("B0"), efficient[1])
        found.append(features_of(model, "block2b_add", np.repeat(grey, count, axis=-1)))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-3 * np.abs(found[1]).max())


def test_only_the_encoder_takes_the_weights(make_config: MakeConfig, efficient: tuple[Any, Path]) -> None:
    config = make_config(**EFFICIENT)
    model = build_model(config.model)
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    taken = load_encoder(model, config.model, efficientnet("B0"), efficient[1])
    for name, old in before.items():
        same = all(np.array_equal(a, b) for a, b in zip(old, model.get_layer(name).get_weights(), strict=True))
        assert same == (name not in taken), name
    assert {name for name in before if name not in taken} == {
        name for name in before if name.startswith(("up", "logits"))
    }


def test_the_files_published_for_keras_2_are_read(
    make_config: MakeConfig, efficient: tuple[Any, Path], tmp_path: Path
) -> None:
    """They hold the weights at the top, named "layer/weight:0", in bytes."""
    with h5py.File(efficient[1]) as new, h5py.File(tmp_path / "old.h5", "w") as old:
        for name, group in new["model_weights"].items():
            weights = list(group.attrs.get("weight_names", []))
            made = old.create_group(name)
            made.attrs["weight_names"] = [f"{weight}:0".encode() for weight in weights]
            for weight in weights:
                made[f"{weight}:0"] = group[weight][()]
    config = make_config(**EFFICIENT)
    one, two = build_model(config.model), build_model(config.model)
    load_encoder(one, config.model, efficientnet("B0"), efficient[1])
    load_encoder(two, config.model, efficientnet("B0"), tmp_path / "old.h5")
    for name in ("stem_conv", "stem_bn", "block7a_project_conv"):
        for a, b in zip(one.get_layer(name).get_weights(), two.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_another_network_and_a_damaged_file_are_refused(
    make_config: MakeConfig, efficient: tuple[Any, Path], tmp_path: Path
) -> None:
    config = make_config(**EFFICIENT, efficientnet="B1")
    model = build_model(config.model)
    with pytest.raises(UserError, match=r"does not hold the weights of EfficientNet B1: layer block1b_"):
        load_encoder(model, config.model, efficientnet("B1"), efficient[1])
    (tmp_path / "no.h5").write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged"):
        load_encoder(model, config.model, efficientnet("B1"), tmp_path / "no.h5")


def test_missing_imagenet_weights_are_asked_for_and_never_fetched(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    config = make_config(**EFFICIENT, pretrained="imagenet")
    with pytest.raises(UserError) as caught:
        check_initial(config)
    line = str(caught.value)
    assert "\n" not in line
    assert "[model] pretrained (line 9): the ImageNet weights of EfficientNet B0 are not here" in line
    assert "keras-applications/efficientnetb0_notop.h5" in line
    assert str(tmp_path / "keras" / "models" / "efficientnetb0_notop.h5") in line
    assert not (tmp_path / "keras").exists()
    place = tmp_path / "keras" / "models" / "efficientnetb0_notop.h5"
    place.parent.mkdir(parents=True)
    place.touch()
    check_initial(config)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"pretrained": "none.h5"}, r"\[model\] pretrained \(line 9\): no such file: .*none\.h5"),
        ({"init_from": "nowhere"}, r"\[model\] init_from \(line 9\): .*nowhere is not the folder of a training"),
        ({"init_from": "nowhere", "pretrained": "imagenet"}, "cannot be given together"),
    ],
)
def test_a_start_that_cannot_be_is_refused_before_any_work(
    make_config: MakeConfig, keys: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_initial(make_config(**EFFICIENT, **keys))


def test_a_network_without_published_weights_ignores_them_with_a_notice(make_config: MakeConfig) -> None:
    config = make_config(model="UNet", pretrained="imagenet")
    assert encoder_of(config.model) is None
    check_initial(config)
    assert any("pretrained" in line and "accepted without effect" in line for line in config.warnings)
