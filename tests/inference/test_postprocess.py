from __future__ import annotations

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy.ndimage import binary_fill_holes, label

from spleenseg.inference.postprocess import NOTHING, Pieces, Place, Postprocess, box_of, fill_holes, postprocess
from spleenseg.inference.postprocess_choice import CaseMasks, choose_postprocess, places_of
from spleenseg.volumes import read_labels, read_volume

SPLEEN = {"spleen": 1}
LEFT_BACK = {"spleen": Place(side="left", depth="back")}
LARGEST = Postprocess(components="largest")
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
MASKS = SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2)))


def empty() -> np.ndarray:
    return np.zeros((10, 20, 20), np.uint8)


def parts(mask: np.ndarray, gap: int = 1) -> int:
    """Count pieces; two slices with up to `gap` between bridge them where both show the organ."""
    bridged = mask.copy()
    for low, high in combinations(range(len(mask)), 2):
        if high - low <= gap + 1:
            bridged[low:high] |= mask[low] & mask[high]
    return int(label(bridged, structure=np.ones((3, 3, 3)))[1])


def only(labels: np.ndarray, options: Postprocess, voxel_ml: float = 0.001) -> np.ndarray:
    return postprocess(labels, voxel_ml, SPLEEN, options)[0]


def test_nothing_changes_nothing_and_counts_the_pieces_and_what_strays() -> None:
    labels = empty()
    labels[2:6, 2:6, 2:6] = 1
    labels[8, 8, 8:11] = 1
    done, pieces = postprocess(labels, 0.5, {"spleen": 1, "liver": 2})
    np.testing.assert_array_equal(done, labels)
    assert pieces == {"spleen": Pieces(2, 1.5), "liver": Pieces(0, 0.0)}


def test_the_largest_piece_stays_and_what_was_given_is_not_changed() -> None:
    labels = empty()
    labels[2:6, 2:6, 2:6] = 1
    wanted = labels.copy()
    labels[8, 8, 8:11] = 1
    before = labels.copy()
    np.testing.assert_array_equal(only(labels, LARGEST), wanted)
    np.testing.assert_array_equal(labels, before)


def test_the_share_that_stays_is_told_without_what_fills_holes() -> None:
    labels = empty()
    labels[2:6, 2:6, 2:6] = 1
    labels[3, 3, 3] = 0
    labels[8, 8, 5:12] = 1
    options = Postprocess(components="largest", fill_holes=True)
    assert postprocess(labels, 0.5, SPLEEN, options)[1]["spleen"] == Pieces(2, 3.5, 0.9)
    assert postprocess(labels, 0.5, SPLEEN, Postprocess(min_ml=50))[1]["spleen"] == Pieces(2, 35.0, 0.0)


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    labels = empty()
    labels[2:4, 2:4, 2:4] = labels[4:6, 4:6, 4:6] = 1
    np.testing.assert_array_equal(only(labels, LARGEST), labels)


def test_one_lost_slice_parts_nothing_and_two_do() -> None:
    labels = empty()
    labels[1:4, 5:9, 5:9] = labels[5:8, 5:9, 8:12] = 1
    np.testing.assert_array_equal(only(labels, LARGEST), labels)
    assert postprocess(labels, 0.001, SPLEEN)[1]["spleen"] == Pieces(1, 0.0)
    labels[5] = 0
    assert not only(labels, LARGEST)[5:].any()
    aside = empty()
    aside[1:4, 5:9, 5:9] = aside[5:7, 5:9, 12:15] = 1
    assert not only(aside, LARGEST)[5:].any()


@pytest.mark.parametrize(("slice_mm", "lost"), [(0.6, 8), (1.0, 5), (2.0, 2), (3.0, 2), (5.0, 1), (9.0, 1), (None, 1)])
def test_lost_slices_are_counted_in_millimetres(slice_mm: float | None, lost: int) -> None:
    labels = np.zeros((30, 12, 12), np.uint8)
    labels[2:10, 3:9, 3:9] = labels[10 + lost : 20, 4:10, 4:10] = 1
    done, pieces = postprocess(labels, 0.001, SPLEEN, LARGEST, slice_mm=slice_mm)
    np.testing.assert_array_equal(done, labels)
    assert pieces["spleen"] == Pieces(1, 0.0)
    labels[10 + lost] = 0
    done, pieces = postprocess(labels, 0.001, SPLEEN, LARGEST, slice_mm=slice_mm)
    assert pieces["spleen"].count == 2
    assert done.sum() < labels.sum()


def test_bridging_lost_slices_takes_no_more_memory_than_a_few_masks() -> None:
    labels = np.zeros((400, 60, 60), np.uint8)
    labels[:, 10:50, 10:50] = 1
    labels[200:204] = 0
    tracemalloc.start()
    postprocess(labels, 0.001, SPLEEN, LARGEST, slice_mm=0.6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * labels.size


def test_a_larger_piece_on_the_wrong_side_loses_unless_it_is_much_larger() -> None:
    left = empty()
    left[4:6, 14:17, 14:17] = 1  # 18 voxels
    options = LARGEST.model_copy(update={"places": LEFT_BACK})
    right = empty()
    right[1:7, 12:15, 2:5] = 1  # 54 voxels, three times as large
    np.testing.assert_array_equal(only(left | right, options), left)
    right[0:9, 12:15, 2:5] = 1  # 81 voxels
    np.testing.assert_array_equal(only(left | right, options), right)
    front = empty()
    front[0:9, 1:4, 12:18] = 1  # 162 voxels in front on the left: nine times as large
    np.testing.assert_array_equal(only(left | front, options), front)
    np.testing.assert_array_equal(only(left | right, LARGEST), right)


def test_an_organ_where_none_belongs_stays_if_it_is_all_there_is() -> None:
    labels = empty()
    labels[1:7, 2:5, 2:5] = 1
    np.testing.assert_array_equal(only(labels, LARGEST.model_copy(update={"places": LEFT_BACK})), labels)


def test_pieces_too_small_go_even_if_nothing_is_left() -> None:
    labels = empty()
    labels[2, 2:6, 2:7] = 1
    labels[8, 8, 8:11] = 1
    kept = only(labels, Postprocess(min_ml=0.02))
    assert kept.sum() == 20
    assert not only(labels, Postprocess(min_ml=0.021)).any()
    done, pieces = postprocess(labels, 0.001, SPLEEN, Postprocess(components="largest", min_ml=0.021))
    assert not done.any()
    assert pieces["spleen"] == Pieces(2, pytest.approx(0.023), 0.0)


@pytest.mark.parametrize("end", [0, -1])
def test_an_organ_that_the_end_of_the_scan_cuts_off_may_be_small(end: int) -> None:
    labels = empty()
    labels[end, 2:6, 2:7] = 1
    organ = labels.copy()
    labels[4, 10:13, 8:11] = 1
    labels[end, 10, 2:5] = 1  # a speck beside it
    np.testing.assert_array_equal(only(labels, Postprocess(min_ml=0.09)), organ)
    labels[4:6, 10:13, 8:14] = 1  # now this is the main piece, and whole
    assert not only(labels, Postprocess(min_ml=0.09)).any()


@pytest.mark.parametrize("end", [0, -1])
def test_a_speck_at_the_end_of_the_scan_is_no_organ_cut_off(end: int) -> None:
    labels = empty()
    labels[end, 2:6, 2:7] = 1  # 20 voxels
    assert not only(labels, Postprocess(min_ml=25), voxel_ml=0.24).any()  # 4.8 mL
    assert postprocess(labels, 0.24, SPLEEN, Postprocess(min_ml=25))[1]["spleen"] == Pieces(1, pytest.approx(4.8), 0.0)
    np.testing.assert_array_equal(only(labels, Postprocess(min_ml=25), voxel_ml=0.26), labels)
    np.testing.assert_array_equal(only(labels, Postprocess(min_ml=20), voxel_ml=0.24), labels)
    alone = labels[[end]]  # all that a scan of one slice can show
    np.testing.assert_array_equal(only(alone, Postprocess(min_ml=25), voxel_ml=0.24), alone)


def test_holes_are_filled_but_never_with_another_organ_in_them() -> None:
    labels = empty()
    labels[3:6, 5:12, 5:12] = 1
    whole = labels.copy()
    labels[4, 7:10, 7:10] = 0
    np.testing.assert_array_equal(only(labels, Postprocess(fill_holes=True)), whole)
    labels[4, 8, 8] = 2
    done, _ = postprocess(labels, 0.001, {"spleen": 1, "liver": 2}, Postprocess(fill_holes=True))
    assert done[4, 8, 8] == 2
    assert np.count_nonzero(done != whole) == 1


def test_a_bay_that_opens_to_the_outside_is_no_hole_nor_is_one_at_the_edge_of_the_scan() -> None:
    labels = empty()
    labels[3, 5:12, 5:12] = 1
    labels[3, 8, 8:12] = 0
    labels[6, 0:4, 0:4] = 1
    labels[6, 0:2, 0:2] = 0
    np.testing.assert_array_equal(only(labels, Postprocess(fill_holes=True)), labels)


@settings(max_examples=40, deadline=None)
@given(MASKS)
def test_filling_slices_fills_every_cavity_and_is_what_scipy_fills(labels: np.ndarray) -> None:
    mask = labels == 1
    filled = fill_holes(mask)
    np.testing.assert_array_equal(filled, np.stack([binary_fill_holes(plane) for plane in mask]))
    assert not (binary_fill_holes(mask) & ~filled).any()


@settings(max_examples=120, deadline=None)
@given(
    MASKS,
    st.sampled_from(["all", "largest"]),
    st.booleans(),
    st.sampled_from([0.0, 0.002, 0.01]),
    st.sampled_from([1, 2, 3]),
)
def test_whatever_is_done_labels_never_grow_but_into_holes_and_twice_is_once(
    labels: np.ndarray, components: str, fill: bool, least: float, gap: int
) -> None:
    names = {"a": 1, "b": 2}
    options = Postprocess(components=components, fill_holes=fill, min_ml=least)
    done, pieces = postprocess(labels, 0.001, names, options, slice_mm=5 / gap)
    np.testing.assert_array_equal(postprocess(done, 0.001, names, options, slice_mm=5 / gap)[0], done)
    for name, value in names.items():
        assert pieces[name].count == parts(labels == value, gap)
        assert not ((done == value) & ~fill_holes(labels == value)).any()
        if components == "largest":
            assert parts(done == value, gap) <= 1


def test_the_box_of_a_mask_is_the_smallest() -> None:
    mask = empty() > 0
    assert box_of(mask) is None
    mask[3, 4:7, 19] = True
    assert box_of(mask) == (slice(3, 4), slice(4, 7), slice(19, 20))


def test_options_that_cannot_be_are_refused() -> None:
    for wrong in ({"components": "some"}, {"min_ml": -1}):
        with pytest.raises(ValidationError):
            Postprocess.model_validate(wrong)


def cases_with(
    stray: bool = False, hole: bool = False, sized: bool = True, missing: int = 0, count: int = 4
) -> list[CaseMasks]:
    """Return cases whose spleen lies left and behind; `missing` of them have none, but a small stray piece."""
    cases = []
    for index in range(count):
        truth = empty()
        truth[3:7, 12:17, 13:18] = index >= missing
        found = truth.copy()
        if hole:
            found[4:6, 14, 15] = 0
        if stray or index < missing:
            found[1, 1:4, 1 : 3 + index] = 1
        cases.append(CaseMasks(lambda truth=truth, found=found: (truth, found), 0.1 if sized else None))
    return cases


def test_what_is_chosen_is_what_helps_and_no_more() -> None:
    assert choose_postprocess(cases_with(), SPLEEN).options == NOTHING.model_copy(update={"places": LEFT_BACK})
    stray = choose_postprocess(cases_with(stray=True), SPLEEN)
    assert (stray.options.components, stray.options.fill_holes, stray.options.min_ml) == ("largest", False, 0)
    assert stray.options.places == LEFT_BACK
    assert stray.dice == 1.0 > stray.dice_without
    assert "largest component (mean Dice 1.0000" in stray.summary()
    hole = choose_postprocess(cases_with(hole=True), SPLEEN).options
    assert (hole.components, hole.fill_holes) == ("all", True)
    both = choose_postprocess(cases_with(stray=True, hole=True), SPLEEN).options
    assert (both.components, both.fill_holes) == ("largest", True)


def test_what_is_chosen_goes_by_the_distance_of_the_slices() -> None:
    def cases(slice_mm: float | None) -> list[CaseMasks]:
        truth = empty()
        truth[1:9, 12:17, 13:18] = 1
        found = truth.copy()
        found[4:6] = 0
        found[1, 1:4, 1:4] = 1
        return [CaseMasks(lambda: (truth, found), None, slice_mm)] * 3

    assert choose_postprocess(cases(1.0), SPLEEN).options.components == "largest"
    assert choose_postprocess(cases(None), SPLEEN).options.components == "all"  # half of the organ would go


def test_a_patient_without_the_organ_teaches_to_drop_small_pieces_where_sizes_are_known() -> None:
    assert choose_postprocess(cases_with(missing=1), SPLEEN).options.min_ml == 1.0
    assert choose_postprocess(cases_with(missing=1, sized=False), SPLEEN).options.min_ml == 0


def test_too_few_cases_choose_nothing() -> None:
    assert choose_postprocess(cases_with(stray=True, count=2), SPLEEN) is None


def test_a_place_is_recorded_only_where_all_agree() -> None:
    cases = cases_with()
    assert places_of(cases, SPLEEN) == LEFT_BACK
    middle = empty()
    middle[4, 12:17, 9:11] = 1
    assert places_of([*cases, CaseMasks(lambda: (middle, middle), None)], SPLEEN) == {"spleen": Place(depth="back")}
    assert places_of(cases[:2], SPLEEN) == {}


def test_on_a_real_scan_the_spleen_is_kept_and_false_pieces_go(real_data) -> None:
    folder = real_data / "amos-0001"
    volume = read_volume(folder / "ct.nii.gz")
    truth = (read_labels(folder / "labels.nii.gz", like=volume) == 1).astype(np.uint8)
    found = truth.copy()
    found[2:5, 300:340, 150:200] = 1  # somewhere in the liver
    found[3, 400, 500] = 1
    options = LARGEST.model_copy(update={"places": LEFT_BACK})
    done, pieces = postprocess(found, volume.voxel_ml, SPLEEN, options)
    assert pieces["spleen"].count == label(truth, np.ones((3, 3, 3)))[1] + 2
    assert 2 * (done & truth).sum() / (done.sum() + truth.sum()) > 0.999
