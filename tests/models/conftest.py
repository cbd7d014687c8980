"""Small networks, built from a config as a user would write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spleenseg.config import Config, parse_config

pytest.register_assert_rewrite("tests.models.contract", "tests.models.supervised")

NARROW = {
    "image_width": 32,
    "image_height": 32,
    "image_channels": 1,
    "num_classes": 1,
    "base_filters": 2,
    "num_layers": 3,
}
MakeConfig = Callable[..., Config]


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """Return a function that makes a config of a narrow network from keys of its model section."""

    def make(train: str = "", context: int = 0, **model: object) -> Config:
        keys = "\n".join(f"{key} = {value!r}" for key, value in {**NARROW, **model}.items())
        text = f"[model]\n{keys}\n[dataset]\ncontext = {context}\n[train]\n{train}\n"
        path = tmp_path / "train_eval_infer.config"
        path.write_text(text)
        return parse_config(text, path)

    return make
