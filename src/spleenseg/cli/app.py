"""The program `spleenseg`: its commands, and what becomes of an error."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

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
from spleenseg.errors import ExitCode, UserError

INTERNAL_ERROR = 70  # a bug of ours (EX_SOFTWARE), never the user's doing
_QUIET_AND_QUICK = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # TensorFlow's remarks about the processor
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # looking for plugins we never have takes 30 ms
}

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


def main() -> None:
    """Run the command line and exit with the status of contracts: 0, 1, 2 or 130."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    for name, value in _QUIET_AND_QUICK.items():
        os.environ.setdefault(name, value)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; errors become one line on standard error."""
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    debug = "--debug" in arguments
    try:
        status = app([word for word in arguments if word != "--debug"], standalone_mode=False)
    except UserError as error:
        return _fail(str(error), ExitCode.USER_ERROR, debug)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", ExitCode.INTERRUPTED, debug=False)
    except usage_error as error:
        return _fail(_usage(error), ExitCode.USER_ERROR, debug)
    except Exception as error:
        line = f"{type(error).__name__}: {error} (a bug in spleenseg; --debug shows the details, please report)"
        return _fail(" ".join(line.split()), INTERNAL_ERROR, debug)
    return status if isinstance(status, int) else ExitCode.DONE


def _fail(line: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {line}", file=sys.stderr)  # noqa: T201
    return int(status)


def _usage(error: BaseException) -> str:
    """Word a mistake in the command line, with the command whose --help explains it."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "spleenseg"
    return f"{' '.join(message.split())} (see {command} --help)"


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
