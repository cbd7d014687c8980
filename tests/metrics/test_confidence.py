from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from spleenseg.metrics import Comparison, Interval, Verdict, bca_interval, compare_paired, mean_interval, verdict

VALUES = st.lists(st.floats(0, 1), min_size=2, max_size=30)


def coverage(draw, truth: float, number: int, studies: int) -> float:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(5)
    held = 0
    for study in range(studies):
        interval = mean_interval(draw(rng, number), resamples=1000, seed=study)
        assert interval is not None
        held += interval.low <= truth <= interval.high
    return held / studies


@settings(max_examples=40, deadline=None)
@given(VALUES)
@example([0.0, 5e-324])
@example([0.0, 1e-200])
@example([0.1, 0.1, 0.1])
@example([0.0] * 20 + [1.0])
def test_the_mean_lies_in_its_interval_and_the_interval_in_the_data(values: list[float]) -> None:
    interval = mean_interval(values, resamples=300)
    assert interval is not None
    assert interval.mean == pytest.approx(np.mean(values))
    assert min(values) - 1e-12 <= interval.low <= interval.high <= max(values) + 1e-12


def test_the_same_input_gives_the_same_interval_and_another_seed_nearly_so() -> None:
    values = np.random.default_rng(1).beta(19, 1, 41).tolist()
    first, again, other = (mean_interval(values, seed=seed) for seed in (1, 1, 2))
    assert first is not None
    assert other is not None
    assert first == again
    assert first != other
    assert (first.low, first.high) == pytest.approx((other.low, other.high), abs=2e-3)


def test_for_well_behaved_values_it_is_the_interval_of_students_t() -> None:
    values = stats.norm.ppf((np.arange(60) + 0.5) / 60)
    interval = mean_interval(values.tolist(), resamples=50_000)
    half = stats.t.ppf(0.975, 59) * values.std(ddof=1) / np.sqrt(60)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((-half, half), rel=0.05)


def test_a_low_outlier_pulls_the_lower_end_further_than_the_upper() -> None:
    interval = mean_interval([0.95 + 0.001 * place for place in range(20)] + [0.5])
    assert interval is not None
    assert interval.mean - interval.low > 1.5 * (interval.high - interval.mean)


def test_bca_is_given_too_and_says_nearly_the_same_of_many_patients() -> None:
    values = np.random.default_rng(2).beta(19, 1, 400).tolist()
    ours, bca = mean_interval(values), bca_interval(values)
    assert ours is not None
    assert bca is not None
    assert (ours.low, ours.high) == pytest.approx((bca.low, bca.high), abs=0.1 * (bca.high - bca.low))
    assert bca_interval([0.9]) is None
    assert bca_interval([0.9] * 3) == Interval(0.9, 0.9, 0.9, 0.95)


@pytest.mark.parametrize(
    ("low", "high", "as_dice", "as_distance"),
    [
        (0.001, 0.02, Verdict.BETTER, Verdict.WORSE),
        (-0.009, 0.02, Verdict.NON_INFERIOR, Verdict.CANT_TELL),
        (-0.02, 0.02, Verdict.CANT_TELL, Verdict.CANT_TELL),
        (-0.02, -0.001, Verdict.WORSE, Verdict.BETTER),
        (-0.005, -0.001, Verdict.NON_INFERIOR, Verdict.BETTER),
        (0.02, 0.03, Verdict.BETTER, Verdict.WORSE),
    ],
)
def test_a_comparison_is_said_in_a_word(low: float, high: float, as_dice: str, as_distance: str) -> None:
    difference = Interval((low + high) / 2, low, high, 0.95)
    assert verdict(difference, 0.01) is as_dice
    assert verdict(difference, 0.01, higher_is_better=False) is as_distance


def test_nothing_known_allows_no_word_and_a_negative_margin_is_refused() -> None:
    assert compare_paired([], []) == Comparison(0, None, None, 0, 0, 0)
    assert verdict(None, 0.01) is Verdict.CANT_TELL
    with pytest.raises(ValueError, match="margin"):
        verdict(None, -0.01)


def test_cases_of_one_patient_count_as_one_drawing() -> None:
    per_patient = np.random.default_rng(3).beta(19, 1, 12)
    names = [f"p{place:02d}" for place in range(12)]
    once = mean_interval(per_patient.tolist(), names)
    tenfold = mean_interval(np.repeat(per_patient, 10).tolist(), [name for name in names for _ in range(10)])
    as_if_independent = mean_interval(np.repeat(per_patient, 10).tolist())
    assert once is not None
    assert tenfold is not None
    assert as_if_independent is not None
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))
    assert as_if_independent.high - as_if_independent.low < 0.5 * (once.high - once.low)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    assert 0.92 <= coverage(lambda rng, number: rng.beta(19, 1, number), 0.95, 60, 400) <= 0.98


@pytest.mark.full
def test_coverage_with_outliers_is_what_the_documentation_says() -> None:
    def draw(rng: np.random.Generator, number: int) -> np.ndarray:
        return np.where(rng.random(number) < 0.05, rng.beta(12, 8, number), rng.beta(19, 1, number))

    truth = 0.95 * 0.95 + 0.05 * 0.6
    found = {number: coverage(draw, truth, number, 2000) for number in (20, 41, 100)}
    for number, documented in ((20, 0.91), (41, 0.94), (100, 0.96)):
        assert found[number] == pytest.approx(documented, abs=0.015), found
    assert found[20] >= 0.90
    assert 0.93 <= found[100] <= 0.97


def test_what_has_no_interval_has_none() -> None:
    assert mean_interval([]) is None
    assert mean_interval([0.9]) is None
    assert mean_interval([0.9, 0.8], ["a", "a"]) is None
    assert mean_interval([0.9] * 5) == Interval(0.9, 0.9, 0.9, 0.95)
    with pytest.raises(ValueError, match="NaN"):
        mean_interval([0.9, float("nan")])
    with pytest.raises(ValueError, match="2 values but 1 patients"):
        mean_interval([0.9, 0.8], ["a"])


def test_a_clearly_better_method_is_told_from_chance() -> None:
    rng = np.random.default_rng(0)
    second = rng.beta(19, 1, 30)
    first = second + rng.normal(0.02, 0.01, 30)
    found = compare_paired(first.tolist(), second.tolist())
    assert found.patients == 30
    assert found.difference is not None
    assert found.difference.low > 0.01
    assert found.p_value == pytest.approx(stats.wilcoxon(first - second).pvalue)
    assert found.p_value < 1e-5
    assert found.higher + found.lower + found.equal == 30
    noise = compare_paired((second + rng.normal(0, 0.01, 30)).tolist(), second.tolist())
    assert noise.difference is not None
    assert noise.difference.low < 0 < noise.difference.high
    assert noise.p_value is not None
    assert noise.p_value > 0.05


def test_undefined_cases_are_left_out_of_a_comparison_and_patients_are_averaged() -> None:
    found = compare_paired([0.9, None, 0.8, 0.7, 0.5], [0.8, 0.9, None, 0.9, 0.5], ["a", "b", "c", "a", "d"])
    assert found.patients == 2
    assert (found.higher, found.lower, found.equal) == (0, 1, 1)
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(-0.1 / 3)


def test_equal_methods_have_no_p_value() -> None:
    found = compare_paired([0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    assert found.p_value is None
    assert found.equal == 3
    assert compare_paired([None], [0.9]).patients == 0
    with pytest.raises(ValueError, match=r"shorter|longer"):
        compare_paired([0.9], [0.9, 0.8])
