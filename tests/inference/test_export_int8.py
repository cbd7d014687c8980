from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.remarks import Remarks

from spleenseg.errors import UserError
from spleenseg.inference import export as exporting
from spleenseg.inference import quantise, valid_dice
from spleenseg.inference.export import INT8_LIMIT, export
from spleenseg.inference.exported_engine import ModelFile
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.slices import predict_slices
from spleenseg.models.build import build_model
from spleenseg.volumes import apply_window

from .runs import blocks, need_openvino, save_run, set_brightness_weights, write_config

pytest.importorskip("keras")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of a network that knows bright pixels, on a dataset where these are the organ."""
    root = tmp_path_factory.mktemp("run")
    for seed, split in enumerate(("train", "valid")):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for z, plane in enumerate(apply_window(blocks((6, 32, 16), seed), (-160, 240))):
            Image.fromarray(plane).save(root / split / "images" / f"{10000 + z}_c{z // 3}.png")
            Image.fromarray(np.uint8(255) * (plane > 127)).save(root / split / "masks" / f"{10000 + z}_c{z // 3}.png")
    folders = "\n".join(
        f"[{section}]\nimage_datapath = './{split}/images'\nmask_datapath = './{split}/masks'"
        for section, split in (("train", "train"), ("eval", "valid"))
    )
    folders = folders.replace("[train]", "[train]\nsave_weights_only = True")
    config = write_config(root, f"[dataset]\nstretch = True\n{folders}")
    network = build_model(config.model)
    set_brightness_weights(network, [0.5])
    return save_run(config, network)


@pytest.fixture(scope="module")
def small(run: Path) -> Path:
    return export(run, int8=True).path


def test_int8_says_what_it_costs_in_the_file_and_when_it_runs(run, small):
    card = ModelFile.read(small).card
    assert card.precision == "int8"
    exact, found = card.dice_on_valid
    assert exact > 0.95
    assert abs(found - exact) <= INT8_LIMIT
    for model, precision in ((run, "int8"), (small, "int8"), (small, "exact")):
        told = Remarks()
        load_predictor(model, precision=precision, reporter=told)
        assert any(f"({found - exact:+.4f})" in line for line in told.lines)


def test_a_figure_of_another_engine_than_the_one_that_runs_is_told_as_such(run, tmp_path, monkeypatch):
    monkeypatch.setattr(valid_dice, "openvino", lambda network, precision: None)  # not installed where it is exported
    card = export(run, tmp_path / "m.onnx", int8=True).card
    assert ModelFile.read(tmp_path / "m.onnx").card.measured_with == ("onnx",)
    assert card.cost("int8").endswith("), measured with onnx")
    assert card.cost("int8", "onnx") == card.cost("int8")
    assert card.cost("int8", "openvino").endswith(", measured with onnx; with openvino, as here, not measured")
    older = card.model_copy(update={"measured_with": ()})
    assert older.cost("int8", "openvino").endswith(")")
    if find_spec("openvino"):
        told = Remarks()
        load_predictor(tmp_path / "m.onnx", precision="int8", reporter=told)
        assert "with openvino, as here, not measured" in told.lines[-1]


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_int8_finds_the_organ_with_both_engines(run, small, engine):
    if engine == "openvino":
        need_openvino()
    hu = blocks((4, 32, 16), seed=7)
    found = predict_slices(hu, load_predictor(small, engine=engine, precision="int8")).labels
    exact = predict_slices(hu, load_predictor(run, engine="keras")).labels
    assert 2 * (found & exact).sum() / (found.sum() + exact.sum()) > 0.98


def test_int8_that_changes_dice_is_refused_and_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "INT8_LIMIT", -1.0)
    with pytest.raises(UserError, match="int8 changes the mean Dice on valid"):
        export(run, tmp_path / "m.onnx", int8=True)
    assert not list(tmp_path.iterdir())


def test_an_int8_network_that_lost_the_organ_is_refused(run, tmp_path, monkeypatch):
    images = quantise.calibration_images
    monkeypatch.setattr(quantise, "calibration_images", lambda slices: [0.02 * image for image in images(slices)])
    with pytest.raises(UserError, match=f"by more than {INT8_LIMIT}: not exported"):
        export(run, tmp_path / "m.onnx", int8=True)


def test_an_int8_model_is_run_neither_by_keras_nor_as_fast(run, small):
    with pytest.raises(UserError, match="leave --engine out"):
        load_predictor(run, engine="keras", precision="int8")
    with pytest.raises(UserError, match="computes in int8"):
        load_predictor(small, precision="fast")


def test_what_fast_costs_is_recorded_where_it_can_be_measured(run, tmp_path):
    need_openvino()
    from spleenseg.inference.openvino_network import import_without_telemetry

    openvino = import_without_telemetry()
    card = export(run, tmp_path / "m.onnx").card
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert card.dice_on_valid_fast is not None
        told = Remarks()
        load_predictor(tmp_path / "m.onnx", precision="fast", reporter=told)
        assert card.cost("fast") in told.lines[-1]
    unmeasured = card.model_copy(update={"dice_on_valid_fast": None})
    assert unmeasured.cost("fast") == "how much Dice that costs was not measured when the model was exported"


def test_the_threshold_is_the_one_fitted_on_valid_with_the_same_weights(run, tmp_path):
    weights = json.loads((run / "run.json").read_text())["weights"]["sha256"]
    file = run / "calibration.json"
    try:
        for sha256, wanted in ((weights, 0.37), ("0" * 64, 0.5)):
            threshold = {"value": 0.37, "mean_dice": 0.9, "mean_dice_at_half": 0.8, "cases": 3, "curve": []}
            file.write_text(json.dumps({"weights_sha256": sha256, "threshold": threshold, "quality": {}}))
            told = Remarks()
            assert export(run, tmp_path / f"{wanted}.onnx", reporter=told).card.threshold == wanted
            assert any("0.37" in line for line in told.lines) == (wanted == 0.37)
        assert export(run, tmp_path / "given.onnx", threshold=0.6).card.threshold == 0.6
        file.write_text("{")
        with pytest.raises(UserError, match="damaged"):
            export(run, tmp_path / "no.onnx")
    finally:
        file.unlink()


def test_an_openvino_file_answers_like_the_network(run, tmp_path):
    need_openvino()
    from spleenseg.inference.openvino_network import import_without_telemetry

    hu = blocks((2, 32, 16), seed=3)
    wanted = predict_slices(hu, load_predictor(run, engine="keras"), keep_probability=True).probability
    path = export(run, tmp_path / "m.xml", format="openvino").path
    core = import_without_telemetry().Core()
    model = core.read_model(path)
    assert model.get_rt_info(["spleenseg", "display"]).value == "radiological"
    model.reshape({"hu": [2, 1, 32, 16]})
    exact = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = np.array(exact({"hu": np.ascontiguousarray(hu[:, None])})["probability"])
    np.testing.assert_allclose(found[:, 0], wanted, atol=5e-4)


def test_a_litert_file_answers_like_the_network(run, tmp_path):
    hu = blocks((2, 32, 16), seed=3)
    wanted = predict_slices(hu, load_predictor(run, engine="keras"), keep_probability=True).probability
    lite = export(run, tmp_path / "m.tflite", format="litert").path
    assert json.loads(lite.with_suffix(".json").read_text())["labels"] == {"spleen": 1}
    from tensorflow.lite.python.interpreter import Interpreter

    running = Interpreter(str(lite))
    grey = apply_window(hu[:1], (-160, 240))[..., None].repeat(3, -1).astype(np.float32)
    running.resize_tensor_input(running.get_input_details()[0]["index"], grey.shape)
    running.allocate_tensors()
    running.set_tensor(running.get_input_details()[0]["index"], grey)
    running.invoke()
    answer = running.get_tensor(running.get_output_details()[0]["index"])
    np.testing.assert_allclose(answer[0, ..., 0], wanted[0], atol=1e-4)


def test_formats_that_cannot_be_written_are_refused_in_one_line(run, tmp_path):
    with pytest.raises(UserError, match=r"no format 'onxx' \(did you mean 'onnx'\?\)"):
        export(run, format="onxx")
    with pytest.raises(UserError, match="--int8 is for"):
        export(run, format="litert", int8=True)
    need_openvino()
    (tmp_path / "m.bin").touch()
    with pytest.raises(UserError, match=r"m\.bin exists"):
        export(run, tmp_path / "m.xml", format="openvino")
