"""The command segment: CT volumes in, label maps and millilitres out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import (
    Components,
    Device,
    Engine,
    FillHoles,
    MinMl,
    Precision,
    Quiet,
    Resume,
    Threads,
    engine_on,
    terminal,
)
from spleenseg.cli.startup import load_nibabel_alone
from spleenseg.errors import ExitCode


def segment(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="NIfTI, DICOM, NRRD or MetaImage, or folders.")
    ],
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            help="A run folder, an exported model.onnx, or the built-in spleen (default), where no path has that name; "
            "several are averaged.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write.")] = Path("segmentations"),
    engine: Engine = None,
    precision: Precision = "exact",
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Probability from which a voxel counts (default: the model's).")
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Average five views of each slice (six for models trained mirrored).")
    ] = False,
    smooth: Annotated[float, typer.Option(metavar="MM", min=0, max=10, help="Smooth the probabilities.")] = 0,
    components: Components = None,
    fill_holes: FillHoles = None,
    min_ml: MinMl = None,
    probabilities: Annotated[bool, typer.Option("--prob", help="Also write the probabilities.")] = False,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="nifti, dicom-seg or nrrd; repeatable (default: nifti).")
    ] = None,
    series: Annotated[str | None, typer.Option(help="DICOM series of several: its number or UID.")] = None,
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Interpolate missing or uneven slices.")] = False,
    orientation: Annotated[
        str | None, typer.Option(metavar="XYZ", help="Where the stored axes run to, such as LAS, whatever files say.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Take scans that look like no CT of an abdomen.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Slices predicted at once.")] = 4,
    max_memory: Annotated[str, typer.Option("--max-memory", metavar="SIZE", help="Memory to stay within.")] = "2GB",
    threads: Threads = None,
    device: Device = None,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Segment CT volumes in their own geometry: label map, overlay, volumes.csv."""
    load_nibabel_alone()
    from spleenseg.inference.reading import Reading
    from spleenseg.inference.refinement import Refinement
    from spleenseg.inference.segment import segment as run

    reporter = terminal(quiet)
    result = run(
        inputs,
        out,
        model,
        engine=engine_on(device, engine),
        precision=precision,
        threads=threads,
        threshold=threshold,
        probabilities=probabilities,
        formats=formats or ("nifti",),
        reading=Reading(series, allow_gaps, orientation, force),
        refinement=Refinement(components, fill_holes, min_ml, tta, smooth),
        resume=resume,
        batch_size=batch_size,
        max_memory=max_memory,
        reporter=reporter,
    )
    reporter.say(result.summary())
    if result.failed:
        raise typer.Exit(ExitCode.FINDINGS)
