"""Networks in figures, as text and as a drawing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.models.build import build_model
from spleenseg.models.diagram import shortcuts
from spleenseg.models.inspect import list_networks, list_usual, show, usual_settings
from spleenseg.models.layer_table import summary
from spleenseg.models.registry import ARCHITECTURES, names
from spleenseg.models.stages import Stage, stages_of

MakeConfig = Callable[..., Config]


def test_the_counted_list_has_every_network_with_its_paper() -> None:
    facts = [(found.name, found.paper, found.encoder_weights) for found in list_usual()]
    assert facts == [(known.name, known.paper, known.encoder_weights) for known in ARCHITECTURES]


def test_listing_at_usual_settings_loads_no_backend() -> None:
    code = "import sys; from spleenseg.models.inspect import list_usual; list_usual(); print('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@pytest.mark.full
def test_the_counted_list_is_what_building_gives() -> None:
    """If not: `python docs/generate_model_figures.py`."""
    assert list_usual() == list_networks(usual_settings())


@pytest.mark.full
def test_a_network_that_does_not_fit_the_size_is_listed_with_the_reason(make_config: MakeConfig) -> None:
    config = make_config(image_width=36, filters=[2, 3], filter_num=[2, 3], num_transformer=1)
    found = {figures.name: figures for figures in list_networks(config.model)}
    assert set(found) == set(names())
    assert found["TensorflowUNet"].parameters == build_model(config.model).count_params()
    efficient = found["TensorflowEfficientUNet"]
    assert (efficient.parameters, efficient.gflop) == (None, None)
    assert "[model] image_width: 36 is not divisible by 32" in str(efficient.problem)


def test_the_table_has_a_whole_line_for_each_layer_and_sums(make_config: MakeConfig) -> None:
    model = build_model(make_config(normalization=True).model)
    lines = summary(model).splitlines()
    assert lines[0] == "Model: TensorflowUNet"
    assert [line.split()[0] for line in lines[4 : 4 + len(model.layers)]] == [layer.name for layer in model.layers]
    joined = next(line for line in lines if line.startswith("up0_join"))
    assert joined.endswith("up0_double, down0_conv2_norm")
    assert f"Total params: {model.count_params():,}" in lines
    assert "Non-trainable params: " + f"{sum(w.shape[0] for w in model.non_trainable_weights):,}" in lines


def test_stages_account_for_every_layer_and_every_parameter(make_config: MakeConfig) -> None:
    model = build_model(make_config().model)
    stages = stages_of(model)
    assert [stage.name for stage in stages] == [
        *("image", "normalised", "down0", "down1", "bottom", "up1", "up0", "logits", "probability"),
    ]
    assert sum(stage.layers for stage in stages) == len(model.layers)
    assert sum(stage.parameters for stage in stages) == model.count_params()
    assert [stage.level((32, 32)) for stage in stages] == [0, 0, 0, 1, 2, 1, 0, 0, 0]
    assert stages[6].inputs == [5, 2]


def test_lines_at_the_side_never_lie_on_each_other() -> None:
    stages = [Stage(str(number)) for number in range(6)]
    stages[5].inputs, stages[4].inputs, stages[3].inputs = [4, 0], [3, 1], [2, 0, 1]
    found = shortcuts(stages)
    assert {(each.sources, each.target) for each in found} == {((0,), 5), ((1,), 4), ((0, 1), 3)}
    assert len({each.lane for each in found}) == 3


def test_showing_writes_both_files_where_the_config_says_and_again(make_config: MakeConfig, tmp_path: Path) -> None:
    for _ in range(2):
        written = show(make_config())
    assert written == (tmp_path / "summary.txt", tmp_path / "model.png")
    assert written[0].read_text().startswith("Model: TensorflowUNet\n")
    with Image.open(written[1]) as picture:
        assert picture.size > (600, 300)
        assert len(picture.convert("RGB").getcolors(100_000) or ()) > 20


@pytest.mark.parametrize(("name", "key"), [("summary.txt", "summary"), ("model.png", "model_graph")])
def test_a_file_of_the_users_stays(make_config: MakeConfig, tmp_path: Path, name: str, key: str) -> None:
    (tmp_path / name).write_text("my notes")
    with pytest.raises(UserError, match=rf"{name} is not .* so it stays; give \[inspect\] {key} another name"):
        show(make_config())
    assert [path.name for path in tmp_path.glob("*.[tp][xn][tg]")] == [name]
    assert (tmp_path / name).read_text() == "my notes"
