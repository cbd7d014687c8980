"""The learner: what training minimises, and what validation and metrics see of it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from spleenseg.config import Config, load_config
from spleenseg.models.build import side_weights
from spleenseg.training.losses import build_loss
from spleenseg.training.network import Learner, build

from .conftest import Project

DEEP = ["UNet3Plus", "U2Net", "BASNet", "ResEncUNet"]
GUIDED = ["model.model=UNet3Plus", "model.classification_guided=True", "model.deep_supervision=True"]


def configured(project: Project, *overrides: str) -> Config:
    return load_config(project(), ["model.dropout_rate=0.0", "model.base_filters=2", "model.num_layers=3", *overrides])


def eager(config: Config) -> Learner:
    """Return a learner that needs no compiling, which would take longer than a few steps."""
    learner = build(config)
    learner.model.run_eagerly = True
    return learner


def some_batch(config: Config) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (2, 32, 32, config.model.image_channels)).astype(np.float32)
    labels = rng.integers(0, max(2, config.model.num_classes), (2, 32, 32))
    classes = config.model.num_classes
    return images, (labels[..., None] if classes == 1 else np.eye(classes)[labels]).astype(np.float32)


@pytest.mark.parametrize("name", DEEP)
def test_all_logits_learn_and_the_networks_own_are_validated(project: Project, name: str) -> None:
    config = configured(project, f"model.model={name}", "model.deep_supervision=True")
    learner, (images, targets) = eager(config), some_batch(config)
    loss, weights = build_loss("bce_dice_loss"), side_weights(learner.network)

    own = learner.model(images)[0]
    found = np.asarray(own) >= 0
    figures = learner.test_on(images, targets)
    assert figures["loss"] == pytest.approx(float(loss(targets, own)), rel=1e-5)
    dice = 2 * (found & (targets > 0)).sum() / (found.sum() + targets.sum())
    assert figures["dice_coef"] == pytest.approx(dice, abs=1e-5)
    assert set(figures) == {"loss", "binary_accuracy", "dice_coef", "iou_coef"}

    each = [float(loss(targets, output)) for output in learner.model(images, training=True)]
    assert len(each) == len(weights) > 1
    learner.begin_epoch()
    assert learner.train_on(images, targets)["loss"] == pytest.approx(np.average(each, weights=weights), rel=1e-4)


def test_a_checkpoint_holds_the_side_heads_and_the_network_does_not(project: Project) -> None:
    config = configured(project, "model.model=ResEncUNet", "model.deep_supervision=True")
    plain = build(config.model_copy(update={"model": config.model.model_copy(update={"deep_supervision": False})}))
    deep = build(config)
    paths = [variable.path for variable in deep.variables()]
    assert [path.split("/")[0] for path in paths if path.startswith("logits_side")] == ["logits_side_1_small"] * 2
    assert len(paths) == len(plain.variables()) + 3 * 2  # the head's weights, and Adam's two moments of each
    assert len({id(variable) for variable in deep.variables()}) == len(paths)
    assert deep.network.count_params() == plain.network.count_params()


def test_the_classification_guided_module_learns_with_every_side(project: Project) -> None:
    config = configured(project, *GUIDED, "model.num_classes=3", "model.activation=mish")
    learner, (images, targets) = eager(config), some_batch(config)
    presence = learner.network.get_layer("presence_map").kernel
    before = np.asarray(presence).copy()
    learner.train_on(images, targets)
    assert not np.array_equal(before, np.asarray(presence))


def test_distances_reach_the_boundary_loss_and_no_metric(project: Project) -> None:
    config = configured(project, "model.loss=boundary_loss", "model.num_classes=3")
    learner, (images, targets) = eager(config), some_batch(config)
    expected = float(build_loss("boundary_loss", "softmax")(targets, learner.model(images)))
    figures = learner.test_on(images, targets)
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)
    assert figures["binary_accuracy"] == pytest.approx(
        (np.asarray(learner.network(images)).argmax(-1) == targets.argmax(-1)).mean(), abs=1e-5
    )
    learner.begin_epoch()
    assert learner.train_on(images, targets)["loss"] == pytest.approx(expected, rel=1e-4)


def test_dice_may_count_image_by_image(project: Project) -> None:
    config = configured(project, "model.loss=dice_ce", "model.batch_dice=False")
    learner, (images, targets) = eager(config), some_batch(config)
    targets[0] = 0
    own = learner.model(images)
    expected = float(build_loss("dice_ce_loss", batch_dice=False)(targets, own))
    assert expected != pytest.approx(float(build_loss("dice_ce_loss")(targets, own)), rel=1e-3)
    assert learner.test_on(images, targets)["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("precision", ["float16", pytest.param("bfloat16", marks=pytest.mark.full)])
def test_reduced_precision_learns_in_float32(project: Project, precision: str) -> None:
    config = configured(project, f"train.precision={precision}", "model.num_layers=2")
    learner, (images, _) = build(config), some_batch(config)
    losses = []
    for _ in range(12):
        learner.begin_epoch()
        losses.append(learner.train_on(images, images / 255 > 0.5)["loss"])
    assert losses[-1] < losses[0] - 0.02
    assert {weight.dtype for weight in learner.network.trainable_weights} == {"float32"}
    assert isinstance(learner.model.optimizer, keras.optimizers.LossScaleOptimizer) == (precision == "float16")


@pytest.mark.parametrize("name", ["UNet3Plus", pytest.param("ResEncUNet", marks=pytest.mark.full)])
def test_a_deeply_supervised_training_resumes_exactly(project: Project, name: str) -> None:
    from spleenseg.models.run_folder import load_trained
    from spleenseg.training.train import train

    config = project()
    levels = 3 if name == "ResEncUNet" else 2
    deep = [f"model.model={name}", f"model.num_layers={levels}", "model.deep_supervision=True"]
    train(config, overrides=deep)
    whole = _last(config)
    train(config, overrides=[*deep, "train.epochs=1"])
    train(config, overrides=deep, resume=True)
    for expected, found in zip(whole, _last(config), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert load_trained(config.parent).model.count_params() < sum(value.size for value in whole)


def _last(config: Path) -> list[np.ndarray]:
    with np.load(config.parent / "models" / "last" / "state.npz") as saved:
        return [saved[name] for name in saved.files if name != "state"]
