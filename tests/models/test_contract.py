"""Every registered network has a test class that inherits the contract."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from tests.models.contract import Contract

from spleenseg.models.registry import ARCHITECTURES, names, resolve


def _classes(of: type) -> Iterator[type]:
    for each in of.__subclasses__():
        yield each
        yield from _classes(each)


def test_every_registered_network_is_under_the_contract() -> None:
    for file in Path(__file__).parent.glob("test_*.py"):
        import_module(f"tests.models.{file.stem}")
    assert {test.name for test in _classes(Contract) if hasattr(test, "name")} == set(names())


@pytest.mark.parametrize("name", names())
def test_every_network_says_its_paper_and_lives_in_a_module_of_its_own(name: str) -> None:
    assert resolve(name).paper
    assert [architecture.module for architecture in ARCHITECTURES].count(resolve(name).module) == 1
