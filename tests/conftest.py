"""Fixtures every test package shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the long tests (marker 'full')")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out unless asked: deselected, so that a skip always means a missing thing."""
    if config.getoption("--full"):
        return
    long = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(long)
    items[:] = [item for item in items if item not in set(long)]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT data (never part of the project), from SPLEENSEG_REAL_DATA."""
    folder = os.environ.get("SPLEENSEG_REAL_DATA")
    if not folder:
        pytest.skip("SPLEENSEG_REAL_DATA is not set: no real CT data here")
    return Path(folder).resolve()
