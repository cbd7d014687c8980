"""The commands of the program `spleenseg`."""

from __future__ import annotations

import typer

from spleenseg.cli import (
    augment,
    check,
    config,
    data,
    demo,
    doctor,
    download,
    export,
    models,
    report,
    segment,
    split,
    work,
)

app = typer.Typer(
    help="Train, evaluate and run organ segmentation on CT, from one config file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("phantom")(data.phantom)
app.command("download")(download.download)
app.command("prepare")(data.prepare)
app.command("split")(split.split)
app.command("check")(check.check)
app.command("stats")(data.stats)
app.command("train")(work.train)
app.command("evaluate")(work.evaluate)
app.command("report")(report.report)
app.command("infer")(work.infer)
app.command("segment")(segment.segment)
app.command("export")(export.export)
app.add_typer(augment.app, name="augment", help="Look at augmentation, or write an augmented copy of a dataset.")
app.add_typer(models.app, name="models", help="List the networks, or describe the one a config names.")
app.add_typer(config.app, name="config", help="Check, show or start a config file.")
