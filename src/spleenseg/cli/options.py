"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spleenseg.errors import UserError

if TYPE_CHECKING:
    from spleenseg.cli.terminal import Terminal

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="train_eval_infer.config of the project.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one value of the config (repeatable)."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue what an earlier run began.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="Threads to use (default: all cores).")]
Device = Annotated[
    str | None,
    typer.Option(metavar="cpu|gpu|gpu:N", help="What Keras computes on (default: a card where there is one)."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show warnings and errors only.")]
Engine = Annotated[
    str | None, typer.Option(help="keras, onnx or openvino (default: onnx for an exported model, else keras).")
]
Precision = Annotated[str, typer.Option(help="exact, fast (bfloat16, by OpenVINO) or int8 (of export --int8).")]
Components = Annotated[
    str | None, typer.Option(help="all or largest: which pieces stay (default: what helped on valid, else all).")
]
FillHoles = Annotated[
    bool | None, typer.Option("--fill-holes/--no-fill-holes", help="Fill holes (default: if that helped on valid).")
]
MinMl = Annotated[
    float | None, typer.Option(metavar="ML", min=0, help="Drop pieces of less (default: as helped on valid).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def terminal(quiet: bool) -> Terminal:
    """Return the reporter of a command; Rich is loaded only for commands that report."""
    from spleenseg.cli.terminal import Terminal

    return Terminal(quiet)


def engine_on(device: str | None, engine: str | None) -> str | None:
    """Have Keras see the device asked for; return the engine, which is Keras where that is a card.

    Raises:
        UserError: no such device, or another engine was asked for, which the processor runs.
    """
    if device is None:
        return engine
    from spleenseg.inference.engine_choice import KERAS
    from spleenseg.models.backend import see_device

    if device != "cpu" and engine not in (None, KERAS):
        raise UserError(f"the engine {engine} computes on the processor; leave --device or --engine out")
    see_device(device)
    return engine if device == "cpu" else KERAS
