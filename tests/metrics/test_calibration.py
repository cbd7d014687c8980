from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spleenseg.metrics import (
    QualityCalibration,
    agreement_of_histogram,
    agreement_of_masks,
    agreement_of_probabilities,
    best_threshold,
    check_quality,
    confusion,
    dice,
    histogram,
    reliability,
)
from spleenseg.metrics.calibration import dice_by_threshold

MAPS = hnp.arrays(np.float32, (2, 5, 6), elements=st.integers(0, 100).map(lambda value: (value + 0.5) / 101))
TRUTHS = hnp.arrays(bool, (2, 5, 6))


@settings(max_examples=50, deadline=None)
@given(MAPS, TRUTHS)
def test_a_histogram_knows_the_dice_of_every_threshold(probability: np.ndarray, truth: np.ndarray) -> None:
    found = dice_by_threshold(histogram(probability, truth))
    for hundredths in (1, 30, 50, 77, 99):
        assert found[hundredths] == pytest.approx(dice(confusion(truth, probability >= np.float32(hundredths / 100))))


@settings(max_examples=50, deadline=None)
@given(MAPS, TRUTHS)
def test_a_histogram_knows_the_agreement_of_its_thresholds(probability: np.ndarray, truth: np.ndarray) -> None:
    found = agreement_of_histogram(histogram(probability, truth))
    assert found == pytest.approx(agreement_of_probabilities(probability))


def test_the_best_threshold_is_the_one_that_separates_and_nearest_to_half() -> None:
    probability = np.linspace(0.005, 0.995, 100)
    chosen = best_threshold([histogram(probability, probability > 0.7)])
    assert (chosen.value, chosen.mean_dice, chosen.cases) == (0.7, 1.0, 1)
    assert chosen.mean_dice_at_half == pytest.approx(2 * 30 / (30 + 50))
    assert chosen.curve[69] == chosen.mean_dice
    certain = np.array([0.0, 0.0, 1.0])
    assert best_threshold([histogram(certain, certain > 0)]).value == 0.5
    with pytest.raises(ValueError, match="at least one case"):
        best_threshold([])


def test_honest_probabilities_are_calibrated_and_boastful_ones_are_not() -> None:
    rng = np.random.default_rng(1)
    probability = rng.random(200_000)
    honest = reliability(histogram(probability, rng.random(200_000) < probability))
    assert honest.ece < 0.01
    assert honest.observed == pytest.approx(honest.probability, abs=0.02)
    boastful = reliability(histogram(np.full(1000, 0.9), np.arange(1000) < 600))
    assert boastful.ece == pytest.approx(0.3)
    assert boastful.observed[9] == 0.6
    assert boastful.observed[0] is None


def test_sure_background_does_not_hide_a_poor_calibration() -> None:
    probability = np.concatenate([np.full(1000, 0.9), np.zeros(99_000)])
    found = reliability(histogram(probability, np.arange(100_000) < 600))
    assert found.ece == pytest.approx(0.3)
    assert found.ece_everywhere == pytest.approx(0.003)
    assert reliability(histogram(np.zeros(5), np.zeros(5, bool))).ece is None


def test_agreement_of_masks_is_the_mean_dice_of_their_pairs() -> None:
    one, other, nothing = np.array([1, 1, 0, 0]), np.array([0, 1, 1, 0]), np.zeros(4)
    assert agreement_of_masks([one, other]) == 0.5
    assert agreement_of_masks([one, other, nothing]) == pytest.approx(0.5 / 3)
    assert agreement_of_masks([nothing, nothing]) == 1
    with pytest.raises(ValueError, match="at least two"):
        agreement_of_masks([one])


def test_predicted_dice_follows_agreement_on_cases_it_was_not_fitted_on() -> None:
    rng = np.random.default_rng(3)
    agreements = rng.uniform(0.6, 1, 60)
    dices = np.clip(1.5 * agreements - 0.55 + rng.normal(0, 0.01, 60), 0, 1)
    fitted = QualityCalibration.fit(agreements[:30].tolist(), dices[:30].tolist())
    assert (fitted.slope, fitted.intercept, fitted.cases) == (
        pytest.approx(1.5, abs=0.1),
        pytest.approx(-0.55, abs=0.1),
        30,
    )
    predicted = [fitted.predict(agreement) for agreement in agreements[30:]]
    checked = check_quality(predicted, dices[30:].tolist())
    assert checked.mean_error < 0.02
    assert checked.rank_correlation > 0.95
    assert (fitted.predict(0), fitted.predict(2)) == (0, 1)


def test_agreement_that_tells_nothing_predicts_the_mean() -> None:
    for agreements in ([0.9, 0.9], [0.8, 0.9]):
        assert QualityCalibration.fit(agreements, [0.9, 0.7]).predict(0.1) == pytest.approx(0.8)
    assert check_quality([0.9], [0.8]).rank_correlation is None
    with pytest.raises(ValueError, match="as many"):
        QualityCalibration.fit([], [])
