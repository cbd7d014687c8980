"""The pages in a browser: no error, no request, nothing an accessibility checker calls serious.

Needs `playwright` (from the package index), Chromium (`SPLEENSEG_CHROMIUM`, else the one on the path), and for the
accessibility check the file `axe.min.js` of axe-core (`SPLEENSEG_AXE`). Screenshots go to `SPLEENSEG_SCREENSHOTS`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spleenseg.evaluation.compare import compare
from spleenseg.evaluation.evaluate import evaluate

from .test_evaluate import Scans, project, write_manifest

pytestmark = pytest.mark.full
LOOKS = {"light": (1200, 900, "light"), "dark": (1200, 900, "dark"), "phone": (390, 844, "light")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api")
    chromium = os.environ.get("SPLEENSEG_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium here: set SPLEENSEG_CHROMIUM")
    with driver.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("run")
    scans = many_cases()
    config = project(root, scans)
    write_manifest(root / "data", scans)
    (root / "history.json").write_text('{"epoch": [0, 1, 2], "loss": [0.9, 0.5, 0.4], "val_loss": [0.8, 0.6, 0.5]}')
    evaluate(config, threshold="auto")
    published = root / "paper.csv"
    published.write_text("\n".join(["case,DSC", *(f"case_{place:02d},{0.9 + place / 1000}" for place in range(18))]))
    return {"report": root / "report.html", "comparison": compare(root, published, root / "comparison").page}


def many_cases() -> Scans:
    """Eighteen cases; the network finds ever less of the organ, and in two there is none."""
    made = {}
    for place in range(18):
        mask = np.zeros((6, 32, 16), np.uint8)
        if place < 16:
            mask[1:5, 8:24, 4:12] = 255
        image = np.where(mask > 0, 220, 20).astype(np.uint8)
        image[2, 8 : 8 + place, 4:12] = 20
        made[f"case_{place:02d}"] = (image, mask)
    return made


@pytest.mark.parametrize("name", ["report", "comparison"])
@pytest.mark.parametrize("look", LOOKS)
def test_a_page_opens_from_disk_without_errors_or_requests(
    browser: Any, pages: dict[str, Path], name: str, look: str
) -> None:
    width, height, scheme = LOOKS[look]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    if shots := os.environ.get("SPLEENSEG_SCREENSHOTS"):
        page.screenshot(path=Path(shots) / f"{name}_{look}.png", full_page=True)
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [pages[name].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width  # nothing sticks out
    assert serious(page) == []
    context.close()


def serious(page: Any) -> list[str]:
    """Return what axe-core calls serious or critical; nothing where axe-core is not at hand."""
    axe = os.environ.get("SPLEENSEG_AXE")
    if not axe:
        return []
    page.evaluate(Path(axe).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert found["passes"]
    return [f"{one['id']}: {one['help']}" for one in found["violations"] if one["impact"] in ("serious", "critical")]


def test_pressing_a_head_sorts_the_table(browser: Any, pages: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(pages["report"].as_uri())
    table = page.get_by_role("region", name="Figures of each case").locator("table")
    head = table.get_by_role("columnheader", name="Dice", exact=False).first
    head.get_by_role("button").click()
    cells = table.locator("tbody tr td:nth-of-type(1)").all_inner_texts()
    assert cells == sorted(cells, key=float)
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert table.locator("tbody tr td:nth-of-type(1)").all_inner_texts() == sorted(cells, key=float, reverse=True)
    names = table.get_by_role("columnheader", name="case").first
    names.get_by_role("button").click()
    assert table.locator("tbody th").all_inner_texts() == [f"case_{place:02d}" for place in range(18)]
    distances = table.get_by_role("columnheader", name="HD95 (mm)")
    for _ in range(2):
        distances.get_by_role("button").click()
        texts = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
        assert "" in texts[-1]  # undefined figures stay below
    page.close()
