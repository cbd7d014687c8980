"""The program `spleenseg`: how it starts and ends, and what becomes of an error."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

from spleenseg.cli.startup import ahead_of, leave, tidy_less
from spleenseg.errors import ExitCode, UserError

INTERNAL_ERROR = 70  # a bug of ours (EX_SOFTWARE), never the user's doing
_QUIET_AND_QUICK = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # TensorFlow's remarks about the processor
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's products here are small; on a busy machine its threads spin, for minutes
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # looking for plugins we never have takes 30 ms
}


def main() -> None:
    """Run the command line and exit with the status of contracts: 0, 1, 2 or 130."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    for name, value in _QUIET_AND_QUICK.items():
        os.environ.setdefault(name, value)
    arguments = sys.argv[1:]
    if arguments[:1] != ["segment"]:
        sys.exit(run(arguments))
    tidy_less()
    try:
        with ahead_of(arguments):
            status = run(arguments)
    except KeyboardInterrupt:
        status = _fail("interrupted", ExitCode.INTERRUPTED, debug=False)
    leave(status)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; errors become one line on standard error."""
    import typer

    from spleenseg.cli.commands import app

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
    except OSError as error:
        if error.filename is None or error.strerror is None:
            return _fail(_bug(error), INTERNAL_ERROR, debug)
        return _fail(f"{error.filename}: {error.strerror}", ExitCode.USER_ERROR, debug)
    except Exception as error:
        return _fail(_bug(error), INTERNAL_ERROR, debug)
    return status if isinstance(status, int) else ExitCode.DONE


def _fail(line: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {line}", file=sys.stderr)  # noqa: T201
    return int(status)


def _bug(error: Exception) -> str:
    line = f"{type(error).__name__}: {error} (a bug in spleenseg; --debug shows the details, please report)"
    return " ".join(line.split())


def _usage(error: BaseException) -> str:
    """Word a mistake in the command line, with the command whose --help explains it."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "spleenseg"
    return f"{' '.join(message.split())} (see {command} --help)"


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
