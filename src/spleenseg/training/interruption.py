"""Ctrl-C and SIGTERM as a request, honoured between two steps, so that what is saved is never half a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Set once the user or the system asked to stop."""

    def __init__(self) -> None:
        self.requested = False

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        if self.requested:  # asked twice: do not make anyone wait
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def stop_between_steps() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a flag while the block runs; the second one interrupts at once.

    Outside the main thread signals cannot be caught; the flag then stays unset.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request._ask) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_afterwards() -> Iterator[None]:
    """Honour SIGINT and SIGTERM when the block is over: raised amid it they would pass through native code.

    TensorFlow's aborts the process where a call back into Python raises while it loads or builds.

    Raises:
        KeyboardInterrupt: a signal came; at once if it came twice.
    """
    with stop_between_steps() as request:
        yield
    if request.requested:
        raise KeyboardInterrupt
