from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from tests.remarks import Remarks

from spleenseg.config import load_config
from spleenseg.datasets.fit import fit_size
from spleenseg.datasets.manifest import Expectation
from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.inference.export import PARITY, export
from spleenseg.inference.exported_engine import ModelFile, hu_of_every_grey
from spleenseg.inference.images import infer
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.onnx_file import read_metadata
from spleenseg.inference.onnx_graph import _feed, exact_in_float32
from spleenseg.inference.onnx_nodes import OPSET, Nodes
from spleenseg.inference.onnx_resize import fitted
from spleenseg.inference.refinement import Refinement
from spleenseg.inference.segment import segment
from spleenseg.inference.slices import predict_slices
from spleenseg.models.build import build_model, logits_model
from spleenseg.models.registry import names
from spleenseg.volumes import apply_window

from .runs import LEFT_NEIGHBOUR, SPLEEN, blocks, brightness_run, save_run, write_config, write_scan

keras = pytest.importorskip("keras")


SMALL = {"base_filters": 2, "num_layers": 3, "image_width": 24, "image_height": 32}
QUICK = ("TensorflowUNet", "TensorflowSwinUNet", "FastUNet")
LONG = [name for name in names() if name not in QUICK]


def random_run(root: Path, expectation: Expectation = SPLEEN, **model: object) -> Path:
    """Make a run folder of random weights, whose probabilities spread from 0 to 1."""
    keras.utils.set_random_seed(5)
    dataset = f"context = {expectation.context}\nstretch = True"
    if expectation.windows:
        dataset += f"\nwindows = {[list(window) for window in expectation.windows]}"
    config = write_config(root, f"[dataset]\n{dataset}\n[train]\nsave_weights_only = True", **{**SMALL, **model})
    network = build_model(config.model)
    probe = np.random.default_rng(3).integers(0, 256, (4, *network.input_shape[1:])).astype(np.float32)
    logits = np.asarray(logits_model(network).predict_on_batch(probe))
    last = [layer for layer in network.layers if layer.weights][-1]
    kernel, bias = last.get_weights()
    stretch = 3 / logits.std()
    last.set_weights([kernel * stretch, bias - logits.mean(axis=(0, 1, 2)) * stretch])
    return save_run(config, network, expectation)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with its exported model."""
    root = random_run(tmp_path_factory.mktemp("run"))
    export(root, licence="CC-BY 4.0")
    return root


def smooth(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(-3000, 3000, shape)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), 2) for plane in noise]).astype(np.int16)


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def same_as_keras(root: Path, hu: np.ndarray, atol: float = PARITY) -> None:
    found = [
        predict_slices(hu, load_predictor(root, engine=engine), slice_mm=2.0, keep_probability=True)
        for engine in ("keras", "onnx")
    ]
    assert 0.05 < found[0].probability.mean() < 0.95
    np.testing.assert_allclose(found[1].probability, found[0].probability, atol=atol)
    assert (found[0].labels != found[1].labels).mean() < 1e-3
    for label in set(np.unique(found[0].labels)) - {0}:
        masks = [prediction.labels == label for prediction in found]
        assert 2 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum()) >= 0.9999


@pytest.mark.parametrize("size", [(32, 24), (64, 48), (45, 61), (20, 20)])
def test_the_file_gives_what_keras_gives_whatever_the_size_of_the_slices(run, size):
    same_as_keras(run, smooth((5, *size)))


@pytest.mark.parametrize(
    ("look", "model"),
    [
        ({"display": "reference"}, {"image_channels": 3}),
        ({"context": 1, "display": "reference"}, {"image_channels": 3}),
        ({"context": 1, "context_mm": 4.0, "windows": ((-160, 240), (-20.5, 100))}, {"image_channels": 6}),
        ({"labels": {"liver": 1, "spleen": 2}}, {"num_classes": 3, "image_channels": 1}),
    ],
)
def test_windows_neighbours_display_and_labels_are_inside_the_file(tmp_path, look, model):
    root = random_run(tmp_path, SPLEEN.model_copy(update=look), **model)
    export(root)
    same_as_keras(root, smooth((4, 40, 56)))


def narrow_keys(name: str) -> dict[str, object]:
    """Return the keys that keep a network small in the contract tests."""
    from tests.models.contract import Contract

    for file in (Path(__file__).parents[1] / "models").glob("test_*.py"):
        import_module(f"tests.models.{file.stem}")
    tests, found = [Contract], {}
    while tests:
        test = tests.pop()
        tests += test.__subclasses__()
        found[getattr(test, "name", "")] = test.narrow
    return {**found[name], "image_width": 64, "image_height": 64}


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.full) for name in LONG)])
def test_every_network_can_be_exported_and_agrees_with_keras(tmp_path, name):
    root = random_run(tmp_path, model=name, **narrow_keys(name))
    assert export(root).difference <= PARITY
    same_as_keras(root, smooth((2, 64, 64)))


def test_the_outputs_are_those_of_the_contract(run):
    hu = smooth((3, 40, 30))[:, None]
    model = session(run / "model.onnx")
    found = dict(zip([item.name for item in model.get_outputs()], model.run(None, {"hu": hu}), strict=True))
    assert set(found) == {"probability", "label"}
    assert found["probability"].shape == (3, 1, 40, 30)
    assert found["label"].dtype == np.uint8
    np.testing.assert_array_equal(found["label"], found["probability"][:, 0] >= 0.5)
    assert [item.type for item in model.get_inputs()] == ["tensor(int16)"]


def test_label_has_the_value_of_the_dataset_and_the_threshold_asked_for(tmp_path):
    root = random_run(tmp_path, SPLEEN.model_copy(update={"labels": {"spleen": 7}}))
    export(root, threshold=0.3)
    probability, label = session(root / "model.onnx").run(
        ["probability", "label"], {"hu": smooth((2, 32, 24))[:, None]}
    )
    np.testing.assert_array_equal(label, 7 * (probability[:, 0] >= 0.3))
    assert load_predictor(root).threshold == 0.3


def test_a_fitted_threshold_holds_for_the_run_as_for_its_file(tmp_path):
    root = brightness_run(tmp_path / "run")
    assert load_predictor(root, engine="keras").threshold == 0.5
    fitted_then = {
        "weights_sha256": sha256(root / "models" / "best_model.weights.h5"),
        "threshold": {"value": 0.35, "mean_dice": 0.9, "mean_dice_at_half": 0.8, "cases": 3, "curve": [0.9] * 99},
        "quality": {"spleen": {"slope": 1, "intercept": 0, "cases": 3, "mean_error": 0.1}},
    }
    (root / "calibration.json").write_text(json.dumps(fitted_then))
    export(root)
    assert {load_predictor(root, engine=engine).threshold for engine in ("keras", "onnx")} == {0.35}
    assert load_predictor(root, engine="keras", threshold=0.6).threshold == 0.6
    for engine in ("keras", "onnx"):  # the predicted Dice is that of masks at the fitted threshold
        assert set(load_predictor(root, engine=engine, threshold=0.35).record.quality) == {"spleen"}
        assert load_predictor(root, engine=engine, threshold=0.6).record.quality == {}
    assert export(root, tmp_path / "other.onnx", threshold=0.6).card.quality == {}


CLOSED = {"components": "all", "fill_holes": True, "min_ml": 0}


def fit(root: Path, threshold: float = 0.35) -> None:
    """Leave a calibration.json as `evaluate --section eval` does."""
    words = {
        "weights_sha256": sha256(root / "models" / "best_model.weights.h5"),
        "threshold": {"value": threshold, "mean_dice": 0.9, "mean_dice_at_half": 0.8, "cases": 3, "curve": [0.9] * 99},
        "quality": {"spleen": {"slope": 1, "intercept": 0, "cases": 3, "mean_error": 0.1}},
        "postprocess": {"options": CLOSED, "cases": 3, "dice": 0.9, "dice_without": 0.8},
    }
    (root / "calibration.json").write_text(json.dumps(words))


def test_what_is_fitted_after_the_export_holds_for_the_run_with_every_engine(tmp_path):
    root = brightness_run(tmp_path / "run")
    export(root)
    fit(root)
    hu = np.full((3, 32, 16), -100, np.int16)
    hu[:, 8:24, 4:12] = 39  # grey 127: probability 0.40
    hu[:, 14:18, 7:9] = -100
    write_scan(tmp_path / "a.nii.gz", hu, spacing=(1.0, 1.0, 3.0))
    told = Remarks()
    for engine in ("onnx", "keras", None):
        segment([tmp_path / "a.nii.gz"], tmp_path / str(engine), root, engine=engine, reporter=told)
    rows = [(tmp_path / name / "volumes.csv").read_text() for name in ("onnx", "None", "keras")]
    assert rows[0] == rows[1] == rows[2].replace(",keras,", ",onnx,")
    assert rows[0].splitlines()[1].split(",")[2] == "1.152"  # 16 x 8 x 3 voxels, the hole too
    ours = [line for line in told.warnings if "unlike calibration.json" in line]
    assert len(ours) == 2
    assert "threshold 0.5 (fitted: 0.35) and post-processing nothing (fitted: holes filled)" in ours[0]
    assert load_predictor(root / "model.onnx").threshold == 0.5  # the file itself is taken as it is


def test_a_threshold_that_export_was_told_holds_against_the_fitted_one_and_a_warning_says_so(tmp_path):
    root = brightness_run(tmp_path / "run")
    fit(root)
    export(root, threshold=0.6)
    told = Remarks()
    found = load_predictor(root, reporter=told)
    assert (found.threshold, found.record.postprocess.fill_holes, found.record.quality) == (0.6, True, {})
    (line,) = told.warnings
    assert "was exported with threshold 0.6 (fitted: 0.35) as asked for" in line


def test_post_processing_that_export_was_told_holds_and_a_warning_says_so(tmp_path):
    root = brightness_run(tmp_path / "run")
    fit(root)
    export(root, refinement=Refinement(fill_holes=False))
    told = Remarks()
    found = load_predictor(root, reporter=told)
    assert (found.threshold, found.record.postprocess.fill_holes) == (0.35, False)
    assert "post-processing nothing (fitted: holes filled) as asked for" in told.warnings[0]


def test_a_file_that_has_what_was_fitted_is_taken_without_a_word(tmp_path):
    root = brightness_run(tmp_path / "run")
    fit(root)
    export(root)
    told = Remarks()
    assert load_predictor(root, reporter=told).threshold == 0.35
    assert told.warnings == []


def test_the_file_says_what_it_is_and_needs_no_other(run):
    entries = {item.key: item.value for item in onnx.load(run / "model.onnx", load_external_data=False).metadata_props}
    assert json.loads(entries["spleenseg.labels"]) == {"spleen": 1}
    assert json.loads(entries["spleenseg.window_hu"]) == [-160, 240]
    assert (entries["spleenseg.licence"], entries["spleenseg.display"]) == ("CC-BY 4.0", "radiological")
    assert "Not a medical device" in entries["spleenseg.intended_use"]
    assert read_metadata((run / "model.onnx").read_bytes(), run / "model.onnx") == entries
    weights = json.loads((run / "run.json").read_text())["weights"]["sha256"]
    assert ModelFile.read(run / "model.onnx").card.weights_sha256 == weights


@pytest.mark.parametrize("what", ["_windowed", "_mirrored"])
def test_a_finished_file_that_sees_hu_otherwise_than_keras_is_refused_and_not_kept(run, tmp_path, monkeypatch, what):
    from spleenseg.inference import onnx_graph

    wrong = {
        "_windowed": lambda add, window: right(add, (window[0] + 20, window[1])),
        "_mirrored": lambda add, image: image,
    }
    right = getattr(onnx_graph, what)
    root = random_run(tmp_path, SPLEEN.model_copy(update={"display": "reference"}))
    monkeypatch.setattr(onnx_graph, what, wrong[what])
    with pytest.raises(UserError, match="once it takes HU: please report it"):
        export(root)
    assert not (root / "model.onnx").exists()


def test_two_exports_have_the_same_bytes(run, tmp_path):
    code = "import sys; from spleenseg.inference.export import export; export(sys.argv[1], sys.argv[2])"
    paths = [tmp_path / "1.onnx", tmp_path / "2.onnx"]
    for path in paths:
        subprocess.run([sys.executable, "-c", code, run, path], check=True, capture_output=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_nothing_is_overwritten(run, tmp_path):
    with pytest.raises(UserError, match="exists"):
        export(run)
    with pytest.raises(UserError, match=r"NAME\.onnx"):
        export(run, tmp_path / "model.bin")


def test_segment_and_infer_with_an_exported_model_load_neither_tensorflow_nor_keras(run, tmp_path):
    write_scan(tmp_path / "a.nii.gz", smooth((3, 32, 24)))
    config = load_config(run / "train_eval_infer.config")
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((32, 24), np.uint8)).save(tmp_path / "images" / "p.png")
    code = (
        "import sys; from spleenseg.cli.app import run\n"
        f"assert run(['segment', {str(tmp_path / 'a.nii.gz')!r}, '--model', {str(run / 'model.onnx')!r},"
        f" '-o', {str(tmp_path / 'out')!r}]) == 0\n"
        f"assert run(['infer', {str(config.path)!r}, '--set', 'infer.images_dir={tmp_path / 'images'}',"
        f" '--set', 'infer.output_dir={tmp_path / 'masks'}']) == 0\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'jax', 'torch', 'onnx'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "out" / "a.nii.gz").is_file()
    assert (tmp_path / "masks" / "p.png").is_file()


@pytest.mark.parametrize("display", ["radiological", "reference"])
def test_infer_gives_the_same_masks_with_both_engines(tmp_path, display):
    look = SPLEEN.model_copy(update={"display": display})
    root = brightness_run(tmp_path / "run", [0.5], look, tap=LEFT_NEIGHBOUR)
    export(root)
    picture = apply_window(blocks((1, 40, 28)), (-160, 240))[0]
    (tmp_path / "images").mkdir()
    Image.fromarray(picture).save(tmp_path / "images" / "p.png")
    masks = {}
    for engine in ("keras", "onnx"):
        where = [f"infer.images_dir={tmp_path / 'images'}", f"infer.output_dir={tmp_path / engine}"]
        infer(root / "train_eval_infer.config", overrides=where, engine=engine)
        masks[engine] = np.asarray(Image.open(tmp_path / engine / "p.png"))
    np.testing.assert_array_equal(masks["keras"], masks["onnx"])
    assert 0.1 < (masks["onnx"] > 0).mean() < 0.9


def test_colours_are_refused_because_ct_has_none(tmp_path):
    root = brightness_run(tmp_path / "run", [0.5])
    export(root)
    with pytest.raises(UserError, match="not colours"):
        list(load_predictor(root).probabilities([np.arange(16 * 32 * 3, dtype=np.uint8).reshape(32, 16, 3)]))


def test_a_model_of_other_weights_is_not_taken_for_the_run(tmp_path):
    root = random_run(tmp_path / "run")
    export(brightness_run(tmp_path / "other"), root / "model.onnx")
    assert type(load_predictor(root).engine).__name__ == "KerasEngine"
    with pytest.raises(UserError, match="other weights"):
        load_predictor(root, engine="onnx")


def test_engines_that_cannot_run_a_model_are_refused_in_one_line(run, tmp_path):
    with pytest.raises(UserError, match="spleenseg export"):
        load_predictor(brightness_run(tmp_path / "run"), engine="onnx")
    with pytest.raises(UserError, match=r"no engine 'onxx' \(did you mean 'onnx'\?\)"):
        load_predictor(run, engine="onxx")
    with pytest.raises(UserError, match="run folder"):
        load_predictor(run / "model.onnx", engine="keras")


@pytest.mark.parametrize("name", ["m.xml", "m.tflite"])
def test_a_model_exported_for_other_programs_is_refused_with_what_to_give(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=rf"{name} is for .*; give the \.onnx file or the run folder"):
        load_predictor(tmp_path / name)


def test_a_file_that_is_no_model_of_ours_is_refused_in_one_line(run, tmp_path):
    content = (run / "model.onnx").read_bytes()
    foreign = onnx.load(run / "model.onnx")
    del foreign.metadata_props[:]
    renamed = onnx.load(run / "model.onnx")
    renamed.graph.input[0].name = "image"
    outside = onnx.load(run / "model.onnx")
    tensor = max(outside.graph.initializer, key=lambda item: len(item.raw_data))
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    faults = {
        "is empty or no ONNX": b"",
        "no ONNX model": b"these are words, not a model",
        "damaged": content[: len(content) // 2],
        "does not record": foreign.SerializeToString(),
        "cannot be run": renamed.SerializeToString(),
        "in other files": outside.SerializeToString(),
    }
    for number, (words, broken) in enumerate(faults.items()):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(broken)
        with pytest.raises(UserError, match=words.split(" or ")[-1]):
            segment([write_scan(tmp_path / "ct" / "a.nii.gz", smooth((1, 8, 8))) and tmp_path / "ct"], tmp_path, path)
    with pytest.raises(UserError, match="cannot read model"):
        load_predictor(tmp_path / "nothing.onnx")


def test_a_tensor_outside_the_file_is_found_in_the_branch_of_a_condition(run, tmp_path):
    model = onnx.load(run / "model.onnx")
    choice = next(node for node in model.graph.node if node.op_type == "If")
    branch = next(item.g for item in choice.attribute if len(item.g.node) > 1)
    branch.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(UserError, match="in other files"):
        read_metadata(model.SerializeToString(), tmp_path / "m.onnx")


@pytest.mark.parametrize("window", [(-160, 240), (0, 255), (-1024, 3071), (0, 2000)])
def test_every_grey_a_window_shows_has_an_hu_that_shows_as_it(window):
    greys = apply_window(hu_of_every_grey(window), window)
    np.testing.assert_array_equal(greys, np.arange(256))


def test_a_narrow_window_gives_every_grey_the_nearest_it_shows():
    greys = apply_window(hu_of_every_grey((0, 100)), (0, 100)).astype(int)
    assert np.abs(greys - np.arange(256)).max() <= 2


@pytest.mark.parametrize("window", [(-160, 240), (-1024, 3071), (-20.5, 100), (0.1, 0.2), (-30000, 30000), (0, 1)])
def test_the_window_in_the_graph_is_exact_for_every_hu(window):
    from spleenseg.inference.onnx_graph import _windowed

    add = Nodes("test/")
    out = _windowed(add, window)
    hu = np.arange(-(1 << 15), 1 << 15).astype(np.int16)
    found = run_nodes(add, "hu", onnx.TensorProto.INT16, out, hu.reshape(1, 1, 256, 256))
    np.testing.assert_array_equal(found.ravel(), apply_window(hu, window))
    assert exact_in_float32((-160, 240))
    assert not exact_in_float32((-20.5, 100))


METHODS = {None: 0.001, "INTER_AREA": 0.15, "INTER_NEAREST": 0.0, "INTER_LINEAR": 0.2, "INTER_CUBIC": 0.001}


@pytest.mark.parametrize("shared", [False, True])
def test_greys_are_scaled_before_the_axes_change_to_the_same_bits(shared):
    helper = onnx.helper
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [None, 4, 6, 1])
    found = helper.make_tensor_value_info("found", onnx.TensorProto.FLOAT, [None, 4, 6, 1])
    factor = onnx.numpy_helper.from_array(np.array(1 / 255, np.float32), "factor")
    nodes = [helper.make_node("Mul", ["image", "factor"], ["scaled"])]
    nodes.append(helper.make_node("Add", ["scaled", "image" if shared else "scaled"], ["found"]))
    inner = helper.make_graph(nodes, "network", [image], [found], [factor])
    add = Nodes("before/")
    _feed(add, "grey", inner)
    assert [node.op_type for node in add.nodes] == (["Transpose"] if shared else ["Mul", "Transpose"])
    grey = helper.make_tensor_value_info("grey", onnx.TensorProto.FLOAT, [None, 1, 4, 6])
    whole = helper.make_graph([*add.nodes, *inner.node], "whole", [grey], [found], [*add.constants, *inner.initializer])
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    values = np.random.default_rng(0).integers(0, 256, (2, 1, 4, 6)).astype(np.float32)
    answer = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"grey": values})[0]
    scaled = values * np.float32(1 / 255)
    assert np.array_equal(answer, (scaled + (values if shared else scaled)).transpose(0, 2, 3, 1))


@pytest.mark.parametrize("method", [*METHODS, "INTER_LANCZOS4"])
@pytest.mark.parametrize("size", [(64, 48), (32, 24), (50, 71), (20, 20), (96, 12), (16, 72)])
def test_resizing_in_the_graph_is_that_of_the_program(tmp_path, method, size):
    config = write_config(tmp_path, f"[dataset]\nresize_interpolation = {method!r}", image_width=24, image_height=32)
    image = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, size).astype(np.uint8), (0, 0), 1)
    wanted = fit_size(image, config).astype(int)
    add = Nodes("test/")
    out = fitted(add, "image", (32, 24), method)
    found = run_nodes(add, "image", onnx.TensorProto.FLOAT, out, image[None, None].astype(np.float32))[0, 0]
    assert np.abs(found - wanted).max() <= 1
    assert (found != wanted).mean() <= METHODS.get(method, 0.3)


def run_nodes(add: Nodes, name: str, kind: int, out: str, value: np.ndarray) -> np.ndarray:
    inputs = [onnx.helper.make_tensor_value_info(name, kind, [None] * 4)]
    outputs = [onnx.helper.make_tensor_value_info(out, onnx.TensorProto.FLOAT, [None] * 4)]
    graph = onnx.helper.make_graph(add.nodes, "test", inputs, outputs, initializer=add.constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10)
    running = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(running.run(None, {name: value})[0])
