"""Fixtures every test package shares, and the count of the tests that saw real CT."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the program: threads that spin starve the other process


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the long tests (marker 'full')")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out unless asked: deselected, so that a skip always means a missing thing.

    Modules of few tests come first: those are trainings and whole programs, and one that is begun last has one of two
    processes wait for it.
    """
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.user_properties.append(("real_data", "yes"))
    if not config.getoption("--full"):
        long = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (tests[item.path], item.path))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests on real CT ran: a run without the data must not look like one with it."""
    ran = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if ("real_data", "yes") in getattr(report, "user_properties", ())
    ]
    terminalreporter.write_line(f"tests on real CT data that ran: {len(ran)}")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT data (never part of the project), from SPLEENSEG_REAL_DATA."""
    folder = os.environ.get("SPLEENSEG_REAL_DATA")
    if not folder:
        pytest.skip("SPLEENSEG_REAL_DATA is not set: no real CT data here")
    return Path(folder).resolve()
