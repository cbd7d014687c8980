"""The learning rate of each step."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.config import load_config
from spleenseg.training.schedule import Schedule

from .conftest import Project

KINDS = ("constant", "poly", "cosine")


def rates(schedule: Schedule) -> list[float]:
    return [schedule.factor(*divmod(step, schedule.steps_per_epoch)) for step in range(schedule.total)]


def test_poly_and_cosine_fall_from_the_whole_rate_towards_nothing() -> None:
    assert rates(Schedule("poly", 5, 10))[:6:5] == pytest.approx([1, 0.5**0.9])
    assert rates(Schedule("cosine", 2, 4)) == pytest.approx([1, 0.8535534, 0.5, 0.1464466])
    assert rates(Schedule("constant", 2, 4)) == [1, 1, 1, 1]


@settings(max_examples=50)
@given(st.sampled_from(KINDS), st.integers(1, 9), st.integers(1, 9), st.integers(0, 40))
def test_every_rate_is_positive_rises_in_the_warm_up_and_never_after_it(
    kind: str, epochs: int, steps: int, warmup: int
) -> None:
    total = epochs * steps
    warmup = min(warmup, total - 1)
    found = rates(Schedule(kind, steps, total, warmup))
    assert all(0 < rate <= 1 for rate in found)
    assert all(a < b for a, b in pairwise(found[: warmup + 1]))
    assert all(a >= b for a, b in pairwise(found[warmup:]))
    assert found[warmup] == 1


def test_steps_beyond_the_plan_keep_the_last_rate() -> None:
    schedule = Schedule("poly", 5, 10)
    assert schedule.factor(7, 0) == schedule.factor(1, 4) > 0


def test_the_warm_up_is_given_in_epochs_or_in_steps(project: Project) -> None:
    path = project()
    assert Schedule.of(load_config(path)).steady
    assert Schedule.of(load_config(path, ["train.warmup_epochs=1.5"])).warmup == round(1.5 * 3)
    assert Schedule.of(load_config(path, ["train.warmup_epochs=1", "train.warmup_steps=2"])).warmup == 2
    assert Schedule.of(load_config(path, ["train.warmup_steps=500"])).warmup == 2 * 3 - 1
    assert not Schedule.of(load_config(path, ["train.schedule=cosine"])).steady
