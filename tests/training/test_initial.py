"""Trainings that start from trained weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.remarks import Remarks

from spleenseg.config import load_config
from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.models.run_folder import load_trained
from spleenseg.training.initial import set_initial
from spleenseg.training.network import build
from spleenseg.training.repeat import repeat
from spleenseg.training.train import train

from .conftest import Project

SHORT = ["train.epochs=1", "train.steps_per_epoch=1"]


@pytest.fixture
def trained(project: Project, tmp_path: Path) -> Path:
    """Train for a step, and move the run elsewhere."""
    config = project()
    train(config, overrides=SHORT)
    (tmp_path / "earlier").mkdir()
    for name in ("models", "run.json", "train_eval_infer.config"):
        (config.parent / name).rename(tmp_path / "earlier" / name)
    config.write_text((tmp_path / "earlier" / config.name).read_text())
    return config


def test_a_run_starts_from_another_ones_weights(trained: Path) -> None:
    config, remarks = load_config(trained, ["model.init_from=../earlier"]), Remarks()
    network = build(config).network
    record = set_initial(network, config, remarks)
    source = load_trained(trained.parent.parent / "earlier").model
    for ours, theirs in zip(network.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert record is not None
    assert (record.source, record.layers, record.fresh) == ("../earlier", 8, ())
    assert record.sha256 == sha256(next((trained.parent.parent / "earlier" / "models").glob("best_model.*")))
    assert remarks.said == [
        f"8 of 8 layers (100.0% of the numbers) start with trained weights, from {config.model.init_from}"
    ]


def test_other_classes_and_channels_leave_the_layers_that_do_not_fit(trained: Path) -> None:
    other = ["model.init_from=../earlier", "model.num_classes=3", "model.image_channels=3"]
    config, remarks = load_config(trained, other), Remarks()
    network = build(config).network
    before = {layer.name: layer.get_weights() for layer in network.layers if layer.weights}
    record = set_initial(network, config, remarks)
    source = load_trained(trained.parent.parent / "earlier").model
    assert record is not None
    assert record.fresh == ("down0_conv1", "logits")
    for name, old in before.items():
        expected = old if name in record.fresh else source.get_layer(name).get_weights()
        for ours, theirs in zip(network.get_layer(name).get_weights(), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert "6 of 8 layers" in remarks.said[0]
    assert "fresh: down0_conv1, logits, from" in remarks.said[0]


def test_what_a_training_started_from_is_recorded_and_survives_resuming(trained: Path) -> None:
    start = ["model.init_from=../earlier", "train.steps_per_epoch=1"]
    remarks = Remarks()
    train(trained, overrides=[*start, "train.epochs=1"], reporter=remarks)
    recorded = json.loads((trained.parent / "run.json").read_text())["initial"]
    assert (recorded["source"], recorded["layers"], recorded["fresh"]) == ("../earlier", 8, [])
    (trained.parent.parent / "earlier").rename(trained.parent.parent / "gone")
    train(trained, overrides=[*start, "train.epochs=2"], resume=True)
    assert json.loads((trained.parent / "run.json").read_text())["initial"] == recorded
    assert load_trained(trained.parent).manifest.finished is not None


def test_it_is_repeated_from_the_same_weights_only(trained: Path, tmp_path: Path) -> None:
    train(trained, overrides=["model.init_from=../earlier", *SHORT])
    manifest = tmp_path / "earlier" / "run.json"
    other = json.loads(manifest.read_text())
    other["weights"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(other))
    with pytest.raises(UserError, match="the weights it starts from are not those of"):
        repeat(trained.parent, tmp_path / "again", overrides=["model.init_from=" + str(tmp_path / "earlier")])
    assert not (tmp_path / "again").exists()


def test_a_share_of_the_start_is_in_what_is_kept_also_after_a_stop(trained: Path) -> None:
    """The training itself is the same: what is kept lies between its start and its end."""
    settings = ["model.init_from=../earlier", "train.best_by=last", "model.dropout_rate=0", "train.steps_per_epoch=2"]
    start = load_trained(trained.parent.parent / "earlier").model.get_weights()
    kept = []
    for share, stop in ((0, False), (0.75, False), (0.75, True)):
        both = [*settings, f"train.start_share={share}"]
        train(trained, overrides=[*both, f"train.epochs={1 if stop else 2}"])
        if stop:
            train(trained, overrides=[*both, "train.epochs=2"], resume=True)
        kept.append(load_trained(trained.parent).model.get_weights())
    for begun, ended, between, resumed in zip(start, *kept, strict=True):
        np.testing.assert_allclose(between, 0.75 * begun + 0.25 * ended, atol=1e-6)
        np.testing.assert_array_equal(resumed, between)


def test_a_share_of_a_start_needs_one_that_fits_as_a_whole(trained: Path) -> None:
    with pytest.raises(UserError, match=r"start_share.*needs \[model\] init_from"):
        train(trained, overrides=["train.start_share=0.5", *SHORT])
    wider = ["model.init_from=../earlier", "model.num_layers=3", "train.start_share=0.5"]
    with pytest.raises(UserError, match=r"start_share.*would be fresh"):
        train(trained, overrides=[*wider, *SHORT])


def test_a_run_of_which_nothing_fits_is_refused(trained: Path) -> None:
    with pytest.raises(UserError, match=r"no layer of .*earlier fits FastUNet"):
        train(trained, overrides=["model.model=FastUNet", "model.init_from=../earlier", *SHORT])


def test_a_missing_run_is_known_before_anything_is_moved(trained: Path) -> None:
    train(trained, overrides=SHORT)
    with pytest.raises(UserError, match=r"init_from.*not the folder of a training"):
        train(trained, overrides=["model.init_from=../nowhere", *SHORT])
    assert (trained.parent / "models" / "best_model.weights.h5").is_file()
