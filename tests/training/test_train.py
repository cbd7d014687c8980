"""Training from a config: the reference's files, the best and the last, resuming, refusing."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.remarks import Remarks

from spleenseg.config import load_config
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.models.run_folder import RunFolder, RunManifest, load_trained
from spleenseg.training.checkpoint import load_checkpoint
from spleenseg.training.network import Learner, build
from spleenseg.training.repeat import repeat
from spleenseg.training.train import train
from spleenseg.training.trainer import Trainer

from .conftest import Project


def last_weights(config: Path) -> list[np.ndarray]:
    with np.load(config.parent / "models" / "last" / "state.npz") as saved:
        return [saved[name] for name in saved.files if name != "state"]


def test_a_training_leaves_every_file_the_references_users_look_for(project: Project) -> None:
    config = project()
    result = train(config)
    root = config.parent
    assert result.epochs == 2
    assert (root / "models" / "best_model.weights.h5").is_file()
    assert (root / "models" / "train_eval_infer.config").read_bytes() == config.read_bytes()
    losses = (root / "eval" / "train_losses.csv").read_text().splitlines()
    assert losses[0] == "epoch, loss, val_loss"
    assert [row.count(", ") for row in losses[1:]] == [2, 2]
    metrics = (root / "eval" / "train_metrics.csv").read_text().splitlines()
    assert metrics[0] == "epoch,binary_accuracy,val_binary_accuracy,"
    assert len(next(csv.reader([metrics[1]]))) == 3
    for name in ("train_losses.png", "train_metrics.png"):
        assert (root / "eval" / name).read_bytes().startswith(b"\x89PNG")
    history = json.loads((root / "history.json").read_text())
    assert {"loss", "val_loss", "dice_coef", "val_dice_coef", "iou_coef", "learning_rate"} <= set(history)
    assert [len(values) for values in history.values()] == [2] * len(history)


def test_the_manifest_names_the_best_epoch_and_its_weights(project: Project) -> None:
    config = project()
    result = train(config)
    manifest = load_trained(config.parent).manifest
    assert manifest.finished is not None
    assert manifest.seed == 137
    assert manifest.best is not None
    assert manifest.best.epoch == result.best_epoch
    assert set(manifest.data) == {"train", "valid"}
    assert manifest.patient_overlap == {}


def test_a_longer_training_learns_the_organ(project: Project) -> None:
    result = train(project(), overrides=["train.epochs=8", "train.steps_per_epoch=12", "model.dropout_rate=0.0"])
    assert result.best["val_dice_coef"] > 0.9


def test_validation_figures_are_those_of_all_slices_together(project: Project) -> None:
    """Not of the last batch alone, nor a mean of batches: the first slices hold the organ, the last are empty."""
    config = project()
    empty = sorted((config.parent / "data" / "valid" / "masks").glob("*.png"))[2:]
    for path in empty:
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(path)
    result = train(config, overrides=["train.epochs=3", "train.steps_per_epoch=10"])
    valid = SliceSet.from_config(load_config(config), "eval")
    images = np.stack([valid.image(index) for index in range(len(valid))]).astype(np.float32)
    truth = np.stack([valid.labels(index) for index in range(len(valid))]) > 0
    found = load_trained(config.parent).model.predict_on_batch(images)[..., 0] >= 0.5
    dice = 2 * (truth & found).sum() / (truth.sum() + found.sum())
    assert result.best["val_dice_coef"] == pytest.approx(dice, abs=1e-3)
    assert result.best["val_binary_accuracy"] == pytest.approx((truth == found).mean(), abs=1e-3)


def test_a_patient_in_two_splits_is_a_warning_and_recorded(project: Project) -> None:
    config, remarks = project(train="same", valid="same"), Remarks()
    train(config, overrides=["train.epochs=1"], reporter=remarks)
    assert any("1 patients are in both train and valid" in line and "best_by" in line for line in remarks.warnings)
    assert load_trained(config.parent).manifest.patient_overlap == {"train, valid": ["same"]}


def test_the_last_epoch_is_kept_where_validation_is_not_to_choose(project: Project) -> None:
    standing = ["train.epochs=3", "train.steps_per_epoch=1", "train.patience=1", "model.learning_rate=1e-12"]
    config = project()
    stalled = train(config, overrides=standing)
    assert (stalled.epochs, stalled.best_epoch) == (2, 0)
    kept = train(config, overrides=[*standing, "train.best_by=last"])
    assert (kept.epochs, kept.best_epoch) == (3, 2)


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(project: Project) -> None:
    config = project()
    train(config)
    whole, figures = last_weights(config), accuracies(config)
    train(config, overrides=["train.epochs=1"])
    train(config, resume=True)
    for expected, found in zip(whole, last_weights(config), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert accuracies(config) == figures  # the pixels of the last validation are not counted on


def accuracies(config: Path) -> list[float]:
    history = json.loads((config.parent / "history.json").read_text())
    return [round(value, 4) for value in history["binary_accuracy"]]


@pytest.mark.parametrize("left", [2, 0])
def test_a_stop_request_saves_within_the_epoch_and_resume_goes_on_there(project: Project, left: int) -> None:
    config = project(extra='[dataset]\ncolor_order = "bgr"\n')
    many = ["train.steps_per_epoch=100000", "train.epochs=1"]

    def stop() -> None:
        while getattr(signal.getsignal(signal.SIGTERM), "__name__", "") != "_ask":  # libraries set handlers of theirs
            time.sleep(0.02)
        time.sleep(1.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        train(config, overrides=many)
    state = json.loads(str(np.load(config.parent / "models" / "last" / "state.npz")["state"]))
    assert state["epoch"] == 0
    assert 0 < state["step"] < 100000
    remarks = Remarks()
    train(
        config,
        overrides=["train.epochs=1", f"train.steps_per_epoch={state['step'] + left}"],
        resume=True,
        reporter=remarks,
    )
    assert f"continuing at epoch 1, step {state['step'] + 1}" in remarks.said
    history = json.loads((config.parent / "history.json").read_text())
    assert np.isfinite(history["loss"]).all()


def test_an_earlier_run_is_moved_aside_and_foreign_files_stay(project: Project) -> None:
    config, remarks = project(), Remarks()
    train(config, overrides=["train.epochs=1"])
    before = (config.parent / "models" / "best_model.weights.h5").read_bytes()
    (config.parent / "models" / "notes.txt").write_text("mine")
    train(config, overrides=["train.epochs=1", "train.seed=5"], reporter=remarks)
    (aside,) = config.parent.glob("models_*_bak")
    assert (aside / "models" / "best_model.weights.h5").read_bytes() == before
    assert (aside / "run.json").is_file()
    assert (aside / "eval" / "train_losses.csv").is_file()
    assert (config.parent / "models" / "notes.txt").read_text() == "mine"
    assert any(str(aside) in line for line in remarks.said)


def test_a_config_that_lies_beside_the_weights_stays_as_it_is(project: Project) -> None:
    config = project()
    before = config.read_bytes()
    for _ in range(2):
        train(config, overrides=["train.model_dir=.", "train.epochs=1", "train.steps_per_epoch=1"])
    assert config.read_bytes() == before
    (aside,) = config.parent.parent.glob("project_*_bak")
    assert (aside / "best_model.weights.h5").is_file()
    assert not (aside / config.name).exists()


def test_nothing_is_moved_before_the_input_is_known_to_be_good(project: Project) -> None:
    """The reference deletes the old models first and checks its input afterwards."""
    config = project()
    train(config, overrides=["train.epochs=1"])
    (config.parent / "data" / "train" / "masks" / "10000_a.png").unlink()
    with pytest.raises(UserError, match="no mask"):
        train(config)
    assert (config.parent / "models" / "best_model.weights.h5").is_file()
    assert not list(config.parent.glob("*_bak"))


def test_resuming_without_a_checkpoint_is_refused(project: Project) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        train(project(), resume=True)


def test_resuming_another_network_is_refused(project: Project) -> None:
    config = project()
    train(config, overrides=["train.epochs=1"])
    with pytest.raises(UserError, match=r"\[model\] base_filters is 8 now, it was 4, on which all so far rests"):
        train(config, overrides=["model.base_filters=8"], resume=True)
    with pytest.raises(UserError, match="another network or optimizer"):
        train(config, overrides=["train.precision=float16"], resume=True)


def test_what_a_checkpoint_brings_back_cannot_change_on_resuming(project: Project) -> None:
    config = project()
    train(config, overrides=["train.epochs=1", "train.steps_per_epoch=1"])
    for change, was in (
        ("train.best_by=val_dice_coef", "val_loss"),
        ('model.metrics=["sensitivity"]', "binary_accuracy"),
        ("model.loss=dice_loss", "bce_dice_loss"),
        ("model.activation=mish", "relu"),
        ("dataset.color_order=rgb", "bgr"),
    ):
        section, key = change.partition("=")[0].split(".")
        with pytest.raises(UserError, match=rf"cannot resume: \[{section}\] {key} is .* now, it was .*{was}"):
            train(config, overrides=["train.epochs=2", change], resume=True)
    columns = 'train.metrics=["val_dice_coef", "binary_accuracy"]'  # of figures that were counted all along
    train(config, overrides=["train.epochs=1", "train.steps_per_epoch=1", columns], resume=True)
    table = (config.parent / "eval" / "train_metrics.csv").read_text()
    assert table.startswith("epoch,val_dice_coef,binary_accuracy,\n0, ")


def test_another_learning_rate_holds_from_where_a_training_goes_on(project: Project) -> None:
    config, remarks, one = project(), Remarks(), "train.steps_per_epoch=1"
    train(config, overrides=["train.epochs=1", one])
    before = last_weights(config)
    change = ["model.learning_rate=1e-12", one]
    train(config, overrides=["train.epochs=2", *change], resume=True, reporter=remarks)
    assert "resumed with a change: [model] learning_rate is 1e-12 now, it was 0.01" in remarks.warnings
    assert json.loads((config.parent / "history.json").read_text())["learning_rate"] == [0.01, 1e-12]
    after, weights = last_weights(config), len(load_trained(config.parent).model.trainable_variables)
    kernels = [place for place in range(weights) if before[place].ndim == 4]
    assert kernels
    assert all(np.abs(after[place] - before[place]).max() < 1e-6 for place in kernels)


@pytest.mark.parametrize("change", ["train.schedule=constant", "train.warmup_steps=0"])
def test_a_schedule_that_is_gone_leaves_nothing_of_its_rate(project: Project, change: str) -> None:
    config = project()
    train(config, overrides=["train.epochs=1", "train.schedule=cosine", "train.warmup_steps=2"])
    train(config, overrides=["train.epochs=2", "train.schedule=constant", change], resume=True)
    learner = build(load_config(config))
    load_checkpoint(RunFolder.of(load_config(config)).last_state, learner.variables())
    assert float(learner.model.optimizer.learning_rate) == pytest.approx(0.01)


def test_the_best_weights_are_those_that_the_checkpoint_knows_whenever_it_was_killed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after an epoch's weights were written and before its checkpoint, and right after that."""
    config, settings = project(), ["train.best_by=last", "train.epochs=2"]
    run = RunFolder.of(load_config(config))
    train(config, overrides=[*settings, "train.epochs=1"])
    first = sha256(run.best_weights)
    for moment in ("_save_last", "_settle_best"):
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, moment, killed_after_two_epochs(getattr(Trainer, moment)))
            with pytest.raises(ZeroDivisionError):
                train(config, overrides=settings, resume=True)
        assert recorded_weights(run) == sha256(run.best_weights) == first
    second = sha256(run.next_best(1))
    train(config, overrides=settings, resume=True)
    assert recorded_weights(run) == sha256(run.best_weights) == second
    assert not run.all_next_best()


def killed_after_two_epochs(done: Callable[[Trainer], None]) -> Callable[[Trainer], None]:
    def doing(trainer: Trainer) -> None:
        if trainer.state.epoch == 2:
            raise ZeroDivisionError
        done(trainer)

    return doing


def recorded_weights(run: RunFolder) -> str:
    weights = RunManifest.read(run.manifest).weights
    assert weights is not None
    return weights.sha256


def test_best_weights_that_are_gone_are_said_and_chosen_anew(project: Project) -> None:
    config, remarks = project(), Remarks()
    train(config, overrides=["train.epochs=1"])
    RunFolder.of(load_config(config)).best_weights.unlink()
    result = train(config, resume=True, reporter=remarks)
    assert result.best_epoch == 1
    assert any("best_model.weights.h5 is gone: the best epoch is chosen anew" in line for line in remarks.warnings)
    assert load_trained(config.parent).manifest.best.epoch == 1


def test_best_weights_that_are_gone_and_cannot_be_chosen_anew_are_an_error(project: Project) -> None:
    config = project()
    train(config)
    RunFolder.of(load_config(config)).best_weights.unlink()
    with pytest.raises(UserError, match="is gone, and no epoch is left"):
        train(config, resume=True)
    assert train(config, overrides=["train.epochs=3"], resume=True).best_epoch == 2


def test_a_whole_number_is_a_learning_rate(project: Project) -> None:
    train(project(), overrides=["train.epochs=1", "train.steps_per_epoch=1", "model.learning_rate=1"])


def test_resuming_with_another_kind_of_weights_file_is_refused(project: Project) -> None:
    config = project()
    train(config, overrides=["train.epochs=1"])
    other = not load_config(config).train.save_weights_only
    with pytest.raises(UserError, match=rf"save_weights_only = {other} .*; set it to {not other}"):
        train(config, overrides=["train.epochs=2", f"train.save_weights_only={other}"], resume=True)


def test_what_has_changed_since_is_said_on_resuming_kept_and_said_by_a_repetition(project: Project) -> None:
    config, remarks = project(train="a"), Remarks()
    train(config, overrides=["train.epochs=1"])
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(config.parent / "data" / "train" / "images" / "10002_a.png")
    changed = ["train.epochs=2", "train.seed=138"]
    train(config, overrides=changed, resume=True, reporter=remarks)
    lines = ["data of train: case a has other content", "[train] seed is 138 now, it was 137"]
    assert [line for line in remarks.warnings if line.startswith("resumed")] == [
        f"resumed with a change: {line}" for line in lines
    ]
    assert json.loads((config.parent / "run.json").read_text())["resumed_with"] == lines
    again = Remarks()
    repeat(config.parent, reporter=again)
    assert any(all(line in warning for line in lines) for warning in again.warnings)


def test_training_on_as_it_began_is_no_change(project: Project) -> None:
    config, remarks = project(), Remarks()
    train(config, overrides=["train.epochs=1"])
    path, begun = config.parent / "run.json", "2026-01-02T03:04:05Z"
    path.write_text(json.dumps({**json.loads(path.read_text()), "created": begun}))
    train(config, overrides=["train.epochs=2"], resume=True, reporter=remarks)
    assert not [line for line in remarks.warnings if line.startswith("resumed")]
    kept = json.loads(path.read_text())
    assert kept["resumed_with"] == []
    assert kept["created"] == begun


def test_a_stop_amid_validation_waits_for_none_of_the_rest_and_resumes_to_the_same_bits(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, settings = project(), ["train.epochs=2", "train.ema=0.9", "eval.batch_size=1"]
    train(config, overrides=settings)
    weights, losses = last_weights(config), (config.parent / "eval" / "train_losses.csv").read_bytes()
    seen: list[int] = []
    test_on = Learner.test_on

    def interrupted(self: Learner, images: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        seen.append(len(images))
        os.kill(os.getpid(), signal.SIGTERM)
        return test_on(self, images, targets)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "test_on", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, overrides=settings)
    assert len(seen) == 1
    train(config, overrides=settings, resume=True)
    assert all(np.array_equal(a, b) for a, b in zip(weights, last_weights(config), strict=True))
    assert (config.parent / "eval" / "train_losses.csv").read_bytes() == losses


def test_a_damaged_checkpoint_is_refused_in_one_line(project: Project) -> None:
    config = project()
    train(config, overrides=["train.epochs=1"])
    state = config.parent / "models" / "last" / "state.npz"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        train(config, resume=True)


def test_a_loss_that_is_no_number_stops_with_the_images(project: Project) -> None:
    config = project()
    with pytest.raises(UserError, match=r"the loss became nan at epoch \d+, step \d+ \(images .*_a\.png"):
        train(config, overrides=["model.learning_rate=1e30", "model.clipvalue=1e30", "train.epochs=4"])


def test_a_validation_loss_that_is_no_number_is_told_and_can_be_resumed(project: Project) -> None:
    config = project()
    far = ["model.learning_rate=1e30", "model.clipvalue=None", "train.epochs=1", "train.steps_per_epoch=1"]
    result = train(config, overrides=far)
    assert result.summary() == "1 epochs trained, none with a finite validation loss"
    assert json.loads((config.parent / "history.json").read_text())["val_loss"] == [None]
    assert train(config, overrides=far, resume=True).best_epoch is None
    with pytest.raises(UserError, match=r"no weights yet .* finite validation loss"):
        load_trained(config.parent)


def test_validation_limit_caps_the_slices_evenly(project: Project) -> None:
    result = train(project(), overrides=["train.validation_limit=2", "train.epochs=1"])
    assert result.best["val_loss"] > 0


def test_the_learning_rate_falls_on_a_plateau(project: Project) -> None:
    remarks = Remarks()
    settings = ["train.learning_rate_reducer=True", "train.reducer_patience=1", "train.epochs=3"]
    train(project(), overrides=[*settings, "model.learning_rate=1e-12"], reporter=remarks)
    assert any("learning rate reduced" in line for line in remarks.said)


def test_the_layers_are_listed_on_request(project: Project) -> None:
    remarks = Remarks()
    train(project(), overrides=["model.show_summary=True", "train.epochs=1"], reporter=remarks)
    assert any("down0_conv1" in line for line in remarks.said)


def test_a_whole_keras_model_is_kept_on_request(project: Project) -> None:
    config = project()
    train(config, overrides=["train.save_weights_only=False", "train.epochs=1"])
    assert (config.parent / "models" / "best_model.keras").is_file()
    assert load_trained(config.parent).model.name == "TensorflowUNet"
