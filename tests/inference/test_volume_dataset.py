"""From a volume dataset through training and evaluation to a segmented scan, all with the same channels."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from spleenseg.config import load_config
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.evaluation.evaluate import evaluate
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.segment import segment
from spleenseg.inference.slices import shown_slices
from spleenseg.training.train import train
from spleenseg.volumes import read_labels, read_volume

from .runs import blocks, write_scan
from .test_same_way import cohort

keras = pytest.importorskip("keras")
CONFIG = """\
[model]
model = "TensorflowUNet"
image_width = 32
image_height = 24
image_channels = 6
num_classes = 1
base_filters = 2
num_layers = 2
[dataset]
context = 1
context_mm = 6
windows = [(-160, 240), (-1000, 400)]
stretch = True
[train]
epochs = 1
batch_size = 2
steps_per_epoch = 2
image_datapath = "../dataset/train/images"
save_weights_only = True
threads = 1
[eval]
image_datapath = "../dataset/valid"
[test]
image_datapath = "../dataset/test/images"
[generator]
augmentation = True
debug = False
[augmentor]
policy = "compose"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a volume dataset and a network trained on it for two steps."""
    root = tmp_path_factory.mktemp("volumes")
    cohort(root / "cohort")
    prepare(root / "cohort", root / "dataset", layout="volumes", window=(-100, 200))
    (root / "run").mkdir()
    (root / "run" / "train_eval_infer.config").write_text(CONFIG)
    train(root / "run" / "train_eval_infer.config")
    return root


def test_a_network_learns_and_records_what_its_channels_are(trained):
    look = load_predictor(trained / "run").expectation
    assert look.windows == ((-160, 240), (-1000, 400))
    assert (look.window_hu, look.context, look.context_mm) == ((-160, 240), 1, 6)


def test_a_scan_is_shown_to_the_network_as_its_training_slices_were(trained):
    config = load_config(trained / "run" / "train_eval_infer.config")
    slices = SliceSet.from_config(config, "test")
    predictor = load_predictor(trained / "run")
    volume = read_volume(trained / "cohort" / "imagesTr" / f"{slices.files[0].case}.nii.gz")
    for index, shown in enumerate(shown_slices(volume.array, predictor.expectation, volume.spacing[2])):
        assert np.array_equal(predictor._fitted(shown), slices.image(index))
    assert index == len(slices) - 1


def test_evaluation_and_segmentation_agree(trained):
    evaluation = evaluate(trained / "run" / "train_eval_infer.config")
    case = evaluation.cases[0].case
    segment([trained / "cohort" / "imagesTr" / f"{case}.nii.gz"], trained / "out", trained / "run")
    volume = read_volume(trained / "cohort" / "imagesTr" / f"{case}.nii.gz")
    found = read_labels(trained / "out" / f"{case}.nii.gz", like=volume)
    assert int((found > 0).sum()) == sum(row.pred_pixels for row in evaluation.slices)
    with (trained / "run" / "cases.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["pred_ml"]) == pytest.approx((found > 0).sum() * volume.voxel_ml, rel=1e-3)
    assert float(row["truth_ml"]) > 0


def test_a_scan_with_other_spacing_is_shown_other_neighbours(trained):
    look = load_predictor(trained / "run").expectation
    hu = blocks((7, 24, 32))
    near = list(shown_slices(hu, look, 6.0))[3]
    far = list(shown_slices(hu, look, 3.0))[3]
    assert np.array_equal(near[..., 1], far[..., 1])
    assert np.array_equal(far[..., 0], list(shown_slices(hu, look, 6.0))[2][..., 0])
    assert not np.array_equal(near[..., 0], far[..., 0])


def test_pictures_cannot_be_given_to_a_network_of_several_windows(trained):
    from spleenseg.inference.images import infer

    prepare(trained / "cohort", trained / "pictures")
    settings = ['infer.images_dir="../pictures/test/images"', 'infer.output_dir="masks"']
    with pytest.raises(UserError, match=r"several HU windows, a picture shows one"):
        infer(trained / "run" / "train_eval_infer.config", overrides=settings)


def test_a_scan_written_elsewhere_is_segmented_too(trained):
    write_scan(trained / "other" / "scan.nii.gz", blocks((5, 40, 56), seed=9))
    summary = segment([trained / "other" / "scan.nii.gz"], trained / "out2", trained / "run")
    assert summary.scans[0].status == "done"
