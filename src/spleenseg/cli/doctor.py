"""`spleenseg doctor`: what is installed, what computes, how fast, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spleenseg.cli.options import AsJson, Device, Quiet, terminal
from spleenseg.errors import install_command

if TYPE_CHECKING:
    from spleenseg.cli.terminal import Terminal
    from spleenseg.doctor.diagnosis import Diagnosis

SCAN = 100  # slices of a usual abdominal scan


def doctor(
    seconds: Annotated[float, typer.Option(min=0, help="How long to measure speed; 0: not at all.")] = 5.0,
    device: Device = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Say what is installed, which device computes and how fast, and what is missing with the command that installs it.

    Ends with status 1 if something is set up so that it cannot work.
    """
    from spleenseg.cli.tables import show_json
    from spleenseg.doctor.diagnosis import diagnose
    from spleenseg.models.backend import see_device

    see_device(device)
    shown = terminal(quiet or as_json)
    found = diagnose(seconds=seconds, reporter=shown)
    show_json(found.row()) if as_json else _show(found, shown)
    return 1 if found.problems else 0


def _show(found: Diagnosis, shown: Terminal) -> None:
    memory = f", {found.memory_gb:.0f} GB of memory" if found.memory_gb else ""
    installed = ", ".join(f"{part.name} {part.version}" for part in found.parts if part.version)
    shown.say(f"spleenseg    {found.version}, Python {found.python}, {found.system}")
    shown.say(f"machine      {found.processor}, {found.cores} cores{memory}")
    shown.say(f"segmenting   {_segmenting(found.seconds_per_slice)}")
    shown.say(f"training     {_training(found)}")
    shown.say(f"installed    {installed}")
    for part in found.parts:
        if not part.version:
            shown.say(f"missing      {part.name} ({part.purpose}): {part.install}")
    for line in found.problems:
        shown.warn(line)
    shown.say("something cannot work as it is set up" if found.problems else "nothing is wrong")


def _segmenting(per_slice: float | None) -> str:
    if per_slice is None:
        return "with the built-in spleen model by ONNX Runtime; speed not measured"
    return (
        f"{per_slice * 1000:.0f} ms a slice of 512 x 512 with the built-in spleen model, "
        f"about {per_slice * SCAN:.1f} s for {SCAN} slices"
    )


def _training(found: Diagnosis) -> str:
    training = found.training
    if training is None:
        return "not possible as it is set up" if found.problems else f"not possible: {install_command('train')}"
    where = f'{training.backend} on {", ".join(training.devices)}; precision "auto" means {training.precision}'
    if training.slices_per_second is None:
        return f"{where}; speed not measured"
    return f"{where}; {training.slices_per_second:.0f} slices/s ({training.network})"
