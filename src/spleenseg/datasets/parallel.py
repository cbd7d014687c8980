"""The same work on many items by a few threads, in order, with progress; the first failure stops it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from spleenseg.progress import SILENT, Reporter, Task

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_THREADS = 4


def thread_count(threads: int | None) -> int:
    """Return `threads`, or by default one a core, at most 4."""
    return threads if threads is not None else min(_MOST_THREADS, os.cpu_count() or 1)


def in_threads(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    title: str,
    threads: int | None = None,
    reporter: Reporter = SILENT,
) -> list[Result]:
    """Return ``[work(item) for item in items]``, computed by threads (for work that releases the GIL).

    Raises:
        Exception: what `work` raised at the first item that failed; work not yet begun is dropped.
    """
    with ThreadPoolExecutor(thread_count(threads)) as pool, reporter.task(title, len(items)) as task:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [_counted(future, task) for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _counted(future: Future[Result], task: Task) -> Result:
    result = future.result()
    task.advance()
    return result
