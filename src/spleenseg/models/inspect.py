"""What a network is made of and what it costs: one line for each network, or all of one.

Importing this is light; a backend is loaded when a network has to be built.
"""

from __future__ import annotations

import gc
import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spleenseg.errors import UserError
from spleenseg.files import write_text
from spleenseg.models.backend import load_backend
from spleenseg.models.registry import ARCHITECTURES, Architecture, check, problems
from spleenseg.progress import SILENT, Reporter

if TYPE_CHECKING:
    from spleenseg.config import Config, ModelConfig

USUAL_SIDE, USUAL_CHANNELS = 512, 3
USUAL_FIGURES = "figures.json"
SUMMARY_START = "Model: "


@dataclass(frozen=True)
class Figures:
    """One network at given settings.

    Attributes:
        name: its name in the config.
        paper: where it is described.
        parameters: numbers in its weights; None if it cannot be built at these settings.
        gflop: multiplications and additions of one image, in 1e9, as `cost` counts them; None likewise.
        encoder_weights: what published weights fit its encoder; None if it has none of others' making.
        problem: why it cannot be built at these settings; None if it can.
    """

    name: str
    paper: str
    parameters: int | None
    gflop: float | None
    encoder_weights: str | None
    problem: str | None = None

    def row(self) -> dict[str, Any]:
        """Return the figures by name, ready for JSON."""
        return asdict(self)


def usual_settings() -> ModelConfig:
    """Return the model section that `list_networks` counts at without a config: 512x512x3, all else at default."""
    from spleenseg.config import ModelConfig

    return ModelConfig(image_width=USUAL_SIDE, image_height=USUAL_SIDE, image_channels=USUAL_CHANNELS, num_classes=1)


def list_usual() -> list[Figures]:
    """Return the figures of every network at the usual settings, counted beforehand: nothing is built."""
    text = resources.files(__package__).joinpath(USUAL_FIGURES).read_text(encoding="utf-8")
    return [Figures(**row) for row in json.loads(text)]


def list_networks(section: ModelConfig, reporter: Reporter = SILENT) -> list[Figures]:
    """Return the figures of every network at the settings of a model section, each built for it.

    Args:
        section: the model section; its `model` does not matter.
        reporter: is told of each network, for it takes a minute.
    """
    load_backend()
    with reporter.task("building every network", len(ARCHITECTURES)) as task:
        found = []
        for architecture in ARCHITECTURES:
            found.append(_figures(architecture, section))
            gc.collect()  # networks hold themselves in cycles, and the largest have a gigabyte
            task.advance(note=architecture.name)
    return found


def _figures(architecture: Architecture, section: ModelConfig) -> Figures:
    section = section.model_copy(update={"model": architecture.name})
    name, paper, weights = architecture.name, architecture.paper, architecture.encoder_weights
    for key, problem in problems(architecture, section):
        return Figures(name, paper, None, None, weights, f"[model] {key}: {problem}")
    from spleenseg.models.build import build_model
    from spleenseg.models.cost import gflop

    model = build_model(section)
    return Figures(name, paper, int(model.count_params()), round(gflop(model), 2), weights)


def show(config: Config) -> tuple[Path, Path]:
    """Write the table of layers and the drawing of a config's network, where its section `inspect` says.

    Returns:
        the text and the PNG. Files of an earlier time are replaced, others never.

    Raises:
        UserError: an unknown model or impossible settings, or a file that is not ours is in the way.
    """
    check(config)
    text, picture = config.inspect.summary, config.inspect.model_graph
    if picture.suffix.lower() != ".png":
        raise config.error("inspect", "model_graph", f"{picture.name} must end in .png")
    _require_ours(text)
    load_backend()
    from spleenseg.models.build import build_model
    from spleenseg.models.diagram import draw, require_own_drawing
    from spleenseg.models.layer_table import summary

    require_own_drawing(picture)
    model = build_model(config.model)
    write_text(text, summary(model))
    draw(model, picture)
    return text, picture


def _require_ours(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(SUMMARY_START))
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    if start and start != SUMMARY_START.encode():
        raise UserError(f"{path} is not a table of layers, so it stays; give [inspect] summary another name")
