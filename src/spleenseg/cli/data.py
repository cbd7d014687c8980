"""Commands that make and look at data: phantom, prepare, stats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import AsJson, Quiet, Resume, Seed, Threads, terminal


def phantom(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the cohort (MSD layout).")],
    cases: Annotated[int, typer.Option(min=1, help="Labelled patients.")] = 10,
    unlabelled: Annotated[int, typer.Option(min=0, help="Further patients without labels (imagesTs).")] = 0,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Pixels a side of a slice.")] = 512,
    splenectomy: Annotated[float, typer.Option(min=0, max=1, help="Share of patients without a spleen.")] = 0.05,
    seed: Seed = 137,
    threads: Threads = None,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Write a synthetic abdominal CT cohort: for tests and demonstrations, not evidence about patients."""
    from spleenseg.phantom import write_cohort

    reporter = terminal(quiet)
    write_cohort(
        folder,
        cases,
        seed,
        size=size,
        splenectomy=splenectomy,
        unlabelled=unlabelled,
        threads=threads,
        resume=resume,
        reporter=reporter,
    )
    reporter.say(f"{cases + unlabelled} synthetic patients written to {folder}")


def prepare(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder with imagesTr and labelsTr (MSD, nnU-Net).")],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Where to write the dataset.")],
    labels_from: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Label maps named like the scans in SOURCE (then a folder of scans)."),
    ] = None,
    layout: Annotated[
        str, typer.Option("--format", help="slices (PNG), volumes (arrays in HU) or nnunet (its raw folders).")
    ] = "slices",
    window: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="HU shown as black and as white.")] = (
        -160.0,
        240.0,
    ),
    display: Annotated[str, typer.Option(help="radiological, or reference (mirrored left-right).")] = "radiological",
    pixel_mm: Annotated[
        float | None,
        typer.Option(metavar="MM", help="Size of the pixels that networks see (default: slices are resized)."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Label to keep (repeatable; default: those of dataset.json)."),
    ] = None,
    into: Annotated[
        str | None, typer.Option(help="Put every case into train, valid or test instead of dividing them.")
    ] = None,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Fill missing DICOM slices by resampling (noted in the manifest).")
    ] = False,
    orientation: Annotated[
        str | None, typer.Option(help="Where the stored axes lead, such as LPS, against what the files say.")
    ] = None,
    seed: Seed = 137,
    threads: Threads = None,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Turn CT scans and label maps into a dataset to train on, split 70/20/10 by patient."""
    from spleenseg.datasets.prepare import prepare as run
    from spleenseg.datasets.request import parse_labels

    reporter = terminal(quiet)
    manifest = run(
        source,
        dataset,
        labels_from=labels_from,
        layout=layout,
        window=window,
        display=display,
        pixel_mm=pixel_mm,
        labels=parse_labels(label),
        into=into,
        allow_gaps=allow_gaps,
        orientation=orientation,
        seed=seed,
        threads=threads,
        resume=resume,
        reporter=reporter,
    )
    reporter.say(f"{len(manifest.cases)} cases prepared in {dataset}")


def stats(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Prepared dataset, pictures, or labelled scans.")],
    output: Annotated[
        Path | None, typer.Option("-o", help="The bar chart (default: in DATASET; for scans: none).")
    ] = None,
    labels_from: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Label maps named like the scans in DATASET (then a folder of scans)."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Label of the scans (repeatable; default: those of dataset.json)."),
    ] = None,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Count slices, patients and organ per split; HU, volumes and grids; draw the bar chart."""
    from dataclasses import asdict

    from spleenseg.cli.tables import show_json, show_table
    from spleenseg.datasets.request import parse_labels
    from spleenseg.datasets.statistics import stats as run

    reporter = terminal(quiet or as_json)
    found = run(
        dataset,
        chart=output,
        labels_from=labels_from,
        labels=parse_labels(label),
        threads=threads,
        reporter=reporter,
    )
    if as_json:
        show_json(asdict(found))
        return
    seen = found.fingerprint
    show_table(found.rows(), as_json=False)
    show_table(seen.rows(), False, f"HU {seen.hu}; volumes in mL")
    show_table([asdict(figure) for figure in seen.grid], False, "Grids")
