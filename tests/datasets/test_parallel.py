from __future__ import annotations

import time

import pytest

from spleenseg.datasets.parallel import in_threads
from spleenseg.progress import Silent


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.03 if item == 0 else 0)
        return item * item

    assert in_threads(slow_first, range(9), "squaring", threads=3) == [item * item for item in range(9)]


def test_the_first_failure_stops_the_rest() -> None:
    begun = []

    def fail_at_three(item: int) -> None:
        begun.append(item)
        time.sleep(0.002)
        if item >= 3:
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 3"):
        in_threads(fail_at_three, range(500), "failing", threads=2)
    assert len(begun) < 100


def test_every_item_is_one_step_of_progress() -> None:
    class Counter(Silent):
        total, done = 0, 0

        def task(self, title: str, total: int | None) -> Counter:
            self.total = total or 0
            return self

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.done += steps

    counter = Counter()
    in_threads(str, range(7), "counting", reporter=counter)
    assert (counter.total, counter.done) == (7, 7)
