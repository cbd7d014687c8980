"""ONNX Runtime's sessions: one for few slices of a large network, one for many, and the scan alone decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spleenseg.inference import onnx_session
from spleenseg.inference.builtin import builtin_model
from spleenseg.inference.head_start import Asked, head_start
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.onnx_session import Layout
from spleenseg.inference.predictor import Predictor
from spleenseg.inference.slices import predict_slices

MODEL = builtin_model()
FEW, MANY = 2, 6


def probability(predictor: Predictor, slices: int) -> np.ndarray:
    hu = np.random.default_rng(slices).integers(-200, 200, (slices, 64, 64)).astype(np.int16)
    found = predict_slices(hu, predictor, pixel_size=(0.8, 0.8), keep_probability=True).probability
    assert found is not None
    return found


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the built-in network count as a large one."""
    monkeypatch.setattr(onnx_session, "_LARGE", 1)


def test_few_slices_of_a_large_network_are_predicted_in_the_layout_of_the_file(large: None) -> None:
    predictor = load_predictor(MODEL)
    for slices, layout in ((FEW, Layout.PLAIN), (MANY, Layout.BLOCKED)):
        probability(predictor, slices)
        assert predictor.engine._layout is layout  # type: ignore[attr-defined]


def test_both_layouts_give_the_same_probabilities_up_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = probability(load_predictor(MODEL), FEW)
    monkeypatch.setattr(onnx_session, "_LARGE", 1)
    plain = probability(load_predictor(MODEL), FEW)
    np.testing.assert_allclose(plain, blocked, atol=1e-5)


def test_the_answer_for_a_scan_does_not_depend_on_what_came_before_it(large: None) -> None:
    used = load_predictor(MODEL)
    alone = {slices: probability(load_predictor(MODEL), slices) for slices in (FEW, MANY)}
    for slices in (MANY, FEW, MANY):
        assert np.array_equal(probability(used, slices), alone[slices])


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("slices", [FEW, MANY])
def test_a_wrong_guess_changes_no_bit(large: None, few: bool, slices: int) -> None:
    alone = probability(load_predictor(MODEL), slices)
    with head_start(Path(MODEL), Asked(few=few)):
        assert np.array_equal(probability(load_predictor(MODEL), slices), alone)


def test_small_networks_have_one_layout() -> None:
    predictor = load_predictor(MODEL)
    session = predictor.engine._session  # type: ignore[attr-defined]
    predictor.expect(FEW, 4)
    predictor.expect(MANY, 4)
    assert predictor.engine._session is session  # type: ignore[attr-defined]
