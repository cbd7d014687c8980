"""Where a run keeps what, its manifest, and the trained network out of it."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tests.remarks import Remarks

from spleenseg.config import Config, parse_config
from spleenseg.datasets.manifest import Expectation
from spleenseg.errors import UserError
from spleenseg.files import sha256, write_json
from spleenseg.models.build import build_model
from spleenseg.models.run_folder import DataRecord, RunFolder, RunManifest, load_trained
from spleenseg.models.weights import load_weights

MakeConfig = Callable[..., Config]
EXPECTATION = Expectation(window_hu=(-160, 240), display="radiological", pixel_mm=None, context=0, labels={"spleen": 1})
DATA = {"train": DataRecord(slices=30, patients=3, sha256="ab"), "valid": DataRecord(slices=9, patients=1, sha256="cd")}


def _start(config: Config, model: Any) -> RunManifest:
    return RunManifest.start(config, model, EXPECTATION, DATA, {"train, valid": ["spleen_9", "spleen_2"]})


def _train(config: Config) -> Any:
    """Leave the folder of `config` as a training does, and return the model it "trained"."""
    run, model = RunFolder.of(config), build_model(config.model)
    run.models_dir.mkdir(parents=True, exist_ok=True)
    model.save_weights(run.best_weights) if run.weights_only else model.save(run.best_weights)
    figures = {"val_loss": 0.1, "val_dice_coef": 0.9}
    _start(config, model).with_best(4, figures, run.best_weights, run.root).with_end().write(run.manifest)
    return model


def _same(ours: Any, theirs: Any) -> bool:
    pairs = zip(ours.get_weights(), theirs.get_weights(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def test_every_file_lies_where_the_contract_says(make_config: MakeConfig) -> None:
    run = RunFolder.of(make_config("save_weights_only = True"))
    found = {path.relative_to(run.root).as_posix() for path in run.products()}
    assert run.best_weights == run.root / "models" / "best_model.weights.h5"
    assert run.config == run.root / "train_eval_infer.config"
    assert found == {
        "models/best_model.weights.h5",
        "models/best_model.keras",
        "models/last/state.npz",
        *(f"models/nan/{name}" for name in ("README.txt", "batch.npz", "state.npz", "train_eval_infer.config")),
        "models/train_eval_infer.config",
        "eval/train_losses.csv",
        "eval/train_losses.png",
        "eval/train_metrics.csv",
        "eval/train_metrics.png",
        "history.json",
        "evaluation.csv",
        "cases.csv",
        "slices.csv",
        "summary.csv",
        "calibration.json",
        "report.html",
        "report.json",
        *(f"eval/worst_{place}.png" for place in range(1, 6)),
        "run.json",
    }
    assert RunFolder.at(run.root) == run


def test_the_config_moves_models_and_curves_and_names_the_best(make_config: MakeConfig) -> None:
    run = RunFolder.of(make_config("model_dir = '../elsewhere/m'\neval_dir = './e'\nbest_model_file = 'organ.h5'"))
    assert run.best_weights == run.root.parent / "elsewhere" / "m" / "organ.keras"
    assert run.losses_csv == run.root / "e" / "train_losses.csv"
    assert run.manifest == run.root / "run.json"


def test_the_manifest_says_where_the_network_came_from(make_config: MakeConfig) -> None:
    config = make_config("seed = 11\nimage_datapath = './pictures'", image_width=64)
    manifest = _start(config, build_model(config.model))
    assert manifest.seed == 11
    assert manifest.network.name == "TensorflowUNet"
    assert manifest.network.image_size == (64, 32)
    assert manifest.network.parameters == build_model(config.model).count_params()
    assert manifest.config["train"]["seed"] == 11
    assert manifest.config["train"]["image_datapath"] == "pictures"
    assert manifest.config_sha256 == sha256(config.path)
    assert {"keras", "numpy", "pydantic"} <= set(manifest.packages)
    assert manifest.patient_overlap == {"train, valid": ["spleen_2", "spleen_9"]}
    assert manifest.best is None
    assert manifest.finished is None


def test_the_manifest_reads_back_as_it_was_written(make_config: MakeConfig) -> None:
    config = make_config()
    _train(config)
    run = RunFolder.of(config)
    manifest = RunManifest.read(run.manifest)
    assert manifest.data == DATA
    assert manifest.expectation == EXPECTATION
    assert manifest.best is not None
    assert manifest.best.epoch == 4
    assert manifest.weights is not None
    assert manifest.weights.file == "models/best_model.keras"
    assert manifest.weights.sha256 == sha256(run.best_weights)
    assert manifest.finished is not None
    assert manifest.finished >= manifest.created
    manifest.write(run.manifest)
    assert RunManifest.read(run.manifest) == manifest


def test_an_undefined_figure_is_null(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config()
    file = tmp_path / "w.weights.h5"
    file.write_bytes(b"")
    manifest = _start(config, build_model(config.model))
    manifest.with_best(0, {"val_loss": math.nan}, file, tmp_path).write(tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text())["best"]["figures"] == {"val_loss": None}


@pytest.mark.parametrize("weights_only", [True, False])
def test_a_run_folder_gives_its_network_back_wherever_it_is_moved(
    make_config: MakeConfig, tmp_path: Path, weights_only: bool
) -> None:
    config = make_config(f"save_weights_only = {weights_only}\nseed = 5", dropout_rate=0.1)
    model = _train(config)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("models", "run.json"):
        shutil.move(tmp_path / name, moved / name)
    trained = load_trained(moved)
    assert _same(trained.model, model)
    assert trained.expectation == EXPECTATION
    assert trained.config.model == config.model
    assert trained.config.train.seed == 5
    assert RunFolder.of(trained.config).best_weights == moved / "models" / RunFolder.of(config).best_weights.name


def test_a_config_gives_the_network_of_its_folder(make_config: MakeConfig) -> None:
    config = make_config()
    model = _train(config)
    remarks = Remarks()
    trained = load_trained(config, remarks)
    assert _same(trained.model, model)
    assert trained.config == config
    assert remarks.warnings == []


def test_a_config_edited_after_training_keeps_the_trained_network(make_config: MakeConfig) -> None:
    model = _train(make_config())
    remarks = Remarks()
    trained = load_trained(make_config(num_layers=4, activation="mish", loss="dice_loss"), remarks)
    assert _same(trained.model, model)
    assert trained.config.model.num_layers == 3
    assert trained.config.model.activation == "relu"
    assert trained.config.model.loss == "dice_loss"
    assert remarks.warnings == [
        "[model] num_layers is 4 now, but the run was trained with 3, which counts",
        "[model] activation is 'mish' now, but the run was trained with 'relu', which counts",
    ]


def test_a_config_edited_after_training_keeps_the_pictures_that_were_trained_on(make_config: MakeConfig) -> None:
    config = make_config(image_channels=3, context=1)
    _train(config)
    edited = {"context": 0, "color_order": "rgb", "windows": ((0.0, 100.0),), "cache_mb": 5, "fold": 1, "stretch": True}
    now = config.model_copy(update={"dataset": config.dataset.model_copy(update=edited)})
    remarks = Remarks()
    dataset = load_trained(now, remarks).config.dataset
    assert (dataset.context, dataset.color_order, dataset.windows) == (1, "bgr", None)
    assert (dataset.cache_mb, dataset.fold, dataset.stretch) == (5, 1, True)
    assert remarks.warnings == [
        "[dataset] color_order is 'rgb' now, but the run was trained with 'bgr', which counts",
        "[dataset] context is 0 now, but the run was trained with 1, which counts",
        "[dataset] windows is ((0.0, 100.0),) now, but the run was trained with None, which counts",
    ]


def _write_over_weights(config: Config) -> Any:
    newer = build_model(config.model)
    newer.set_weights([array + 1 for array in newer.get_weights()])
    newer.save_weights(RunFolder.of(config).best_weights)
    return newer


def test_weights_newer_than_the_manifest_of_a_killed_training_are_used_and_said_so(make_config: MakeConfig) -> None:
    config = make_config("save_weights_only = True")
    _train(config)
    newer = _write_over_weights(config)
    run, remarks = RunFolder.of(config), Remarks()
    RunManifest.read(run.manifest).model_copy(update={"finished": None}).write(run.manifest)
    assert _same(load_trained(config, remarks).model, newer)
    assert len(remarks.warnings) == 1
    assert "changed after run.json was written" in remarks.warnings[0]


def test_weights_that_something_wrote_over_after_the_training_are_refused(make_config: MakeConfig) -> None:
    """Their figures, and the cases they were trained on, are not those of run.json."""
    config = make_config("save_weights_only = True")
    _train(config)
    _write_over_weights(config)
    with pytest.raises(UserError, match=r"best_model\.weights\.h5 is not the file that .*run\.json names"):
        load_trained(config)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run\.json in .*train first"):
        load_trained(tmp_path)


def test_a_run_without_a_finished_epoch_is_refused(make_config: MakeConfig) -> None:
    config = make_config()
    _start(config, build_model(config.model)).write(RunFolder.of(config).manifest)
    with pytest.raises(UserError, match=r"no weights yet.*--resume"):
        load_trained(config)


def test_missing_weights_are_refused(make_config: MakeConfig) -> None:
    config = make_config()
    _train(config)
    RunFolder.of(config).best_weights.unlink()
    with pytest.raises(UserError, match=r"weights missing: .*best_model\.keras"):
        load_trained(config)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\x00\xff"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"run\.json"):
        load_trained(tmp_path)


def test_a_run_of_another_version_is_refused_with_its_version(make_config: MakeConfig) -> None:
    config = make_config()
    _train(config)
    path = RunFolder.of(config).manifest
    data = json.loads(path.read_text())
    write_json(path, {key: value for key, value in data.items() if key != "network"} | {"spleenseg": "0.0.1"})
    with pytest.raises(UserError, match=r"network: field required.*spleenseg 0\.0\.1.*use the version"):
        load_trained(config)
    write_json(path, data | {"format": 99, "spleenseg": "9.9"})
    with pytest.raises(UserError, match=r"newer spleenseg \(9\.9, run format 99\); upgrade"):
        load_trained(config)
    data["config"]["model"]["forgotten_key"] = 1
    write_json(path, data)
    with pytest.raises(UserError, match="forgotten_key"):
        load_trained(config)


@pytest.mark.parametrize(
    "other",
    [{"num_layers": 2}, {"num_layers": 4}, {"base_filters": 4}, {"normalization": True}, {"num_classes": 3}],
)
def test_weights_of_another_network_are_refused(
    make_config: MakeConfig, tmp_path: Path, other: dict[str, object]
) -> None:
    build_model(make_config(**other).model).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(UserError, match="holds weights of another network"):
        load_weights(build_model(make_config().model), tmp_path / "other.weights.h5")


@pytest.mark.parametrize("name", ["best.weights.h5", "best.keras"])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncated_weights_are_refused(make_config: MakeConfig, tmp_path: Path, name: str, share: float) -> None:
    model = build_model(make_config().model)
    path = tmp_path / name
    model.save(path) if name.endswith(".keras") else model.save_weights(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=str(path)):
        load_weights(model, path)


def test_code_in_a_saved_model_is_never_run(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config()
    model = _train(config)
    run, trap = RunFolder.of(config), tmp_path / "trap"
    path = run.best_weights
    payload = {"module": "os", "class_name": "system", "config": {"command": f"touch {trap}"}}
    with zipfile.ZipFile(path) as archive:
        numbers = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(payload))
        archive.writestr("../../escaped", "x")
        archive.writestr("model.weights.h5", numbers)
    RunManifest.read(run.manifest).with_best(4, {}, path, run.root).write(run.manifest)  # forged likewise
    assert _same(load_trained(config).model, model)
    assert not trap.exists()


def test_an_archive_that_would_fill_the_disk_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(80 * 2**20))
    assert path.stat().st_size < 200_000
    with pytest.raises(UserError, match=r"bomb\.keras unpacks to 83886080 bytes"):
        load_weights(build_model(make_config().model), path)


def test_an_archive_of_countless_files_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    path = tmp_path / "many.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1001):
            archive.writestr(str(number), b"")
    with pytest.raises(UserError, match="holds 1001 files"):
        load_weights(build_model(make_config().model), path)


def test_an_archive_without_weights_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    path = tmp_path / "empty.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(UserError, match="holds no weights"):
        load_weights(build_model(make_config().model), path)


@pytest.mark.parametrize("way", ["link", "storage"])
def test_weights_that_point_to_another_file_are_refused(make_config: MakeConfig, tmp_path: Path, way: str) -> None:
    model = build_model(make_config().model)
    path, secret = tmp_path / "w.weights.h5", tmp_path / "secret"
    model.save_weights(path)
    secret.write_bytes(bytes(100_000))
    with h5py.File(path, "a") as file:
        place = "layers/conv2d/vars/0"
        shape = file[place].shape
        del file[place]
        if way == "link":
            file[place] = h5py.ExternalLink(str(secret), "/x")
        else:
            file.create_dataset(place, shape, "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(UserError, match="holds weights of another network"):
        load_weights(model, path)


def test_a_config_of_a_prepared_run_needs_no_file(make_config: MakeConfig, tmp_path: Path) -> None:
    text = make_config().path.read_text()
    config = parse_config(text, tmp_path / "never_written.config")
    assert _start(config, build_model(config.model)).config_sha256 is None
