"""Synthetic patients: reproducible, different, anatomical, and not to be solved by a threshold."""

from __future__ import annotations

from collections.abc import Callable

import cc3d
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from spleenseg.phantom import Patient, make_patient
from spleenseg.phantom.grid import Frame
from spleenseg.phantom.traits import Streams, Traits

AIR = -500


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(a & b) / max(1, np.count_nonzero(a) + np.count_nonzero(b)))


def test_the_same_seed_gives_the_same_patient(patient: Callable[[int], Patient]) -> None:
    first = patient(1)
    again = make_patient(1, 96, slices=36, splenectomy=0.0)
    assert np.array_equal(first.hu, again.hu)
    assert np.array_equal(first.labels, again.labels)
    assert first.facts == again.facts


def test_other_seeds_give_visibly_other_patients(patients: list[Patient]) -> None:
    for i, one in enumerate(patients):
        for other in patients[i + 1 :]:
            assert dice(one.labels > 0, other.labels > 0) < 0.8
            tissue, body = one.hu > AIR, (one.hu > AIR) | (other.hu > AIR)
            assert (np.abs(one.hu - other.hu)[body] > 60).mean() > 0.2
            assert dice(tissue, other.hu > AIR) < 0.97


def test_hu_labels_and_spacing_have_their_types_and_ranges(patients: list[Patient]) -> None:
    for one in patients:
        assert one.hu.dtype == np.int16
        assert one.labels.dtype == np.uint8
        assert one.hu.shape == one.labels.shape == (36, 96, 96)
        assert one.hu.min() >= -1024
        assert one.hu.max() <= 3071
        assert set(np.unique(one.labels)) == {0, 1}
        assert one.hu.flags.c_contiguous
        assert one.labels.flags.c_contiguous


@pytest.mark.parametrize("seed", [2, 5])
def test_size_and_number_of_slices_change_the_sampling_not_the_patient(
    seed: int, patient: Callable[[int], Patient]
) -> None:
    fine, coarse = patient(seed), make_patient(seed, 48, slices=18, splenectomy=0.0)
    assert coarse.facts == fine.facts
    assert coarse.hu.shape == (18, 48, 48)
    assert coarse.spacing == pytest.approx(tuple(2 * s for s in fine.spacing))
    assert dice(fine.labels[::2, ::2, ::2] > 0, coarse.labels > 0) > 0.75
    assert coarse.spleen_ml == pytest.approx(fine.spleen_ml, rel=0.08)


def test_a_native_scan_has_the_spacing_of_scanners() -> None:
    one = make_patient(3, 512)
    x, y, z = one.spacing
    assert 0.6 <= x == y <= 1.0
    assert z == one.facts.step
    assert one.hu.shape[0] * z == pytest.approx(
        one.facts.dome + one.facts.above + one.facts.below * one.facts.build, abs=z
    )
    assert one.spleen_ml == pytest.approx(one.facts.spleen, rel=0.02)


def test_the_label_has_the_intended_volume(patients: list[Patient]) -> None:
    for one in patients:
        assert one.spleen_ml == pytest.approx(one.facts.spleen, rel=0.03)


def test_the_spleen_is_one_piece_on_the_left_at_the_back_under_the_diaphragm(patients: list[Patient]) -> None:
    for one in patients:
        pieces = np.bincount(cc3d.connected_components(one.labels, connectivity=6).ravel())[1:]
        assert pieces.max() >= 0.99 * pieces.sum()
        _, y, x = (axis.mean() for axis in np.nonzero(one.labels))
        _, ys, xs = np.nonzero(one.hu > -150)
        assert x > np.median(xs) + 0.2 * (np.quantile(xs, 0.99) - np.median(xs))
        assert y > np.median(ys) - 0.1 * len(one.hu[0])
        columns = np.nonzero(one.labels.any(axis=0))
        highest = np.where(one.labels, np.arange(36)[:, None, None], 0).max(axis=0)[columns]
        above = one.hu[np.minimum(35, highest + 5), columns[0], columns[1]]
        assert (above < AIR).mean() > 0.15  # lung over the dome


def test_spleens_touch_what_surrounds_them(patients: list[Patient]) -> None:
    shares = []
    for one in patients:
        spleen = one.labels > 0
        shell = ndimage.binary_dilation(spleen, iterations=2) & ~ndimage.binary_dilation(spleen)
        shares.append(((one.hu[shell] > 0) & (one.hu[shell] < 250)).mean())  # neither fat nor gas
    assert min(shares) > 0.05
    assert np.mean(shares) > 0.3


def test_the_brightness_of_the_spleen_is_that_of_the_phase(patients: list[Patient]) -> None:
    ranges = {"native": (30, 65), "arterial": (80, 170), "portal venous": (85, 150)}
    for one in patients:
        inner = ndimage.binary_erosion(one.labels > 0)
        low, high = ranges[one.facts.phase]
        assert low < np.median(one.hu[inner]) < high
    assert {one.facts.phase for one in patients} == set(ranges)


def test_the_arterial_spleen_is_mottled(patients: list[Patient]) -> None:
    def unevenness(one: Patient) -> float:
        inner = ndimage.binary_erosion(one.labels > 0, iterations=2)
        smooth = ndimage.gaussian_filter(one.hu.astype(float), 0.8)[inner]
        return float(np.subtract(*np.quantile(smooth, (0.8, 0.2))))

    spread = {phase: [unevenness(p) for p in patients if p.facts.phase == phase] for phase in ("native", "arterial")}
    assert min(spread["arterial"]) > 1.3 * max(spread["native"])


def test_no_threshold_finds_the_spleen(patients: list[Patient]) -> None:
    """Not even the best window of HU, with noise removed and the largest piece kept."""
    smooth = [ndimage.gaussian_filter(one.hu.astype(np.float32), (0, 0.7, 0.7)) for one in patients]
    best = 0.0
    for low in range(20, 120, 20):
        for high in range(low + 20, 200, 30):
            found = [largest((hu > low) & (hu < high)) for hu in smooth]
            mean = np.mean([dice(f, one.labels > 0) for f, one in zip(found, patients, strict=True)])
            best = max(best, float(mean))
    assert best < 0.5


def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces = cc3d.connected_components(mask, connectivity=6)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return pieces == sizes.argmax()


def test_a_patient_after_splenectomy_has_no_label_and_is_otherwise_the_same(
    patient: Callable[[int], Patient],
) -> None:
    without = make_patient(1, 48, slices=18, splenectomy=1.0)
    assert without.facts.spleen == 0
    assert not without.labels.any()
    assert without.facts.phase == patient(1).facts.phase
    assert without.facts.build == patient(1).facts.build


def test_accessory_spleens_are_drawn_and_not_labelled() -> None:
    seed = next(s for s in range(100) if traits_of(s).accessory)
    one = make_patient(seed, 96, slices=36, splenectomy=1.0)
    assert one.facts.accessory > 0
    assert not one.labels.any()


def traits_of(seed: int, splenectomy: float = 0.05) -> Traits:
    return Traits.draw(Streams(np.random.SeedSequence(seed))["traits"], splenectomy)


def test_volumes_are_log_normal_about_230_ml_with_splenomegaly_and_splenectomy() -> None:
    volumes = np.array([traits_of(seed).spleen for seed in range(2000)])
    present = volumes[volumes > 0]
    assert np.median(present) == pytest.approx(235, rel=0.06)
    assert np.std(np.log(present[present < 500])) == pytest.approx(0.42, abs=0.06)
    assert 0.04 < (present > 500).mean() < 0.16
    assert present.max() > 1000
    assert present.min() >= 60
    assert 0.03 < (volumes == 0).mean() < 0.07


def test_the_body_lies_inside_the_field_of_view_on_a_table(patients: list[Patient]) -> None:
    for one in patients:
        border = np.ones((96, 96), bool)
        border[1:-1, 1:-1] = False
        assert np.median(one.hu[:, border]) < -900
        assert (one.hu[:, border] > -150).mean() < 0.01


def test_noise_is_that_of_a_scan_and_correlated(patient: Callable[[int], Patient]) -> None:
    one = make_patient(5, 512, slices=6, splenectomy=0.0)
    plane = one.hu[3].astype(float)
    inside = ndimage.binary_erosion(one.labels[3] > 0, iterations=4)
    assert inside.any()
    residue = plane - ndimage.gaussian_filter(plane, 4)
    assert 3 < residue[inside].std() < 40
    both = inside[:, :-1] & inside[:, 1:]
    neighbours = np.corrcoef(residue[:, :-1][both], residue[:, 1:][both])[0, 1]
    assert neighbours > 0.15


def test_thick_slices_are_painted_in_layers_with_one_in_the_middle() -> None:
    frame = Frame(size=16, slices=4, pixel=1.0, step=5.0, corner=(0.0, 0.0, 10.0))
    layered = frame.layered()
    assert frame.layers == 3
    assert layered.slices == 12
    assert np.allclose(layered.axis("z")[1::3], frame.axis("z"))
    assert Frame(16, 4, 1.0, 3.0, (0.0, 0.0, 0.0)).layers == 1
