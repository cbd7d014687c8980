from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from spleenseg.metrics import CaseMetrics, Summary, case_metrics, summarize, undefined_if_empty

COLUMNS = (
    "dice,iou,sensitivity,precision,truth_ml,pred_ml,volume_error_ml,volume_error_pct,hd_mm,hd95_mm,assd_mm,nsd_2mm,"
    "specificity,truth_components,pred_components,missed_components,extra_components,stray_ml"
)


def box(*shape: slice) -> np.ndarray:
    mask = np.zeros((12, 20, 30), np.uint8)
    mask[shape] = 1
    return mask


TRUTH = box(slice(2, 8), slice(5, 15), slice(5, 25))
NOTHING = np.zeros_like(TRUTH)


def test_a_case_has_exactly_the_columns_of_the_case_table() -> None:
    assert ",".join(field.name for field in fields(CaseMetrics)) == COLUMNS


def test_a_shifted_box_has_the_figures_computed_by_hand() -> None:
    pred = box(slice(2, 8), slice(5, 15), slice(6, 24))
    figures = case_metrics(TRUTH, pred, (2.0, 1.0, 5.0))
    assert figures.dice == pytest.approx(2 * 18 / (20 + 18))
    assert figures.iou == pytest.approx(18 / 20)
    assert figures.sensitivity == pytest.approx(18 / 20)
    assert figures.precision == 1
    assert figures.truth_ml == pytest.approx(6 * 10 * 20 * 10 / 1000)
    assert figures.pred_ml == pytest.approx(6 * 10 * 18 * 10 / 1000)
    assert figures.volume_error_ml == pytest.approx(-1.2)
    assert figures.volume_error_pct == pytest.approx(-10)
    assert figures.hd_mm == 2.0  # one voxel along x, which is the array's last axis
    assert figures.nsd_2mm == 1.0
    assert case_metrics(TRUTH, pred, (2.0, 1.0, 5.0), tolerance_mm=1.9).nsd_2mm != 1.0


def test_empty_cases_are_defined_as_agreed() -> None:
    both = case_metrics(NOTHING, NOTHING, (1, 1, 1))
    assert both == CaseMetrics(1, 1, None, None, 0, 0, 0, None, None, None, None, 1, 1, stray_ml=0)
    missed = case_metrics(TRUTH, NOTHING, (1, 1, 1))
    assert missed == CaseMetrics(0, 0, 0, None, 1.2, 0, -1.2, -100, None, None, None, 0, 1, 1, 0, 1, 0, 0)
    invented = case_metrics(NOTHING, TRUTH, (1, 1, 1))
    assert invented == CaseMetrics(0, 0, None, 0, 0, 1.2, 1.2, None, None, None, None, 0, 5 / 6, 0, 1, 0, 1, 1.2)


def test_overlap_of_nothing_with_nothing_may_be_left_undefined() -> None:
    both = undefined_if_empty(case_metrics(NOTHING, NOTHING, (1, 1, 1)))
    assert both == CaseMetrics(None, None, None, None, 0, 0, 0, None, None, None, None, None, 1, stray_ml=0)
    for truth, pred in ((TRUTH, NOTHING), (NOTHING, TRUTH), (TRUTH, TRUTH)):
        figures = case_metrics(truth, pred, (1, 1, 1))
        assert undefined_if_empty(figures) == figures


def test_without_a_spacing_only_the_figures_of_overlap_are_defined() -> None:
    figures = case_metrics(TRUTH[4], TRUTH[4].astype(bool), None)
    pieces = {"truth_components": 1, "pred_components": 1}
    assert figures == CaseMetrics(dice=1, iou=1, sensitivity=1, precision=1, specificity=1, **pieces)


def test_pieces_are_counted_as_lesions_are_and_stray_volume_is_that_beside_the_organ() -> None:
    truth = box(slice(2, 4), slice(2, 4), slice(2, 4)) | box(slice(8, 10), slice(10, 12), slice(10, 12))
    pred = box(slice(3, 5), slice(3, 5), slice(3, 5))  # touches the first piece at one voxel
    pred |= box(slice(5, 6), slice(5, 6), slice(5, 6))  # hangs on it by a corner: one piece
    pred |= box(slice(11, 12), slice(0, 2), slice(0, 3))  # extra, on a slice without truth
    figures = case_metrics(truth, pred, (1.0, 2.0, 5.0))
    assert (figures.truth_components, figures.pred_components) == (2, 2)
    assert (figures.missed_components, figures.extra_components) == (1, 1)
    assert figures.stray_ml == pytest.approx((4 + 1 + 6) * 0.01)  # of slices 4, 5 and 11
    assert figures.specificity == pytest.approx(1 - (8 - 1 + 1 + 6) / (12 * 20 * 30 - 16))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        case_metrics(TRUTH, TRUTH[:-1], (1, 1, 1))
    with pytest.raises(ValueError, match=r"\[z, y, x\]"):
        case_metrics(TRUTH[4], TRUTH[4], (1, 1, 1))


@pytest.mark.parametrize("view", ["transposed", "strided", "negative"])
def test_views_into_other_arrays_are_measured_like_copies(view: str) -> None:
    truth, pred = TRUTH, np.roll(TRUTH, 1, 1)
    if view == "transposed":
        truth, pred = (np.asfortranarray(mask) for mask in (truth, pred))
    elif view == "strided":
        truth, pred = (np.repeat(mask, 2, axis=2)[:, :, ::2] for mask in (truth, pred))
    else:
        truth, pred = (mask[::-1].copy()[::-1] for mask in (truth, pred))
    assert case_metrics(truth, pred, (1, 2, 3)) == case_metrics(TRUTH, np.roll(TRUTH, 1, 1), (1, 2, 3))


def test_a_real_spleen_shifted_by_one_voxel(real_data: Path) -> None:
    from spleenseg.volumes import read_labels, read_volume

    volume = read_volume(real_data / "amos-0001" / "ct.nii.gz")
    spleen = read_labels(real_data / "amos-0001" / "labels.nii.gz", volume) == 1
    shifted = np.roll(spleen, 1, axis=2)
    figures = case_metrics(spleen, shifted, volume.spacing)
    assert figures.truth_ml == pytest.approx(69, abs=0.5)
    assert figures.volume_error_ml == 0
    assert figures.dice == pytest.approx((spleen & shifted).sum() / spleen.sum())
    assert figures.dice > 0.97
    assert figures.hd95_mm == pytest.approx(volume.spacing[0])
    assert figures.nsd_2mm == 1.0


@pytest.mark.full
def test_a_whole_scan_takes_at_most_a_second() -> None:
    z, y, x = np.ogrid[:150, :512, :512]
    truth = ((z - 80) / 35) ** 2 + ((y - 330) / 48) ** 2 + ((x - 360) / 58) ** 2 < 1
    pred = ((z - 81) / 35) ** 2 + ((y - 332) / 47) ** 2 + ((x - 359) / 59) ** 2 < 1
    took = []
    for _ in range(3):
        start = time.perf_counter()
        figures = case_metrics(truth, pred, (0.8, 0.8, 1.0))
        took.append(time.perf_counter() - start)
    assert figures.truth_ml == pytest.approx(250, rel=0.1)
    assert min(took) < 1


def test_a_column_is_summarised_without_its_undefined_cells() -> None:
    assert summarize([0.9, None, 0.8, float("nan"), 0.4]) == Summary(
        n=3, mean=pytest.approx(0.7), median=0.8, sd=pytest.approx(0.2645751311), worst=0.4
    )
    assert summarize([3.0, 1.0], higher_is_better=False).worst == 3.0
    assert summarize([0.5]) == Summary(n=1, mean=0.5, median=0.5, sd=None, worst=0.5)
    assert summarize([None]) == Summary(n=0)
