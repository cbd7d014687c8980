"""Networks that see pixels of a size in mm: one grid in training, in `infer`, in `segment` and in the exported file."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from PIL import Image

from spleenseg.config import load_config
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.evaluation.passes import predict_all
from spleenseg.inference.export import PARITY, export
from spleenseg.inference.images import infer
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.segment import segment
from spleenseg.inference.slices import predict_slices
from spleenseg.inference.views import with_views
from spleenseg.models.run_folder import load_trained
from spleenseg.progress import SILENT
from spleenseg.volumes import read_labels

from .runs import SPLEEN, brightness_run, need_openvino, write_scan
from .test_export import random_run, smooth

keras = pytest.importorskip("keras")
COARSE = SPLEEN.model_copy(update={"pixel_mm": 2.5})


def disc(spacing: tuple[float, float], radius: float = 12.0, extent: float = 100.0) -> np.ndarray:
    """Return int16 HU [2, y, x] of the same bright disc, somewhat off the centre, at any pixel size."""
    height, width = round(extent / spacing[1]), round(extent / spacing[0])
    y = (np.arange(height) - (height - 1) / 2) * spacing[1]
    x = (np.arange(width) - (width - 1) / 2) * spacing[0]
    inside = np.hypot(y[:, None] - 4, x + 3) < radius
    return np.where(inside, 200, -100).astype(np.int16)[None].repeat(2, axis=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder of random weights that sees 24x32 pixels of 2.5 mm, with its exported model."""
    root = random_run(tmp_path_factory.mktemp("run"), COARSE)
    export(root)
    return root


@pytest.mark.parametrize(("size", "pixel"), [((45, 61), (1.1, 0.9)), ((20, 20), (2.5, 2.5)), ((24, 30), (4.1, 3.0))])
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_the_file_gives_what_keras_gives_whatever_the_pixels_of_the_scan(run, size, pixel, engine):
    if engine == "openvino":
        need_openvino()
    hu = smooth((5, *size))
    found = [
        predict_slices(hu, load_predictor(run, engine=name), pixel_size=pixel, keep_probability=True)
        for name in ("keras", engine)
    ]
    assert 0.05 < found[0].probability.mean() < 0.95
    np.testing.assert_allclose(found[1].probability, found[0].probability, atol=PARITY if engine == "onnx" else 1e-2)
    assert (found[0].labels != found[1].labels).mean() < 1e-3


@pytest.mark.parametrize(
    ("look", "model"),
    [
        ({"display": "reference", "context": 1}, {"image_channels": 3}),
        ({"labels": {"liver": 1, "spleen": 2}}, {"num_classes": 3, "image_channels": 1}),
    ],
)
def test_display_neighbours_and_several_labels_go_with_it(tmp_path, look, model):
    root = random_run(tmp_path, COARSE.model_copy(update=look), **model)
    export(root)
    hu = smooth((3, 40, 70))
    found = [
        predict_slices(hu, load_predictor(root, engine=engine), pixel_size=(1.3, 1.2), keep_probability=True)
        for engine in ("keras", "onnx")
    ]
    np.testing.assert_allclose(found[1].probability, found[0].probability, atol=PARITY)
    assert not found[0].probability[:, :, 0].any()  # 45 mm left of the centre, beyond the grid


def test_the_file_takes_the_size_of_a_pixel(run):
    session = onnxruntime.InferenceSession(run / "model.onnx", providers=["CPUExecutionProvider"])
    kinds = {item.name: (item.type, item.shape) for item in session.get_inputs()}
    assert kinds["spacing_mm"] == ("tensor(float)", [2])
    hu = smooth((1, 40, 50))[:, None]
    wide, high = (session.run(["probability"], {"hu": hu, "spacing_mm": np.float32(mm)})[0] for mm in ((2, 1), (1, 2)))
    turned = session.run(["probability"], {"hu": hu, "spacing_mm": np.float32((2, 1))})[0]
    np.testing.assert_array_equal(wide, turned)
    assert np.abs(wide - high).max() > 0.01


@pytest.mark.parametrize("engine", ["keras", "onnx"])
def test_a_scan_resampled_to_another_spacing_gets_the_same_mask_in_mm(tmp_path, engine):
    root = brightness_run(
        tmp_path / "run", [0.6], SPLEEN.model_copy(update={"pixel_mm": 1.0}), image_width=64, image_height=64
    )
    if engine == "onnx":
        export(root)
    masks = {}
    for name, spacing in {"fine": (0.5, 0.5), "skew": (0.8, 1.25), "coarse": (1.5, 1.4)}.items():
        volume = write_scan(tmp_path / f"{name}.nii.gz", disc(spacing, 25), (*spacing, 3.0))
        segment([tmp_path / f"{name}.nii.gz"], tmp_path / name, root, engine=engine)
        labels = read_labels(tmp_path / name / f"{name}.nii.gz", like=volume)
        assert labels[0].sum() * spacing[0] * spacing[1] == pytest.approx(np.pi * 25**2, rel=0.02)
        masks[name] = cv2.resize(labels[0], (1000, 1000), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    for name in ("skew", "coarse"):
        assert 2 * (masks["fine"] & masks[name]).sum() / (masks["fine"].sum() + masks[name].sum()) >= 0.98


def test_views_and_all_that_asks_several_times_pass_the_size_on(run):
    seen = predict_slices(smooth((2, 40, 50)), with_views(load_predictor(run)), pixel_size=(1.5, 1.5))
    assert seen.labels.shape == (2, 40, 50)


def cohort(root: Path) -> None:
    """Write three scans of other pixels each, in the Decathlon layout."""
    for index, mm in enumerate((0.8, 1.25, 1.6)):
        volume = write_scan(root / "imagesTr" / f"case_{index}.nii.gz", disc((mm, mm)), (mm, mm, 3.0))
        write_scan(root / "labelsTr" / f"case_{index}.nii.gz", (volume.array > 100).astype(np.int16), (mm, mm, 3.0))
    pairs = [{"image": f"./imagesTr/case_{i}.nii.gz", "label": f"./labelsTr/case_{i}.nii.gz"} for i in range(3)]
    facts = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}, "training": pairs}
    (root / "dataset.json").write_text(json.dumps(facts))


def test_a_prepared_slice_is_seen_alike_by_evaluate_infer_and_segment(tmp_path):
    cohort(tmp_path / "source")
    manifest = prepare(tmp_path / "source", tmp_path / "dataset", into="test", pixel_mm=2.0)
    root = brightness_run(tmp_path / "run", [0.525], manifest.expectation, image_width=48, image_height=48)
    config = root / "train_eval_infer.config"
    folders = {
        "test.image_datapath": tmp_path / "dataset/test/images",
        "test.mask_datapath": tmp_path / "dataset/test/masks",
        "infer.images_dir": tmp_path / "dataset/test/images",
        "infer.output_dir": tmp_path / "masks",
    }
    overrides = [f"{key}={value}" for key, value in folders.items()]
    slices = SliceSet.from_config(load_config(config, overrides), "test")
    evaluated = predict_all(load_trained(load_config(config, overrides)), slices, 0.5, 4, SILENT)
    infer(config, overrides=overrides)
    segment([tmp_path / "source/imagesTr"], tmp_path / "out", root)
    for index, file in enumerate(slices.files):
        volume = write_scan(
            tmp_path / "like.nii.gz", disc(manifest.cases[file.case].spacing[:2]), manifest.cases[file.case].spacing
        )
        wanted = read_labels(tmp_path / "out" / f"{file.case}.nii.gz", like=volume)[file.index]
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "masks" / file.name)) > 0, wanted > 0)
        np.testing.assert_array_equal(evaluated.found[index].unpacked() > 0, wanted > 0)
        truth = slices.native_labels(index)
        assert 2 * (truth & wanted).sum() / (truth.sum() + wanted.sum()) > 0.97


def test_pictures_without_a_known_pixel_size_and_tiles_are_refused(tmp_path):
    root = brightness_run(tmp_path / "run", [0.6], COARSE)
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((32, 16), np.uint8)).save(tmp_path / "images" / "p.png")
    where = [f"infer.images_dir={tmp_path / 'images'}", f"infer.output_dir={tmp_path / 'masks'}"]
    with pytest.raises(UserError, match=r"p\.png has no known pixel size"):
        infer(root / "train_eval_infer.config", overrides=where)
    with pytest.raises(UserError, match="leave --tiled out"):
        infer(root / "train_eval_infer.config", overrides=[*where, "tiledinfer.overlapping=4"], tiled=True)
