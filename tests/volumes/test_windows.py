"""HU windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.volumes import apply_window

EVERY_HU = np.arange(-32768, 32768, dtype=np.int16)


def test_low_is_black_high_is_white_and_beyond_is_clipped() -> None:
    hu = np.array([-32768, -161, -160, 240, 241, 32767], np.int16)
    assert apply_window(hu, (-160, 240)).tolist() == [0, 0, 0, 255, 255, 255]


def test_halves_round_to_even() -> None:
    # 510 HU wide: every odd HU lies exactly between two greys
    assert apply_window(np.array([1, 3, 5, 7], np.int16), (0, 510)).tolist() == [0, 2, 2, 4]


def test_the_reference_window_keeps_0_to_255_as_they_are() -> None:
    assert np.array_equal(apply_window(np.arange(256, dtype=np.int16), (0, 255)), np.arange(256))


@settings(max_examples=30, deadline=None)
@given(low=st.integers(-2000, 2000), width=st.integers(1, 4000))
def test_every_hu_agrees_with_the_definition(low: int, width: int) -> None:
    grey = apply_window(EVERY_HU, (low, low + width))
    exact = np.clip((EVERY_HU.astype(np.float64) - low) / width * 255, 0, 255)
    assert grey.dtype == np.uint8
    assert (np.abs(grey - exact) <= 0.5 + 1e-9).all()
    assert (np.diff(grey.astype(int)) >= 0).all()


def test_fat_air_and_organs_differ_in_the_default_window() -> None:
    """The reference clips HU to 0..255 by a conversion: air, lung and fat all become 0."""
    grey = apply_window(np.array([-1000, -100, 10, 55, 120], np.int16), (-160, 240))
    assert len(set(grey.tolist())) == 5


@pytest.mark.parametrize("window", [(10, 10), (240, -160), (0, float("nan"))])
def test_an_empty_or_reversed_window_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="low < high"):
        apply_window(EVERY_HU, window)


def test_only_int16_are_hu() -> None:
    with pytest.raises(ValueError, match="int16"):
        apply_window(EVERY_HU.astype(np.int32), (0, 1))  # type: ignore[arg-type]
