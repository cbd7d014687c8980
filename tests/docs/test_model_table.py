"""The page of networks is what its generator makes of what was measured, and leaves none out."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from spleenseg.models.registry import names

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "generate_model_table.py"))


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return dict(json.loads((ROOT / "benchmarks" / "models.json").read_text(encoding="utf-8")))


def test_the_page_is_what_its_generator_writes(generator: dict[str, Any], measured: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "reference" / "models.md").read_text(encoding="utf-8")
    assert page == generator["page"](measured), "run: python docs/generate_model_table.py"


def test_every_network_is_counted(measured: dict[str, Any]) -> None:
    assert [row["name"] for row in measured["networks"]] == list(names())
    assert all(row["parameters"] > 0 and row["gflop"] > 0 for row in measured["networks"])


def test_times_are_shown_in_milliseconds_and_missing_ones_as_such(
    generator: dict[str, Any], measured: dict[str, Any]
) -> None:
    row = {"name": "FastUNet", "parameters": 1084801, "gflop": 0.57, "step_s": 1.2345, "inference_s": None}
    page = generator["page"]({**measured, "networks": [row]})
    assert "| FastUNet | 1,084,801 | 0.6 | 1,234 | not measured |" in page.splitlines()
