"""A slice means the same to a network in training, in `infer` and in `segment`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.config import load_config
from spleenseg.datasets.folders import slice_name
from spleenseg.datasets.manifest import find_manifest
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.slices import SliceSet
from spleenseg.inference.images import infer
from spleenseg.inference.predictor import at_size
from spleenseg.inference.segment import segment
from spleenseg.models.build import build_model, logits_model
from spleenseg.models.run_folder import load_trained
from spleenseg.volumes import read_labels

from .runs import blocks, save_run, write_config, write_scan

keras = pytest.importorskip("keras")
SECTIONS = """
[dataset]
context = {context}
stretch = True
[train]
save_weights_only = True
[test]
image_datapath = "../dataset/test/images"
mask_datapath = "../dataset/test/masks"
[infer]
images_dir = "../dataset/test/images"
output_dir = "masks"
threshold = {threshold}
"""


def cohort(root: Path) -> None:
    """Write three scans, not square, in the Decathlon layout."""
    for index in range(3):
        hu = blocks((6, 40, 56), seed=index, low=-300, high=300)
        volume = write_scan(root / "imagesTr" / f"case_{index}.nii.gz", hu)
        write_scan(root / "labelsTr" / f"case_{index}.nii.gz", (volume.array > 100).astype(np.int16))
    pairs = [{"image": f"./imagesTr/case_{i}.nii.gz", "label": f"./labelsTr/case_{i}.nii.gz"} for i in range(3)]
    facts = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}, "training": pairs}
    (root / "dataset.json").write_text(json.dumps(facts))


def decide(network: object) -> None:
    """Shift and stretch the last layer of a network with random weights, so that half of all pixels are organ."""
    probe = np.random.default_rng(3).integers(0, 256, (8, *network.input_shape[1:])).astype(np.float32)
    logits = np.asarray(logits_model(network).predict_on_batch(probe))
    kernel, _ = network.get_layer("logits").get_weights()
    stretch = 4 / logits.std()
    network.get_layer("logits").set_weights([kernel * stretch, np.float32([-np.median(logits) * stretch])])


@pytest.mark.parametrize("display", ["radiological", "reference"])
@pytest.mark.parametrize("context", [0, 1])
def test_a_slice_is_predicted_alike_from_its_png_and_from_its_scan(tmp_path, display, context):
    cohort(tmp_path / "cohort")
    manifest = prepare(tmp_path / "cohort", tmp_path / "dataset", window=(-100, 200), display=display)
    keras.utils.set_random_seed(7)
    model = {"image_width": 32, "image_height": 24, "base_filters": 4, "num_layers": 3}
    threshold = 0.3
    config = write_config(tmp_path / "run", SECTIONS.format(context=context, threshold=threshold), **model)
    network = build_model(config.model)
    decide(network)
    dataset = find_manifest(tmp_path / "dataset")
    save_run(config, network, dataset.expectation.model_copy(update={"context": context}))
    (case,) = (name for name, record in manifest.cases.items() if record.split == "test")

    infer(config)
    scan = tmp_path / "cohort" / "imagesTr" / f"{case}.nii.gz"
    segment([scan], tmp_path / "out", tmp_path / "run", threshold=threshold)
    volume = write_scan(
        tmp_path / "again" / f"{case}.nii.gz", blocks((6, 40, 56), seed=int(case[-1]), low=-300, high=300)
    )
    labels = read_labels(tmp_path / "out" / f"{case}.nii.gz", like=volume)
    assert 0.02 < labels.mean() < 0.98
    trained = load_trained(load_config(config.path)).model
    slices = SliceSet.from_config(config, "test")
    for z in range(6):
        mask = np.asarray(Image.open(tmp_path / "run" / "masks" / slice_name(case, z))) > 0
        upright = mask[:, ::-1] if display == "reference" else mask
        np.testing.assert_array_equal(labels[z] > 0, upright)
        found = trained.predict_on_batch(slices.image(z)[None].astype(np.float32))[0]
        np.testing.assert_array_equal(at_size(found, (40, 56))[..., 0] >= threshold, mask)
