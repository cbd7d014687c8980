from __future__ import annotations

import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.inference import slices
from spleenseg.inference.labels import labels_of, organ_probability
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.shown import is_black
from spleenseg.inference.slices import predict_slices, shown_slices
from spleenseg.volumes import apply_window, read_volume

from .runs import LEFT_NEIGHBOUR, SPLEEN, blocks, brightness_run

REFERENCE = SPLEEN.model_copy(update={"window_hu": (0, 255), "display": "reference"})


def of_context(count: int):
    return SPLEEN.model_copy(update={"context": count})


def test_a_scan_is_cut_at_the_models_own_window(tmp_path):
    hu = blocks((5, 32, 16))
    found = predict_slices(hu, load_predictor(brightness_run(tmp_path, [0.5])))
    assert found.labels.dtype == np.uint8
    assert found.probability is None
    np.testing.assert_array_equal(found.labels, apply_window(hu, (-160, 240)) >= 127.5)


def test_the_reference_window_cuts_elsewhere(tmp_path):
    hu = blocks((3, 32, 16))
    found = predict_slices(hu, load_predictor(brightness_run(tmp_path, [0.5], REFERENCE)))
    np.testing.assert_array_equal(found.labels, np.clip(hu, 0, 255) >= 127.5)


@pytest.mark.parametrize(("expectation", "step"), [(SPLEEN, 1), (REFERENCE, -1)])
def test_a_model_trained_on_mirrored_slices_sees_them_mirrored_and_answers_upright(tmp_path, expectation, step):
    hu = np.zeros((1, 32, 16), np.int16)
    hu[0, 7, 5] = 1000
    run = brightness_run(tmp_path, [0.5], expectation, tap=LEFT_NEIGHBOUR)
    labels = predict_slices(hu - 400, load_predictor(run)).labels
    assert np.argwhere(labels).tolist() == [[0, 7, 5 + step]]


@pytest.mark.parametrize("size", [(32, 16), (64, 32), (40, 56), (17, 11)])
def test_masks_come_back_at_the_scans_own_size_whatever_its_shape(tmp_path, size):
    hu = np.full((2, *size), -100, np.int16)
    rows, columns = size
    hu[:, rows // 4 : rows // 2, columns // 2 :] = 200
    labels = predict_slices(hu, load_predictor(brightness_run(tmp_path, [0.5]))).labels
    assert labels.shape == hu.shape
    truth = hu > 0
    away_from_edges = np.ones(size, bool)
    away_from_edges[rows // 4 - 2 : rows // 4 + 2] = away_from_edges[rows // 2 - 2 : rows // 2 + 2] = False
    away_from_edges[:, columns // 2 - 2 : columns // 2 + 2] = False
    np.testing.assert_array_equal(labels[:, away_from_edges], truth[:, away_from_edges])


def test_the_last_batch_and_single_slices_are_predicted_like_any_other(tmp_path):
    hu = blocks((7, 32, 16))
    run = brightness_run(tmp_path, [0.5])
    whole = predict_slices(hu, load_predictor(run, batch_size=3)).labels
    for z in range(7):
        np.testing.assert_array_equal(predict_slices(hu[z : z + 1], load_predictor(run)).labels[0], whole[z])


@pytest.mark.parametrize(("channel", "shift"), [(0, -1), (1, 0), (2, 1)])
def test_neighbouring_slices_are_the_channels_and_the_outermost_is_repeated(tmp_path, channel, shift):
    hu = blocks((4, 32, 16))
    run = brightness_run(tmp_path, [0.5], of_context(1), channel=channel)
    labels = predict_slices(hu, load_predictor(run)).labels
    seen = np.clip(np.arange(4) + shift, 0, 3)
    np.testing.assert_array_equal(labels, apply_window(hu[seen], (-160, 240)) >= 127.5)


def test_more_neighbours_than_pictures_have_colours_are_resized_like_single_slices(tmp_path):
    hu = blocks((3, 64, 32))
    shown = list(shown_slices(hu, of_context(3)))
    assert shown[0].shape == (64, 32, 7)
    run = brightness_run(tmp_path, [0.5], of_context(3), channel=6, image_channels=7)
    labels = predict_slices(hu, load_predictor(run)).labels
    last = predict_slices(hu[2:], load_predictor(brightness_run(tmp_path / "single", [0.5]))).labels
    np.testing.assert_array_equal(labels, np.repeat(last, 3, axis=0))


def test_probabilities_are_kept_only_when_asked_and_agree_with_the_labels(tmp_path):
    hu = blocks((3, 40, 56))
    found = predict_slices(hu, load_predictor(brightness_run(tmp_path, [0.5]), threshold=0.3), keep_probability=True)
    assert found.probability is not None
    assert found.probability.dtype == np.float32
    np.testing.assert_array_equal(found.labels, found.probability >= np.float32(0.3))
    assert 0 <= found.probability.min() < found.probability.max() <= 1


def test_several_labels_are_told_apart_by_the_likeliest(tmp_path):
    hu = blocks((2, 32, 16))
    expectation = SPLEEN.model_copy(update={"labels": {"spleen": 1, "liver": 2}})
    run = brightness_run(tmp_path, [0.3, 0.7], expectation, num_classes=3)
    predictor = load_predictor(run)
    found = predict_slices(hu, predictor, keep_probability=True)
    grey = apply_window(hu, (-160, 240)) / 255
    np.testing.assert_array_equal(found.labels, (grey > 0.3).astype(int) + (grey > 0.7))
    np.testing.assert_array_equal(found.probability >= 0.5, grey > 0.3)
    assert predictor.names == {"spleen": 1, "liver": 2}


def test_a_label_without_a_name_is_called_by_its_number(tmp_path):
    assert load_predictor(brightness_run(tmp_path, [0.3, 0.7], num_classes=3)).names == {"spleen": 1, "label 2": 2}


def test_the_threshold_itself_counts_as_organ_and_a_tie_goes_to_the_background():
    np.testing.assert_array_equal(labels_of(np.float32([[0.49], [0.5], [0.51]])), [0, 1, 1])
    np.testing.assert_array_equal(labels_of(np.float32([[0.4, 0.4, 0.2], [0.2, 0.3, 0.5]])), [0, 2])
    np.testing.assert_allclose(organ_probability(np.float32([[0.4, 0.4, 0.2]])), [0.6])


def test_neighbours_that_do_not_fit_the_channels_are_refused(tmp_path):
    run = brightness_run(tmp_path, [0.5])
    manifest = run / "run.json"
    manifest.write_text(manifest.read_text().replace('"context": 0', '"context": 2'))
    with pytest.raises(UserError, match="2 neighbouring slices"):
        load_predictor(run)


def test_a_folder_without_a_trained_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"run\.json"):
        load_predictor(tmp_path)


@pytest.mark.parametrize("threshold", [0.0, 1.1])
def test_an_impossible_threshold_is_refused(tmp_path, threshold):
    with pytest.raises(UserError, match="threshold"):
        load_predictor(brightness_run(tmp_path, [0.5]), threshold=threshold)


def test_a_threshold_for_several_labels_is_refused(tmp_path):
    with pytest.raises(UserError, match="likeliest"):
        load_predictor(brightness_run(tmp_path, [0.3, 0.7], num_classes=3), threshold=0.4)


def test_weights_and_threshold_change_the_settings(tmp_path):
    first = brightness_run(tmp_path / "a", [0.5])
    second = brightness_run(tmp_path / "b", [0.6])
    known = {load_predictor(first).settings, load_predictor(second).settings}
    assert known.isdisjoint({load_predictor(first, threshold=0.4).settings})
    assert len(known) == 2
    assert load_predictor(first, batch_size=1).settings in known


class Counted:
    """A model that counts the slices it is asked for."""

    def __init__(self, model):
        self.model, self.asked = model, 0

    def __getattr__(self, name):
        return getattr(self.model, name)

    def of_hu(self, stacks, *more):
        self.asked += len(stacks)
        return self.model.of_hu(stacks, *more)


def padded_with_air(hu):
    """Return a scan in the middle of slices of nothing but air, of several densities."""
    air = np.full((5, *hu.shape[1:]), -1000, np.int16)
    air[1:3] = -160  # as black as all others in this window
    return np.concatenate([air, hu, air])


@pytest.mark.parametrize(("context", "asked"), [(0, 5), (1, 7)])
@pytest.mark.parametrize("blank", [0.1, 0.5, -0.5])
def test_air_is_asked_for_once_and_answers_for_every_slice_of_it(tmp_path, monkeypatch, context, asked, blank):
    run = brightness_run(tmp_path, [blank], of_context(context))  # with -0.5 air itself is organ to it
    hu = padded_with_air(blocks((4, 32, 16)))
    model = Counted(load_predictor(run))
    found = predict_slices(hu, model, keep_probability=True)
    assert model.asked == asked
    monkeypatch.setattr(slices, "is_black", lambda hu, *_: np.zeros(len(hu), bool))
    every = predict_slices(hu, load_predictor(run), keep_probability=True)
    np.testing.assert_array_equal(found.labels, every.labels)
    np.testing.assert_array_equal(found.probability, every.probability)
    np.testing.assert_array_equal(found.sizes, every.sizes)


def test_a_single_voxel_above_the_window_makes_a_slice_count():
    hu = np.full((3, 8, 8), -160, np.int16)
    hu[1, 4, 4] = -159
    np.testing.assert_array_equal(is_black(hu, SPLEEN), [True, False, True])
    np.testing.assert_array_equal(is_black(hu, of_context(1)), [False] * 3)
    both = SPLEEN.model_copy(update={"windows": ((-160, 240), (-500, 100))})
    assert not is_black(hu, both).any()


def test_on_a_real_scan_leaving_air_out_changes_no_voxel(tmp_path, real_data, monkeypatch):
    model = load_predictor(brightness_run(tmp_path, [0.5], image_width=96, image_height=96))
    for path in ("amos-0001/ct.nii.gz", "totalsegmentator-example/example_ct.nii.gz"):
        real = np.ascontiguousarray(read_volume(real_data / path).array[:, ::4, ::4])
        for hu in (real, padded_with_air(real)):
            with monkeypatch.context() as patch:
                skipped = predict_slices(hu, model).labels
                patch.setattr(slices, "is_black", lambda hu, *_: np.zeros(len(hu), bool))
                np.testing.assert_array_equal(skipped, predict_slices(hu, model).labels)
