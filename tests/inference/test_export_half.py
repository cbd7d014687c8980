from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from spleenseg.errors import UserError
from spleenseg.inference.export import INT8_LIMIT, export
from spleenseg.inference.exported_engine import ModelFile
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.slices import predict_slices

from .runs import blocks, need_openvino
from .test_export import random_run
from .test_export_int8 import run as run_with_valid  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of random weights, enough of them to fill most of a file, with both exports."""
    root = random_run(tmp_path_factory.mktemp("large"), base_filters=12, num_layers=4)
    export(root)
    export(root, weights="float16")
    return root


def rounded(path: Path, to: Path) -> Path:
    """Write the float32 model with the kernels rounded to half precision."""
    model, small = onnx.load(path), onnx.load(path.with_name("model.float16.onnx"))
    stored = {t.name.removesuffix("_float16") for t in small.graph.initializer if t.data_type == TensorProto.FLOAT16}
    for tensor in model.graph.initializer:
        if tensor.name in stored:
            values = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    assert len(stored) > 5
    onnx.save(model, to)
    return to


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_weights_in_float16_compute_in_float32_with_rounded_weights(large: Path, tmp_path: Path, engine: str) -> None:
    if engine == "openvino":
        need_openvino()
    hu = blocks((4, 40, 28), seed=3)
    models = (large / "model.float16.onnx", rounded(large / "model.onnx", tmp_path / "rounded.onnx"))
    found, wanted = (
        predict_slices(hu, load_predictor(model, engine=engine), slice_mm=2.0, keep_probability=True)
        for model in models
    )
    np.testing.assert_allclose(found.probability, wanted.probability, rtol=0, atol=1e-5)


def test_the_file_has_half_the_size_and_is_as_fast(large: Path) -> None:
    full, half = large / "model.onnx", large / "model.float16.onnx"
    assert half.stat().st_size < 0.56 * full.stat().st_size
    hu = blocks((16, 128, 128), seed=1)
    engines = {path: load_predictor(path, engine="onnx", threads=1) for path in (full, half)}
    seconds: dict[Path, list[float]] = {full: [], half: []}
    for _ in range(5):
        for path, model in engines.items():
            started = time.process_time()
            predict_slices(hu, model)
            seconds[path].append(time.process_time() - started)
    assert min(seconds[half]) < 1.3 * min(seconds[full])


def test_the_default_name_is_never_taken_for_the_exact_export(large: Path) -> None:
    assert ModelFile.read(large / "model.onnx").card.weights == "float32"
    card = ModelFile.read(large / "model.float16.onnx").card
    assert (card.weights, card.precision) == ("float16", "float32")
    assert card.cost("float16") == "how much Dice that costs was not measured when the model was exported"


def test_what_rounding_costs_on_valid_is_stated(run_with_valid: Path, tmp_path: Path) -> None:  # noqa: F811
    done = export(run_with_valid, tmp_path / "m.onnx", weights="float16")
    exact, found = done.card.dice_on_valid
    assert exact > 0.95
    assert abs(found - exact) <= INT8_LIMIT
    assert f"weights in float16: mean Dice on valid {found:.4f}" in done.summary()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"weights": "float61"}, "did you mean"),
        ({"weights": "float16", "int8": True}, "without --int8"),
        ({"weights": "float16", "format": "litert"}, "leave it out"),
    ],
)
def test_what_does_not_go_together_is_refused(large: Path, asked: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        export(large, **asked)
