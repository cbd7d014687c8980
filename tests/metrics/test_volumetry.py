from __future__ import annotations

import numpy as np
import pytest

from spleenseg.metrics import Agreement, SizeClass, agreement, is_spleen, spleen_size
from spleenseg.metrics.spleen_size import CAVEATS, COHORT


def test_agreement_is_that_computed_by_hand() -> None:
    found = agreement([100, 200, 300, 400], [104, 190, 330, 400])
    errors = np.array([4, -10, 30, 0])
    assert found.bias_ml == 6
    assert found.high_ml - found.low_ml == pytest.approx(2 * 1.96 * errors.std(ddof=1))
    assert (found.within_5_pct, found.within_10_pct) == (0.75, 1.0)


def test_icc_is_that_of_the_example_of_shrout_and_fleiss() -> None:
    """Their table 2, judges 1 and 4, by the formula of their ICC(2,1), worked out by hand."""
    one, other = [9, 6, 8, 7, 10, 6], [8, 6, 8, 6, 9, 7]
    table = np.array([one, other], float).T
    ms = table.mean(axis=1).var(ddof=1) * 2
    js = table.mean(axis=0).var(ddof=1) * 6
    es = (((table - table.mean(axis=1)[:, None] - table.mean(axis=0) + table.mean()) ** 2).sum()) / 5
    assert agreement(one, other).icc == pytest.approx((ms - es) / (ms + es + 2 * (js - es) / 6))


def test_a_constant_error_lowers_absolute_agreement_and_perfection_is_one() -> None:
    truth = [100.0, 200.0, 300.0]
    assert agreement(truth, truth) == Agreement(3, 0, 0, 0, 1, 1, 1)
    shifted = agreement(truth, [value + 100 for value in truth])
    assert shifted.icc == pytest.approx(2 / 3)
    assert (shifted.low_ml, shifted.high_ml) == (100, 100)


def test_few_cases_have_what_can_be_said_of_them() -> None:
    assert agreement([], []) == Agreement(0)
    assert agreement([100], [105]) == Agreement(1, 5, None, None, None, 1, 1)
    assert agreement([100, 100], [100, 100]).icc is None
    with pytest.raises(ValueError, match="above 0"):
        agreement([0], [1])


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        (0, "not above 1 SD"),
        (314.5, "not above 1 SD"),
        (314.6, "above 1 SD"),
        (430.8, "above 1 SD"),
        (430.9, "above 2.5 SD"),
        (5000, "above 2.5 SD"),
    ],
)
def test_the_size_of_a_spleen_is_said_in_the_words_of_the_cohort(volume: float, said: str) -> None:
    assert spleen_size(volume) == said
    assert spleen_size(volume) in SizeClass


def test_what_the_words_mean_and_do_not_mean_is_said_with_them() -> None:
    assert (
        COHORT
        == "healthy adult cohort (236.9 ± 77.6 mL, Linguraru 2013: above 1 SD = 314.5 mL, above 2.5 SD = 430.8 mL)"
    )
    assert "about one healthy adult in six is above 1 SD" in CAVEATS
    assert CAVEATS[-1] == "not a diagnosis"
    assert is_spleen("Spleen")
    assert not is_spleen("liver")
    with pytest.raises(ValueError, match="0 mL or more"):
        spleen_size(float("nan"))
