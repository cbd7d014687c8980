from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.inference.export import export
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.openvino_network import import_without_telemetry
from spleenseg.inference.slices import predict_slices
from spleenseg.volumes import read_volume

from .runs import SPLEEN, need_openvino
from .test_export import random_run, smooth

pytest.importorskip("keras")
need_openvino()


@pytest.fixture(scope="module", params=["radiological", "reference"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    look = SPLEEN.model_copy(update={"display": request.param})
    root = random_run(tmp_path_factory.mktemp("run"), look)
    export(root)
    return root


@pytest.mark.parametrize("size", [(32, 24), (64, 48), (45, 61), (20, 20)])
def test_openvino_gives_what_onnx_runtime_gives_and_never_bfloat16_unasked(run, size):
    hu = smooth((6, *size))
    found = [
        predict_slices(hu, load_predictor(run, engine=engine), keep_probability=True) for engine in ("onnx", "openvino")
    ]
    np.testing.assert_allclose(found[1].probability, found[0].probability, atol=5e-4)
    overlap = 2 * (found[0].labels & found[1].labels).sum() / (found[0].labels.sum() + found[1].labels.sum())
    assert overlap >= 0.999


def test_fast_is_asked_for_and_is_another_setting_or_refused_where_the_processor_has_none(run):
    exact = load_predictor(run, engine="openvino")
    if "BF16" not in import_without_telemetry().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(UserError, match="bfloat16"):
            load_predictor(run, engine="openvino", precision="fast")
        return
    fast = load_predictor(run, engine="openvino", precision="fast")
    assert fast.settings != exact.settings
    hu = smooth((4, 32, 24))
    probability = [predict_slices(hu, one, keep_probability=True).probability for one in (exact, fast)]
    assert 0 < np.abs(probability[0] - probability[1]).mean() < 0.05


def test_a_batch_is_filled_up_to_what_fits_not_to_what_was_asked_for_at_first(run):
    predictor = load_predictor(run, engine="openvino", batch_size=4)
    predict_slices(smooth((3, 32, 24)), predictor, batch_size=2)
    assert predictor.engine._compiled[0][0] == 2


def test_fast_is_refused_where_it_would_do_nothing(run):
    with pytest.raises(UserError, match="engine openvino, not by onnx"):
        load_predictor(run, engine="onnx", precision="fast")
    with pytest.raises(UserError, match="int8"):
        load_predictor(run, precision="int8")
    with pytest.raises(UserError, match="computes in float32"):
        load_predictor(run / "model.onnx", precision="int8")
    with pytest.raises(UserError, match="no precision 'quick'"):
        load_predictor(run, precision="quick")


def test_openvino_writes_nothing_into_the_home_folder_and_loads_no_telemetry(run, tmp_path):
    code = (
        "import sys; from pathlib import Path; from spleenseg.inference.loading import load_predictor\n"
        f"load_predictor(Path({str(run / 'model.onnx')!r}), engine='openvino')\n"
        "assert 'openvino' in sys.modules\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry') and sys.modules[name]])"
    )
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "TF_BUILD", "JENKINS_URL")}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**environment, **home}
    )
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.rglob("*"))


def test_engines_of_float32_agree_on_a_real_scan_at_the_size_of_the_network(tmp_path, real_data):
    root = random_run(tmp_path, image_width=96, image_height=96)
    export(root)
    volume = read_volume(next(iter(sorted((real_data / "amos-0001").rglob("*.nii.gz")))))
    hu = np.ascontiguousarray(volume.array[::10, ::4, ::4][:, :96, :96])
    found = [
        predict_slices(hu, load_predictor(root, engine=name), keep_probability=True).probability
        for name in ("keras", "onnx", "openvino")
    ]
    black = found[0].min()  # or nearly so in the other engines: no threshold for a comparison
    body = float(np.median(found[0][found[0] > black + 0.01]))
    labels = [probability >= body for probability in found]
    assert labels[0].sum() > 1000
    for first, second in combinations(labels, 2):
        assert 2 * int((first & second).sum()) / int(first.sum() + second.sum()) >= 0.9999
